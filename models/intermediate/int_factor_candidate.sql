-- generated from int_factor_candidate.ibis by `python -m soilhouse.ibis_models`; do not edit
{{ config(enabled=needs('drivers')) }}
{% if target.type == 'spark' %}
SELECT
  `t18`.`driver_map_id`,
  `t18`.`factor_id`,
  `t18`.`method`,
  `t18`.`n_strata_asked`,
  `t18`.`n_strata`,
  `t18`.`n_singletons`,
  `t18`.`n_used`,
  `t18`.`sst`,
  `t18`.`ssb`,
  IF(
    `t18`.`sst` > 0,
    LEAST(`t18`.`ssb` / NULLIF(`t18`.`sst`, 0.0), 1.0),
    CAST(NULL AS DOUBLE)
  ) AS `q`
FROM (
  SELECT
    `t17`.`driver_map_id`,
    `t17`.`factor_id`,
    `t17`.`method`,
    `t17`.`n_strata_asked`,
    `t17`.`n_strata`,
    `t17`.`n_singletons`,
    `t12`.`n_used`,
    `t12`.`sst`,
    GREATEST(`t17`.`between` - `t12`.`of_mean`, 0.0) AS `ssb`
  FROM (
    SELECT
      `t15`.`driver_map_id`,
      `t15`.`factor_id`,
      `t15`.`method`,
      `t15`.`n_strata_asked`,
      CAST(SUM(CAST(`t15`.`n` > 0 AS INT)) AS INT) AS `n_strata`,
      CAST(SUM(CAST(`t15`.`n` = 1 AS INT)) AS INT) AS `n_singletons`,
      SUM((
        `t15`.`sum_deviation` * `t15`.`sum_deviation`
      ) / NULLIF(`t15`.`n`, 0)) AS `between`
    FROM (
      SELECT
        `t3`.`driver_map_id`,
        `t3`.`factor_id`,
        `t8`.`method`,
        `t8`.`n_strata_asked`,
        `t14`.`n` - COALESCE(
          LAG(`t14`.`n`) OVER (
            PARTITION BY `t3`.`driver_map_id`, `t3`.`factor_id`, `t8`.`method`, `t8`.`n_strata_asked`
            ORDER BY `t8`.`stratum` ASC NULLS LAST
          ),
          0
        ) AS `n`,
        `t14`.`sum_deviation` - COALESCE(
          LAG(`t14`.`sum_deviation`) OVER (
            PARTITION BY `t3`.`driver_map_id`, `t3`.`factor_id`, `t8`.`method`, `t8`.`n_strata_asked`
            ORDER BY `t8`.`stratum` ASC NULLS LAST
          ),
          0.0
        ) AS `sum_deviation`
      FROM {{ ref('int_driver_factor') }} AS `t3`
      INNER JOIN (
        SELECT
          *
        FROM {{ ref('int_factor_cuts') }} AS `t2`
        WHERE
          `t2`.`method` <> 'cells'
      ) AS `t8`
        ON `t3`.`cells_map_id` = `t8`.`cells_map_id` AND `t3`.`factor_id` = `t8`.`factor_id`
      INNER JOIN (
        SELECT
          `t10`.`driver_map_id`,
          `t10`.`factor_id`,
          `t10`.`upper`,
          CAST(SUM(`t10`.`n`) OVER (
            PARTITION BY `t10`.`driver_map_id`, `t10`.`factor_id`
            ORDER BY `t10`.`cell` ASC NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS INT) AS `n`,
          SUM(`t10`.`sum_deviation`) OVER (
            PARTITION BY `t10`.`driver_map_id`, `t10`.`factor_id`
            ORDER BY `t10`.`cell` ASC NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `sum_deviation`
        FROM (
          SELECT
            `t3`.`driver_map_id`,
            `t3`.`factor_id`,
            `t9`.`cell`,
            `t9`.`upper`,
            COALESCE(`t4`.`n`, 0) AS `n`,
            COALESCE(`t4`.`sum_deviation`, 0.0) AS `sum_deviation`
          FROM {{ ref('int_driver_factor') }} AS `t3`
          INNER JOIN (
            SELECT
              `t2`.`cells_map_id`,
              `t2`.`factor_id`,
              `t2`.`upper`,
              `t2`.`stratum` AS `cell`
            FROM {{ ref('int_factor_cuts') }} AS `t2`
            WHERE
              `t2`.`method` = 'cells'
          ) AS `t9`
            ON `t3`.`cells_map_id` = `t9`.`cells_map_id` AND `t3`.`factor_id` = `t9`.`factor_id`
          LEFT OUTER JOIN {{ ref('int_cell_moments') }} AS `t4`
            ON `t3`.`driver_map_id` = `t4`.`driver_map_id`
            AND `t3`.`factor_id` = `t4`.`factor_id`
            AND `t9`.`cell` = `t4`.`cell`
        ) AS `t10`
      ) AS `t14`
        ON `t3`.`driver_map_id` = `t14`.`driver_map_id`
        AND `t3`.`factor_id` = `t14`.`factor_id`
        AND `t8`.`upper` = `t14`.`upper`
    ) AS `t15`
    GROUP BY
      1,
      2,
      3,
      4
  ) AS `t17`
  INNER JOIN (
    SELECT
      `t7`.`driver_map_id`,
      `t7`.`factor_id`,
      `t7`.`n_used`,
      (
        `t7`.`total` * `t7`.`total`
      ) / NULLIF(`t7`.`n_used`, 0) AS `of_mean`,
      IF(
        `t7`.`is_constant`,
        0.0,
        `t7`.`squares` - (
          (
            `t7`.`total` * `t7`.`total`
          ) / NULLIF(`t7`.`n_used`, 0)
        )
      ) AS `sst`
    FROM (
      SELECT
        `t1`.`driver_map_id`,
        `t1`.`factor_id`,
        CAST(SUM(`t1`.`n`) AS INT) AS `n_used`,
        SUM(`t1`.`sum_deviation`) AS `total`,
        SUM(`t1`.`sum_squares`) AS `squares`,
        MIN(`t1`.`min_deviation`) = MAX(`t1`.`max_deviation`) AS `is_constant`
      FROM {{ ref('int_cell_moments') }} AS `t1`
      GROUP BY
        1,
        2
    ) AS `t7`
  ) AS `t12`
    ON `t17`.`driver_map_id` = `t12`.`driver_map_id`
    AND `t17`.`factor_id` = `t12`.`factor_id`
) AS `t18`
{% else %}
SELECT
  "t18"."driver_map_id",
  "t18"."factor_id",
  "t18"."method",
  "t18"."n_strata_asked",
  "t18"."n_strata",
  "t18"."n_singletons",
  "t18"."n_used",
  "t18"."sst",
  "t18"."ssb",
  CASE
    WHEN "t18"."sst" > 0
    THEN LEAST("t18"."ssb" / NULLIF("t18"."sst", 0.0), 1.0)
    ELSE CAST(NULL AS DOUBLE)
  END AS "q"
FROM (
  SELECT
    "t17"."driver_map_id",
    "t17"."factor_id",
    "t17"."method",
    "t17"."n_strata_asked",
    "t17"."n_strata",
    "t17"."n_singletons",
    "t12"."n_used",
    "t12"."sst",
    GREATEST("t17"."between" - "t12"."of_mean", 0.0) AS "ssb"
  FROM (
    SELECT
      "t15"."driver_map_id",
      "t15"."factor_id",
      "t15"."method",
      "t15"."n_strata_asked",
      CAST(SUM(CAST("t15"."n" > 0 AS INT)) AS INT) AS "n_strata",
      CAST(SUM(CAST("t15"."n" = 1 AS INT)) AS INT) AS "n_singletons",
      SUM((
        "t15"."sum_deviation" * "t15"."sum_deviation"
      ) / NULLIF("t15"."n", 0)) AS "between"
    FROM (
      SELECT
        "t3"."driver_map_id",
        "t3"."factor_id",
        "t8"."method",
        "t8"."n_strata_asked",
        "t14"."n" - COALESCE(
          LAG("t14"."n") OVER (
            PARTITION BY "t3"."driver_map_id", "t3"."factor_id", "t8"."method", "t8"."n_strata_asked"
            ORDER BY "t8"."stratum" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ),
          0
        ) AS "n",
        "t14"."sum_deviation" - COALESCE(
          LAG("t14"."sum_deviation") OVER (
            PARTITION BY "t3"."driver_map_id", "t3"."factor_id", "t8"."method", "t8"."n_strata_asked"
            ORDER BY "t8"."stratum" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ),
          0.0
        ) AS "sum_deviation"
      FROM {{ ref('int_driver_factor') }} AS "t3"
      INNER JOIN (
        SELECT
          *
        FROM {{ ref('int_factor_cuts') }} AS "t2"
        WHERE
          "t2"."method" <> 'cells'
      ) AS "t8"
        ON "t3"."cells_map_id" = "t8"."cells_map_id" AND "t3"."factor_id" = "t8"."factor_id"
      INNER JOIN (
        SELECT
          "t10"."driver_map_id",
          "t10"."factor_id",
          "t10"."upper",
          CAST(SUM("t10"."n") OVER (
            PARTITION BY "t10"."driver_map_id", "t10"."factor_id"
            ORDER BY "t10"."cell" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS INT) AS "n",
          SUM("t10"."sum_deviation") OVER (
            PARTITION BY "t10"."driver_map_id", "t10"."factor_id"
            ORDER BY "t10"."cell" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS "sum_deviation"
        FROM (
          SELECT
            "t3"."driver_map_id",
            "t3"."factor_id",
            "t9"."cell",
            "t9"."upper",
            COALESCE("t4"."n", 0) AS "n",
            COALESCE("t4"."sum_deviation", 0.0) AS "sum_deviation"
          FROM {{ ref('int_driver_factor') }} AS "t3"
          INNER JOIN (
            SELECT
              "t2"."cells_map_id",
              "t2"."factor_id",
              "t2"."upper",
              "t2"."stratum" AS "cell"
            FROM {{ ref('int_factor_cuts') }} AS "t2"
            WHERE
              "t2"."method" = 'cells'
          ) AS "t9"
            ON "t3"."cells_map_id" = "t9"."cells_map_id" AND "t3"."factor_id" = "t9"."factor_id"
          LEFT OUTER JOIN {{ ref('int_cell_moments') }} AS "t4"
            ON "t3"."driver_map_id" = "t4"."driver_map_id"
            AND "t3"."factor_id" = "t4"."factor_id"
            AND "t9"."cell" = "t4"."cell"
        ) AS "t10"
      ) AS "t14"
        ON "t3"."driver_map_id" = "t14"."driver_map_id"
        AND "t3"."factor_id" = "t14"."factor_id"
        AND "t8"."upper" = "t14"."upper"
    ) AS "t15"
    GROUP BY
      1,
      2,
      3,
      4
  ) AS "t17"
  INNER JOIN (
    SELECT
      "t7"."driver_map_id",
      "t7"."factor_id",
      "t7"."n_used",
      (
        "t7"."total" * "t7"."total"
      ) / NULLIF("t7"."n_used", 0) AS "of_mean",
      CASE
        WHEN "t7"."is_constant"
        THEN 0.0
        ELSE "t7"."squares" - (
          (
            "t7"."total" * "t7"."total"
          ) / NULLIF("t7"."n_used", 0)
        )
      END AS "sst"
    FROM (
      SELECT
        "t1"."driver_map_id",
        "t1"."factor_id",
        CAST(SUM("t1"."n") AS INT) AS "n_used",
        SUM("t1"."sum_deviation") AS "total",
        SUM("t1"."sum_squares") AS "squares",
        MIN("t1"."min_deviation") = MAX("t1"."max_deviation") AS "is_constant"
      FROM {{ ref('int_cell_moments') }} AS "t1"
      GROUP BY
        1,
        2
    ) AS "t7"
  ) AS "t12"
    ON "t17"."driver_map_id" = "t12"."driver_map_id"
    AND "t17"."factor_id" = "t12"."factor_id"
) AS "t18"
{% endif %}
