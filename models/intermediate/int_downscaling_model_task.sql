-- What is trained: a row a framework, partition, window and terrain unit, also where there are no samples. `settings` is what the kernel is told;
-- `part` tells a training from all others.
{{ config(enabled=needs('downscaling')) }}
with windows as (
    {%- for entry in learned_frameworks() %}
    {%- set outer_loop = loop %}
    {%- for partition in entry.partitions %}
    {%- set partition_loop = loop %}
    {%- for window in learned_windows(entry) %}
    select
        {{ entry.number }} as framework_number,
        {{ literal(entry.framework) }} as framework,
        {{ literal(partition) }} as partition_kind,
        cast('{{ window.start }}' as date) as window_start,
        cast('{{ window.end }}' as date) as window_end
    {% if not (loop.last and partition_loop.last and outer_loop.last) %}union all{% endif %}
    {%- endfor %}
    {%- endfor %}
    {%- else %}
    select
        cast(null as int) as framework_number, cast(null as string) as framework, cast(null as string) as partition_kind,
        cast(null as date) as window_start, cast(null as date) as window_end
    where false
    {%- endfor %}
),

frameworks as (
    {%- for entry in learned_frameworks() %}
    select
        {{ entry.number }} as framework_number,
        {{ entry.max_samples }} as max_samples,
        {{ literal(learned_settings(entry)) }} as settings
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select cast(null as int) as framework_number, cast(null as int) as max_samples, cast(null as string) as settings
    where false
    {%- endfor %}
),

units as (
    select distinct 'unit' as partition_kind, unit
    from {{ ref('int_downscaling_sample') }}
    union all
    select 'whole' as partition_kind, 'all' as unit
),

tasks as (
    select
        windows.framework_number,
        windows.framework,
        windows.partition_kind,
        units.unit,
        windows.window_start,
        windows.window_end
    from windows
    inner join units on windows.partition_kind = units.partition_kind
),

counted as (
    select partition_kind, unit, obs_date, count(*) as n_samples
    from (
        select 'unit' as partition_kind, unit, obs_date from {{ ref('int_downscaling_sample') }}
        union all
        select 'whole' as partition_kind, 'all' as unit, obs_date from {{ ref('int_downscaling_sample') }}
    ) as samples
    group by partition_kind, unit, obs_date
),

sized as (
    select
        tasks.framework_number,
        tasks.framework,
        tasks.partition_kind,
        tasks.unit,
        tasks.window_start,
        tasks.window_end,
        coalesce(cast(sum(counted.n_samples) as bigint), 0) as n_samples
    from tasks
    left join counted
        on tasks.partition_kind = counted.partition_kind
        and tasks.unit = counted.unit
        and counted.obs_date >= tasks.window_start
        and counted.obs_date < tasks.window_end
    group by tasks.framework_number, tasks.framework, tasks.partition_kind, tasks.unit, tasks.window_start, tasks.window_end
)

select
    cast(row_number() over (
        order by sized.framework_number, sized.partition_kind, sized.unit, sized.window_start
    ) as int) as task_id,
    sized.framework_number,
    sized.framework,
    sized.partition_kind,
    sized.unit,
    sized.window_start,
    sized.window_end,
    sized.n_samples,
    frameworks.max_samples,
    sized.framework || '/' || sized.partition_kind || '/' || sized.unit || '/' || cast(sized.window_start as string) as part,
    frameworks.settings
from sized
inner join frameworks on sized.framework_number = frameworks.framework_number
