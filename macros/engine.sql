{#- What the engines spell differently, each macro hiding one difference. Everything else in the models is spelled alike on both;
    tests/test_dialect.py refuses the spellings that are not. -#}


{#- Parquet of the lake as a table. `partitioned` files have the columns year (SMALLINT) and month (TINYINT) from their folders.
    Usage: from {{ read_lake('raw/chirps_monthly', partitioned=true) }}
    DuckDB guesses partition types file by file, so they are given; Spark has no function for it but a path in backticks. -#}
{% macro read_lake(path, partitioned=false) -%}{{ return(adapter.dispatch('read_lake')(path, partitioned)) }}{%- endmacro %}
{% macro duckdb__read_lake(path, partitioned) -%}
    read_parquet('{{ lake_path(path) }}/{{ 'year=*/month=*/' if partitioned }}[!._]*.parquet'
        {%- if partitioned %}, hive_partitioning = true, hive_types = {'year': smallint, 'month': tinyint}{% else %}, hive_partitioning = false{% endif %})
{%- endmacro %}
{% macro spark__read_lake(path, partitioned) -%}
    parquet.`{{ lake_path(path) }}`
{%- endmacro %}


{#- A path of the lake, absolute, because views over it are read by other processes from other folders. -#}
{% macro lake_path(path='') -%}
    {%- set root = env_var('SOILHOUSE_LAKE', 'lake') -%}
    {%- if not root.startswith('/') -%}{%- set root = invocation_args_dict.project_dir ~ '/' ~ root -%}{%- endif -%}
    {{ return(root ~ ('/' ~ path if path else '')) }}
{%- endmacro %}


{#- The series a kernel takes: an unordered list of (t INTEGER, v DOUBLE); kernels sort inside. Both fields are cast here, because
    DuckDB binds structs by name and Spark by position. NULL values stay in: the kernel drops them. -#}
{% macro series(t, v) -%}{{ return(adapter.dispatch('series')(t, v)) }}{%- endmacro %}
{% macro duckdb__series(t, v) -%} list(struct_pack(t := cast({{ t }} as integer), v := cast({{ v }} as double))) {%- endmacro %}
{% macro spark__series(t, v) -%} collect_list(named_struct('t', cast({{ t }} as int), 'v', cast({{ v }} as double))) {%- endmacro %}


{#- A list of plain doubles that are never NULL (Spark's aggregate drops NULLs), in no order: what kernels of a whole map take.
    Usage: candidate_breaks({{ list_of('x') }}, ...) ... group by map_id -#}
{% macro list_of(x) -%}{{ return(adapter.dispatch('list_of')(x)) }}{%- endmacro %}
{% macro duckdb__list_of(x) -%} list(cast({{ x }} as double)) {%- endmacro %}
{% macro spark__list_of(x) -%} collect_list(cast({{ x }} as double)) {%- endmacro %}


{#- A list of structs in no order, a struct a row. `fields` is a mapping of name to expression, already of the type that the kernel takes:
    Spark binds structs by position, so the order is the kernel's.
    Usage: best_partition({{ struct_list({'cell': 'cell', 'n': 'n', 'sum_deviation': 'sum_deviation'}) }}, 8) -#}
{% macro struct_list(fields) -%}{{ return(adapter.dispatch('struct_list')(fields)) }}{%- endmacro %}
{% macro duckdb__struct_list(fields) -%}
    list(struct_pack({% for name, value in fields.items() %}{{ name }} := {{ value }}{{ ', ' if not loop.last }}{% endfor %}))
{%- endmacro %}
{% macro spark__struct_list(fields) -%}
    collect_list(named_struct({% for name, value in fields.items() %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %}))
{%- endmacro %}


{#- A row for each member of a list, in the select list of a subquery; fields of a struct are then read with a dot.
    Usage: select map_id, {{ each_of('kernel(xs)') }} as found from ... -#}
{% macro each_of(list) -%}{{ return(adapter.dispatch('each_of')(list)) }}{%- endmacro %}
{% macro duckdb__each_of(list) -%} unnest({{ list }}) {%- endmacro %}
{% macro spark__each_of(list) -%} explode({{ list }}) {%- endmacro %}


{#- A list of expressions as doubles, NULLs and all. Usage: {{ doubles(['x_1', 'x_2']) }} -#}
{% macro doubles(expressions) -%}{{ return(adapter.dispatch('doubles')(expressions)) }}{%- endmacro %}
{% macro duckdb__doubles(expressions) -%} cast([{{ expressions | join(', ') }}] as double[]) {%- endmacro %}
{% macro spark__doubles(expressions) -%} cast(array({{ expressions | join(', ') }}) as array<double>) {%- endmacro %}


{#- Member `position`, from 1, of a list; NULL of a NULL list. -#}
{% macro member(list, position) -%}{{ return(adapter.dispatch('member')(list, position)) }}{%- endmacro %}
{% macro duckdb__member(list, position) -%} list_extract({{ list }}, {{ position }}) {%- endmacro %}
{% macro spark__member(list, position) -%} element_at({{ list }}, {{ position }}) {%- endmacro %}


{#- Days of the month of a date. -#}
{% macro days_in_month(date) -%} day(last_day({{ date }})) {%- endmacro %}


{#- The first of a month as DATE from integer year and month. Spark's make_date is DuckDB's. -#}
{% macro first_of_month(year, month) -%} make_date(cast({{ year }} as int), cast({{ month }} as int), 1) {%- endmacro %}


{#- The first of the month `months` after a date that is a first of a month. -#}
{% macro add_months_to(date, months) -%}{{ return(adapter.dispatch('add_months_to')(date, months)) }}{%- endmacro %}
{% macro duckdb__add_months_to(date, months) -%} cast({{ date }} + to_months(cast({{ months }} as integer)) as date) {%- endmacro %}
{% macro spark__add_months_to(date, months) -%} add_months({{ date }}, cast({{ months }} as int)) {%- endmacro %}


{#- The calendar day, in the study's time zone, of a UTC timestamp. -#}
{% macro local_date(utc) -%}{{ return(adapter.dispatch('local_date')(utc)) }}{%- endmacro %}
{% macro duckdb__local_date(utc) -%} cast(timezone({{ literal(study('time_zone')) }}, timezone('UTC', {{ utc }})) as date) {%- endmacro %}
{% macro spark__local_date(utc) -%} cast(from_utc_timestamp(cast({{ utc }} as timestamp), {{ literal(study('time_zone')) }}) as date) {%- endmacro %}


{#- A float with NaN and infinity turned into NULL, as DOUBLE: what staging does to every float it lets through. -#}
{% macro finite(expression) -%}
    case when cast({{ expression }} as double) between {{ largest_double('-') }} and {{ largest_double() }} then cast({{ expression }} as double) end
{%- endmacro %}


{#- The largest finite DOUBLE: NaN and infinity are above it (and -infinity below its negative) on both engines. -#}
{% macro largest_double(sign='') -%} {{ return(sign ~ '1.7976931348623157e308') }} {%- endmacro %}


{#- Whether any bit of a mask is set in an integer flag. -#}
{% macro has_bits(flag, mask) -%} ((cast({{ flag }} as int) & {{ mask }}) <> 0) {%- endmacro %}


{#- Any text as an SQL string literal. Spark reads a backslash as the beginning of an escape, DuckDB as itself. (Models use literal().) -#}
{% macro text_literal(value) -%}{{ return(adapter.dispatch('text_literal')(value)) }}{%- endmacro %}
{% macro duckdb__text_literal(value) -%} '{{ value | replace("'", "''") }}' {%- endmacro %}
{% macro spark__text_literal(value) -%} '{{ value | replace('\\', '\\\\') | replace("'", "\\'") }}' {%- endmacro %}


{#- dbt's rows of a seed, for Spark. dbt-spark's own macro of this name sends an empty cell as the text `None`: no number in ANSI mode, and
    in a text column silently that word. dbt calls this one because a project's macros come before an adapter's. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set given = model['config'].get('column_types', {}) -%}
    {%- set types = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do types.append(given.get(name, adapter.convert_type(agate_table, loop.index0))) -%}
    {%- endfor -%}
    {%- set statements = [] -%}
    {%- for chunk in agate_table.rows | batch(get_batch_size()) -%}
        {%- set sql -%}
            insert into {{ this.render() }} values
            {% for row in chunk -%}
                ({%- for cell in row -%}
                    cast({{ 'null' if cell is none else text_literal(cell | string) }} as {{ types[loop.index0] }}){{ ', ' if not loop.last }}
                {%- endfor -%}){{ ', ' if not loop.last }}
            {% endfor %}
        {%- endset -%}
        {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
        {%- do statements.append(sql) -%}
    {%- endfor -%}
    {{ return(statements[0] if statements else '') }}
{%- endmacro %}
