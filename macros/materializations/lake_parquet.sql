{#- A mart as partitioned Parquet in the lake, read through a view over an explicit list of files (DuckDB), or an `incremental`
    table with insert_overwrite (Spark).

    Why not dbt-duckdb's `external`: it copies everything through the database file and rewrites everything at every build.
    Why not swapping partition folders: a range inside a month drops the rest of the month, a kill between two renames breaks every
    reader, and months that vanished stay.

    How: each month of the model is one statement that writes new, never to be changed files; the last statement replaces the view
    with a list of the files that now count. Until then readers see the old list, and its files are still there: what no list
    names any more is removed when the next build begins. A kill anywhere leaves files that no list names.

    config: partition_by [year, month] (columns of the model), sort_by (columns).
    vars start, end: rebuild only the months in [start, end); both must be first days of months. Months in the range without rows leave
    the list. Without them every month is rebuilt. -#}
{% materialization lake_parquet, adapter="duckdb", supported_languages=['sql'] %}
    {%- set partition_by = config.require('partition_by') -%}
    {%- set sort_by = config.require('sort_by') -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing = adapter.get_relation(database=this.database, schema=this.schema, identifier=this.identifier) -%}
    {%- set root = lake_path('built/' ~ var('study').name ~ '/' ~ this.identifier) -%}
    {%- set owner = local_md5(target.path)[:8] -%}
    {%- set start, end = lake_parquet_range() -%}
    {%- set in_range -%}
        {%- if start -%} make_date(cast(year as int), cast(month as int), 1) >= date '{{ start }}' and make_date(cast(year as int), cast(month as int), 1) < date '{{ end }}' {%- else -%} true {%- endif -%}
    {%- endset -%}

    {{ run_hooks(pre_hooks) }}

    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {%- if existing is not none and existing.type != 'view' -%}
        {{ exceptions.raise_compiler_error(this ~ ' is a ' ~ existing.type ~ ', not a view over the lake. Drop it and build again.') }}
    {%- endif -%}

    {#- the files that count now, and the removal of those that do not -#}
    {%- set listed = lake_parquet_listed(this) if existing is not none else [] -%}
    {%- do lake_parquet_files('remove_orphans', target_relation, {'root': root, 'owner': owner, 'listed': listed}) -%}

    {#- months of the range, one statement each: memory stays that of a month -#}
    {%- set months = run_query('select distinct cast(year as int) as year, cast(month as int) as month from (' ~ sql ~ ') as model where ' ~ in_range ~ ' order by 1, 2') -%}
    {%- set kept = lake_parquet_kept(listed, start, end) -%}
    {%- set written = [] -%}
    {%- for month in months.rows -%}
        {%- set file = '%s/year=%04d/month=%02d/%s_%s.parquet' | format(root, month[0], month[1], owner, invocation_id) -%}
        {%- do lake_parquet_files('make_folder', target_relation, {'file': file}) -%}
        {%- call statement('write_' ~ loop.index) -%}
            copy (
                select * exclude ({{ partition_by | join(', ') }}) from (
                    {{ sql }}
                ) as model
                where year = {{ month[0] }} and month = {{ month[1] }}
                order by {{ sort_by | join(', ') }}
            ) to '{{ file }}' (format parquet, compression zstd, compression_level 1, row_group_size 122880, parquet_version v2)
        {%- endcall -%}
        {%- do written.append(file) -%}
    {%- endfor -%}

    {%- if written -%}{%- do lake_parquet_files('sync', target_relation, {'files': written}) -%}{%- endif -%}

    {#- the one step that readers see -#}
    {%- set files = (kept + written) | sort -%}
    {%- call statement('main') -%}
        create or replace view {{ target_relation }} as
        {% if files -%}
        select * from read_parquet([
            {%- for file in files %}
            '{{ file }}'{{ ',' if not loop.last }}
            {%- endfor %}
        ], hive_partitioning = true, hive_types = {'year': int, 'month': int})
        {%- else -%}
        select * from ({{ sql }}) as model where false
        {%- endif %}
    {%- endcall -%}

    {{ run_hooks(post_hooks) }}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% materialization lake_parquet, adapter="spark", supported_languages=['sql'] %}
    {{ return(materialization_incremental_spark()) }}
{% endmaterialization %}


{#- [start, end) from the vars of those names, or [none, none]. -#}
{% macro lake_parquet_range() -%}
    {%- set start, end = var('start', none), var('end', none) -%}
    {%- if (start is none) != (end is none) -%}
        {{ exceptions.raise_compiler_error("Give both start and end (first days of months, end not included), or neither.") }}
    {%- endif -%}
    {%- if start is not none -%}
        {%- for name, day in [('start', start | string), ('end', end | string)] -%}
            {%- if not modules.re.match('^[0-9]{4}-(0[1-9]|1[0-2])-01$', day) -%}
                {{ exceptions.raise_compiler_error(name ~ " is " ~ day ~ ", which is not the first day of a month. Whole months are replaced: give YYYY-MM-01.") }}
            {%- endif -%}
        {%- endfor -%}
        {%- if (start | string) >= (end | string) -%}
            {{ exceptions.raise_compiler_error("start " ~ start ~ " is not before end " ~ end ~ ".") }}
        {%- endif -%}
        {{ return([start | string, end | string]) }}
    {%- endif -%}
    {{ return([none, none]) }}
{%- endmacro %}


{#- The files that the view reads now: the view's own text is the only record of them. -#}
{% macro lake_parquet_listed(relation) -%}
    {%- set found = run_query("select unnest(regexp_extract_all(sql, '''([^'']+/year=[0-9]+/month=[0-9]+/[^'']+[.]parquet)''', 1)) as file from duckdb_views() where schema_name = '" ~ relation.schema ~ "' and view_name = '" ~ relation.identifier ~ "' and database_name = '" ~ relation.database ~ "'") -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}


{#- Of the listed files, those of months outside [start, end), which this build does not touch. -#}
{% macro lake_parquet_kept(listed, start, end) -%}
    {%- set kept = [] -%}
    {%- if start -%}
        {%- for file in listed -%}
            {%- set month = modules.re.search('/year=([0-9]+)/month=([0-9]+)/', file) -%}
            {%- set first = month.group(1) ~ '-' ~ month.group(2) ~ '-01' -%}
            {%- if first < start or first >= end -%}{%- do kept.append(file) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kept) }}
{%- endmacro %}


{#- Work on files, which SQL cannot do, by the project's dbt-duckdb plugin (loaders/dbt_files.py). -#}
{% macro lake_parquet_files(action, relation, arguments) -%}
    {%- do adapter.store_relation('lake_files', relation, [], tojson(arguments), action, config) -%}
{%- endmacro %}
