"""Drivers: q by factor and period, and the interaction of two factors."""

from __future__ import annotations

from html import escape

from serving.report import svg
from serving.report.figures import naming
from serving.report.model import Absent, Drawing, Figure, View, first_of, thinned
from serving.report.palette import colour, ink_on
from serving.report.reader import Reader, where

WIDTH = 720
_TARGET = ("variable", "product", "layer", "region_id", "grid_id")


def _targets(reader: Reader, mart: str) -> list[dict]:
    """Targets and regions with rows, those of the main region and of soil moisture first."""
    rows = reader.some(f"select distinct {', '.join(_TARGET)} from marts.{mart} order by all", mart).rows()
    place = {r["region_id"]: i for i, r in enumerate(reader.regions)}
    order = {(s["variable"], s["product"], s["layer"]): i for i, s in enumerate(reader.series)}
    rows.sort(key=lambda r: (place.get(r["region_id"], 99), order.get((r["variable"], r["product"], r["layer"]), 999)))
    return rows


def heat(
    rows: list[str],
    columns: list[str],
    cells: dict[tuple[str, str], tuple[float | None, str, str]],
    palette: str,
    low: float,
    high: float,
    left: float,
) -> Drawing:
    """A table of coloured cells: (row, column) -> (value, what stands in it, what is said of it)."""
    width = min(86.0, (WIDTH - left - 56) / max(len(columns), 1))
    is_turned = max((7.0 * len(c) for c in columns), default=0) > width
    height, top = 30.0, 34 + (5.6 * max((len(c) for c in columns), default=0) if is_turned else 6)
    parts = []
    for j, column in enumerate(columns):
        x = left + (j + 0.5) * width
        if is_turned:
            parts.append(
                f'<text class="tick" transform="translate({svg.place(x + 4)} {svg.place(top - 6)}) rotate(-55)">{escape(column)}</text>'
            )
        else:
            parts.append(svg.text(x, top - 8, column, "tick", "middle"))
    for i, row in enumerate(rows):
        parts.append(svg.text(left - 8, top + (i + 0.5) * height + 4, row, "tick", "end"))
        for j, column in enumerate(columns):
            value, shown, said = cells.get((row, column), (None, "", f"{row}, {column}: none"))
            x, y = left + j * width, top + i * height
            if value is None:
                parts.append(
                    f'<rect class="none" x="{svg.place(x)}" y="{svg.place(y)}" width="{svg.place(width - 1)}" height="{height - 1}"{svg.said(said)}/>'
                )
                continue
            tint = colour(palette, min(max((value - low) / ((high - low) or 1), 0), 1))
            parts.append(svg.box(x, y, width - 1, height - 1, tint, said))
            if width < 46:  # without the 0 that they all begin with
                shown = shown.removeprefix("0")
            if width >= 26:
                parts.append(
                    f'<text class="in" x="{svg.place(x + width / 2)}" y="{svg.place(y + height / 2 + 4)}" text-anchor="middle" style="fill:{ink_on(tint)}">{shown}</text>'
                )
    return Drawing("".join(parts), WIDTH, top + len(rows) * height + 14)


def q_heat_map(reader: Reader) -> Figure:
    """q of each factor in each period."""
    reader.need("fct_factor_detector")
    choices, note = first_of(_targets(reader, "fct_factor_detector"))
    alpha = reader.facts.alpha
    views = []
    for target in choices:
        answer = reader.ask(
            f"""
            select period_kind, season, period_start, period_end, factor, q, q_rank, p_permutation, p_noncentral, method, n_strata, n_used, reason
            from marts.fct_factor_detector
            where {where(**target)}
            order by period_kind, period_start, season, q_rank
            """
        )
        found = answer.rows()
        if not any(r["q"] is not None for r in found):
            continue
        kinds = ("all", "year", "season", "month", "window")
        periods = sorted({(kinds.index(r["period_kind"]), r["period_start"], r["season"] or "") for r in found})
        shown_periods, cut = thinned(periods, 48)
        label = {(kinds.index(r["period_kind"]), r["period_start"], r["season"] or ""): naming.period(r) for r in found}
        mean: dict[str, list[float]] = {}
        for r in found:
            mean.setdefault(r["factor"], []).append(r["q"] or 0.0)
        factors = sorted(mean, key=lambda f: -sum(mean[f]) / len(mean[f]))
        cells = {}
        for r in found:
            p = r["p_permutation"] if r["p_permutation"] is not None else r["p_noncentral"]
            sure = p is not None and p < alpha
            star = "★" if r["q_rank"] == 1 else ""
            column = label[(kinds.index(r["period_kind"]), r["period_start"], r["season"] or "")]
            said = f"{naming.words(r['factor'])}, {column}: " + (
                f"q {svg.number(r['q'], 3)}, rank {r['q_rank']}, p {svg.number(p, 2)}, {r['n_strata']} strata by {r['method']}"
                if r["q"] is not None
                else f"no q, {r['reason']}"
            )
            q = r["q"]
            cells[naming.words(r["factor"]), column] = (
                q,
                "" if q is None else f"{q:.2f}{'' if sure else '°'}{star}",
                said,
            )
        longest = max(len(f) for f in factors)
        drawing = heat(
            [naming.words(f) for f in factors],
            [label[p] for p in shown_periods],
            cells,
            "cividis",
            0,
            1,
            30 + 7.2 * longest,
        )
        best = max((r for r in found if r["q"] is not None), key=lambda r: (r["period_kind"] == "all", r["q"]))
        said = f"{naming.words(best['factor'])} explains most over {naming.period(best)}: q {svg.number(best['q'], 3)} of {best['n_used']:,} pixels. {cut}"
        views.append(
            View(f"{naming.series(target)} · {reader.region_name(target['region_id'])}", drawing, answer, said.strip())
        )
    if not views:
        raise Absent("fct_factor_detector has no factor with a q; its column `reason` says why.")
    return Figure(
        "q-heat-map",
        "What explains the map: q by factor and period",
        f"q is the share of the variance over pixels that strata of the factor explain, 0 to 1. ★ leads its period; ° marks p of at least {alpha} "
        "(by permutation, which keeps the map's autocorrelation, where the study asks for it).",
        ("fct_factor_detector",),
        tuple(views),
        note,
    )


def interactions(reader: Reader) -> Figure:
    """q of two factors together."""
    reader.need("fct_interaction_detector")
    periods = reader.some(
        f"select distinct {', '.join(_TARGET)}, period_kind, season, period_start, period_end from marts.fct_interaction_detector order by all",
        "fct_interaction_detector",
    ).rows()
    place = {r["region_id"]: i for i, r in enumerate(reader.regions)}
    order = {(s["variable"], s["product"], s["layer"]): i for i, s in enumerate(reader.series)}
    periods.sort(
        key=lambda r: (
            place.get(r["region_id"], 99),
            order.get((r["variable"], r["product"], r["layer"]), 999),
            r["period_kind"] != "all",
            r["period_start"],
        )
    )
    whole = [p for p in periods if p["period_kind"] == "all"]
    choices, note = first_of(whole or periods)
    views = []
    for p in choices:
        answer = reader.ask(
            f"""
            select factor_1, factor_2, q_1, q_2, q_12, interaction, n_strata_12, n_used
            from marts.fct_interaction_detector
            where {where(**p)}
            order by factor_1, factor_2
            """
        )
        rows = [r for r in answer.rows() if r["q_12"] is not None]
        if not rows:
            continue
        single: dict[str, float] = {}
        for r in rows:
            single |= {r["factor_1"]: r["q_1"], r["factor_2"]: r["q_2"]}
        factors = [naming.words(f) for f in sorted(single, key=lambda f: -(single[f] or 0))]
        cells = {}
        for f, q in single.items():
            if q is not None:
                cells[naming.words(f), naming.words(f)] = (
                    q,
                    f"{q:.2f}",
                    f"{naming.words(f)} alone: q {svg.number(q, 3)}",
                )
        for r in rows:
            a, b = naming.words(r["factor_1"]), naming.words(r["factor_2"])
            if factors.index(a) < factors.index(b):
                a, b = b, a  # the lower triangle
            cells[a, b] = (
                r["q_12"],
                f"{r['q_12']:.2f}",
                f"{a} and {b}: q {svg.number(r['q_12'], 3)}, {naming.words(r['interaction'] or '')}",
            )
        for i, a in enumerate(factors):
            for b in factors[i + 1 :]:
                cells.setdefault((a, b), (None, "", f"{a} and {b}: see the lower half"))
        longest = max(len(f) for f in factors)
        best = max(rows, key=lambda r: r["q_12"])
        said = f"{naming.words(best['factor_1'])} with {naming.words(best['factor_2'])} explain most together: q {svg.number(best['q_12'], 3)}, {naming.words(best['interaction'] or '')}."
        label = f"{naming.series(p)} · {reader.region_name(p['region_id'])} · {naming.period(p)}"
        drawing = heat(factors, factors, cells, "cividis", 0, 1, 30 + 7.2 * longest)
        views.append(View(label, drawing, answer, said))
    if not views:
        raise Absent("fct_interaction_detector has no pair of factors.")
    return Figure(
        "interactions",
        "Interaction of two factors",
        "q of the strata that two factors make together; on the diagonal, the factor alone (of the pixels of its last pair).",
        ("fct_interaction_detector",),
        tuple(views),
        note,
    )
