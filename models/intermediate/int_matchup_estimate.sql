-- The validated series at the pixels that hold a station, by the day on which they are compared, and their anomalies, which are of the whole series and not
-- only of the days with a reference. Frozen days are out where the study says so.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
with days as (
    select
        daily.series_id,
        daily.pixel_id,
        {{ compared_date('daily.obs_date', 'daily.series_id', validated_series()) }} as obs_date,
        daily.value
    from {{ ref('int_daily') }} as daily
    inner join (select distinct series_id, pixel_id from {{ ref('int_matchup_layer') }}) as places
        on daily.series_id = places.series_id and daily.pixel_id = places.pixel_id
    where daily.series_id in ({{ series_ids(validated_series()) }})
    {%- if study('exclude_frozen') %}
        and not coalesce(daily.is_frozen, false)
    {%- endif %}
)
{%- if 'anomaly' in asked.forms %},

anomalies as (
    select series_id, pixel_id, {{ date_of_epoch_day('found.t') }} as obs_date, found.v as anomaly
    from (
        select series_id, pixel_id, {{ each_of(daily_anomaly(series(epoch_day('obs_date'), 'value'))) }} as found
        from days
        group by series_id, pixel_id
    ) as computed
)
{%- endif %}

select
    days.series_id,
    days.pixel_id,
    days.obs_date,
    days.value,
    {{ 'anomalies.anomaly' if 'anomaly' in asked.forms else 'cast(null as double)' }} as anomaly
from days
{%- if 'anomaly' in asked.forms %}
left join anomalies
    on days.series_id = anomalies.series_id and days.pixel_id = anomalies.pixel_id and days.obs_date = anomalies.obs_date
{%- endif %}
