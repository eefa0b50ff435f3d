"""Patterns: the seasonal cycle of regions, QQ plots, semivariograms with the fitted model."""

from __future__ import annotations

import math

from serving.report import svg
from serving.report.figures import naming
from serving.report.model import Absent, Drawing, Figure, View, first_of, thinned
from serving.report.palette import CLASSES, colour
from serving.report.reader import Reader, where

WIDTH = 720


def seasonal_cycle(reader: Reader) -> Figure:
    """The year's course of the area mean, a line a year, a panel a region."""
    reader.need("fct_monthly_statistics")
    regions = [r["region_id"] for r in reader.regions[:9]]
    left_out = len(reader.regions) - len(regions)
    choices, note = first_of(reader.series)
    views = []
    for s in choices:
        answer = reader.ask(
            f"""
            select region_id, month, area_mean, q25, q75, n_pixels, unit
            from marts.fct_monthly_statistics
            where {where(variable=s["variable"], product=s["product"], layer=s["layer"])}
            order by region_id, month
            """
        )
        if len(answer):
            views.append(_cycle(reader, answer, s, regions))
    if not views:
        raise Absent("fct_monthly_statistics has no covered month.")
    more = f" {left_out} more regions are in the table." if left_out > 0 else ""
    return Figure(
        "seasonal-cycle",
        "Seasonal cycle by region",
        "Mean of the region in each month, weighted by area, a line a year: the darkest is the first year, the lightest the last.",
        ("fct_monthly_statistics",),
        tuple(views),
        (note + more).strip(),
    )


def _cycle(reader: Reader, answer, s: dict, regions: list[str]) -> View:
    rows = answer.rows()
    unit = rows[0]["unit"]
    present = [r for r in regions if any(row["region_id"] == r for row in rows)]
    shown = [row for row in rows if row["region_id"] in present]
    years = sorted({row["month"].year for row in shown})
    tint = {y: colour("viridis", 0.9 * i / max(len(years) - 1, 1)) for i, y in enumerate(years)}
    columns = 1 if len(present) == 1 else 2 if len(present) <= 4 else 3
    width, height = (WIDTH - 76 - 34 * (columns - 1) - 8) / columns, 300 if columns == 1 else 190
    y = svg.padded(min(r["area_mean"] for r in shown), max(r["area_mean"] for r in shown))
    parts, said = [], []
    for i, region in enumerate(present):
        panel = svg.Panel(
            70 + (i % columns) * (width + 34), 28 + (i // columns) * (height + 62), width, height, (1, 12), y
        )
        labels = [(m, svg.MONTHS[m - 1] if width > 330 else svg.MONTHS[m - 1][0]) for m in range(1, 13)]
        parts.append(
            panel.frame(
                y_name=naming.named(naming.words(s["variable"]), unit) if i % columns == 0 else "",
                x_ticks=labels,
                y_ticks=None if i % columns == 0 else [(v, "") for v in svg.ticks(*y, max(2, int(height // 45)))],
                title=svg.short(reader.region_name(region), width),
            )
        )
        mine = [r for r in shown if r["region_id"] == region]
        for year in years:
            points = [(r["month"].month, r["area_mean"]) for r in mine if r["month"].year == year]
            runs: list[list[tuple[float, float]]] = []
            for m, v in points:  # a month that is not covered breaks the line
                if not runs or m != runs[-1][-1][0] + 1:
                    runs.append([])
                runs[-1].append((m, v))
            parts += [svg.path([panel.at(*p) for p in run], "line", tint[year]) for run in runs]
            parts += [
                svg.dot(
                    *panel.at(m, v),
                    f"{reader.region_name(region)}, {svg.MONTHS[m - 1]} {year}: {svg.number(v)} {naming.unit(unit)}",
                    2.6,
                    tint[year],
                )
                for m, v in points
            ]
        low, high = min(mine, key=lambda r: r["area_mean"]), max(mine, key=lambda r: r["area_mean"])
        said.append(
            f"{reader.region_name(region)}: lowest {svg.number(low['area_mean'])} in {naming.month(low['month'])}, "
            f"highest {svg.number(high['area_mean'])} in {naming.month(high['month'])}."
        )
    bottom = 28 + math.ceil(len(present) / columns) * (height + 62)
    some = years if len(years) <= 12 else [years[0], years[len(years) // 2], years[-1]]
    parts.append(svg.legend(70, bottom - 4, [(tint[y], str(y)) for y in some], most_width=WIDTH - 80))
    return View(
        naming.series(s),
        Drawing("".join(parts), WIDTH, bottom + 12),
        answer,
        f"In {naming.unit(unit) or 'its unit'}. " + " ".join(said),
    )


def qq_plot(reader: Reader) -> Figure:
    """Quantiles of a map beside those of the normal distribution."""
    reader.need("fct_qq_points", "fct_monthly_statistics")
    region = reader.main_region
    first = reader.some(
        f"select variable, product, layer, month from marts.fct_qq_points where {where(region_id=region)} group by variable, product, layer, month order by variable <> 'soil_moisture', variable, product, layer, month",
        "fct_qq_points",
    ).rows()
    keyed: dict[tuple, list] = {}
    for row in first:
        keyed.setdefault((row["variable"], row["product"], row["layer"]), []).append(row)
    # Twelve months of the last year of the first two series: one judges a map's shape by its months, not by all of them.
    choices = [row for rows in list(keyed.values())[:2] for row in rows[-12:]]
    views = []
    for row in choices:
        answer = reader.ask(
            f"""
            select points.probability, points.normal_quantile, points.sample_quantile, map.mean, map.sd, map.qq_r, map.skewness, map.is_near_normal, map.n_pixels, map.unit
            from marts.fct_qq_points as points
            inner join marts.fct_monthly_statistics as map using (variable, product, layer, region_id, month)
            where {where(variable=row["variable"], product=row["product"], layer=row["layer"], region_id=region, month=row["month"])}
            order by probability
            """
        )
        points = answer.rows()
        if len(points) < 3 or points[0]["sd"] is None:
            continue
        of = points[0]
        panel = svg.Panel(
            80,
            22,
            520,
            340,
            svg.padded(points[0]["normal_quantile"], points[-1]["normal_quantile"]),
            svg.padded(min(p["sample_quantile"] for p in points), max(p["sample_quantile"] for p in points)),
        )
        low, high = panel.x
        y_low, y_high = panel.y
        if of["sd"]:  # the line of the normal distribution, cut at the frame
            low, high = (
                max(low, (y_low - of["mean"]) / of["sd"]),
                min(high, (y_high - of["mean"]) / of["sd"]),
            )
        body = panel.frame(
            "quantile of the standard normal distribution", naming.named("quantile of the map", of["unit"])
        )
        body += svg.path([panel.at(v, of["mean"] + of["sd"] * v) for v in (low, high)], "line reference")
        body += "".join(
            svg.dot(
                *panel.at(p["normal_quantile"], p["sample_quantile"]),
                f"probability {svg.number(p['probability'])}: {svg.number(p['sample_quantile'])}",
                3,
                CLASSES[0],
            )
            for p in points
        )
        near = (
            "near normal"
            if of["is_near_normal"]
            else "not near normal"
            if of["is_near_normal"] is False
            else "not screened"
        )
        said = f"Correlation of the quantiles {svg.number(of['qq_r'])}, skewness {svg.number(of['skewness'])}, {of['n_pixels']:,} pixels: {near}."
        body += svg.text(96, 42, f"r = {svg.number(of['qq_r'])}, skewness {svg.number(of['skewness'])}: {near}", "name")
        views.append(View(f"{naming.series(row)} · {naming.month(row['month'])}", svg_drawing(body, 410), answer, said))
    if not views:
        raise Absent("fct_qq_points has no map of three pixels or more.")
    return Figure(
        "qq-plot",
        "QQ plots",
        f"Quantiles of the map of a month in {reader.region_name(region)} beside those of a normal distribution; on the line, which has the map's mean and "
        "standard deviation, the two agree.",
        ("fct_qq_points", "fct_monthly_statistics"),
        tuple(views),
        "The last twelve months of the first two series; the query gives any other.",
    )


def svg_drawing(body: str, height: float) -> Drawing:
    """A drawing of the page's width."""
    return Drawing(body, WIDTH, height)


def curve(model: dict, lag: float) -> float:
    """Semivariance of a fitted model at a lag, by its parameters in fct_semivariogram_models (METHODS: docs/methods.md)."""
    nugget, sill, a = model["nugget"], model["partial_sill"], model["range_parameter_m"]
    if model["model"] == "linear":
        return nugget + (model["slope"] or 0.0) * lag
    h = lag / a if a else math.inf
    shape = {
        "spherical": lambda: 1.5 * h - 0.5 * h**3 if h < 1 else 1.0,
        "exponential": lambda: 1 - math.exp(-h),
        "gaussian": lambda: 1 - math.exp(-h * h),
    }[model["model"]]()
    return nugget + sill * shape


def variogram(reader: Reader) -> Figure:
    """The empirical semivariogram and the best of the fitted models."""
    reader.need("fct_semivariogram_bins", "fct_semivariogram_models")
    region = reader.main_region
    found = reader.some(
        f"""
        select variable, product, layer, month
        from marts.fct_semivariogram_models
        where {where(region_id=region)} and direction = 'all' and weighting = 'ols' and is_best
        group by variable, product, layer, month
        order by variable <> 'soil_moisture', variable, product, layer, month
        """,
        "fct_semivariogram_models",
    ).rows()
    choices, note = thinned(found, 18)
    views = []
    for row in choices:
        keys = where(
            variable=row["variable"], product=row["product"], layer=row["layer"], region_id=region, month=row["month"]
        )
        models = reader.ask(
            f"select * from marts.fct_semivariogram_models where {keys} and direction = 'all' and weighting = 'ols' and is_best"
        ).rows()
        answer = reader.ask(
            f"""
            select bins.lag_m, bins.semivariance, bins.n_pairs, fit.model, fit.nugget, fit.partial_sill, fit.sill, fit.slope, fit.range_parameter_m,
                fit.range_effective_m, fit.is_range_at_bound, fit.nugget_ratio, fit.r2, bins.unit
            from marts.fct_semivariogram_bins as bins
            inner join marts.fct_semivariogram_models as fit using (study, variable, product, layer, region_id, month, sampling, direction)
            where {keys} and direction = 'all' and weighting = 'ols' and is_best
            order by lag_m
            """
        )
        if len(answer) and models:
            views.append(_variogram(answer, models[0], f"{naming.series(row)} · {naming.month(row['month'])}"))
    if not views:
        raise Absent("fct_semivariogram_models has no fitted model.")
    return Figure(
        "variogram",
        "Semivariograms",
        f"Semivariance of pairs of pixels by their distance in {reader.region_name(region)}, all directions, and the best of four models by ordinary least squares. "
        "The broken line is the range, within which pixels are alike. The area of a point grows with its number of pairs.",
        ("fct_semivariogram_bins", "fct_semivariogram_models"),
        tuple(views),
        note,
    )


def _variogram(answer, model: dict, label: str) -> View:
    points = answer.rows()
    longest = max(p["lag_m"] for p in points)
    top = max([p["semivariance"] for p in points] + [curve(model, longest)])
    panel = svg.Panel(96, 22, 590, 330, (0, longest * 1.04 / 1000), (0, top * 1.08))
    square = naming.unit(points[0]["unit"])
    body = panel.frame("distance (km)", f"semivariance, ({square})²" if square else "semivariance", name_gap=78)
    most = max(p["n_pairs"] for p in points)
    reach = model["range_effective_m"]
    if model["is_bounded"] and reach is not None and reach <= longest * 1.04:
        x = panel.at_x(reach / 1000)
        body += svg.line(x, panel.top, x, panel.top + panel.height, "reference") + svg.text(
            x + 5, panel.top + 14, f"range {svg.number(reach / 1000)} km", "tick"
        )
    body += svg.path(
        [panel.at(longest * i / 120 / 1000, curve(model, longest * i / 120)) for i in range(121)], "line", CLASSES[5]
    )
    body += "".join(
        svg.dot(
            *panel.at(p["lag_m"] / 1000, p["semivariance"]),
            f"{svg.number(p['lag_m'] / 1000)} km: {svg.number(p['semivariance'])}, {p['n_pairs']:,} pairs",
            2.5 + 4 * math.sqrt(p["n_pairs"] / most),
            CLASSES[0],
        )
        for p in points
    )
    words = f"{model['model']} model: nugget {svg.number(model['nugget'])}"
    if model["is_bounded"]:
        words += (
            f", sill {svg.number(model['sill'])}, effective range {svg.number(reach / 1000)} km"
            if reach is not None
            else ""
        )
    else:
        words += f", slope {svg.number(model['slope'])} a metre"
    words += f"; r² {svg.number(model['r2'])}"
    return View(label, svg_drawing(body, 402), answer, words + ".")
