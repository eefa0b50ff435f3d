{#- A table that is filled a batch of periods at a time by one and the same statement. For models over map-sized lists: a kernel that
    gets maps costs memory outside the engine's own limit, 3.7 GB for 365 maps in one statement and 0.22 GB for one map a statement,
    in the same time.

    Usage, in a model:
        {{ config(materialized='by_period') }}
        select ... from {{ ref('int_map_pixel') }} as pixels
        where {{ in_batch('pixels.map_id', ref('int_map'), 'sum(n_pixels)') }} group by pixels.map_id

    A period is whatever an integer column counts: maps, or pixels. Every batch is a range of whole periods, so a statement may group and
    rank within a period, never across periods.

    config: cells   about how many cells a statement takes (batches end with the period that goes past it). Default 2,000,000 -#}


{#- The condition that cuts a statement to the periods of one batch: the materialisation replaces the two words by numbers. `sizes` is the
    relation that holds every period to be done, in a column of the same name as `column`, and `size` an aggregate over a period's rows
    there that says how many cells it takes. -#}
{% macro in_batch(column, sizes, size) -%}
    {%- if model.resource_type == 'unit_test' -%} true {#- all the rows that the test gives are one batch -#}
    {%- else -%} {{ column }} between __first_of_batch__ and __last_of_batch__ /*batches {{ column.split('.')[-1] }} | {{ size }} | {{ sizes }} batches*/
    {%- endif -%}
{%- endmacro %}


{#- The statement of one batch. -#}
{% macro of_batch(sql, first, last) -%}
    {{ return(sql | replace('__first_of_batch__', first | string) | replace('__last_of_batch__', last | string)) }}
{%- endmacro %}


{#- The batches of a statement as [first, last] of the period. Without periods there is one empty batch, for the table's columns. -#}
{% macro batches_of(sql) -%}
    {%- if '/*batches ' not in sql -%}
        {{ exceptions.raise_compiler_error("by_period: the model has no `where {{ in_batch(column, sizes, size) }}`.") }}
    {%- endif -%}
    {%- set period, size, sizes = sql.split('/*batches ')[1].split(' batches*/')[0].split(' | ') -%}
    {%- set found = run_query(
        'select min(period) as first_period, max(period) as last_period from ('
        ~ 'select period, floor((sum(size) over (order by period rows between unbounded preceding and current row) - size) / ' ~ config.get('cells', 2000000) ~ ') as batch'
        ~ ' from (select ' ~ period ~ ' as period, cast(' ~ size ~ ' as double) as size from ' ~ sizes ~ ' group by ' ~ period ~ ') as sizes'
        ~ ') as packed group by batch order by 1'
    ) -%}
    {%- set batches = [] -%}
    {%- for row in found.rows -%}{%- do batches.append([row[0] | int, row[1] | int]) -%}{%- endfor -%}
    {{ return(batches or [[1, 0]]) }}
{%- endmacro %}


{#- On DuckDB everything happens beside the table that readers see, in one transaction, and takes its place at the end. -#}
{% materialization by_period, adapter="duckdb", supported_languages=['sql'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set intermediate = make_intermediate_relation(target_relation) -%}
    {%- set backup = make_backup_relation(target_relation, 'table' if existing is none else existing.type) -%}
    {{ drop_relation_if_exists(load_cached_relation(intermediate)) }}
    {{ drop_relation_if_exists(load_cached_relation(backup)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- for first, last in batches_of(sql) -%}
        {%- set batch = of_batch(sql, first, last) -%}
        {%- if loop.first -%}
            {%- call statement('main') -%}{{ create_table_as(False, intermediate, batch) }}{%- endcall -%}
        {%- else -%}
            {%- call statement('batch_' ~ loop.index) -%}insert into {{ intermediate }} by name {{ batch }}{%- endcall -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if existing is not none -%}{{ adapter.rename_relation(existing, backup) }}{%- endif -%}
    {{ adapter.rename_relation(intermediate, target_relation) }}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ drop_relation_if_exists(backup) }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- Spark spreads the maps over its workers by itself, but a worker's Python gets a batch of rows at a time whatever it weighs: the same
    batches keep that small there, too. -#}
{% materialization by_period, adapter="spark", supported_languages=['sql'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is not none -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- for first, last in batches_of(sql) -%}
        {%- set batch = of_batch(sql, first, last) -%}
        {%- if loop.first -%}
            {%- call statement('main') -%}{{ create_table_as(False, target_relation, batch) }}{%- endcall -%}
        {%- else -%}
            {%- call statement('batch_' ~ loop.index) -%}insert into {{ target_relation }} {{ batch }}{%- endcall -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
