{#- A mart as partitioned Parquet in the lake, read through a view over an explicit list of files (DuckDB), or a partitioned table whose
    months are overwritten (Spark).

    Why not dbt-duckdb's `external`: it copies everything through the database file and rewrites everything at every build.
    Why not swapping partition folders: a range inside a month drops the rest of the month, a kill between two renames breaks every
    reader, and months that vanished stay.

    How: each month of the model is one statement that writes new, never to be changed files; the last statement replaces the view
    with a list of the files that now count. Until then readers see the old list, and its files are still there: what no list
    names any more is removed when the next build begins. A kill anywhere leaves files that no list names.

    config: partition_by [year, month] (columns of the model), sort_by (columns).
    vars start, end: rebuild only the months in [start, end); both must be first days of months. Months in the range without rows leave
    the list. Without them every month is rebuilt. A range is refused where other months are those of another study. -#}
{% materialization lake_parquet, adapter="duckdb", supported_languages=['sql'] %}
    {%- set partition_by = config.require('partition_by') -%}
    {%- set sort_by = config.require('sort_by') -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing = adapter.get_relation(database=this.database, schema=this.schema, identifier=this.identifier) -%}
    {%- set root = lake_path('built/' ~ var('study').name ~ '/' ~ this.identifier) -%}
    {%- set owner = local_md5(target.path)[:8] -%}
    {%- set start, end = lake_parquet_range() -%}
    {%- set in_range = lake_parquet_in_range(start, end) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {%- if existing is not none and existing.type != 'view' -%}
        {{ exceptions.raise_compiler_error(this ~ ' is a ' ~ existing.type ~ ', not a view over the lake. Drop it and build again.') }}
    {%- endif -%}

    {#- the files that count now, and the removal of those that do not -#}
    {%- set listed = lake_parquet_listed(this) if existing is not none else [] -%}
    {%- set kept = lake_parquet_kept(listed, root, start, end) -%}
    {%- do lake_parquet_files('remove_orphans', target_relation, {'root': root, 'owner': owner, 'listed': listed}) -%}

    {#- months of the range, one statement each: memory stays that of a month -#}
    {%- set months = run_query('select distinct cast(year as int) as year, cast(month as int) as month from (' ~ sql ~ ') as model where ' ~ in_range ~ ' order by 1, 2') -%}
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

    {#- the one step that readers see; columns by name, because folders would come last and in an order of their own -#}
    {%- set files = (kept + written) | sort -%}
    {%- set columns = get_columns_in_query(sql) | join(', ') -%}
    {%- call statement('main') -%}
        create or replace view {{ target_relation }} as
        {% if files -%}
        select {{ columns }} from read_parquet([
            {%- for file in files %}
            '{{ file }}'{{ ',' if not loop.last }}
            {%- endfor %}
        ], hive_partitioning = true, hive_types = {'year': int, 'month': int})
        {%- else -%}
        select {{ columns }} from ({{ sql }}) as model where false
        {%- endif %}
    {%- endcall -%}

    {{ run_hooks(post_hooks) }}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- On Spark: a table partitioned alike, one sorted file a month. Months of the range are overwritten and all others kept
    (dbt-spark's `incremental` with insert_overwrite would keep months of the range that have no rows any more, and would not cut the
    model to the range). A table whose columns are no longer the model's is made anew. -#}
{% materialization lake_parquet, adapter="spark", supported_languages=['sql'] %}
    {%- set partition_by = config.require('partition_by') -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = adapter.get_relation(database=this.database, schema=this.schema, identifier=this.identifier) -%}
    {%- set start, end = lake_parquet_range() -%}
    {%- set in_range = lake_parquet_in_range(start, end) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if existing is not none and existing.type != 'table' -%}
        {{ exceptions.raise_compiler_error(this ~ ' is a ' ~ existing.type ~ ', not a table of the lake. Drop it and build again.') }}
    {%- endif -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}

    {%- set columns = get_column_schema_from_query(sql) -%}
    {%- set is_same_table = existing is not none and lake_parquet_columns(columns) == lake_parquet_columns(adapter.get_columns_in_relation(existing)) -%}
    {%- if start and existing is not none and not is_same_table -%}
        {{ exceptions.raise_compiler_error('The columns of ' ~ this ~ ' are not those it was built with, so that months cannot be exchanged: build once without start and end.') }}
    {%- endif -%}
    {%- if start and existing is not none -%}{%- do lake_parquet_require_own_rows(existing, columns) -%}{%- endif -%}

    {%- set data_columns = columns | map(attribute='name') | reject('in', partition_by) | list -%}
    {%- set sorted_sql -%}
        select {{ (data_columns + partition_by) | join(', ') }} from (
            {{ sql }}
        ) as model
        where {{ in_range }}
        distribute by {{ partition_by | join(', ') }}
        sort by {{ (partition_by + config.require('sort_by')) | join(', ') }}
    {%- endset -%}

    {%- if is_same_table and not should_full_refresh() -%}
        {#- before anything is written: in its default mode Spark would empty the table first -#}
        {%- do run_query('set spark.sql.sources.partitionOverwriteMode = dynamic') -%}
        {%- call statement('main') -%}
            insert overwrite table {{ target_relation }} partition ({{ partition_by | join(', ') }})
            {{ sorted_sql }}
        {%- endcall -%}
        {%- do lake_parquet_drop_empty_months(target_relation, sql, start, end) -%}
    {%- else -%}
        {%- if existing is not none -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
        {%- call statement('main') -%}
            create table {{ target_relation }}
            using parquet
            {{ partition_cols(label='partitioned by') }}
            {{ location_clause() }}
            as
            {{ sorted_sql }}
        {%- endcall -%}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}
    {%- do persist_docs(target_relation, model) -%}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- Spark: months of the range that the model has no rows for leave the table. -#}
{% macro lake_parquet_drop_empty_months(relation, sql, start, end) -%}
    {%- set months = run_query('select distinct cast(year as int) as year, cast(month as int) as month from (' ~ sql ~ ') as model where ' ~ lake_parquet_in_range(start, end)) -%}
    {%- set present = [] -%}
    {%- for month in months.rows -%}{%- do present.append((month[0] | int, month[1] | int)) -%}{%- endfor -%}
    {%- set table_months = run_query('show partitions ' ~ relation) -%}
    {%- for partition in table_months.rows -%}
        {%- set year, month = modules.re.search('year=([0-9]+)/month=([0-9]+)', partition[0]).groups() -%}
        {%- set first = '%04d-%02d-01' | format(year | int, month | int) -%}
        {%- if (year | int, month | int) not in present and (start is none or start <= first < end) -%}
            {%- do run_query('alter table ' ~ relation ~ ' drop if exists partition (year = ' ~ year ~ ', month = ' ~ month ~ ')') -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{#- Spark: names and types of columns in one order, since partition columns come last in a table. -#}
{% macro lake_parquet_columns(columns) -%}
    {%- set named = [] -%}
    {%- for column in columns -%}{%- do named.append(column.name | lower ~ ' ' ~ column.dtype | lower) -%}{%- endfor -%}
    {{ return(named | sort) }}
{%- endmacro %}


{#- The condition on `year` and `month` for the months of [start, end); true without them. -#}
{% macro lake_parquet_in_range(start, end) -%}
    {%- if start -%} make_date(cast(year as int), cast(month as int), 1) >= date '{{ start }}' and make_date(cast(year as int), cast(month as int), 1) < date '{{ end }}' {%- else -%} true {%- endif -%}
{%- endmacro %}


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


{#- Of the listed files, those of months outside [start, end), which this build does not touch. All of them must lie under `root`: beside
    months of another study, or of another lake, new months would make a table that is neither. -#}
{% macro lake_parquet_kept(listed, root, start, end) -%}
    {%- set kept = [] -%}
    {%- if start -%}
        {%- for file in listed -%}
            {%- if not file.startswith(root ~ '/') -%}
                {{ lake_parquet_raise_foreign(this, 'reads ' ~ modules.re.sub('/year=.*', '', file) ~ ', not ' ~ root) }}
            {%- endif -%}
            {%- set month = modules.re.search('/year=([0-9]+)/month=([0-9]+)/', file) -%}
            {%- set first = month.group(1) ~ '-' ~ month.group(2) ~ '-01' -%}
            {%- if first < start or first >= end -%}{%- do kept.append(file) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kept) }}
{%- endmacro %}


{#- Spark: the same refusal for a table, whose rows say their study. -#}
{% macro lake_parquet_require_own_rows(relation, columns) -%}
    {%- if 'study' in columns | map(attribute='name') -%}
        {%- set others = run_query('select study from ' ~ relation ~ ' where study <> ' ~ literal(var('study').name) ~ ' limit 1') -%}
        {%- if others.rows | length > 0 -%}
            {{ lake_parquet_raise_foreign(relation, 'holds the study ' ~ others.rows[0][0] ~ ', not ' ~ var('study').name) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro lake_parquet_raise_foreign(relation, what) -%}
    {{ exceptions.raise_compiler_error(relation ~ ' ' ~ what ~ ': another study or another lake built this database, and start and end would leave its other months beside the new ones. Build once without start and end, or into another ' ~ ('warehouse (SOILHOUSE_SPARK_WAREHOUSE).' if target.type == 'spark' else 'database (soilhouse build --db FILE).')) }}
{%- endmacro %}


{#- Work on files, which SQL cannot do, by the project's dbt-duckdb plugin (loaders/dbt_files.py). -#}
{% macro lake_parquet_files(action, relation, arguments) -%}
    {%- do adapter.store_relation('lake_files', relation, [], tojson(arguments), action, config) -%}
{%- endmacro %}
