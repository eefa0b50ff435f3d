"""Drought with depth and over time: profiles, patterns, area of each class."""

from __future__ import annotations

import math

from serving.report import svg
from serving.report.figures import naming
from serving.report.figures.maps import drought_entries
from serving.report.model import Absent, Drawing, Figure, View, first_of
from serving.report.palette import CLASSES
from serving.report.reader import Reader, text, where

WIDTH = 720


def drought_area(reader: Reader) -> Figure:
    """Share of a region's area in each class, month by month."""
    reader.need("fct_drought_area")
    found = reader.some(
        "select distinct product, layer, region_id, scale_months from marts.fct_drought_area order by all",
        "fct_drought_area",
    ).rows()
    place = {r["region_id"]: i for i, r in enumerate(reader.regions)}
    order = {(s["product"], s["layer"]): i for i, s in enumerate(reader.series) if s["variable"] == "soil_moisture"}
    found.sort(
        key=lambda r: (place.get(r["region_id"], 99), order.get((r["product"], r["layer"]), 999), r["scale_months"])
    )
    choices, note = first_of([r for r in found if place.get(r["region_id"], 99) == 0 or r["scale_months"] == 1])
    tints = drought_entries()
    views = []
    for row in choices:
        answer = reader.ask(
            f"""
            select month, class, class_order, area_fraction, area_km2, n_reference
            from marts.fct_drought_area
            where {where(**row)} and reference_kind = 'pixel_month'
            order by month, class_order
            """
        )
        months = sorted({r["month"] for r in answer.rows()})
        if not months:
            continue
        number = {m: (m.year - months[0].year) * 12 + m.month - months[0].month for m in months}
        last = number[months[-1]] + 1
        panel = svg.Panel(70, 24, 630, 250, (0, last), (0, 100))
        years = [
            (number_, str(y))
            for y in range(months[0].year, months[-1].year + 1)
            if (number_ := (y - months[0].year) * 12 - months[0].month + 1) >= 0
        ]
        body = panel.frame(y_name="share of the area (%)", x_ticks=years[:: max(1, math.ceil(len(years) / 12))])
        base: dict = {}
        for r in answer.rows():
            share, m = r["area_fraction"] * 100, r["month"]
            below = base.get(m, 0.0)
            base[m] = below + share
            if share > 0.05:
                y = panel.at_y(below + share)
                body += svg.box(
                    panel.at_x(number[m]),
                    y,
                    panel.width / last - (0.6 if last < 200 else 0),
                    panel.at_y(below) - y,
                    tints[r["class_order"] + 4][1],
                    f"{naming.month(m)}: {share:.0f} % {r['class']} ({svg.number(r['area_km2'])} km²)",
                )
        key = [(tint, words) for _, tint, words in tints if words.split(" (")[0] != "neither"]
        body += svg.legend(70, 318, key, most_width=630)
        dry = dict.fromkeys(months, 0.0)
        for r in answer.rows():
            dry[r["month"]] += r["area_fraction"] if r["class_order"] <= -2 else 0.0
        worst = max(dry, key=dry.get)
        said = f"{len(months)} months; most in moderate drought or worse: {dry[worst] * 100:.0f} % in {naming.month(worst)}."
        scale = "" if row["scale_months"] == 1 else f" · mean of {row['scale_months']} months"
        label = f"{naming.series(row)} · {reader.region_name(row['region_id'])}{scale}"
        views.append(View(label, Drawing(body, WIDTH, 318 + 19 * svg.legend_lines(key, 630)), answer, said))
    if not views:
        raise Absent("fct_drought_area has no month with an index.")
    return Figure(
        "drought-area",
        "Area under drought",
        "Share of the region's area in each class of the index against the pixel's own calendar months, from extreme drought at the foot to extremely wet.",
        ("fct_drought_area",),
        tuple(views),
        note,
    )


def depth_profile(reader: Reader) -> Figure:
    """The mean index by depth, a panel a region, a line a year."""
    reader.need("fct_depth_profile")
    kinds = reader.some(
        """
        select product, reference_kind, reference_region_id
        from marts.fct_depth_profile
        where period_kind = 'year'
        group by product, reference_kind, reference_region_id
        having count(distinct layer) > 1
        order by product, reference_kind desc, reference_region_id
        """,
        "fct_depth_profile (products with two layers or more)",
    ).rows()
    whole = reader.main_region
    views = []
    for kind in [k for k in kinds if k["reference_kind"] == "pixel_month" or k["reference_region_id"] == whole][:12]:
        answer = reader.ask(
            f"""
            select region_id, layer, layer_top_cm, layer_bottom_cm, depth_order, period_start, period_end, mean_ssmi, state, fraction_deficit
            from marts.fct_depth_profile
            where {where(**kind)} and period_kind = 'year'
            order by region_id, period_start, depth_order
            """
        )
        rows = [r for r in answer.rows() if r["mean_ssmi"] is not None]
        if rows:
            views.append(_profile(reader, answer, rows, kind))
    if not views:
        raise Absent("fct_depth_profile has no year with an index.")
    return Figure(
        "depth-profile",
        "Depth profile",
        "Mean index of the region at each depth, a line a year: left of 0 a deficit, right of it a surplus.",
        ("fct_depth_profile",),
        tuple(views),
    )


def _profile(reader: Reader, answer, rows: list[dict], kind: dict) -> View:
    regions = [r["region_id"] for r in reader.regions if any(x["region_id"] == r["region_id"] for x in rows)][:6]
    years = sorted({r["period_start"].year for r in rows})
    shown_years = years if len(years) <= 8 else years[-8:]
    tint = {y: CLASSES[i % 8] for i, y in enumerate(shown_years)}
    deepest = max(r["layer_bottom_cm"] for r in rows)
    most = max(abs(r["mean_ssmi"]) for r in rows) * 1.1 or 1
    columns = min(len(regions), 4) if len(regions) > 1 else 1
    width, height = (WIDTH - 78 - 22 * (columns - 1)) / columns, 250
    parts, said = [], []
    for i, region in enumerate(regions):
        panel = svg.Panel(
            66 + (i % columns) * (width + 22),
            28 + (i // columns) * (height + 78),
            width,
            height,
            (-most, most),
            (deepest, 0),
        )
        depth = [(v, svg.tick(v)) for v in svg.ticks(0, deepest, 5)]
        parts.append(
            panel.frame(
                "mean index (sd)",
                "depth (cm)" if i % columns == 0 else "",
                y_ticks=depth if i % columns == 0 else [(v, "") for v, _ in depth],
                x_ticks=[(v, svg.tick(v)) for v in svg.ticks(-most, most, 3)],
                title=svg.short(reader.region_name(region), width),
            )
        )
        parts.append(svg.line(panel.at_x(0), panel.top, panel.at_x(0), panel.top + height, "reference"))
        for year in shown_years:
            mine = [r for r in rows if r["region_id"] == region and r["period_start"].year == year]
            points = [(panel.at(r["mean_ssmi"], (r["layer_top_cm"] + r["layer_bottom_cm"]) / 2), r) for r in mine]
            parts.append(svg.path([p for p, _ in points], "line", tint[year]))
            parts += [
                svg.dot(
                    *p,
                    f"{reader.region_name(region)}, {year}, {r['layer']}: {svg.number(r['mean_ssmi'])} {r['state'] or ''}".strip(),
                    4,
                    tint[year],
                )
                for p, r in points
            ]
            said.append(f"{reader.region_name(region)} {year}: " + ", ".join(r["state"] or "none" for r in mine) + ".")
    bottom = 28 + math.ceil(len(regions) / columns) * (height + 78)
    parts.append(svg.legend(66, bottom - 14, [(tint[y], str(y)) for y in shown_years], most_width=640))
    against = (
        "against each pixel's own calendar months"
        if kind["reference_kind"] == "pixel_month"
        else f"against all of {reader.region_name(kind['reference_region_id'])}"
    )
    return View(
        f"{kind['product']} · {against}",
        Drawing("".join(parts), WIDTH, bottom + 2),
        answer,
        "From the surface down. " + " ".join(said),
    )


def depth_pattern(reader: Reader) -> Figure:
    """The sequence of deficits and surpluses of each region and year."""
    reader.need("fct_depth_pattern")
    products = reader.some(
        "select distinct product from marts.fct_depth_pattern where pattern is not null order by all",
        "fct_depth_pattern",
    ).column("product")
    views = []
    for product in products:
        answer = reader.ask(
            f"""
            select region_id, period_start, period_end, pattern, pattern_by_layer, least_fraction, fraction_of_area, previous_pattern, is_changed
            from marts.fct_depth_pattern
            where product = {text(product)} and reference_kind = 'pixel_month' and period_kind = 'year'
            order by region_id, period_start
            """
        )
        rows = [r for r in answer.rows() if r["pattern_by_layer"]]
        if not rows:
            continue
        regions = [r["region_id"] for r in reader.regions if any(x["region_id"] == r["region_id"] for x in rows)][:12]
        years = sorted({r["period_start"].year for r in rows})[-12:]
        n_layers = max(len(r["pattern_by_layer"].split(">")) for r in rows)
        left = 30 + 7.2 * max(len(reader.region_name(r)) for r in regions)
        width, step = min(96.0, (WIDTH - left - 16) / len(years)), 11
        height = n_layers * step + 10
        parts = [svg.text(left + (j + 0.5) * width, 20, str(y), "tick", "middle") for j, y in enumerate(years)]
        for i, region in enumerate(regions):
            parts.append(svg.text(left - 8, 30 + i * height + height / 2, reader.region_name(region), "tick", "end"))
            for r in (r for r in rows if r["region_id"] == region and r["period_start"].year in years):
                x = left + years.index(r["period_start"].year) * width + 4
                for k, state in enumerate(r["pattern_by_layer"].split(">")):
                    tint = "#bf812d" if state == "deficit" else "#35978f"
                    parts.append(
                        svg.box(
                            x,
                            30 + i * height + k * step,
                            width - 8,
                            step - 1,
                            tint,
                            f"{reader.region_name(region)} {r['period_start'].year}, layer {k + 1} from the surface: {state}",
                        )
                    )
        bottom = 30 + len(regions) * height + 16
        parts.append(svg.legend(left, bottom, [("#bf812d", "deficit"), ("#35978f", "surplus")]))
        said = " ".join(
            f"{reader.region_name(r['region_id'])} {r['period_start'].year}: {r['pattern'].replace('>', ', then ')}."
            for r in rows
            if r["pattern"]
        )
        views.append(View(product, Drawing("".join(parts), WIDTH, bottom + 14), answer, said))
    if not views:
        raise Absent("fct_depth_pattern has no year with a pattern.")
    return Figure(
        "depth-pattern",
        "Order of deficit and surplus with depth",
        "Each block is one year of one region, its layers from the surface down, against each pixel's own calendar months.",
        ("fct_depth_pattern",),
        tuple(views),
    )
