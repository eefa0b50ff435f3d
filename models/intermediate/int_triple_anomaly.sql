-- Their anomalies: triple collocation is about what is left when the season, which all members share, is taken off.
{{ config(materialized='by_period', enabled=needs('validation')) }}
select
    member_id,
    grid_id,
    pixel_id,
    {{ date_of_epoch_day('found.t') }} as obs_date,
    found.v as anomaly
from (
    select
        days.member_id,
        days.grid_id,
        days.pixel_id,
        {{ each_of(daily_anomaly(series(epoch_day('days.obs_date'), 'days.value'))) }} as found
    from {{ ref('int_triple_day') }} as days
    where {{ in_batch('days.pixel_id', ref('int_triple_day'), 'count(*)') }}
    group by days.member_id, days.grid_id, days.pixel_id
) as computed
