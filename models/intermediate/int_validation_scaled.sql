-- The pairs of each unit, form, period and season, with the estimates as they are and scaled to the reference: to its mean and standard deviation, or to its
-- distribution (cdf_match), from the pairs of the row's own period. Scaled estimates are missing where the estimate is constant.
-- Distributions are of values to 1e-9: days of the same readings must not differ by the order in which these were added.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set unit = ['series_id', 'reference_product', 'unit_kind', 'unit_id', 'on_values', 'period_kind', 'period_start', 'season'] %}
with {{ validation_times() }},

of_period as (
    select
        pairs.series_id,
        pairs.reference_product,
        pairs.unit_kind,
        pairs.unit_id,
        pairs.on_values,
        periods.period_kind,
        periods.period_start,
        periods.period_end,
        seasons.season,
        pairs.obs_date,
        pairs.estimate,
        pairs.reference
    from {{ ref('int_validation_pair') }} as pairs
    inner join periods on pairs.obs_date >= periods.period_start and pairs.obs_date < periods.period_end
    inner join seasons on cast(month(pairs.obs_date) as int) = seasons.month_number
)
{%- if 'mean_std' in asked.scalings %},

moments as (
    select
        {{ unit | join(', ') }},
        avg(estimate) as estimate_mean,
        stddev_pop(estimate) as estimate_sd,
        avg(reference) as reference_mean,
        stddev_pop(reference) as reference_sd
    from of_period
    group by {{ unit | join(', ') }}
    having min(estimate) < max(estimate)
)
{%- endif %}
{%- if 'cdf' in asked.scalings %},

matched as (
    select {{ unit | join(', ') }}, {{ date_of_epoch_day('found.t') }} as obs_date, found.v as estimate
    from (
        select
            {{ unit | join(', ') }},
            {{ each_of('cdf_match(' ~ struct_list({'t': 'cast(' ~ epoch_day('obs_date') ~ ' as int)', 'estimate': 'round(estimate, 9)', 'reference': 'round(reference, 9)'})
                ~ ', ' ~ asked.cdf_bins ~ ', ' ~ asked.cdf_min_in_bin ~ ')') }} as found
        from of_period
        group by {{ unit | join(', ') }}
    ) as computed
)
{%- endif %}

{% for scaling in asked.scalings %}
select
    {%- for name in unit %}
    of_period.{{ name }},
    {%- endfor %}
    of_period.period_end,
    '{{ scaling }}' as scaling,
    of_period.obs_date,
    {% if scaling == 'none' -%} of_period.estimate
    {%- elif scaling == 'mean_std' -%}
    (of_period.estimate - moments.estimate_mean) / nullif(moments.estimate_sd, 0) * moments.reference_sd + moments.reference_mean
    {%- else -%} matched.estimate
    {%- endif %} as estimate,
    of_period.reference
from of_period
{%- if scaling != 'none' %}
{%- set other = 'moments' if scaling == 'mean_std' else 'matched' %}
inner join {{ other }}
    on {% for name in unit %}{{ ' and ' if not loop.first }}of_period.{{ name }} = {{ other }}.{{ name }}{% endfor %}
    {%- if scaling == 'cdf' %} and of_period.obs_date = matched.obs_date {%- endif %}
{%- endif %}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
