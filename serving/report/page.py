"""The page: sections and figures put into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

import pyarrow.csv
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.report import svg
from serving.report.figures import depth, downscaling, drivers, maps, patterns, validation
from serving.report.model import Absent, Answer, Builder, Facts, Figure, Section, View
from serving.report.reader import Reader

SECTIONS: tuple[tuple[str, str, tuple[Builder, ...]], ...] = (
    ("maps", "Maps", (maps.mean_map, maps.trend_map, maps.stability_map)),
    ("patterns", "Patterns", (patterns.seasonal_cycle, patterns.qq_plot, patterns.variogram)),
    ("drought", "Drought and depth", (maps.drought_map, depth.drought_area, depth.depth_profile, depth.depth_pattern)),
    ("drivers", "Drivers", (drivers.q_heat_map, drivers.interactions)),
    (
        "downscaling",
        "Coarse and fine",
        (maps.side_by_side, downscaling.windows, downscaling.model_scores, downscaling.feature_importance),
    ),
    (
        "validation",
        "Validation",
        (validation.scatter, validation.taylor, validation.before_after, downscaling.comparison_matrix),
    ),
    ("papers", "Beside the paper", (validation.published,)),
)

# Bytes of embedded rows: with them the page stays well below what browsers and mail accept.
MOST_EMBEDDED = 9_000_000
# Rows that a table in the page shows; the CSV has all.
MOST_SHOWN = 500


@dataclass(frozen=True)
class Report:
    """What was written: where, how large, how many figures, and what is not in it."""

    path: Path
    size: int
    n_figures: int
    n_views: int
    absent: tuple[str, ...]


def sections(reader: Reader, progress: Callable[[str], None] = lambda what: None) -> tuple[Section, ...]:
    """Every section with the figures that the marts give."""
    found = []
    for key, title, builders in SECTIONS:
        figures, absent = [], []
        for build in builders:
            progress(title)
            try:
                figures.append(build(reader))
            except Absent as reason:
                what = (build.__doc__ or build.__name__).strip().splitlines()[0].rstrip(".")
                absent.append(f"{what}: {reason}")
        found.append(Section(key, title, tuple(figures), tuple(absent)))
    return tuple(found)


def csv_of(answer: Answer) -> bytes:
    """The rows as CSV, every digit of them; NULL is an empty field."""
    target = io.BytesIO()
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(answer.table, target, options)
    return target.getvalue()


def embedded(answer: Answer) -> str:
    """The same, compressed, as text."""
    return base64.b64encode(gzip.compress(csv_of(answer), 6, mtime=0)).decode()


def drawn(figure: Figure, view: View, simulated: bool) -> str:
    """The SVG of a view, with its name and what it shows in words for those who cannot see it."""
    drawing = view.drawing
    # A mark of its own: a picture taken from the page must not lose it.
    band = 18 if simulated else 0
    mark = (
        f'<text class="mark" x="{svg.place(drawing.width - 6)}" y="-5" text-anchor="end">SIMULATED</text>'
        if simulated
        else ""
    )
    label = escape(f"{figure.title}. {view.label}. {view.summary}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 {-band} {svg.place(drawing.width)} {svg.place(drawing.height + band)}">'
        f"{drawing.body}{mark}</svg>"
    )


def _data(found: Sequence[Section]) -> dict[int, str]:
    """Rows to embed, by the identity of the answer: the small ones first, until MOST_EMBEDDED is reached."""
    answers = {id(v.answer): v.answer for s in found for f in s.figures for v in f.views}
    sized = sorted(((len(a), key, a) for key, a in answers.items()), key=lambda x: x[:2])
    data, total = {}, 0
    for n, key, answer in sized:
        if n > 200_000:
            break
        text = embedded(answer)
        if total + len(text) > MOST_EMBEDDED:
            break
        data[key], total = text, total + len(text)
    return data


def tables(reader: Reader) -> list[tuple[str, str, Answer]]:
    """What the study is made of: (title, caption, answer) of its products and its regions."""
    found = []
    for title, caption, marts, sql in (
        (
            "Products",
            "The column verified says whether the reader of the product was checked on a real file.",
            ("dim_product", "fct_freshness"),
            """
            select product, title, grid_id, time_step, first_date, newest_date, n_granules, verified, citation
            from marts.dim_product
            left join marts.fct_freshness using (study, product)
            order by product
            """,
        ),
        (
            "Regions",
            "",
            ("dim_region",),
            "select region_id, name, level, area_km2 from marts.dim_region order by level, area_km2 desc, region_id limit 60",
        ),
    ):
        if all(reader.has(m) for m in marts):
            answer = reader.ask(sql)
            if len(answer):
                found.append((title, caption, answer))
    return found


def render(facts: Facts, reader: Reader, found: Sequence[Section], written: date, version: str) -> str:
    """The page as HTML."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    data = _data(found)
    return environment.get_template("page.html.j2").render(
        facts=facts,
        sections=found,
        tables=tables(reader),
        drawn=lambda figure, view: drawn(figure, view, bool(facts.simulated)),
        data=lambda view: data.get(id(view.answer), ""),
        shown=lambda value: (
            svg.number(value)
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            else ""
            if value is None
            else str(value)
        ),
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        written=written,
        version=version,
        most_shown=MOST_SHOWN,
        n_figures=sum(len(s.figures) for s in found),
    )


def write(
    reader: Reader, out: Path, written: date, version: str, progress: Callable[[str], None] = lambda what: None
) -> Report:
    """Write the page of a study. The file is complete or not there. Raises OSError where it cannot be written."""
    found = sections(reader, progress)
    html = render(reader.facts, reader, found, written, version).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        temporary.write_bytes(html)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return Report(
        out,
        len(html),
        sum(len(s.figures) for s in found),
        sum(len(f.views) for s in found for f in s.figures),
        tuple(a for s in found for a in s.absent),
    )
