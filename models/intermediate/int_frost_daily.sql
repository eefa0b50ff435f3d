-- Where and when the soil is frozen, as the series that the study names in `masks.frozen` has it, on that series' own grid: below a temperature, or
-- as its product says.
{% set period = var('study').period %}
{% if study('masks').get('frozen') is not none %}
{% set frost = study('masks').frozen %}
select
    pixel_id,
    obs_date,
    {{ 'is_frozen' if frost.get('below') is none else 'value < ' ~ number(frost.below) }} as is_frozen
from (
    {{ staged_days(frost_series()) | indent(4) }}
) as staged
where {{ 'is_frozen' if frost.get('below') is none else 'value' }} is not null
    and obs_date >= cast('{{ period.start }}' as date)
    and obs_date < cast('{{ period.end }}' as date)
{% else %}
select cast(null as bigint) as pixel_id, cast(null as date) as obs_date, cast(null as boolean) as is_frozen
where false
{% endif %}
