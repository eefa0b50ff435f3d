-- generated from int_pair_q.ibis by `python -m soilhouse.ibis_models`; do not edit
{{ config(enabled=needs('drivers')) }}
{% if target.type == 'spark' %}
SELECT
  `t12`.`driver_map_id`,
  `t12`.`factor_1`,
  `t12`.`factor_2`,
  `t12`.`n_used`,
  `t12`.`n_strata_1`,
  `t12`.`n_strata_2`,
  `t12`.`n_strata_12`,
  `t12`.`sst`,
  `t12`.`ssb_1`,
  `t12`.`ssb_2`,
  `t12`.`ssb_12`,
  IF(
    `t12`.`sst` > 0,
    LEAST(`t12`.`ssb_1` / NULLIF(`t12`.`sst`, 0.0), 1.0),
    CAST(NULL AS DOUBLE)
  ) AS `q_1`,
  IF(
    `t12`.`sst` > 0,
    LEAST(`t12`.`ssb_2` / NULLIF(`t12`.`sst`, 0.0), 1.0),
    CAST(NULL AS DOUBLE)
  ) AS `q_2`,
  IF(
    `t12`.`sst` > 0,
    LEAST(`t12`.`ssb_12` / NULLIF(`t12`.`sst`, 0.0), 1.0),
    CAST(NULL AS DOUBLE)
  ) AS `q_12`
FROM (
  SELECT
    `t11`.`driver_map_id`,
    `t11`.`factor_1`,
    `t11`.`factor_2`,
    `t11`.`n_used`,
    `t8`.`n_strata_1`,
    `t9`.`n_strata_2`,
    `t5`.`n_strata_12`,
    `t11`.`sst`,
    GREATEST(`t8`.`between_1` - `t11`.`of_mean`, 0.0) AS `ssb_1`,
    GREATEST(`t9`.`between_2` - `t11`.`of_mean`, 0.0) AS `ssb_2`,
    GREATEST(`t5`.`between_12` - `t11`.`of_mean`, 0.0) AS `ssb_12`
  FROM (
    SELECT
      `t1`.`driver_map_id`,
      `t1`.`factor_1`,
      `t1`.`factor_2`,
      `t1`.`n_used`,
      (
        `t1`.`total` * `t1`.`total`
      ) / NULLIF(`t1`.`n_used`, 0) AS `of_mean`,
      IF(
        (
          `t1`.`squares` - (
            (
              `t1`.`total` * `t1`.`total`
            ) / NULLIF(`t1`.`n_used`, 0)
          )
        ) <= (
          `t1`.`squares` * 1e-12
        ),
        0.0,
        `t1`.`squares` - (
          (
            `t1`.`total` * `t1`.`total`
          ) / NULLIF(`t1`.`n_used`, 0)
        )
      ) AS `sst`
    FROM (
      SELECT
        `t0`.`driver_map_id`,
        `t0`.`factor_1`,
        `t0`.`factor_2`,
        CAST(SUM(`t0`.`n`) AS INT) AS `n_used`,
        SUM(`t0`.`sum_deviation`) AS `total`,
        SUM(`t0`.`sum_squares`) AS `squares`
      FROM {{ ref('int_pair_moments') }} AS `t0`
      GROUP BY
        1,
        2,
        3
    ) AS `t1`
  ) AS `t11`
  INNER JOIN (
    SELECT
      `t0`.`driver_map_id`,
      `t0`.`factor_1`,
      `t0`.`factor_2`,
      SUM((
        `t0`.`sum_deviation` * `t0`.`sum_deviation`
      ) / NULLIF(`t0`.`n`, 0)) AS `between_12`,
      CAST(COUNT(*) AS INT) AS `n_strata_12`
    FROM {{ ref('int_pair_moments') }} AS `t0`
    GROUP BY
      1,
      2,
      3
  ) AS `t5`
    ON `t11`.`driver_map_id` = `t5`.`driver_map_id`
    AND `t11`.`factor_1` = `t5`.`factor_1`
    AND `t11`.`factor_2` = `t5`.`factor_2`
  INNER JOIN (
    SELECT
      `t2`.`driver_map_id`,
      `t2`.`factor_1`,
      `t2`.`factor_2`,
      SUM((
        `t2`.`sum_deviation` * `t2`.`sum_deviation`
      ) / NULLIF(`t2`.`n`, 0)) AS `between_1`,
      CAST(COUNT(*) AS INT) AS `n_strata_1`
    FROM (
      SELECT
        `t0`.`driver_map_id`,
        `t0`.`factor_1`,
        `t0`.`factor_2`,
        `t0`.`stratum_1`,
        CAST(SUM(`t0`.`n`) AS INT) AS `n`,
        SUM(`t0`.`sum_deviation`) AS `sum_deviation`
      FROM {{ ref('int_pair_moments') }} AS `t0`
      GROUP BY
        1,
        2,
        3,
        4
    ) AS `t2`
    GROUP BY
      1,
      2,
      3
  ) AS `t8`
    ON `t11`.`driver_map_id` = `t8`.`driver_map_id`
    AND `t11`.`factor_1` = `t8`.`factor_1`
    AND `t11`.`factor_2` = `t8`.`factor_2`
  INNER JOIN (
    SELECT
      `t3`.`driver_map_id`,
      `t3`.`factor_1`,
      `t3`.`factor_2`,
      SUM((
        `t3`.`sum_deviation` * `t3`.`sum_deviation`
      ) / NULLIF(`t3`.`n`, 0)) AS `between_2`,
      CAST(COUNT(*) AS INT) AS `n_strata_2`
    FROM (
      SELECT
        `t0`.`driver_map_id`,
        `t0`.`factor_1`,
        `t0`.`factor_2`,
        `t0`.`stratum_2`,
        CAST(SUM(`t0`.`n`) AS INT) AS `n`,
        SUM(`t0`.`sum_deviation`) AS `sum_deviation`
      FROM {{ ref('int_pair_moments') }} AS `t0`
      GROUP BY
        1,
        2,
        3,
        4
    ) AS `t3`
    GROUP BY
      1,
      2,
      3
  ) AS `t9`
    ON `t11`.`driver_map_id` = `t9`.`driver_map_id`
    AND `t11`.`factor_1` = `t9`.`factor_1`
    AND `t11`.`factor_2` = `t9`.`factor_2`
) AS `t12`
{% else %}
SELECT
  "t12"."driver_map_id",
  "t12"."factor_1",
  "t12"."factor_2",
  "t12"."n_used",
  "t12"."n_strata_1",
  "t12"."n_strata_2",
  "t12"."n_strata_12",
  "t12"."sst",
  "t12"."ssb_1",
  "t12"."ssb_2",
  "t12"."ssb_12",
  CASE
    WHEN "t12"."sst" > 0
    THEN LEAST("t12"."ssb_1" / NULLIF("t12"."sst", 0.0), 1.0)
    ELSE CAST(NULL AS DOUBLE)
  END AS "q_1",
  CASE
    WHEN "t12"."sst" > 0
    THEN LEAST("t12"."ssb_2" / NULLIF("t12"."sst", 0.0), 1.0)
    ELSE CAST(NULL AS DOUBLE)
  END AS "q_2",
  CASE
    WHEN "t12"."sst" > 0
    THEN LEAST("t12"."ssb_12" / NULLIF("t12"."sst", 0.0), 1.0)
    ELSE CAST(NULL AS DOUBLE)
  END AS "q_12"
FROM (
  SELECT
    "t11"."driver_map_id",
    "t11"."factor_1",
    "t11"."factor_2",
    "t11"."n_used",
    "t8"."n_strata_1",
    "t9"."n_strata_2",
    "t5"."n_strata_12",
    "t11"."sst",
    GREATEST("t8"."between_1" - "t11"."of_mean", 0.0) AS "ssb_1",
    GREATEST("t9"."between_2" - "t11"."of_mean", 0.0) AS "ssb_2",
    GREATEST("t5"."between_12" - "t11"."of_mean", 0.0) AS "ssb_12"
  FROM (
    SELECT
      "t1"."driver_map_id",
      "t1"."factor_1",
      "t1"."factor_2",
      "t1"."n_used",
      (
        "t1"."total" * "t1"."total"
      ) / NULLIF("t1"."n_used", 0) AS "of_mean",
      CASE
        WHEN (
          "t1"."squares" - (
            (
              "t1"."total" * "t1"."total"
            ) / NULLIF("t1"."n_used", 0)
          )
        ) <= (
          "t1"."squares" * 1e-12
        )
        THEN 0.0
        ELSE "t1"."squares" - (
          (
            "t1"."total" * "t1"."total"
          ) / NULLIF("t1"."n_used", 0)
        )
      END AS "sst"
    FROM (
      SELECT
        "t0"."driver_map_id",
        "t0"."factor_1",
        "t0"."factor_2",
        CAST(SUM("t0"."n") AS INT) AS "n_used",
        SUM("t0"."sum_deviation") AS "total",
        SUM("t0"."sum_squares") AS "squares"
      FROM {{ ref('int_pair_moments') }} AS "t0"
      GROUP BY
        1,
        2,
        3
    ) AS "t1"
  ) AS "t11"
  INNER JOIN (
    SELECT
      "t0"."driver_map_id",
      "t0"."factor_1",
      "t0"."factor_2",
      SUM((
        "t0"."sum_deviation" * "t0"."sum_deviation"
      ) / NULLIF("t0"."n", 0)) AS "between_12",
      CAST(COUNT(*) AS INT) AS "n_strata_12"
    FROM {{ ref('int_pair_moments') }} AS "t0"
    GROUP BY
      1,
      2,
      3
  ) AS "t5"
    ON "t11"."driver_map_id" = "t5"."driver_map_id"
    AND "t11"."factor_1" = "t5"."factor_1"
    AND "t11"."factor_2" = "t5"."factor_2"
  INNER JOIN (
    SELECT
      "t2"."driver_map_id",
      "t2"."factor_1",
      "t2"."factor_2",
      SUM((
        "t2"."sum_deviation" * "t2"."sum_deviation"
      ) / NULLIF("t2"."n", 0)) AS "between_1",
      CAST(COUNT(*) AS INT) AS "n_strata_1"
    FROM (
      SELECT
        "t0"."driver_map_id",
        "t0"."factor_1",
        "t0"."factor_2",
        "t0"."stratum_1",
        CAST(SUM("t0"."n") AS INT) AS "n",
        SUM("t0"."sum_deviation") AS "sum_deviation"
      FROM {{ ref('int_pair_moments') }} AS "t0"
      GROUP BY
        1,
        2,
        3,
        4
    ) AS "t2"
    GROUP BY
      1,
      2,
      3
  ) AS "t8"
    ON "t11"."driver_map_id" = "t8"."driver_map_id"
    AND "t11"."factor_1" = "t8"."factor_1"
    AND "t11"."factor_2" = "t8"."factor_2"
  INNER JOIN (
    SELECT
      "t3"."driver_map_id",
      "t3"."factor_1",
      "t3"."factor_2",
      SUM((
        "t3"."sum_deviation" * "t3"."sum_deviation"
      ) / NULLIF("t3"."n", 0)) AS "between_2",
      CAST(COUNT(*) AS INT) AS "n_strata_2"
    FROM (
      SELECT
        "t0"."driver_map_id",
        "t0"."factor_1",
        "t0"."factor_2",
        "t0"."stratum_2",
        CAST(SUM("t0"."n") AS INT) AS "n",
        SUM("t0"."sum_deviation") AS "sum_deviation"
      FROM {{ ref('int_pair_moments') }} AS "t0"
      GROUP BY
        1,
        2,
        3,
        4
    ) AS "t3"
    GROUP BY
      1,
      2,
      3
  ) AS "t9"
    ON "t11"."driver_map_id" = "t9"."driver_map_id"
    AND "t11"."factor_1" = "t9"."factor_1"
    AND "t11"."factor_2" = "t9"."factor_2"
) AS "t12"
{% endif %}
