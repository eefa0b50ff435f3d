-- Variances and covariances of the three members' anomalies, in each pixel, on the days that all three have.
{{ config(enabled=needs('validation')) }}
with triples as (
    select
        triple_id,
        grid_id,
        max(case when position = 1 then member_id end) as member_1,
        max(case when position = 2 then member_id end) as member_2,
        max(case when position = 3 then member_id end) as member_3
    from {{ ref('int_triple') }}
    group by triple_id, grid_id
)

select
    triples.triple_id,
    triples.grid_id,
    x.pixel_id,
    cast(count(*) as bigint) as n,
    var_samp(x.anomaly) as variance_1,
    var_samp(y.anomaly) as variance_2,
    var_samp(z.anomaly) as variance_3,
    covar_samp(x.anomaly, y.anomaly) as covariance_12,
    covar_samp(x.anomaly, z.anomaly) as covariance_13,
    covar_samp(y.anomaly, z.anomaly) as covariance_23
from triples
inner join {{ ref('int_triple_anomaly') }} as x on triples.member_1 = x.member_id and triples.grid_id = x.grid_id
inner join {{ ref('int_triple_anomaly') }} as y
    on triples.member_2 = y.member_id and triples.grid_id = y.grid_id and x.pixel_id = y.pixel_id and x.obs_date = y.obs_date
inner join {{ ref('int_triple_anomaly') }} as z
    on triples.member_3 = z.member_id and triples.grid_id = z.grid_id and x.pixel_id = z.pixel_id and x.obs_date = z.obs_date
group by triples.triple_id, triples.grid_id, x.pixel_id
