-- The pairs that scores are of, by unit: single stations, and the means of a network's and of a region's stations on days when enough of them have a pair.
-- A day's mean over stations takes both sides from the same stations.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
with forms as (
    {%- for form in asked.forms %}
    select
        series_id, reference_product, station_id, obs_date, '{{ form }}' as on_values,
        {%- if form == 'raw' %}
        estimate, reference
        {%- else %}
        estimate_anomaly as estimate, reference_anomaly as reference
        {%- endif %}
    from {{ ref('int_matchup') }}
    {%- if form == 'anomaly' %}
    where estimate_anomaly is not null and reference_anomaly is not null
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

-- A station that never has a pair is none of the unit's.
members as (
    select
        members.series_id,
        members.reference_product,
        members.station_id,
        members.unit_kind,
        members.unit_id,
        count(*) over (partition by members.series_id, members.reference_product, members.unit_kind, members.unit_id) as n_stations
    from {{ ref('int_validation_member') }} as members
    inner join (select distinct series_id, reference_product, station_id from {{ ref('int_matchup') }}) as paired
        on members.series_id = paired.series_id and members.reference_product = paired.reference_product and members.station_id = paired.station_id
    where members.unit_kind in ({{ literals(asked.unit_kinds) }})
)

select
    members.series_id,
    members.reference_product,
    members.unit_kind,
    members.unit_id,
    forms.on_values,
    forms.obs_date,
    {{ mean('forms.estimate') }} as estimate,
    {{ mean('forms.reference') }} as reference,
    cast(count(*) as int) as n_stations
from members
inner join forms
    on members.series_id = forms.series_id and members.reference_product = forms.reference_product and members.station_id = forms.station_id
group by members.series_id, members.reference_product, members.unit_kind, members.unit_id, forms.on_values, forms.obs_date
having count(*) >= {{ number(asked.min_share_of_stations) }} * max(members.n_stations)
