-- The days of the series that are read on their own grids: the target, the references, what is fitted on, what says that soil is frozen.
{{ config(enabled=needs('downscaling')) }}
select
    daily.series_id,
    daily.pixel_id,
    daily.obs_date,
    daily.year,
    daily.month,
    daily.value,
    coalesce(daily.is_frozen, false) as is_frozen
from {{ ref('int_prepared_daily') }} as daily
inner join {{ ref('int_downscaling_day') }} as days on daily.obs_date = days.obs_date
where daily.series_id in ({{ coarse_series() | join(', ') }})
