-- generated from fct_temporal_stability.ibis by `python -m soilhouse.ibis_models`; do not edit
{{ config(enabled=needs('patterns')) }}
{% if target.type == 'spark' %}
SELECT
  `t5`.`study`,
  `t5`.`variable`,
  `t5`.`product`,
  `t5`.`layer`,
  `t15`.`region_id`,
  `t5`.`grid_id`,
  `t15`.`pixel_id`,
  `t15`.`period_kind`,
  `t15`.`period_start`,
  `t15`.`period_end`,
  `t15`.`n_months`,
  `t15`.`mean`,
  `t15`.`sd`,
  `t6`.`stability_class`,
  `t15`.`mean_relative_difference`,
  `t15`.`sd_relative_difference`,
  `t5`.`unit`
FROM (
  SELECT
    `t13`.`series_id`,
    `t13`.`region_id`,
    `t13`.`pixel_id`,
    `t13`.`period_kind`,
    `t13`.`period_start`,
    `t13`.`period_end`,
    AVG(`t13`.`value`) AS `mean`,
    STDDEV_SAMP(`t13`.`value`) AS `sd`,
    COUNT(*) AS `n_months`,
    AVG(`t13`.`relative_difference`) AS `mean_relative_difference`,
    STDDEV_SAMP(`t13`.`relative_difference`) AS `sd_relative_difference`
  FROM (
    SELECT
      `t12`.`series_id`,
      `t12`.`region_id`,
      `t12`.`pixel_id`,
      `t12`.`month`,
      `t12`.`value`,
      `t12`.`area_mean`,
      `t12`.`relative_difference`,
      `t7`.`period_kind`,
      `t7`.`period_start`,
      `t7`.`period_end`
    FROM (
      SELECT
        `t10`.`series_id`,
        `t10`.`region_id`,
        `t10`.`pixel_id`,
        `t10`.`month`,
        `t10`.`value`,
        `t10`.`area_mean`,
        (
          `t10`.`value` - `t10`.`area_mean`
        ) / NULLIF(`t10`.`area_mean`, 0) AS `relative_difference`
      FROM (
        SELECT
          `t8`.`series_id`,
          `t8`.`region_id`,
          `t8`.`pixel_id`,
          `t8`.`month`,
          `t8`.`value`,
          `t9`.`area_mean`
        FROM {{ ref('int_monthly_region') }} AS `t8`
        INNER JOIN {{ ref('int_map') }} AS `t9`
          ON `t8`.`series_id` = `t9`.`series_id`
          AND `t8`.`region_id` = `t9`.`region_id`
          AND `t8`.`month` = `t9`.`month`
      ) AS `t10`
    ) AS `t12`
    INNER JOIN {{ ref('int_period_month') }} AS `t7`
      ON `t12`.`month` = `t7`.`month`
  ) AS `t13`
  GROUP BY
    1,
    2,
    3,
    4,
    5,
    6
) AS `t15`
INNER JOIN {{ ref('int_series') }} AS `t5`
  ON `t15`.`series_id` = `t5`.`series_id`
LEFT OUTER JOIN {{ ref('stability_classes') }} AS `t6`
  ON `t5`.`variable` = 'soil_moisture'
  AND `t15`.`sd` >= `t6`.`sd_lower`
  AND (
    (
      `t15`.`sd` < `t6`.`sd_upper`
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
  "t15"."region_id",
  "t5"."grid_id",
  "t15"."pixel_id",
  "t15"."period_kind",
  "t15"."period_start",
  "t15"."period_end",
  "t15"."n_months",
  "t15"."mean",
  "t15"."sd",
  "t6"."stability_class",
  "t15"."mean_relative_difference",
  "t15"."sd_relative_difference",
  "t5"."unit"
FROM (
  SELECT
    "t13"."series_id",
    "t13"."region_id",
    "t13"."pixel_id",
    "t13"."period_kind",
    "t13"."period_start",
    "t13"."period_end",
    AVG("t13"."value") AS "mean",
    STDDEV_SAMP("t13"."value") AS "sd",
    COUNT(*) AS "n_months",
    AVG("t13"."relative_difference") AS "mean_relative_difference",
    STDDEV_SAMP("t13"."relative_difference") AS "sd_relative_difference"
  FROM (
    SELECT
      "t12"."series_id",
      "t12"."region_id",
      "t12"."pixel_id",
      "t12"."month",
      "t12"."value",
      "t12"."area_mean",
      "t12"."relative_difference",
      "t7"."period_kind",
      "t7"."period_start",
      "t7"."period_end"
    FROM (
      SELECT
        "t10"."series_id",
        "t10"."region_id",
        "t10"."pixel_id",
        "t10"."month",
        "t10"."value",
        "t10"."area_mean",
        (
          "t10"."value" - "t10"."area_mean"
        ) / NULLIF("t10"."area_mean", 0) AS "relative_difference"
      FROM (
        SELECT
          "t8"."series_id",
          "t8"."region_id",
          "t8"."pixel_id",
          "t8"."month",
          "t8"."value",
          "t9"."area_mean"
        FROM {{ ref('int_monthly_region') }} AS "t8"
        INNER JOIN {{ ref('int_map') }} AS "t9"
          ON "t8"."series_id" = "t9"."series_id"
          AND "t8"."region_id" = "t9"."region_id"
          AND "t8"."month" = "t9"."month"
      ) AS "t10"
    ) AS "t12"
    INNER JOIN {{ ref('int_period_month') }} AS "t7"
      ON "t12"."month" = "t7"."month"
  ) AS "t13"
  GROUP BY
    1,
    2,
    3,
    4,
    5,
    6
) AS "t15"
INNER JOIN {{ ref('int_series') }} AS "t5"
  ON "t15"."series_id" = "t5"."series_id"
LEFT OUTER JOIN {{ ref('stability_classes') }} AS "t6"
  ON "t5"."variable" = 'soil_moisture'
  AND "t15"."sd" >= "t6"."sd_lower"
  AND (
    (
      "t15"."sd" < "t6"."sd_upper"
    ) OR (
      "t6"."sd_upper" IS NULL
    )
  )
{% endif %}
