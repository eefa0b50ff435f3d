-- The months of seasons that are no calendar: those in which a series of the study, at the pixel, is above or below a value. Every grid of
-- the study has them, since other series are cut by them too. Whether a month belongs to the season is not known where the ruling series
-- has none, so a year that misses too many (`trends.min_months_share`) says nothing of its season.
{{ config(enabled=needs('patterns') or needs('trends')) }}
{% set ruled = ruled_seasons() %}
-- depends_on: {{ ref('int_series_on_grid') }} also where no season is a rule, so that the unit test finds its columns
with judged as (
    {%- for rule in ruled %}
    select
        {{ literal(rule.season) }} as season,
        grid_id,
        pixel_id,
        year,
        month_number,
        value {{ '>' if rule.get('above') is not none else '<' }} {{ number(rule.above if rule.get('above') is not none else rule.below) }} as is_in_season
    from {{ ref('int_series_on_grid') }}
    where series_id = {{ rule.series_id }} and value is not null
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select cast(null as string) as season, cast(null as string) as grid_id, cast(null as bigint) as pixel_id, cast(null as int) as year, cast(null as int) as month_number, false as is_in_season
    where false
    {%- endfor %}
),

counted as (
    select
        *,
        cast(sum(case when is_in_season then 1 else 0 end) over (partition by season, grid_id, pixel_id, year) as bigint) as n_months_of_season,
        count(*) over (partition by season, grid_id, pixel_id, year) as n_known
    from judged
)

select
    season,
    grid_id,
    pixel_id,
    year,
    month_number,
    n_months_of_season,
    n_known >= {{ number(study('trends').min_months_share) }} * 12 as is_known
from counted
where is_in_season
