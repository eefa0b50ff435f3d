"""Maps: mean, trend, temporal stability, drought, and products of one layer beside each other."""

from __future__ import annotations

import math

import numpy as np

from serving.report import maps, svg
from serving.report.figures import naming
from serving.report.model import Absent, Answer, Drawing, Figure, View, first_of, thinned
from serving.report.palette import colour
from serving.report.reader import Reader, text, where

WIDTH = 720
# Each carries a row a pixel.
MOST_MAPS = 16
_LEFT, _TOP, _MOST_WIDTH, _MOST_HEIGHT = 74, 30, 460, 430

STABILITY = ("excellent", "good", "stable", "poor", "very poor")
DROUGHT = (
    ("extreme drought", "at most −2"),
    ("severe drought", "−2 to −1.5"),
    ("moderate drought", "−1.5 to −1"),
    ("mild drought", "−1 to 0"),
    ("neither", "0"),
    ("mildly wet", "0 to 1"),
    ("moderately wet", "1 to 1.5"),
    ("very wet", "1.5 to 2"),
    ("extremely wet", "from 2"),
)


def _values(answer: Answer, column: str) -> np.ndarray:
    return np.array([math.nan if v is None else float(v) for v in answer.column(column)], np.float64)


def _limits(values: np.ndarray, about_zero: bool) -> tuple[float, float]:
    """The middle 98 % of the values: one odd pixel must not take the colours from all others. About 0 where signs are what counts."""
    seen = values[np.isfinite(values)]
    low, high = (float(v) for v in np.quantile(seen, [0.01, 0.99])) if len(seen) > 50 else (seen.min(), seen.max())
    if about_zero:
        most = max(abs(low), abs(high)) or 1e-9
        return -most, most
    return (low, high) if high > low else svg.padded(low, high)


def _outline(reader: Reader, grid_id: str, cells: maps.Cells) -> list[tuple[int, int, int, int]]:
    """Borders of the regions on the cells of a map; none on thinned maps and where there are hundreds of regions."""
    if not reader.has("dim_pixel_region") or cells.step > 1 or len(reader.regions) > 200:
        return []
    key = ("outline", grid_id, cells.first_row, cells.first_column, cells.shape)
    if key not in reader.kept:
        members: dict[str, set[tuple[int, int]]] = {}
        for row in reader.ask(
            f"""
            select region_id, row_index, col_index
            from marts.dim_pixel_region
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where {where(grid_id=grid_id)} and fraction >= 0.5
            """
        ).rows():
            members.setdefault(row["region_id"], set()).add((row["row_index"], row["col_index"]))
        found = maps.borders(members, cells)
        # Around scattered pixels there is nothing but border.
        reader.kept[key] = found if len(found) < 0.5 * (cells.index >= 0).sum() + 8 else []
    return reader.kept[key]


def _spoken(values: np.ndarray, name: str, shown_unit: str) -> str:
    seen = values[np.isfinite(values)]
    if not len(seen):
        return f"No pixel has a {name}."
    return (
        f"{len(seen):,} pixels; {name} from {svg.number(float(seen.min()))} to {svg.number(float(seen.max()))}"
        f"{' ' + shown_unit if shown_unit else ''}."
    )


def _continuous(
    reader: Reader,
    answer: Answer,
    grid_id: str,
    column: str,
    name: str,
    unit: str,
    palette: str,
    about_zero=False,
    dots=None,
) -> tuple[Drawing, np.ndarray]:
    """A map of one column, with the key of its colours."""
    cells = maps.cells_of(answer, reader.step(grid_id))
    values = _values(answer, column)
    if not np.isfinite(values).any():
        raise Absent("No pixel has a value.")
    low, high = _limits(values, about_zero)
    place = maps.fitted(cells, _LEFT, _TOP, _MOST_WIDTH, _MOST_HEIGHT)
    drawn = maps.draw(
        cells,
        maps.paint(cells.grid(answer.column(column)), palette, low, high),
        place,
        value=column,
        unit=naming.unit(unit),
        outline=_outline(reader, grid_id, cells),
        dots=None if dots is None else cells.grid(dots) == 1,
        name=name,
    )
    key = maps.bar(
        place.left + place.width + 34,
        place.top + 26,
        min(220, max(90, place.height - 40)),
        palette,
        low,
        high,
        name,
        naming.unit(unit),
    )
    return Drawing(drawn + key, WIDTH, place.top + max(place.height, 120) + 30), values


def _thinned(reader: Reader, grids: set[str]) -> str:
    steps = {g: reader.step(g) for g in grids if reader.step(g) > 1}
    return " ".join(
        f"Grid {g} has more pixels than a page can show: one of every {k} rows and columns is drawn."
        for g, k in steps.items()
    )


def _moisture(reader: Reader, mart: str) -> list[dict]:
    """The series that a mart has rows of, in the order of the study."""
    has = reader.ask(
        f"select distinct {'variable, ' if reader.has(mart, 'variable') else ''}product, layer from marts.{mart}"
    ).rows()
    keys = {tuple(sorted(row.items())) for row in has}
    return [
        s
        for s in reader.series
        if tuple(sorted((k, s[k]) for k in (has[0] if has else ()))) in keys
        and (reader.has(mart, "variable") or s["variable"] == "soil_moisture")
    ]


def mean_map(reader: Reader) -> Figure:
    """Mean over the study's covered months."""
    reader.need("fct_temporal_stability", "dim_pixel")
    choices, note = first_of(_moisture(reader, "fct_temporal_stability"), MOST_MAPS)
    views = []
    for s in choices:
        answer = reader.ask(
            f"""
            select distinct pixel_id, row_index, col_index, lon, lat, mean, n_months, unit
            from marts.fct_temporal_stability
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where {where(variable=s["variable"], product=s["product"], layer=s["layer"])} and period_kind = 'all'{reader.thinning(s["grid_id"])}
            order by pixel_id
            """
        )
        if len(answer):
            unit = answer.column("unit")[0]
            warm = "temperature" in s["variable"]
            name = f"mean {naming.words(s['variable'])}"
            drawing, values = _continuous(
                reader, answer, s["grid_id"], "mean", "mean", unit, "cividis" if warm else "viridis"
            )
            views.append(View(naming.series(s), drawing, answer, _spoken(values, name, naming.unit(unit))))
    if not views:
        raise Absent("fct_temporal_stability has no rows over the whole study (`stability.periods` of the study: all).")
    return Figure(
        "mean-map",
        "Mean over the study",
        "Mean of the covered months of each pixel. Lines are borders of regions, along pixels. Colours span the middle 98 % of the pixels. "
        "Where a product has a pixel on every k-th cell of its grid only, each is drawn k cells wide.",
        ("fct_temporal_stability", "dim_pixel"),
        tuple(views),
        " ".join((note, _thinned(reader, {s["grid_id"] for s in choices}))).strip(),
    )


def trend_map(reader: Reader) -> Figure:
    """Sen's slope, with points where Mann-Kendall's test is significant."""
    reader.need("fct_trends", "dim_pixel")
    combinations = reader.some(
        "select distinct time_step, season from marts.fct_trends order by time_step desc, season", "fct_trends"
    ).rows()
    alpha = reader.facts.alpha
    choices, note = first_of([(s, c) for s in _moisture(reader, "fct_trends") for c in combinations], MOST_MAPS)
    views = []
    for s, c in choices:
        answer = reader.ask(
            f"""
            select pixel_id, row_index, col_index, lon, lat, sen_slope_per_year, mk_p, trend_class, unit
            from marts.fct_trends
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where {where(variable=s["variable"], product=s["product"], layer=s["layer"], **c)}{reader.thinning(s["grid_id"])}
            order by pixel_id
            """
        )
        if not len(answer) or not np.isfinite(_values(answer, "sen_slope_per_year")).any():
            continue
        unit = answer.column("unit")[0]
        significant = [1.0 if p is not None and p < alpha else 0.0 for p in answer.column("mk_p")]
        warm = "temperature" in s["variable"]
        drawing, values = _continuous(
            reader,
            answer,
            s["grid_id"],
            "sen_slope_per_year",
            "Sen's slope a year",
            unit,
            "blue_red" if warm else "brown_teal",
            True,
            significant,
        )
        step = "" if len(combinations) == 1 else f" · {c['season']}, by {c['time_step']}"
        rising = int(np.sum((values > 0) & (np.array(significant) == 1)))
        falling = int(np.sum((values < 0) & (np.array(significant) == 1)))
        views.append(
            View(
                naming.series(s) + step,
                drawing,
                answer,
                _spoken(values, "Sen's slope a year", naming.unit(unit))
                + f" Significant at {alpha}: {falling:,} pixels fall, {rising:,} rise.",
            )
        )
    if not views:
        raise Absent("fct_trends has no pixel with enough values for a trend.")
    how = {c["time_step"] for c in combinations}
    caution = " On months, the test takes a seasonal cycle for noise." if "month" in how else ""
    return Figure(
        "trend-map",
        "Trend",
        f"Sen's slope of each pixel; a point marks a pixel whose Mann-Kendall test has p below {alpha}, not adjusted for the number of pixels "
        f"(mk_p_adjusted in the mart is).{caution} Brown falls and teal rises; for temperatures blue falls and red rises.",
        ("fct_trends", "dim_pixel"),
        tuple(views),
        " ".join((note, _thinned(reader, {s["grid_id"] for s, _ in choices}))).strip(),
    )


def _classes(
    reader: Reader, answer: Answer, grid_id: str, column: str, entries: list[tuple[str, str, str]], value: str
) -> tuple[Drawing, dict[str, int]]:
    """A map of classes; `entries` are (class, colour, words). The count of pixels of each class stands in the key."""
    cells = maps.cells_of(answer, reader.step(grid_id))
    number = {c: i for i, (c, _, _) in enumerate(entries)}
    given = answer.column(column)
    counts = {c: given.count(c) for c in number}
    grid = cells.grid([number.get(v) for v in given])
    place = maps.fitted(cells, _LEFT, _TOP, _MOST_WIDTH, _MOST_HEIGHT)
    drawn = maps.draw(
        cells,
        maps.paint_classes(grid, [tint for _, tint, _ in entries]),
        place,
        value=value,
        outline=_outline(reader, grid_id, cells),
        name=naming.words(value),
    )
    key = maps.class_key(
        place.left + place.width + 30, place.top + 10, [(tint, f"{said} · {counts[c]:,}") for c, tint, said in entries]
    )
    return Drawing(drawn + key, WIDTH, place.top + max(place.height, 20 * len(entries) + 20) + 30), counts


def _count_words(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return f"{total:,} pixels: " + ", ".join(f"{n:,} {c}" for c, n in counts.items() if n) + "."


def stability_map(reader: Reader) -> Figure:
    """Classes of temporal stability."""
    reader.need("fct_temporal_stability", "dim_pixel")
    choices, note = first_of(
        [s for s in _moisture(reader, "fct_temporal_stability") if s["variable"].startswith("soil_moisture")], MOST_MAPS
    )
    entries = [(c, colour("cividis", 1 - i / 4), c) for i, c in enumerate(STABILITY)]
    views = []
    for s in choices:
        answer = reader.ask(
            f"""
            select distinct pixel_id, row_index, col_index, lon, lat, stability_class, sd, unit
            from marts.fct_temporal_stability
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where {where(variable=s["variable"], product=s["product"], layer=s["layer"])} and period_kind = 'all'{reader.thinning(s["grid_id"])}
            order by pixel_id
            """
        )
        if any(answer.column("stability_class")):
            drawing, counts = _classes(reader, answer, s["grid_id"], "stability_class", entries, "stability_class")
            views.append(View(naming.series(s), drawing, answer, _count_words(counts)))
    if not views:
        raise Absent("fct_temporal_stability has no classes of soil moisture over the whole study.")
    return Figure(
        "stability-map",
        "Temporal stability",
        "Class of the standard deviation of a pixel's months: excellent hardly changes, very poor changes most (seed stability_classes). "
        "The key counts pixels.",
        ("fct_temporal_stability", "dim_pixel"),
        tuple(views),
        " ".join((note, _thinned(reader, {s["grid_id"] for s in choices}))).strip(),
    )


def drought_entries() -> list[tuple[str, str, str]]:
    """(class, colour, words) of the seed drought_classes, from the driest to the wettest."""
    return [(c, colour("brown_teal", i / 8), f"{c} ({limits})") for i, (c, limits) in enumerate(DROUGHT)]


def drought_map(reader: Reader) -> Figure:
    """The index of each pixel in the last month and in those with the most drought."""
    reader.need("fct_ssmi_monthly", "fct_drought_area", "dim_pixel")
    region = text(reader.main_region)
    views, steps = [], set()
    candidates = _moisture(reader, "fct_ssmi_monthly")
    for s in candidates[:8]:
        months = reader.ask(
            f"""
            select month, sum(area_fraction) filter (class_order <= -2) as in_drought
            from marts.fct_drought_area
            where {where(product=s["product"], layer=s["layer"])} and scale_months = 1 and reference_kind = 'pixel_month' and region_id = {region}
            group by month
            order by month
            """
        ).rows()
        if not months:
            continue
        driest = max(months, key=lambda m: m["in_drought"])["month"]
        wettest = min(months, key=lambda m: m["in_drought"])["month"]
        last = months[-1]["month"]
        for month, why in {wettest: "least drought", last: "last month", driest: "most drought"}.items():
            answer = reader.ask(
                f"""
                select pixel_id, row_index, col_index, lon, lat, ssmi, state, n_reference
                from marts.fct_ssmi_monthly
                inner join marts.dim_pixel using (grid_id, pixel_id)
                where {where(product=s["product"], layer=s["layer"], month=month)} and scale_months = 1 and reference_kind = 'pixel_month'{reader.thinning(s["grid_id"])}
                order by pixel_id
                """
            )
            values = _values(answer, "ssmi")
            if len(answer) and np.isfinite(values).any():
                steps.add(s["grid_id"])
                views.append(
                    (
                        month == driest and s is candidates[0],
                        View(
                            f"{naming.series(s)} · {naming.month(month)} ({why})",
                            _index_map(reader, answer, s["grid_id"]),
                            answer,
                            _spoken(values, "index", "standard deviations"),
                        ),
                    )
                )
    if not views:
        raise Absent("fct_ssmi_monthly has no pixel with an index (`ssmi.min_years` of the study).")
    views.sort(key=lambda v: not v[0])
    return Figure(
        "drought-map",
        "Drought: standardised soil moisture index",
        "How many standard deviations the month is from the pixel's own mean of that calendar month. Below −1 moderate, −1.5 severe, −2 extreme drought.",
        ("fct_ssmi_monthly", "fct_drought_area", "dim_pixel"),
        tuple(v for _, v in views),
        _thinned(reader, steps),
    )


def _index_map(reader: Reader, answer: Answer, grid_id: str) -> Drawing:
    cells = maps.cells_of(answer, reader.step(grid_id))
    place = maps.fitted(cells, _LEFT, _TOP, _MOST_WIDTH, _MOST_HEIGHT)
    drawn = maps.draw(
        cells,
        maps.paint(cells.grid(answer.column("ssmi")), "brown_teal", -2.5, 2.5),
        place,
        value="ssmi",
        outline=_outline(reader, grid_id, cells),
        name="index",
    )
    key = maps.bar(
        place.left + place.width + 34,
        place.top + 26,
        min(220, max(90, place.height - 40)),
        "brown_teal",
        -2.5,
        2.5,
        "index (sd)",
    )
    return Drawing(drawn + key, WIDTH, place.top + max(place.height, 120) + 30)


def side_by_side(reader: Reader) -> Figure:
    """The products of soil moisture at one layer in the same month: coarse beside fine."""
    reader.need("fct_pixel_monthly", "dim_pixel")
    layers: dict[str, list[dict]] = {}
    for s in reader.series:
        if s["variable"] == "soil_moisture":
            layers.setdefault(s["layer"], []).append(s)
    views, grids, notes = [], set(), set()
    for layer, series in layers.items():
        if len(series) < 2:
            continue
        # The coarsest first, which the others are held against.
        coarsest = min(series, key=lambda s: reader.n_pixels(s["grid_id"]))
        shown = [coarsest, *(s for s in series if s is not coarsest)][:6]
        if len(series) > 6:
            notes.add(f"At {layer} the first 6 of {len(series)} products are shown.")
        names = ", ".join(text(s["product"]) for s in shown)
        months = reader.ask(
            f"""
            select month
            from marts.fct_pixel_monthly
            where variable = 'soil_moisture' and layer = {text(layer)} and product in ({names}) and is_covered
            group by month
            having count(distinct product) = {len(shown)}
            order by month
            """
        ).column("month")
        # Four months tell a year; each of them holds all pixels of all products.
        picked, note = thinned(months[-12:], 4)
        if note:
            notes.add("Four months of the last year that all products share.")
        for month in picked:
            condition = " or ".join(f"({where(product=s['product'])}{reader.thinning(s['grid_id'])})" for s in shown)
            answer = reader.ask(
                f"""
                select product, grid_id, pixel_id, row_index, col_index, lon, lat, value, unit
                from marts.fct_pixel_monthly
                inner join marts.dim_pixel using (grid_id, pixel_id)
                where variable = 'soil_moisture' and {where(layer=layer, month=month)} and is_covered
                    and ({condition})
                order by product, pixel_id
                """
            )
            grids |= {s["grid_id"] for s in shown}
            views.append(_beside(reader, answer, [s["product"] for s in shown], f"{layer} · {naming.month(month)}"))
    if not views:
        raise Absent(
            "No layer has two products of soil moisture in the same month (with `downscaling` in the groups of the study a fine product stands beside its coarse one)."
        )
    return Figure(
        "side-by-side",
        "Products side by side",
        "Monthly soil moisture of the products at one layer, with the same colours, each on its own grid.",
        ("fct_pixel_monthly", "dim_pixel"),
        tuple(reversed(views)),
        " ".join((*sorted(notes), _thinned(reader, grids))).strip(),
    )


def _beside(reader: Reader, answer: Answer, products: list[str], label: str) -> View:
    unit = answer.column("unit")[0]
    values = _values(answer, "value")
    low, high = _limits(values, False)
    whose = np.array(answer.column("product"))
    present = [p for p in products if (whose == p).any()]
    cells = {p: maps.cells_of(answer, 1, whose == p) for p in present}
    grids = {p: answer.column("grid_id")[int(np.flatnonzero(whose == p)[0])] for p in present}
    cells = {
        p: c if reader.step(grids[p]) == 1 else maps.cells_of(answer, reader.step(grids[p]), whose == p)
        for p, c in cells.items()
    }
    ground = maps.common_ground(list(cells.values()))
    columns = 2 if len(present) < 5 else 3
    room = (WIDTH - 130) / columns
    parts, tallest, top, said = [], 0.0, 34.0, []
    for i, product in enumerate(present):
        if i and i % columns == 0:
            top, tallest = top + tallest + 56, 0.0
        left = 62 + (i % columns) * room
        place, frame = maps.placed(cells[product], ground, left, top, room - 74, 300)
        tallest = max(tallest, frame.height)
        shown = product if len(product) < room / 8 else product[: int(room / 8)] + "…"
        parts.append(
            maps.draw(
                cells[product],
                maps.paint(cells[product].grid(answer.column("value")), "viridis", low, high),
                place,
                frame=frame,
                value="value",
                unit=naming.unit(unit),
                chosen={"product": product},
                title=shown,
                name=product,
                outline=_outline(reader, grids[product], cells[product]) if min(cells[product].shape) > 4 else (),
            )
        )
        said.append(f"{product}: {_spoken(values[whose == product], 'soil moisture', naming.unit(unit))}")
    parts.append(maps.bar(WIDTH - 74, 48, 200, "viridis", low, high, naming.unit(unit)))
    return View(label, Drawing("".join(parts), WIDTH, max(top + tallest, 260) + 34), answer, " ".join(said))
