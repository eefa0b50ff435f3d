"""Downscaling: how well each estimator does on data it has not seen, which features it uses, which windows were trained."""

from __future__ import annotations

import sys

from serving.report import svg
from serving.report.figures import naming
from serving.report.figures.drivers import heat
from serving.report.model import Absent, Answer, Drawing, Figure, View, first_of
from serving.report.palette import CLASSES
from serving.report.reader import Reader, where

WIDTH = 720
# From the score that a paper prints to the ones that say how it does elsewhere and at another time.
_SCORES = {
    "train_rmse": "rows it was trained on",
    "test_rmse": "random rows left out",
    "outer_rmse": "untouched fold",
    "spatial_cv_rmse": "blocks left out",
    "temporal_cv_rmse": "times left out",
}


def model_scores(reader: Reader) -> Figure:
    """Root mean square errors of every model by how the rows were left out."""
    mart = "fct_downscaling_models"
    reader.need(mart)
    rows = reader.some(f"select distinct framework from marts.{mart} order by all", mart).column("framework")
    views = []
    for framework in rows:
        answer = reader.ask(
            f"""
            select product, estimator, region_id, window_start, window_end, is_selected, n_train, n_test, {", ".join(_SCORES)}
            from marts.{mart}
            where {where(framework=framework)}
            order by product, estimator, region_id, window_start
            """
        )
        if any(v is not None for score in _SCORES for v in answer.column(score)):
            views.append(_scores(answer, framework))
    if not views:
        raise Absent(f"{mart} has no scores.")
    return Figure(
        "model-scores",
        "Models: error on rows they have not seen",
        "A point is one model (a window or a unit). Errors on random rows flatter a model of pixels that resemble their neighbours; blocks and "
        "times left out do not.",
        (mart,),
        tuple(views),
    )


def _scores(answer: Answer, framework: str) -> View:
    """A lane for each product and estimator, a line of points for each score."""
    lanes: dict[str, list[dict]] = {}
    for row in answer.rows():
        name = (
            row["product"] if row["product"].startswith(row["estimator"]) else f"{row['product']}, {row['estimator']}"
        )
        lanes.setdefault(name, []).append(row)
    # The estimators that see farthest first: by what they do on an untouched fold.
    shown = sorted(lanes, key=lambda name: _middle([r["outer_rmse"] for r in lanes[name]]))[:24]
    values = [r[s] for name in shown for r in lanes[name] for s in _SCORES if r[s] is not None]
    left, height = 40 + 7.0 * max(len(name) for name in shown), 24 + 9 * len(_SCORES)
    panel = svg.Panel(left, 24, WIDTH - left - 24, height * len(shown), (0, max(values) * 1.06), (len(shown), 0))
    names = [(i + 0.5, name) for i, name in enumerate(shown)]
    body = panel.frame("root mean square error (m³ m⁻³)", y_ticks=names)
    tint = dict(zip(_SCORES, CLASSES, strict=False))
    said = []
    for i, name in enumerate(shown):
        for k, score in enumerate(_SCORES):
            for r in (r for r in lanes[name] if r[score] is not None):
                words = f"{name}, {r['window_start']}, {_SCORES[score]}: {svg.number(r[score])}"
                body += svg.dot(panel.at_x(r[score]), panel.top + i * height + 16 + k * 9, words, 3.4, tint[score])
        n = len(lanes[name])
        said.append(f"{name}: {n} {'model' if n == 1 else 'models'}.")
    bottom = panel.top + panel.height + 58
    key = [(tint[s], words) for s, words in _SCORES.items()]
    body += svg.legend(40, bottom, key, most_width=WIDTH - 60)
    drawing = Drawing(body, WIDTH, bottom + 19 * svg.legend_lines(key, WIDTH - 60))
    return View(
        naming.words(framework).capitalize(),
        drawing,
        answer,
        "Smallest error on the untouched fold first. " + " ".join(said),
    )


def _middle(values: list[float | None]) -> float:
    """What lanes are put in order by: the middle value, the largest float without any."""
    known = sorted(v for v in values if v is not None)
    return known[len(known) // 2] if known else sys.float_info.max


def feature_importance(reader: Reader) -> Figure:
    """Importance of each feature for each estimator."""
    mart = "fct_feature_importance"
    reader.need(mart)
    kinds = reader.some(
        f"select distinct product, importance_kind, unit from marts.{mart} order by product, importance_kind <> 'permutation', importance_kind",
        mart,
    ).rows()
    shown, note = first_of(kinds)
    views = []
    for kind in shown:
        answer = reader.ask(
            f"""
            select framework, estimator, region_id, window_start, feature, importance, importance_rank, unit
            from marts.{mart}
            where {where(product=kind["product"], importance_kind=kind["importance_kind"])}
            order by estimator, region_id, window_start, importance_rank
            """
        )
        rows = [r for r in answer.rows() if r["importance"] is not None]
        if not rows:
            continue
        largest: dict[str, float] = {}
        for r in rows:
            largest[r["feature"]] = max(largest.get(r["feature"], 0.0), r["importance"])
        features = sorted(largest, key=lambda f: -largest[f])[:20]
        left = 40 + 7.2 * max(len(f) for f in features)
        low = min(0.0, min(r["importance"] for r in rows))
        panel = svg.Panel(
            left,
            22,
            WIDTH - left - 24,
            24 * len(features),
            (low, max(largest.values()) * 1.05 or 1),
            (len(features), 0),
        )
        estimators = list(dict.fromkeys(r["estimator"] for r in rows))
        tint = {e: CLASSES[i % 8] for i, e in enumerate(estimators)}
        body = panel.frame(
            naming.named(f"importance, {naming.words(kind['importance_kind'])}", kind["unit"]),
            y_ticks=[(i + 0.5, naming.words(f)) for i, f in enumerate(features)],
        )
        for r in (r for r in rows if r["feature"] in features):
            y = (
                panel.at_y(features.index(r["feature"]) + 0.5)
                + (estimators.index(r["estimator"]) - (len(estimators) - 1) / 2) * 3.6
            )
            body += svg.dot(
                panel.at_x(r["importance"]),
                y,
                f"{r['estimator']}, {naming.words(r['feature'])}: {svg.number(r['importance'])}",
                3.2,
                tint[r["estimator"]],
            )
        bottom = panel.top + panel.height + 58
        body += svg.legend(40, bottom, [(tint[e], e) for e in estimators], most_width=WIDTH - 60)
        said = "Most important first: " + ", ".join(naming.words(f) for f in features[:6]) + "."
        views.append(
            View(
                f"{kind['product']} · {naming.words(kind['importance_kind'])}",
                Drawing(body, WIDTH, bottom + 19 * svg.legend_lines([("", e) for e in estimators], WIDTH - 60)),
                answer,
                said,
            )
        )
    if not views:
        raise Absent(f"{mart} has no importance.")
    return Figure(
        "feature-importance",
        "Features: what the models use",
        "A point is one model. Importance says what a model uses, not what moves soil moisture.",
        (mart,),
        tuple(views),
        note,
    )


def windows(reader: Reader) -> Figure:
    """What happened in each window."""
    mart = "fct_downscaling_windows"
    reader.need(mart)
    answer = reader.some(
        f"select product, region_id, window_start, window_end, n_valid, status, model_id from marts.{mart} order by product, region_id, window_start",
        mart,
    )
    rows = answer.rows()
    statuses = list(dict.fromkeys(r["status"] or "none" for r in rows))
    tint = {s: CLASSES[i % 8] for i, s in enumerate(statuses)}
    lanes = list(dict.fromkeys((r["product"], r["region_id"]) for r in rows))[:24]
    first = min(r["window_start"] for r in rows)
    last = max(r["window_end"] for r in rows)
    days = max((last - first).days, 1)
    left = 40 + 7.0 * max(len(f"{p}, {reader.region_name(r)}") for p, r in lanes)
    panel = svg.Panel(left, 20, WIDTH - left - 20, 28 * len(lanes), (0, days), (len(lanes), 0))
    marks = [
        ((d - first).days, str(d.year))
        for d in (type(first)(y, 1, 1) for y in range(first.year, last.year + 1))
        if d >= first
    ] or [(0, str(first))]
    body = panel.frame(
        x_ticks=marks, y_ticks=[(i + 0.5, f"{p}, {reader.region_name(r)}") for i, (p, r) in enumerate(lanes)]
    )
    for r in rows:
        if (r["product"], r["region_id"]) in lanes:
            x, end = (panel.at_x((r[k] - first).days) for k in ("window_start", "window_end"))
            status = r["status"] or "none"
            body += svg.box(
                x,
                panel.top + lanes.index((r["product"], r["region_id"])) * 28 + 3,
                end - x - 0.6,
                22,
                tint[status],
                f"{r['product']}, {r['window_start']} to {r['window_end']}: {status}, {r['n_valid'] or 0:,} samples",
            )
    bottom = panel.top + panel.height + 40
    body += svg.legend(40, bottom, [(tint[s], naming.words(s)) for s in statuses], most_width=WIDTH - 60)
    counts = ", ".join(f"{sum((r['status'] or 'none') == s for r in rows)} {naming.words(s)}" for s in statuses)
    view = View(
        "all windows",
        Drawing(body, WIDTH, bottom + 19 * svg.legend_lines([("", s) for s in statuses], WIDTH - 60)),
        answer,
        f"{len(rows)} windows: {counts}.",
    )
    return Figure(
        "windows", "Training windows", "Each block is one window of days, and what its model is.", (mart,), (view,)
    )


def comparison_matrix(reader: Reader) -> Figure:
    """Agreement of gridded products on common days and pixels."""
    mart = "fct_product_comparison"
    reader.need(mart)
    keys = ("region_id", "period_kind", "season", "period_start", "period_end", "sampling")
    rows = reader.some(
        f"select distinct {', '.join(keys)} from marts.{mart} where r is not null order by all", mart
    ).rows()
    place = {r["region_id"]: i for i, r in enumerate(reader.regions)}
    rows.sort(key=lambda r: (r["period_kind"] != "all", place.get(r["region_id"], 99)))
    choices, note = first_of(rows, 12)
    views = []
    for choice in choices:
        answer = reader.ask(
            f"""
            select product_1, layer_1, product_2, layer_2, time_step, grid_id, n, r, rmse_m3m3, bias_m3m3, ubrmse_m3m3, shares_input
            from marts.{mart}
            where {where(**choice)}
            order by n desc, product_1, product_2
            """
        )
        cells: dict = {}
        for r in answer.rows():
            pair = tuple(f"{r[f'product_{i}']}, {r[f'layer_{i}']}" for i in (1, 2))
            if r["r"] is not None and pair not in cells:  # of a pair by day and by month, the one with more values
                said = f"{pair[0]} and {pair[1]}: r {svg.number(r['r'], 3)}, RMSE {svg.number(r['rmse_m3m3'], 3)} m³ m⁻³, {r['n']:,} {r['time_step']} values"
                said += ", made with the same input" if r["shares_input"] else ""
                cells[pair] = (r["r"], f"{r['r']:.2f}{'*' if r['shares_input'] else ''}", said)
        if not cells:
            continue
        first = sorted({a for a, _ in cells})
        second = sorted({b for _, b in cells})
        drawing = heat(first, second, cells, "cividis", 0, 1, 30 + 7.2 * max(len(p) for p in first))
        best = max(cells.items(), key=lambda c: c[1][0])
        label = f"{reader.region_name(choice['region_id'])} · {naming.period(choice)}"
        views.append(View(label, drawing, answer, f"Closest: {best[1][2]}."))
    if not views:
        raise Absent(f"{mart} has no pair of products.")
    return Figure(
        "product-comparison",
        "Products against each other",
        "Correlation on common pixels and days; * marks products that were made with the same input, whose agreement proves little.",
        (mart,),
        tuple(views),
        note,
    )
