-- generated from fct_temporal_stability.ibis by `python -m soilhouse.ibis_models`; do not edit
{{ config(enabled=needs('patterns')) }}
{% if target.type == 'spark' %}
SELECT
  `t5`.`study`,
  `t5`.`variable`,
  `t5`.`product`,
  `t5`.`layer`,
  `t17`.`region_id`,
  `t5`.`grid_id`,
  `t17`.`pixel_id`,
  `t17`.`period_kind`,
  `t17`.`period_start`,
  `t17`.`period_end`,
  `t17`.`n_months`,
  `t17`.`mean`,
  `t17`.`sd`,
  `t6`.`stability_class`,
  `t17`.`mean_relative_difference`,
  `t17`.`sd_relative_difference`,
  `t5`.`unit`
FROM (
  SELECT
    `t15`.`series_id`,
    `t15`.`region_id`,
    `t15`.`pixel_id`,
    `t15`.`period_kind`,
    `t15`.`period_start`,
    `t15`.`period_end`,
    AVG(`t15`.`value`) AS `mean`,
    STDDEV_SAMP(`t15`.`value`) AS `sd`,
    COUNT(*) AS `n_months`,
    AVG(`t15`.`relative_difference`) AS `mean_relative_difference`,
    STDDEV_SAMP(`t15`.`relative_difference`) AS `sd_relative_difference`
  FROM (
    SELECT
      `t14`.`series_id`,
      `t14`.`region_id`,
      `t14`.`pixel_id`,
      `t14`.`month`,
      `t14`.`value`,
      `t14`.`area_mean`,
      `t14`.`relative_difference`,
      `t11`.`period_kind`,
      `t11`.`period_start`,
      `t11`.`period_end`
    FROM (
      SELECT
        `t12`.`series_id`,
        `t12`.`region_id`,
        `t12`.`pixel_id`,
        `t12`.`month`,
        `t12`.`value`,
        `t12`.`area_mean`,
        (
          `t12`.`value` - `t12`.`area_mean`
        ) / NULLIF(`t12`.`area_mean`, 0) AS `relative_difference`
      FROM (
        SELECT
          `t7`.`series_id`,
          `t7`.`region_id`,
          `t7`.`pixel_id`,
          `t7`.`month`,
          `t7`.`value`,
          `t8`.`area_mean`
        FROM {{ ref('int_monthly_region') }} AS `t7`
        INNER JOIN {{ ref('int_map') }} AS `t8`
          ON `t7`.`series_id` = `t8`.`series_id`
          AND `t7`.`region_id` = `t8`.`region_id`
          AND `t7`.`month` = `t8`.`month`
      ) AS `t12`
    ) AS `t14`
    INNER JOIN (
      SELECT
        `t9`.`period_kind`,
        `t9`.`period_start`,
        `t9`.`period_end`,
        `t9`.`month`
      FROM (
        SELECT
          *
        FROM {{ ref('int_period_month') }} AS `t3`
        WHERE
          `t3`.`is_of_stability`
      ) AS `t9`
    ) AS `t11`
      ON `t14`.`month` = `t11`.`month`
  ) AS `t15`
  GROUP BY
    1,
    2,
    3,
    4,
    5,
    6
) AS `t17`
INNER JOIN {{ ref('int_series') }} AS `t5`
  ON `t17`.`series_id` = `t5`.`series_id`
LEFT OUTER JOIN {{ ref('stability_classes') }} AS `t6`
  ON `t5`.`variable` = 'soil_moisture'
  AND `t17`.`sd` >= `t6`.`sd_lower`
  AND (
    (
      `t17`.`sd` < `t6`.`sd_upper`
    )
    OR (
      `t6`.`sd_upper` IS NULL OR ISNAN(`t6`.`sd_upper`)
    )
  )
{% else %}
SELECT
  "t5"."study",
  "t5"."variable",
  "t5"."product",
  "t5"."layer",
  "t17"."region_id",
  "t5"."grid_id",
  "t17"."pixel_id",
  "t17"."period_kind",
  "t17"."period_start",
  "t17"."period_end",
  "t17"."n_months",
  "t17"."mean",
  "t17"."sd",
  "t6"."stability_class",
  "t17"."mean_relative_difference",
  "t17"."sd_relative_difference",
  "t5"."unit"
FROM (
  SELECT
    "t15"."series_id",
    "t15"."region_id",
    "t15"."pixel_id",
    "t15"."period_kind",
    "t15"."period_start",
    "t15"."period_end",
    AVG("t15"."value") AS "mean",
    STDDEV_SAMP("t15"."value") AS "sd",
    COUNT(*) AS "n_months",
    AVG("t15"."relative_difference") AS "mean_relative_difference",
    STDDEV_SAMP("t15"."relative_difference") AS "sd_relative_difference"
  FROM (
    SELECT
      "t14"."series_id",
      "t14"."region_id",
      "t14"."pixel_id",
      "t14"."month",
      "t14"."value",
      "t14"."area_mean",
      "t14"."relative_difference",
      "t11"."period_kind",
      "t11"."period_start",
      "t11"."period_end"
    FROM (
      SELECT
        "t12"."series_id",
        "t12"."region_id",
        "t12"."pixel_id",
        "t12"."month",
        "t12"."value",
        "t12"."area_mean",
        (
          "t12"."value" - "t12"."area_mean"
        ) / NULLIF("t12"."area_mean", 0) AS "relative_difference"
      FROM (
        SELECT
          "t7"."series_id",
          "t7"."region_id",
          "t7"."pixel_id",
          "t7"."month",
          "t7"."value",
          "t8"."area_mean"
        FROM {{ ref('int_monthly_region') }} AS "t7"
        INNER JOIN {{ ref('int_map') }} AS "t8"
          ON "t7"."series_id" = "t8"."series_id"
          AND "t7"."region_id" = "t8"."region_id"
          AND "t7"."month" = "t8"."month"
      ) AS "t12"
    ) AS "t14"
    INNER JOIN (
      SELECT
        "t9".*
        EXCLUDE ("is_of_stability")
      FROM (
        SELECT
          *
        FROM {{ ref('int_period_month') }} AS "t3"
        WHERE
          "t3"."is_of_stability"
      ) AS "t9"
    ) AS "t11"
      ON "t14"."month" = "t11"."month"
  ) AS "t15"
  GROUP BY
    1,
    2,
    3,
    4,
    5,
    6
) AS "t17"
INNER JOIN {{ ref('int_series') }} AS "t5"
  ON "t17"."series_id" = "t5"."series_id"
LEFT OUTER JOIN {{ ref('stability_classes') }} AS "t6"
  ON "t5"."variable" = 'soil_moisture'
  AND "t17"."sd" >= "t6"."sd_lower"
  AND (
    (
      "t17"."sd" < "t6"."sd_upper"
    ) OR (
      "t6"."sd_upper" IS NULL
    )
  )
{% endif %}
