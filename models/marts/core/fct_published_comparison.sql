-- What a paper prints beside what the study computes (`paper` of the study; without it no rows). The seed says which mart, column and keys a
-- figure is; the marts of the groups that are on are put into one long form and looked up by them. A key that the seed leaves out is not
-- asked for: what is left is averaged, or its smallest or largest value taken (`statistic`).
{% set paper = study('paper') %}
{% set marts = [] %}
{% set names = {'variable': 'variable', 'product': 'product', 'layer': 'layer', 'region_id': 'region_id'} %}
{% if paper is not none %}
{% if needs('patterns') %}
{% do marts.append({
    'name': 'fct_monthly_statistics', 'relation': ref('fct_monthly_statistics'),
    'measures': {'area_mean': 'area_mean', 'iqr_sd_ratio': 'iqr_sd_ratio', 'cv': 'cv'},
    'keys': {'period_kind': "'month'", 'month_number': 'month(month)', 'year': 'year(month)'}}) %}
{% do marts.append({
    'name': 'fct_interannual_variation', 'relation': ref('fct_interannual_variation'),
    'measures': {'mean': 'mean', 'cv_sample': 'cv_sample', 'cv_population': 'cv_population', 'ols_slope_per_year': 'ols_slope_per_year', 'minimum': 'minimum', 'maximum': 'maximum',
        'minimum_year': 'minimum_year', 'maximum_year': 'maximum_year'},
    'keys': {'period_kind': 'time_step', 'season': 'season'}}) %}
{% do marts.append({
    'name': 'int_season_region', 'relation': '(select seasons.*, series.variable, series.product, series.layer from ' ~ ref('int_season_region') ~ ' as seasons inner join ' ~ ref('int_series') ~ ' as series on seasons.series_id = series.series_id)',
    'measures': {'area_mean': 'area_mean', 'min': 'min', 'max': 'max'},
    'keys': {'period_kind': "'season'", 'season': 'season', 'year': 'year'}}) %}
{% do marts.append({
    'name': 'fct_temporal_stability',
    'relation': '(select variable, product, layer, region_id, period_kind, year(period_start) as year, min(sd) as sd_minimum, max(sd) as sd_maximum from ' ~ ref('fct_temporal_stability')
        ~ ' group by variable, product, layer, region_id, period_kind, year(period_start))',
    'measures': {'sd_minimum': 'sd_minimum', 'sd_maximum': 'sd_maximum'},
    'keys': {'period_kind': 'period_kind', 'year': 'year'}}) %}
{% do marts.append({
    'name': 'fct_zone_monthly', 'relation': 'wettest_zones',
    'measures': {'wettest_zone_lower': 'case when place = 1 then zone_lower end', 'wettest_zone_upper': 'case when place = 1 then zone_upper end',
        'second_wettest_zone_lower': 'case when place = 2 then zone_lower end', 'second_wettest_zone_upper': 'case when place = 2 then zone_upper end'},
    'keys': {'factor': 'zone_kind', 'region_id': 'cast(null as string)'}}) %}
{% do marts.append({
    'name': 'fct_semivariogram_models', 'relation': "(select * from " ~ ref('fct_semivariogram_models') ~ " where direction = 'all' and weighting = 'ols')",
    'measures': {'nugget': 'nugget', 'sill': 'sill', 'structural_ratio': 'structural_ratio', 'range_effective_m': 'range_effective_m', 'max_lag_m': 'max_lag_m', 'r2': 'r2', 'rss': 'rss'},
    'keys': {'period_kind': "'month'", 'month_number': 'month(month)', 'year': 'year(month)', 'model': 'model'}}) %}
{% endif %}
{% if needs('drivers') %}
{% set of_period = {'period_kind': 'period_kind', 'month_number': "case when period_kind = 'month' then month(period_start) end", 'year': 'year(period_start)', 'season': 'season'} %}
{% set of_factor, of_pair, of_pair_turned = {'factor': 'factor'}, {'factor': 'factor_1', 'factor_2': 'factor_2'}, {'factor': 'factor_2', 'factor_2': 'factor_1'} %}
{% do of_factor.update(of_period) %}{% do of_pair.update(of_period) %}{% do of_pair_turned.update(of_period) %}
{% do marts.append({'name': 'fct_factor_detector', 'relation': ref('fct_factor_detector'), 'measures': {'q': 'q'}, 'keys': of_factor}) %}
{% do marts.append({
    'name': 'fct_correlation', 'relation': "(select *, unit_id as region_id from " ~ ref('fct_correlation') ~ " where unit_kind = 'region' and on_values = 'raw')",
    'measures': {'coefficient': 'coefficient'}, 'keys': {'period_kind': 'time_step', 'season': 'season', 'factor': 'factor'}}) %}
{% for keys in (of_pair, of_pair_turned) %}
{% do marts.append({'name': 'fct_interaction_detector', 'relation': ref('fct_interaction_detector'), 'measures': {'q_12': 'q_12'}, 'keys': keys}) %}
{% endfor %}
{% endif %}
{#- Of what a study downscales: learners stand under their names, and the best of each window as `combination`. -#}
{% if needs('downscaling') %}
{% set layer = literal(((study('downscaling').target or {}).get('layer')) or 'surface') %}
{% set measures = {'train_r': 'train_r', 'train_rmse': 'train_rmse', 'test_r': 'test_r', 'test_rmse': 'test_rmse'} %}
{% do marts.append({
    'name': 'fct_downscaling_models', 'relation': "(select *, 'soil_moisture' as variable, " ~ layer ~ " as layer from " ~ ref('fct_downscaling_models') ~ ")",
    'measures': measures, 'keys': {'model': 'estimator'}}) %}
{% do marts.append({
    'name': 'fct_downscaling_models',
    'relation': "(select models.train_r, models.train_rmse, models.test_r, models.test_rmse, models.region_id, windows.product, 'soil_moisture' as variable, " ~ layer ~ " as layer from "
        ~ ref('fct_downscaling_models') ~ " as models inner join " ~ ref('fct_downscaling_windows') ~ " as windows on models.model_id = windows.model_id"
        ~ " where models.framework = 'windows' and models.is_selected)",
    'measures': measures, 'keys': {'model': "'combination'"}}) %}
{% endif %}
{#- A station counts in its region, in its network and among all. What a paper scores is its own product where it has one. -#}
{% if needs('validation') %}
{% do marts.append({
    'name': 'fct_product_comparison',
    'relation': "(select product_1 as product, layer_1 as layer, 'soil_moisture' as variable, region_id, season, r2 from " ~ ref('fct_product_comparison') ~ " where period_kind = 'all')",
    'measures': {'r2': 'r2'}, 'keys': {'season': 'season'}}) %}
{% set downscaled = study_downscaled() | map(attribute='product') | list %}
{% set of_stations = ref('fct_station_validation') ~ " where unit_kind = 'station' and on_values = 'raw' and scaling = 'none' and period_kind = 'all'"
    ~ ((" and product in (" ~ literals(downscaled) ~ ")") if downscaled else '') %}
{% for region in ('region_id', 'reference_product', "'all'") %}
{% do marts.append({
    'name': 'fct_station_validation',
    'relation': "(select product, layer, 'soil_moisture' as variable, season, ubrmse_m3m3, bias_m3m3, " ~ region ~ " as region_id from " ~ of_stations ~ ")",
    'measures': {'ubrmse_m3m3': 'ubrmse_m3m3', 'bias_m3m3': 'bias_m3m3'}, 'keys': {'season': 'season'}}) %}
{% endfor %}
{% endif %}
{% endif %}
with published as (
    select * from {{ ref('published_values') }}
    where paper = {{ literal(paper) }}
),

{%- if paper is not none and needs('patterns') %}
wettest_zones as (
    select
        variable,
        product,
        layer,
        zone_kind,
        zone_lower,
        zone_upper,
        row_number() over (partition by variable, product, layer, zone_kind order by avg(mean) desc, zone) as place
    from {{ ref('fct_zone_monthly') }}
    where zone_kind <> 'region'
    group by variable, product, layer, zone_kind, zone, zone_lower, zone_upper
),
{%- endif %}

computed as (
    {%- for mart in marts %}
    {%- set keys = {} %}
    {%- do keys.update(names) %}
    {%- do keys.update(mart['keys']) %}
    {%- for measure, value in mart.measures.items() %}
    select
        '{{ mart.name }}' as mart,
        '{{ measure }}' as measure,
        {%- for key in ('variable', 'product', 'layer', 'region_id', 'period_kind', 'season', 'factor', 'factor_2', 'model') %}
        cast({{ keys.get(key, 'null') }} as string) as {{ key }},
        {%- endfor %}
        cast({{ keys.get('month_number', 'null') }} as int) as month_number,
        cast({{ keys.get('year', 'null') }} as int) as year,
        cast({{ value }} as double) as value
    from {{ mart.relation }} as of_{{ mart.name }}
    union all
    {%- endfor %}
    {%- endfor %}
    select
        mart, measure, variable, cast(null as string) as product, layer, region_id, period_kind, season, factor, factor_2, model, month_number, year, published as value
    from published
    where false
),

-- The region that the paper's figures are of, where they name none: the one on top, the larger of equals. Models and stations are of all then.
ranked_regions as (
    select region_id, row_number() over (order by level nulls last, area_km2 desc, region_id nulls last) as place
    from {{ ref('dim_region') }}
),

candidates as (
    select
        published.item,
        published.row_label,
        published.statistic,
        computed.product,
        computed.layer,
        computed.region_id,
        computed.value,
        dense_rank() over (
            partition by published.item, published.row_label order by series.series_id nulls last, computed.product nulls last
        ) as place
    from published
    inner join ranked_regions as main on main.place = 1
    inner join computed
        on published.mart = computed.mart
        and published.measure = computed.measure
        and published.variable = computed.variable
        and (computed.region_id is null or coalesce(
            published.region_id, case when published.mart in ('fct_downscaling_models', 'fct_station_validation') then 'all' else main.region_id end
        ) = computed.region_id)
        {%- for key in ('layer', 'period_kind', 'season', 'factor', 'factor_2', 'model', 'month_number', 'year') %}
        and (published.{{ key }} is null or published.{{ key }} = computed.{{ key }})
        {%- endfor %}
    left join {{ ref('int_series') }} as series
        on computed.variable = series.variable and computed.product = series.product and computed.layer = series.layer
    where computed.value is not null
),

-- Several products or layers may have it: the first series of the study is the one that is compared. A learner that is not published is none.
ours as (
    select
        item,
        row_label,
        product,
        layer,
        max(region_id) as region_id,
        case statistic when 'minimum' then min(value) when 'maximum' then max(value) else {{ mean('value') }} end as value
    from candidates
    where place = 1
    group by item, row_label, product, layer, statistic
)

select
    {{ literal(var('study').name) }} as study,
    published.paper,
    published.item,
    published.row_label,
    published.published,
    ours.value as ours,
    published.unit,
    ours.value - published.published as difference,
    published.is_consistent,
    published.note,
    ours.product,
    ours.layer,
    ours.region_id
from published
left join ours on published.item = ours.item and published.row_label = ours.row_label
