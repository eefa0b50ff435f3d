{{ config(enabled=needs('trends')) }}
{%- set layers = depth_layers() -%}
{%- set most = (layers | map(attribute='n_layers') | max) if layers else 1 -%}
{%- set keys = ['region_id', 'reference_kind', 'reference_region_id', 'period_kind', 'period_start', 'period_end'] %}
-- Signs from the surface down. A layer without a row, or with a mean that is 0 but for rounding, leaves the pattern open: NULL.
with regions as (
    select
        layers.product,
        layers.depth_order,
        layers.n_layers,
        means.*,
        {{ moisture_state('means.mean_ssmi') }} as state
    from {{ ref('int_depth_region') }} as means
    inner join {{ ref('int_depth_layer') }} as layers on means.series_id = layers.series_id
    where layers.n_layers > 1
        and means.period_kind in ({{ literals(study('ssmi').depth_periods) }})
),

profiles as (
    select
        product,
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        max(n_layers) as n_layers,
        count(state) as n_states,
        {%- for k in range(1, most + 1) %}
        max(case when depth_order = {{ k }} then state end) as state_{{ k }},
        {%- endfor %}
        min(case state when 'deficit' then fraction_deficit when 'surplus' then fraction_surplus end) as least_fraction
    from regions
    group by product, {{ keys | join(', ') }}
),

patterns as (
    select
        product,
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        cast(n_layers as int) as n_layers,
        case when n_states = n_layers then least_fraction end as least_fraction,
        case when n_states = n_layers then
            state_1
            {%- for k in range(2, most + 1) %}
            || case when n_layers >= {{ k }} then '>' || state_{{ k }} else '' end
            {%- endfor %}
        end as pattern_by_layer,
        case when n_states = n_layers then
            state_1
            {%- for k in range(2, most + 1) %}
            || case when n_layers >= {{ k }} and state_{{ k }} <> state_{{ k - 1 }} then '>' || state_{{ k }} else '' end
            {%- endfor %}
        end as pattern
    from profiles
),

-- The pixels that show the region's pattern themselves, in every layer, of those that have every layer.
pixels as (
    select
        regions.product,
        {%- for key in keys %}
        regions.{{ key }},
        {%- endfor %}
        pixels.pixel_id,
        min(members.area_km2 * members.fraction) as weight_km2,
        count(*) = max(regions.n_layers) as has_every_layer,
        sum(case when {{ moisture_state('pixels.mean_ssmi') }} = regions.state then 1 else 0 end) = max(regions.n_layers) as has_the_pattern
    from regions
    inner join {{ ref('int_series') }} as series on regions.series_id = series.series_id
    inner join {{ ref('int_pixel_region') }} as members
        on series.grid_id = members.grid_id and regions.region_id = members.region_id
    inner join {{ ref('int_depth_pixel') }} as pixels
        on regions.series_id = pixels.series_id
        and members.pixel_id = pixels.pixel_id
        and regions.reference_kind = pixels.reference_kind
        and regions.reference_region_id = pixels.reference_region_id
        and regions.period_kind = pixels.period_kind
        and regions.period_start = pixels.period_start
    group by regions.product, {% for key in keys %}regions.{{ key }}, {% endfor %}pixels.pixel_id
),

shares as (
    select
        product,
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        coalesce(sum(case when has_the_pattern then weight_km2 end), 0) / nullif(sum(case when has_every_layer then weight_km2 end), 0) as fraction_of_area
    from pixels
    group by product, {{ keys | join(', ') }}
),

evolution as (
    select
        *,
        case when period_kind = 'year' then
            lag(pattern) over (partition by product, region_id, reference_kind, reference_region_id, period_kind order by period_start nulls last)
        end as pattern_before,
        lag(year(period_start)) over (partition by product, region_id, reference_kind, reference_region_id, period_kind order by period_start nulls last) as year_before
    from patterns
)

select
    {{ literal(var('study').name) }} as study,
    evolution.product,
    {%- for key in keys %}
    evolution.{{ key }},
    {%- endfor %}
    evolution.n_layers,
    evolution.pattern,
    evolution.pattern_by_layer,
    evolution.least_fraction,
    case when evolution.pattern is not null then shares.fraction_of_area end as fraction_of_area,
    case when evolution.year_before = year(evolution.period_start) - 1 then evolution.pattern_before end as previous_pattern,
    case when evolution.year_before = year(evolution.period_start) - 1 then evolution.pattern <> evolution.pattern_before end as is_changed
from evolution
inner join shares
    on evolution.product = shares.product
    {%- for key in keys %}
    and evolution.{{ key }} = shares.{{ key }}
    {%- endfor %}
