-- How old the data are that the desk looks at: the newest day of each product and layer in each region, and how far it is behind the newest of all.
{{ config(enabled=needs('desk')) }}
with newest as (
    select
        states.series_id,
        regions.region_id,
        max(coalesce(states.newest_date, states.period_start)) as newest_date,
        max(states.period_start) as newest_period_start
    from {{ ref('int_desk_state') }} as states
    inner join {{ ref('int_series') }} as series on states.series_id = series.series_id
    inner join {{ ref('int_pixel_region') }} as regions
        on series.grid_id = regions.grid_id and states.pixel_id = regions.pixel_id
    group by states.series_id, regions.region_id
),

latest as (
    select max(newest_date) as newest_date from newest
)

select
    series.study,
    series.product,
    series.layer,
    newest.region_id,
    newest.newest_date,
    newest.newest_period_start,
    {{ days_between('newest.newest_date', 'latest.newest_date') }} as days_behind,
    {{ days_between('newest.newest_date', "cast('" ~ var('study').period.end ~ "' as date)") }} - 1 as days_to_end_of_study
from newest
cross join latest
inner join {{ ref('int_series') }} as series on newest.series_id = series.series_id
