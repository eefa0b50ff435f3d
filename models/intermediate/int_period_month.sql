-- The periods over which temporal stability is taken, with their months: an equality on `month` joins them to millions of rows, where
-- a range would have to be searched.
{{ config(enabled=needs('patterns')) }}
with periods as (
    {{ periods(study('stability').periods) }}
),

months as (
    select distinct month from {{ ref('int_map') }}
)

select
    periods.period_kind,
    periods.period_start,
    periods.period_end,
    months.month
from periods
inner join months on months.month >= periods.period_start and months.month < periods.period_end
