{{ config(enabled=needs('validation')) }}
-- What papers say of many stations: means and medians of their scores, and how many are in which class.
with stations as (
    select *
    from {{ ref('fct_station_validation') }}
    where unit_kind = 'station'
),

groups as (
    select distinct
        series.product,
        series.layer,
        members.reference_product,
        members.station_id,
        members.unit_kind as group_kind,
        members.unit_id as group_id
    from {{ ref('int_validation_member') }} as members
    inner join {{ ref('int_series') }} as series on members.series_id = series.series_id
    where members.unit_kind <> 'station'
    union all
    select distinct product, layer, reference_product, station_id, 'all' as group_kind, 'all' as group_id
    from stations
)

select
    stations.study,
    stations.product,
    stations.layer,
    stations.reference_product,
    groups.group_kind,
    groups.group_id,
    stations.period_kind,
    stations.period_start,
    stations.period_end,
    stations.season,
    stations.on_values,
    stations.scaling,
    cast(count(*) as bigint) as n_stations,
    {{ mean('stations.r') }} as mean_r,
    median(stations.r) as median_r,
    {{ mean('stations.rho') }} as mean_rho,
    {{ mean('stations.rmse_m3m3') }} as mean_rmse_m3m3,
    {{ mean('stations.bias_m3m3') }} as mean_bias_m3m3,
    median(stations.bias_m3m3) as median_bias_m3m3,
    {{ mean('stations.ubrmse_m3m3') }} as mean_ubrmse_m3m3,
    median(stations.ubrmse_m3m3) as median_ubrmse_m3m3,
    {%- for class in ['high', 'middle', 'low', 'negative'] %}
    cast(count(case when stations.r_class = '{{ class }}' then 1 end) as bigint) as n_r_{{ class }},
    {%- endfor %}
    {%- for class in ['low', 'middle', 'high'] %}
    cast(count(case when stations.ubrmse_class = '{{ class }}' then 1 end) as bigint) as n_ubrmse_{{ class }},
    {%- endfor %}
    cast(count(case when stations.bias_m3m3 > 0 then 1 end) as bigint) as n_bias_positive,
    cast(count(case when stations.bias_m3m3 < 0 then 1 end) as bigint) as n_bias_negative
from stations
inner join groups
    on stations.product = groups.product and stations.layer = groups.layer
    and stations.reference_product = groups.reference_product and stations.station_id = groups.station_id
group by
    stations.study, stations.product, stations.layer, stations.reference_product, groups.group_kind, groups.group_id, stations.period_kind,
    stations.period_start, stations.period_end, stations.season, stations.on_values, stations.scaling
