{{ config(enabled=needs('drivers')) }}
select
    {{ driver_map_names('maps') }},
    factors.factor,
    strata.stratum,
    case
        when strata.method = 'categories' then {{ number_as_text('strata.lower') }}
        when strata.first_cell = 1 then '[' || {{ number_as_text('strata.lower') }} || ', ' || {{ number_as_text('strata.upper') }} || ']'
        else '(' || {{ number_as_text('strata.lower') }} || ', ' || {{ number_as_text('strata.upper') }} || ']'
    end as label,
    strata.lower,
    strata.upper,
    strata.n as n_pixels,
    maps.mean + strata.sum_deviation / nullif(strata.n, 0) as mean,
    case
        when strata.min_deviation = strata.max_deviation and strata.n > 1 then cast(0 as double)
        when strata.n > 1 then sqrt(greatest(strata.sum_squares - strata.sum_deviation * strata.sum_deviation / strata.n, 0) / (strata.n - 1))
    end as sd,
    maps.sampling,
    maps.unit
from {{ ref('int_factor_stratum') }} as strata
inner join {{ ref('int_driver_map') }} as maps on strata.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as factors on strata.factor_id = factors.factor_id
