"""Validation against stations: match-ups and the Taylor diagram; and our values beside those that papers print."""

from __future__ import annotations

import math

from serving.report import svg
from serving.report.figures import naming
from serving.report.model import Absent, Drawing, Figure, View, first_of
from serving.report.palette import CLASSES
from serving.report.reader import Reader, where

WIDTH = 720
MOST_POINTS = 1500


def scatter(reader: Reader) -> Figure:
    """Estimates beside what stations measured."""
    mart = "fct_matchups"
    reader.need(mart)
    found = reader.some(
        f"""
        select product, layer, reference_product, count(*) as n
        from marts.{mart}
        where estimate_m3m3 is not null and reference_m3m3 is not null
        group by product, layer, reference_product
        order by product, layer, reference_product
        """,
        mart,
    ).rows()
    choices, note = first_of(found)
    stations = sorted(reader.ask(f"select distinct station_id from marts.{mart} order by all").column("station_id"))
    tint = {s: CLASSES[i % 7] for i, s in enumerate(stations)}
    views = []
    for choice in choices:
        every = max(1, math.ceil(choice["n"] / MOST_POINTS))
        keys = where(product=choice["product"], layer=choice["layer"], reference_product=choice["reference_product"])
        answer = reader.ask(
            f"""
            select station_id, obs_date, estimate_m3m3, reference_m3m3, depth_gap_cm, distance_m
            from marts.{mart}
            where {keys} and estimate_m3m3 is not null and reference_m3m3 is not null
            qualify row_number() over (order by station_id, obs_date) % {every} = 0
            order by station_id, obs_date
            """
        )
        rows = answer.rows()
        if not rows:
            continue
        most = max(max(r["estimate_m3m3"], r["reference_m3m3"]) for r in rows) * 1.05
        least = min(0.0, *(min(r["estimate_m3m3"], r["reference_m3m3"]) for r in rows))
        panel = svg.Panel(86, 20, 400, 400, (least, most), (least, most))
        body = panel.frame("station (m³ m⁻³)", "product (m³ m⁻³)")
        body += svg.path([panel.at(least, least), panel.at(most, most)], "line reference")
        for r in rows:
            words = f"{r['station_id']}, {r['obs_date']}: station {svg.number(r['reference_m3m3'])}, product {svg.number(r['estimate_m3m3'])}"
            body += svg.dot(
                *panel.at(r["reference_m3m3"], r["estimate_m3m3"]), words, 2.4, tint[r["station_id"]], "dot through"
            )
        if len(stations) <= 14:
            body += "".join(svg.legend(510, 34 + 20 * i, [(tint[s], s[:26])]) for i, s in enumerate(stations))
        shown = (
            f"{len(rows):,} of {choice['n']:,} match-ups, one of every {every}."
            if every > 1
            else f"{len(rows):,} match-ups."
        )
        label = f"{choice['product']} · {choice['layer']} · {choice['reference_product']}"
        views.append(
            View(label, Drawing(body, WIDTH, 470), answer, f"{shown} {len({r['station_id'] for r in rows})} stations.")
        )
    if not views:
        raise Absent(f"{mart} has no pair of values.")
    return Figure(
        "validation-scatter",
        "Against stations",
        "Each point is one match-up; on the broken line the product equals the station. The colour is the station's.",
        (mart,),
        tuple(views),
        note,
    )


def taylor(reader: Reader) -> Figure:
    """Standard deviation, correlation and centred error in one diagram.

    Taylor 2001, doi:10.1029/2000JD900719.
    """
    mart = "fct_station_validation"
    reader.need(mart)
    keys = (
        "unit_kind",
        "period_kind",
        "season",
        "period_start",
        "period_end",
        "on_values",
        "scaling",
        "reference_product",
    )
    found = reader.some(
        f"select distinct {', '.join(keys)} from marts.{mart} where r is not null order by all", mart
    ).rows()
    found.sort(
        key=lambda r: (
            r["unit_kind"] != "station",
            r["period_kind"] != "all",
            r["on_values"] != "raw",
            r["scaling"] != "none",
        )
    )
    choices, note = first_of(found, 12)
    views = []
    for choice in choices:
        answer = reader.ask(
            f"""
            select product, layer, unit_id, n, r, sd_estimate_m3m3, sd_reference_m3m3, rmse_m3m3, bias_m3m3, ubrmse_m3m3, r_class
            from marts.{mart}
            where {where(**choice)} and r is not null
            order by product, layer, unit_id
            """
        )
        rows = [r for r in answer.rows() if r["sd_estimate_m3m3"] and r["sd_reference_m3m3"]]
        if rows:
            views.append(View(_scores_of(choice), _taylor(rows), answer, _taylor_words(rows)))
    if not views:
        raise Absent(f"{mart} has no station with a correlation.")
    return Figure(
        "taylor",
        "Taylor diagram",
        "Each point is a product at a station, or over a network or region: its angle is the correlation, its distance from the corner the standard "
        "deviation over the station's, its distance from the star the centred error over the station's standard deviation. A negative correlation "
        "is drawn at the vertical axis.",
        (mart,),
        tuple(views),
        note,
    )


def _scores_of(choice: dict) -> str:
    """What the scores of one choice are of, in words."""
    scaled = "" if choice.get("scaling") in (None, "none") else f" · scaled by {naming.words(choice['scaling'])}"
    form = "anomalies" if choice["on_values"] == "anomaly" else f"{naming.words(choice['on_values'])} values"
    return f"{choice['unit_kind']}s of {choice['reference_product']} · {naming.period(choice)} · {form}{scaled}"


def before_after(reader: Reader) -> Figure:
    """Error of the coarse product and of the fine one at the same stations and days."""
    mart = "fct_validation_change"
    reader.need(mart)
    keys = (
        "unit_kind",
        "period_kind",
        "season",
        "period_start",
        "period_end",
        "on_values",
        "reference_product",
        "product_before",
        "product_after",
    )
    found = reader.some(f"select distinct {', '.join(keys)} from marts.{mart} order by all", mart).rows()
    found.sort(key=lambda r: (r["unit_kind"] != "station", r["period_kind"] != "all", r["on_values"] != "raw"))
    choices, note = first_of(found, 16)
    views = []
    for choice in choices:
        answer = reader.ask(
            f"""
            select unit_id, layer_before, layer_after, n, ubrmse_before_m3m3, ubrmse_after_m3m3, ubrmse_change_m3m3, r_before, r_after
            from marts.{mart}
            where {where(**choice)} and ubrmse_before_m3m3 is not null and ubrmse_after_m3m3 is not null
            order by unit_id
            """
        )
        rows = answer.rows()[:40]
        if not rows:
            continue
        pairs = [(r["unit_id"], r["ubrmse_before_m3m3"], r["ubrmse_after_m3m3"]) for r in rows]
        names = (choice["product_before"], choice["product_after"])
        better = sum(after < before for _, before, after in pairs)
        said = f"{names[1]} has the smaller error at {better} of {len(pairs)}."
        label = f"{names[0]} → {names[1]} · {_scores_of(choice)}"
        views.append(View(label, dumbbells(pairs, names, "ubRMSE (m³ m⁻³)", zero=True), answer, said))
    if not views:
        raise Absent(f"{mart} has no pair of scores.")
    return Figure(
        "before-after",
        "Coarse before, fine after",
        "Unbiased error of two products against the same stations on the same days: to the left is better.",
        (mart,),
        tuple(views),
        note,
    )


def dumbbells(
    rows: list[tuple[str, float, float]], names: tuple[str, str], quantity: str, zero: bool = False
) -> Drawing:
    """Two points a row, joined by a line: (label, first, second)."""
    left = 30 + 6.8 * min(max(len(r[0]) for r in rows), 44)
    values = [v for _, a, b in rows for v in (a, b)]
    limits = (0.0, max(values) * 1.06 or 1.0) if zero else svg.padded(min(values), max(values))
    panel = svg.Panel(left, 20, WIDTH - left - 24, 24 * len(rows), limits, (len(rows), 0))
    body = panel.frame(quantity, y_ticks=[(i + 0.5, r[0][:44]) for i, r in enumerate(rows)])
    for i, (label, first, second) in enumerate(rows):
        y, a, b = panel.at_y(i + 0.5), panel.at_x(first), panel.at_x(second)
        body += svg.line(a, y, b, y, "reference")
        body += svg.dot(a, y, f"{label}: {names[0]} {svg.number(first)}", 5, CLASSES[1])
        body += svg.dot(b, y, f"{label}: {names[1]} {svg.number(second)}", 5, CLASSES[0])
    bottom = panel.top + panel.height + 58
    body += svg.legend(40, bottom, [(CLASSES[1], names[0]), (CLASSES[0], names[1])], most_width=WIDTH - 60)
    return Drawing(body, WIDTH, bottom + 19 * svg.legend_lines([("", n) for n in names], WIDTH - 60))


def _taylor(rows: list[dict]) -> Drawing:
    most = min(max(1.4, max(r["sd_estimate_m3m3"] / r["sd_reference_m3m3"] for r in rows) * 1.08), 4.0)
    left, top, size = 70.0, 30.0, 420.0
    scale = size / most

    def at(ratio: float, r: float) -> tuple[float, float]:
        angle = math.acos(min(max(r, 0.0), 1.0))
        return left + ratio * scale * math.cos(angle), top + size - ratio * scale * math.sin(angle)

    def arc(radius: float, kind: str) -> str:
        return svg.path(
            [
                (
                    left + radius * scale * math.cos(t * math.pi / 80),
                    top + size - radius * scale * math.sin(t * math.pi / 80),
                )
                for t in range(41)
            ],
            kind,
        )

    parts = [arc(v, "line faint") for v in svg.ticks(0, most, 5) if 0 < v < most] + [
        arc(most, "line outer"),
        arc(1.0, "line reference"),
    ]
    for r in (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99):
        x, y = at(most, r)
        parts += [svg.line(left, top + size, x, y, "grid"), svg.text(x + 7, y - 2, svg.tick(r), "tick")]
    parts += [svg.line(left, top + size, left + size, top + size), svg.line(left, top, left, top + size)]
    for v in svg.ticks(0, most, 5):
        parts += [svg.text(left + v * scale, top + size + 17, svg.tick(v), "tick", "middle")]
    for d in (0.5, 1.0):  # centred error about the star, inside the quarter circle
        ring = [
            (left + scale * (1 + d * math.cos(t * math.pi / 40)), top + size - scale * d * math.sin(t * math.pi / 40))
            for t in range(41)
        ]
        ring = [p for p in ring if p[0] >= left and math.hypot(p[0] - left, p[1] - top - size) <= most * scale]
        parts.append(svg.path(ring, "line faint dashed"))
    products = list(dict.fromkeys(r["product"] for r in rows))
    tint = {p: CLASSES[i % 8] for i, p in enumerate(products)}
    for r in rows:
        who = r["unit_id"]
        ratio = r["sd_estimate_m3m3"] / r["sd_reference_m3m3"]
        x, y = at(min(ratio, most), r["r"])
        parts.append(
            svg.dot(
                x,
                y,
                f"{r['product']}, {who}: r {svg.number(r['r'], 3)}, standard deviation {svg.number(ratio, 3)} of the station's, ubRMSE {svg.number(r['ubrmse_m3m3'], 3)} m³ m⁻³",
                4.5,
                tint[r["product"]],
                "dot through",
            )
        )
    parts.append(svg.text(left + scale, top + size + 5, "★", "star", "middle"))
    parts.append(
        svg.text(left + size / 2, top + size + 40, "standard deviation over that of the station", "name", "middle")
    )
    x, y = at(most, 0.68)
    parts.append(svg.text(x + 34, y - 16, "correlation", "name"))
    parts += [svg.legend(530, top + 150 + 20 * i, [(tint[p], p[:24])]) for i, p in enumerate(products)]
    return Drawing("".join(parts), WIDTH, top + size + 52)


def _taylor_words(rows: list[dict]) -> str:
    words = []
    for product in dict.fromkeys(r["product"] for r in rows):
        mine = sorted(r["r"] for r in rows if r["product"] == product)
        words.append(
            f"{product}: {len(mine)} points, correlation from {svg.number(mine[0], 3)} to {svg.number(mine[-1], 3)}."
        )
    return " ".join(words)


def published(reader: Reader) -> Figure:
    """What the study's paper prints beside what the study computes."""
    mart = "fct_published_comparison"
    reader.need(mart)
    found = reader.ask(
        f"select distinct paper, item, unit from marts.{mart} where ours is not null order by all"
    ).rows()
    if not found:
        raise Absent("The study names no paper, or computes none of its figures (`paper` of the study).")
    choices, note = first_of(found)
    views = []
    for choice in choices:
        answer = reader.ask(
            f"""
            select row_label, published, ours, difference, unit, is_consistent, note, product, layer, region_id
            from marts.{mart}
            where {where(paper=choice["paper"], item=choice["item"], unit=choice["unit"])}
            order by row_label
            """
        )
        rows = [r for r in answer.rows() if r["ours"] is not None][:40]
        doubted = {r["row_label"]: "" if r["is_consistent"] else " (the paper contradicts itself)" for r in rows}
        pairs = [(r["row_label"] + doubted[r["row_label"]], r["published"], r["ours"]) for r in rows]
        far = max(rows, key=lambda r: abs(r["difference"]))
        said = f"{len(rows)} figures; the largest difference is {svg.number(far['difference'])} at {far['row_label']}."
        views.append(
            View(
                f"{choice['paper']}: {choice['item']}",
                dumbbells(pairs, ("printed", "ours"), f"{choice['item']} ({choice['unit']})"),
                answer,
                said,
            )
        )
    return Figure(
        "published",
        "Beside the paper",
        "What the paper prints and what this study computes from its own data.",
        (mart,),
        tuple(views),
        note,
    )
