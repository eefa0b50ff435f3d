-- Every sampled pixel of every driver map with its deviation and its stratum of each factor, a column a factor (NULL: no value, or no strata); narrow,
-- because pairs of them are what the pixels are grouped by.
{{ config(enabled=needs('drivers')) }}
{% set factors = driver_factors() %}
select
    pixels.driver_map_id,
    pixels.pixel_id,
    pixels.deviation
    {%- for factor in factors %},
    cast(strata_{{ factor.factor_id }}.stratum as smallint) as stratum_{{ factor.factor_id }}
    {%- endfor %}
from {{ ref('int_pixel_cell') }} as pixels
{%- for factor in factors %}
left join (select driver_map_id, cell, stratum from {{ ref('int_cell_stratum') }} where factor_id = {{ factor.factor_id }}) as strata_{{ factor.factor_id }}
    on pixels.driver_map_id = strata_{{ factor.factor_id }}.driver_map_id
    and pixels.cell_{{ factor.factor_id }} = strata_{{ factor.factor_id }}.cell
{%- endfor %}
where pixels.is_sampled
