-- Mean and standard deviation over all pixels and months of a layer in a region: the references of `layer_pooled`. Both engines take the
-- standard deviation about the mean as they go (Welford, Chan), not from sums of squares. Every pixel and month weighs the same.
{{ config(enabled=needs('trends')) }}
{% set rules = study('ssmi') %}
{% set reference = ssmi_reference() %}
select
    monthly.series_id,
    pools.region_id,
    pools.is_whole,
    cast(count(*) as bigint) as n_values,
    cast(count(distinct monthly.year) as int) as n_years,
    {{ mean('monthly.value') }} as mean,
    case when min(monthly.value) < max(monthly.value) then stddev_samp(monthly.value) end as sd
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
inner join {{ ref('int_ssmi_pool_pixel') }} as pools
    on series.grid_id = pools.grid_id and monthly.pixel_id = pools.pixel_id
where series.variable = 'soil_moisture'
    and {{ 'layer_pooled' in rules.kinds }}
    and monthly.month >= cast('{{ reference.start }}' as date)
    and monthly.month < cast('{{ reference.end }}' as date)
group by monthly.series_id, pools.region_id, pools.is_whole
