{#- Over the reference of the study's SSMI the index has mean 0 and standard deviation 1 (n - 1) in every calendar month of every series,
    pixel and time scale, within a tolerance. -#}
{% test standardised(model, column_name, tolerance=1e-6) %}
{% set reference = ssmi_reference() %}
select series_id, pixel_id, scale_months, month(month) as month_number, avg({{ column_name }}) as mean, stddev_samp({{ column_name }}) as sd
from {{ model }}
where {{ column_name }} is not null
    and month >= cast('{{ reference.start }}' as date)
    and month < cast('{{ reference.end }}' as date)
group by series_id, pixel_id, scale_months, month(month)
having abs(avg({{ column_name }})) > {{ tolerance }} or abs(stddev_samp({{ column_name }}) - 1) > {{ tolerance }}
{% endtest %}
