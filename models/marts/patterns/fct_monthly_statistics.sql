{{ config(enabled=needs('patterns')) }}
-- Two passes: the mean and the number of pixels of every map first (int_map), then moments about that mean and the ranks. Raw power
-- sums in one pass lose every digit on data with an offset, and the engines' own skewness and kurtosis are not the same statistic.
with maps as (
    select * from {{ ref('int_map') }}
),

ranked as (
    select
        maps.map_id,
        maps.n_pixels,
        pixels.value,
        pixels.value - maps.mean as deviation,
        row_number() over (partition by maps.map_id order by pixels.value) as rank_in_map
    from {{ ref('int_monthly_region') }} as pixels
    inner join maps
        on pixels.series_id = maps.series_id and pixels.region_id = maps.region_id and pixels.month = maps.month
),

scored as (
    select *, normal_quantile({{ plotting_position('rank_in_map', 'n_pixels') }}) as normal_score
    from ranked
),

shapes as (
    select
        map_id,
        avg(deviation * deviation) as m2,
        avg(deviation * deviation * deviation) as m3,
        avg(deviation * deviation * deviation * deviation) as m4,
        {{ quantile_of_ranked('value', 'rank_in_map', 'n_pixels', 0.25) }} as q25,
        {{ quantile_of_ranked('value', 'rank_in_map', 'n_pixels', 0.5) }} as median,
        {{ quantile_of_ranked('value', 'rank_in_map', 'n_pixels', 0.75) }} as q75,
        {{ correlation('value', 'normal_score') }} as qq_r
    from scored
    group by map_id
),

-- A constant map has no shape: rounding in its mean would give it one.
described as (
    select
        maps.*,
        shapes.q25,
        shapes.median,
        shapes.q75,
        shapes.qq_r,
        maps.sd / nullif(maps.mean, 0) as cv,
        (shapes.q75 - shapes.q25) / nullif(maps.sd, 0) as iqr_sd_ratio,
        case when maps.min < maps.max then shapes.m3 / nullif(shapes.m2 * sqrt(shapes.m2), 0) end as skewness,
        case when maps.min < maps.max then shapes.m4 / nullif(shapes.m2 * shapes.m2, 0) - 3 end as excess_kurtosis
    from maps
    inner join shapes on maps.map_id = shapes.map_id
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    described.region_id,
    described.month,
    described.n_pixels,
    described.min,
    described.mean,
    described.area_mean,
    described.max,
    described.sd,
    described.cv,
    described.q25,
    described.median,
    described.q75,
    described.iqr_sd_ratio,
    described.qq_r,
    described.skewness,
    described.excess_kurtosis,
    described.iqr_sd_ratio >= 1.25 and described.iqr_sd_ratio < 1.45 and described.qq_r >= 0.98 as is_near_normal,
    series.unit
from described
inner join {{ ref('int_series') }} as series on described.series_id = series.series_id
