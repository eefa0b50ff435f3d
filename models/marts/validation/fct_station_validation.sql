{{ config(enabled=needs('validation')) }}
-- Scores of few pairs are not published. Of the pairs of an autocorrelated series as many count as would be independent: for R by Bartlett's formula from the
-- lag-1 autocorrelations of both series, for bias and ubRMSE from that of their difference.
{% set asked = study('validation') %}
{% set tail = (1 - asked.confidence) / 2 %}
with scores as (
    select
        *,
        {%- if asked.effective_n %}
        n * (1 - together) / nullif(1 + together, 0) as n_effective,
        n * (1 - difference_memory) / nullif(1 + difference_memory, 0) as n_effective_difference
        {%- else %}
        cast(n as double) as n_effective,
        cast(n as double) as n_effective_difference
        {%- endif %}
    from (
        select
            *,
            greatest(cast(0 as double), coalesce(autocorrelation_estimate * autocorrelation_reference, 0)) as together,
            greatest(cast(0 as double), coalesce(autocorrelation_difference, 0)) as difference_memory
        from {{ ref('int_validation_score') }}
    ) as memories
    where n >= {{ asked.min_n | int }}
),

-- Regions nest: a station is named by the smallest that holds its pixel.
sizes as (
    select grid_id, region_id, sum(area_km2 * fraction) as region_km2
    from {{ ref('int_pixel_region') }}
    group by grid_id, region_id
),

smallest as (
    select regions.grid_id, regions.pixel_id, regions.region_id
    from {{ ref('int_pixel_region') }} as regions
    inner join sizes on regions.grid_id = sizes.grid_id and regions.region_id = sizes.region_id
    qualify row_number() over (partition by regions.grid_id, regions.pixel_id order by sizes.region_km2 nulls last, regions.region_id nulls last) = 1
),

units as (
    select
        members.series_id,
        members.reference_product,
        members.unit_kind,
        members.unit_id,
        cast(count(*) as int) as n_stations,
        {{ mean('layers.distance_m') }} as mean_distance_m,
        {{ mean('layers.depth_gap_cm') }} as mean_depth_gap_cm,
        max(stations.network) as network,
        max(smallest.region_id) as region_id
    from {{ ref('int_validation_member') }} as members
    inner join {{ ref('int_matchup_layer') }} as layers
        on members.series_id = layers.series_id and members.reference_product = layers.reference_product and members.station_id = layers.station_id
    inner join {{ read_lake('stations') }} as stations
        on members.reference_product = stations.product and members.station_id = stations.station_id
    left join smallest on layers.grid_id = smallest.grid_id and layers.pixel_id = smallest.pixel_id
    group by members.series_id, members.reference_product, members.unit_kind, members.unit_id
),

intervals as (
    select
        *,
        t_quantile({{ number(1 - tail) }}, n_effective_difference - 1)
            * ubrmse * sqrt(greatest(n / nullif(cast(n - 1 as double), 0), 0)) / nullif(sqrt(greatest(n_effective_difference, 0)), 0) as bias_half_width,
        ubrmse * sqrt(greatest(n_effective_difference / nullif(chi2_quantile({{ number(1 - tail) }}, n_effective_difference - 1), 0), 0)) as ubrmse_lower,
        ubrmse * sqrt(greatest(n_effective_difference / nullif(chi2_quantile({{ number(tail) }}, n_effective_difference - 1), 0), 0)) as ubrmse_upper
    from scores
)

select
    series.study,
    series.product,
    series.layer,
    series.grid_id,
    intervals.reference_product,
    intervals.unit_kind,
    intervals.unit_id,
    case when intervals.unit_kind = 'station' then intervals.unit_id end as station_id,
    case when intervals.unit_kind = 'region' then cast(null as string) else units.network end as network,
    case intervals.unit_kind when 'station' then units.region_id when 'region' then intervals.unit_id end as region_id,
    units.n_stations,
    units.mean_distance_m,
    units.mean_depth_gap_cm,
    intervals.period_kind,
    intervals.period_start,
    intervals.period_end,
    intervals.season,
    intervals.on_values,
    intervals.scaling,
    intervals.n,
    intervals.n_effective,
    intervals.n_effective_difference,
    intervals.r,
    {{ fisher_limit('intervals.r', 'intervals.n_effective', '-') }} as r_lower,
    {{ fisher_limit('intervals.r', 'intervals.n_effective', '+') }} as r_upper,
    intervals.rho,
    {{ fisher_limit('intervals.rho', 'intervals.n_effective', '-', 'sqrt(1 + intervals.rho * intervals.rho / 2)') }} as rho_lower,
    {{ fisher_limit('intervals.rho', 'intervals.n_effective', '+', 'sqrt(1 + intervals.rho * intervals.rho / 2)') }} as rho_upper,
    intervals.sd_estimate as sd_estimate_m3m3,
    intervals.sd_reference as sd_reference_m3m3,
    intervals.rmse as rmse_m3m3,
    intervals.bias as bias_m3m3,
    intervals.bias - intervals.bias_half_width as bias_lower_m3m3,
    intervals.bias + intervals.bias_half_width as bias_upper_m3m3,
    intervals.ubrmse as ubrmse_m3m3,
    intervals.ubrmse_lower as ubrmse_lower_m3m3,
    intervals.ubrmse_upper as ubrmse_upper_m3m3,
    r_classes.class as r_class,
    ubrmse_classes.class as ubrmse_class
from intervals
inner join {{ ref('int_series') }} as series on intervals.series_id = series.series_id
inner join units
    on intervals.series_id = units.series_id and intervals.reference_product = units.reference_product
    and intervals.unit_kind = units.unit_kind and intervals.unit_id = units.unit_id
left join {{ ref('validation_classes') }} as r_classes
    on r_classes.measure = 'r'
    and (r_classes.lower is null or intervals.r >= r_classes.lower) and (r_classes.upper is null or intervals.r < r_classes.upper)
    and intervals.r is not null
left join {{ ref('validation_classes') }} as ubrmse_classes
    on ubrmse_classes.measure = 'ubrmse'
    and (ubrmse_classes.lower is null or intervals.ubrmse >= ubrmse_classes.lower) and (ubrmse_classes.upper is null or intervals.ubrmse < ubrmse_classes.upper)
    and intervals.ubrmse is not null
