{#- The study's factors with their number from 1, which is `factor_id`, and where they come from: `static` (a product without dates),
    `series` (a series of the study) or `coordinate`. -#}
{% macro study_factors() -%}
    {%- set numbered = [] -%}
    {%- for entry in study('factors') -%}
        {%- set row = {'factor_id': loop.index, 'kind': 'continuous', 'layer': 'surface', 'scale': 1, 'offset': 0} -%}
        {%- do row.update(entry) -%}
        {%- do row.update({'source': 'static' if entry.column is defined else ('series' if entry.variable is defined else 'coordinate')}) -%}
        {%- do numbered.append(row) -%}
    {%- endfor -%}
    {{ return(numbered) }}
{%- endmacro %}


{#- The factors of the detectors: those of `drivers.factors`, or all. Their number is known while models compile, so that what is computed
    for every factor of a pixel stands in one row, a column a factor. -#}
{% macro driver_factors(source=none) -%}
    {%- set asked = study('drivers').get('factors') -%}
    {%- set found = [] -%}
    {%- for factor in study_factors() -%}
        {%- set is_dated = factor.source == 'series' -%}
        {%- if (asked is none or factor.factor in asked) and (source is none or is_dated == (source == 'series')) -%}
            {%- do found.append(factor) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- Sets of three of the detectors' factors in which every two of them meet, as {'number': from 1, 'factors': [a, b, c], 'pairs': [[a, b], ...]}: `pairs` are those that
    are read off the set, each pair off one of them. 15 factors have 105 pairs and need some 40 sets: grouping the pixels by three strata and adding up
    the third is that much less work than grouping them by every two. Two factors are one set of two. -#}
{% macro driver_factor_sets() -%}
    {%- set numbers = driver_factors() | map(attribute='factor_id') | list -%}
    {%- set met, sets = [], [] -%}
    {%- for a in numbers -%}
        {%- for b in numbers[loop.index:] -%}
            {%- if [a, b] not in met -%}
                {%- set best = namespace(third=none, gain=-1) -%}
                {%- for c in numbers if c not in [a, b] -%}
                    {%- set gain = (0 if [a, c] | sort in met else 1) + (0 if [b, c] | sort in met else 1) -%}
                    {%- if gain > best.gain -%}{%- set best.third, best.gain = c, gain -%}{%- endif -%}
                {%- endfor -%}
                {%- set members = [a, b] if best.third is none else [a, b, best.third] | sort -%}
                {%- set pairs = [] -%}
                {%- for first in members -%}
                    {%- for second in members[loop.index:] if [first, second] not in met -%}
                        {%- do pairs.append([first, second]) -%}
                        {%- do met.append([first, second]) -%}
                    {%- endfor -%}
                {%- endfor -%}
                {%- do sets.append({'number': sets | length + 1, 'factors': members, 'pairs': pairs}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(sets) }}
{%- endmacro %}


{#- A list of the study as SQL literals, for `in (...)`; the empty text where it is empty, which no name is. -#}
{% macro literals(values) -%}
    {%- for value in values %}{{ literal(value) }}{{ ', ' if not loop.last }}{% else %}''{% endfor -%}
{%- endmacro %}


{#- The names of a driver map, which every mart of the drivers carries first. -#}
{% macro driver_map_names(maps) -%}
    {%- for name in ['study', 'variable', 'product', 'layer', 'region_id', 'grid_id', 'period_kind', 'season', 'period_start', 'period_end'] -%}
    {{ '    ' if not loop.first }}{{ maps }}.{{ name }}{{ ',\n' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#- P(F > f) of a q with its F statistic, pixels taken as independent. Strata that explain all (q = 1) leave no doubt and have no finite F: p is 0,
    as it is of a perfect line, unless every stratum is one pixel, which explains nothing. -#}
{% macro p_of_q(q, f_statistic, n_strata, n_used) -%}
    case when {{ q }} >= 1 and {{ n_used }} > {{ n_strata }} then cast(0 as double)
        else f_p({{ f_statistic }}, cast({{ n_strata }} - 1 as double), cast({{ n_used }} - {{ n_strata }} as double))
    end
{%- endmacro %}
