"""The report without a browser: its structure, that its queries run, and that its numbers are the marts'. (In a browser: tests/browser.)"""

from __future__ import annotations

import base64
import gzip
import io
import re
import struct
import zlib
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.csv
import pytest

from serving.report import Facts, Reader, write
from serving.report import maps as drawing
from serving.report.figures import patterns
from serving.report.model import Absent
from serving.report.page import SECTIONS, sections
from serving.report.palette import colour, ink_on
from serving.report.png import png
from serving.report.reader import GROUPS, text, where
from serving.report.svg import number, tick, ticks
from soilhouse.cli import main
from tests.serving.marts import contracts, create, world

FACTS = Facts(
    "small",
    "A <small> study",
    date(2019, 1, 1),
    date(2021, 1, 1),
    "UTC",
    "heihe",
    "Made up for a test.",
    0.05,
    ("patterns",),
)
VOID = {"meta", "link", "br", "input", "image", "path", "rect", "line", "circle"}


class Page(HTMLParser):
    """Tags as they are nested, ids, links and texts of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(tag)

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "small.duckdb"
    world(path)
    return path


@pytest.fixture(scope="module")
def reader(database) -> Iterator[Reader]:
    with duckdb.connect(str(database), read_only=True) as connection:
        yield Reader(connection, FACTS)


@pytest.fixture(scope="module")
def found(reader):
    return sections(reader)


@pytest.fixture(scope="module")
def html(reader, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "page.html"
    written = write(reader, out, date(2021, 2, 3), "9.9")
    assert written.size == out.stat().st_size and not list(out.parent.glob(".*"))
    return out.read_text(encoding="utf-8")


def test_every_figure_is_there_when_every_mart_is(found):
    assert [s.absent for s in found] == [()] * len(SECTIONS)
    assert sum(len(s.figures) for s in found) == sum(len(builders) for _, _, builders in SECTIONS) == 21


def test_every_query_runs_as_it_is_printed_and_gives_the_rows_of_the_page(found, database, html):
    """The text on the page, not the one in memory; the rows that the page carries, not those that were drawn from."""
    with duckdb.connect(str(database), read_only=True) as connection:
        blocks = re.findall(r'<div class="view".*?(?=<div class="view"|</figure>)', html, re.DOTALL)
        assert len(blocks) == sum(len(f.views) for s in found for f in s.figures)
        for block in blocks:
            sql = re.search(r"<pre[^>]*><code>(.*?)</code>", block, re.DOTALL)[1]
            for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", '"'), ("&amp;", "&")):
                sql = sql.replace(entity, letter)
            answer = connection.execute(sql).to_arrow_table()
            held = gzip.decompress(base64.b64decode(re.search(r'class="data">(.*?)</script>', block)[1]))
            target = io.BytesIO()
            pyarrow.csv.write_csv(answer, target, pyarrow.csv.WriteOptions(quoting_style="needed"))
            assert held == target.getvalue()
            assert answer.num_rows > 0


def test_every_figure_names_the_marts_of_its_queries(found):
    for section in found:
        for figure in section.figures:
            for view in figure.views:
                asked = set(re.findall(r"marts\.(\w+)", view.answer.sql))
                assert asked <= set(figure.marts), figure.key
                assert asked <= set(contracts())
                assert view.summary and not re.search(r"\bnan\b|\bNone\b|inf\b", view.summary), figure.key


def test_only_marts_are_read():
    for path in (Path(__file__).parents[2] / "serving" / "report").rglob("*.py"):
        assert not re.search(r"\b(intermediate|staging|seeds)\.\w", path.read_text(encoding="utf-8")), path


def test_the_page_is_whole_and_needs_nothing_else(html):
    page = Page(html)
    assert page.wrong == [] and page.stack == []
    assert page.of("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.of("a"):
        assert link["href"].startswith("#") and link["href"][1:] in ids
    for attributes in [a for _, a in page.tags]:
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("#", "data:")), attributes
        for key in ("aria-labelledby", "aria-describedby"):
            assert all(i in ids for i in attributes.get(key, "").split())
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)|\bfetch\(|XMLHttpRequest|\bimport\(", html)
    assert "default-src 'none'" in page.of("meta")[2]["content"]


def test_a_screen_reader_finds_its_way(html):
    page = Page(html)
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.of(landmark)) == 1
    assert all(svg.get("aria-label") and svg["role"] == "img" for svg in page.of("svg"))
    assert all(th.get("scope") in ("col", "row") for th in page.of("th"))
    assert len(page.of("figure")) == len(page.of("figcaption"))
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    # whoever cannot use a pointer gets to every drawing, and every button and list says what it is
    assert all(attributes.get("tabindex") == "0" for _, attributes in page.tags if attributes.get("class") == "stage")


def test_what_is_simulated_says_so_everywhere(html, reader, tmp_path):
    page = Page(html)
    assert "(SIMULATED)" in re.search(r"<title>(.*?)</title>", html)[1]
    assert html.count(">SIMULATED</text>") == len(page.of("svg")) > 20
    assert "@top-center" in html
    with duckdb.connect() as connection:
        create(connection, "dim_region", [])
        measured = Reader(connection, Facts("small", "Measured"))
        assert not write(measured, tmp_path / "m.html", date(2021, 1, 1), "1").n_figures
    assert "SIMULATED" not in (tmp_path / "m.html").read_text(encoding="utf-8")


def test_names_of_the_user_are_text_not_markup(html):
    assert "A &lt;small&gt; study" in html and "<small>" not in html
    assert "x&lt;y" in html and "north &lt;&amp;&gt;" in html
    assert "coarse &lt;b&gt;" in html


def test_the_same_marts_give_the_same_bytes(reader, html, tmp_path):
    write(reader, tmp_path / "again.html", date(2021, 2, 3), "9.9")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_missing_marts_are_one_line_each_with_the_group_to_add(tmp_path):
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        create(connection, "dim_pixel", [])
        create(connection, "fct_trends", [])
        found = sections(Reader(connection, FACTS))
    lines = [line for s in found for line in s.absent]
    assert not any(s.figures for s in found) and len(lines) == 21
    assert any("fct_factor_detector is not in this database: add drivers to the groups" in line for line in lines)
    assert any("fct_matchups is not in this database: add validation" in line for line in lines)
    assert any(line.startswith("Sen's slope") and "fct_trends has no rows" in line for line in lines)


def test_the_groups_that_are_advised_are_those_of_the_models():
    for mart, group in GROUPS.items():
        path = next((Path(__file__).parents[2] / "models" / "marts").rglob(f"{mart}.sql"))
        assert f"needs('{group}')" in path.read_text(encoding="utf-8"), mart


def test_a_view_over_files_that_are_gone_is_a_line_not_a_crash(tmp_path):
    with duckdb.connect() as connection:
        create(connection, "dim_pixel", [])
        connection.execute(f"copy (select 1 as a) to '{tmp_path}/x.parquet' (format parquet)")
        connection.execute(f"create view marts.fct_trends as select * from read_parquet('{tmp_path}/x.parquet')")
        (tmp_path / "x.parquet").unlink()
        with pytest.raises(Absent, match="could not be answered"):
            Reader(connection, FACTS).ask("select * from marts.fct_trends")


def test_a_map_shows_every_pixel_where_it_is(found, reader):
    """The picture is read back: colours are those of the values, transparent where there is no pixel."""
    view = found[0].figures[0].views[0]
    data = re.search(r'href="data:image/png;base64,(.*?)"', view.drawing.body)[1]
    pixels = _read_png(base64.b64decode(data))
    assert pixels.shape == (12, 10, 4)
    values = np.array(view.answer.column("mean")).reshape(12, 10)
    order = pixels[..., :3].astype(int).sum(-1)  # viridis: brighter is more
    assert np.all(np.diff(order.ravel()[np.argsort(values.ravel())]) >= -6)
    assert (pixels[..., 3] == 255).all()


def test_a_hole_in_a_map_stays_one():
    rows = [{"row_index": 5, "col_index": 7}, {"row_index": 6, "col_index": 9}]
    import pyarrow as pa

    from serving.report.model import Answer

    table = pa.Table.from_pylist([{**r, "lon": 1.0 * r["col_index"], "lat": -1.0 * r["row_index"]} for r in rows])
    cells = drawing.cells_of(Answer("", table))
    assert cells.index.tolist() == [[0, -1, -1], [-1, -1, 1]]
    grid = cells.grid([0.5, None])
    assert grid[0, 0] == 0.5 and np.isnan(grid[1, 2]) and np.isnan(grid[0, 1])
    assert drawing.paint(grid, "viridis", 0, 1)[..., 3].tolist() == [[255, 0, 0], [0, 0, 0]]


def test_borders_run_between_inside_and_outside():
    import pyarrow as pa

    from serving.report.model import Answer

    table = pa.Table.from_pylist(
        [{"row_index": r, "col_index": c, "lon": c / 10, "lat": -r / 10} for r in range(3) for c in range(4)]
    )
    cells = drawing.cells_of(Answer("", table))
    found = drawing.borders({"a": {(0, 0), (0, 1), (1, 0), (1, 1)}}, cells)
    assert set(found) == {(0, 0, 0, 2), (2, 0, 2, 2), (0, 0, 2, 0), (0, 2, 2, 2)}


def test_large_grids_are_thinned_and_the_page_says_so(tmp_path):
    with duckdb.connect() as connection:
        create(connection, "dim_pixel", [])
        values = {
            "study": "'small'",
            "grid_id": "'g'",
            "pixel_id": "i",
            "row_index": "i // 1000",
            "col_index": "i % 1000",
            "lon": "i % 1000 / 100.0",
            "lat": "i // 1000 / -100.0",
        }
        connection.execute(
            f"insert into marts.dim_pixel select {', '.join(values.get(c, '0') for c in contracts()['dim_pixel'])} from range(400000) as t(i)"
        )
        reader = Reader(connection, FACTS)
        assert reader.step("g") == 2 and reader.step("other") == 1
        n = connection.execute(f"select count(*) from marts.dim_pixel where true{reader.thinning('g')}").fetchone()[0]
        assert n == 100_000


@pytest.mark.parametrize("model", ["spherical", "exponential", "gaussian", "linear"])
def test_the_curve_of_a_model_is_the_kernels(model):
    """What is drawn through the points is what was fitted: gstat's forms, written out."""
    fit = {"model": model, "nugget": 0.1, "partial_sill": 0.9, "range_parameter_m": 50.0, "slope": 0.02}
    h = np.array([0.0, 10, 50, 80])
    expected = {
        "spherical": 0.1 + 0.9 * np.where(h < 50, 1.5 * h / 50 - 0.5 * (h / 50) ** 3, 1),
        "exponential": 0.1 + 0.9 * (1 - np.exp(-h / 50)),
        "gaussian": 0.1 + 0.9 * (1 - np.exp(-((h / 50) ** 2))),
        "linear": 0.1 + 0.02 * h,
    }[model]
    assert [patterns.curve(fit, lag) for lag in h] == pytest.approx(expected)


def test_numbers_for_people():
    assert [number(v) for v in (None, 0, 3, 1234567, 0.123456, 12.3456, float("nan"), 2e-7)] == [
        "–",
        "0",
        "3",
        "1,234,567",
        "0.1235",
        "12.35",
        "–",
        "2.000e-07",
    ]
    assert [tick(v) for v in (0, 0.25, -20, 1500, 2.5e-5)] == ["0", "0.25", "−20", "1,500", "2.5×10⁻⁵"]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1] and ticks(3, 3) == [3]
    assert (text("it's"), text(None), text(2)) == ("'it''s'", "NULL", "2")
    assert where(a="x", b=None) == "a = 'x' and b is null"


def test_letters_can_be_read_on_every_colour():
    """WCAG 2 asks for a contrast of 4.5 for letters of this size."""

    def luminance(tint: str) -> float:
        parts = [int(tint[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        return float(
            np.dot(
                [0.2126, 0.7152, 0.0722], [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
            )
        )

    for share in np.linspace(0, 1, 101):
        paper = colour("cividis", share)
        light, dark = sorted((luminance(paper), luminance(ink_on(paper))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_cividis_and_viridis_keep_their_order_in_grey():
    for name in ("viridis", "cividis"):
        grey = [
            sum(w * int(colour(name, s)[i : i + 2], 16) for w, i in ((0.3, 1), (0.59, 3), (0.11, 5)))
            for s in np.linspace(0, 1, 21)
        ]
        assert all(b > a for a, b in pairwise(grey))


def test_the_command(database, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SOILHOUSE_LAKE", str(tmp_path / "lake"))
    out = tmp_path / "here" / "page.html"
    assert main(["report", "--db", str(database), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(out) and out.is_file()
    assert "21 figures" in shown.err and "study file of small was not given" in shown.err
    study = tmp_path / "small.yml"
    study.write_text(
        "study: {name: small, title: Small and simulated, simulated: true, period: {start: 2019-01-01, end: 2021-01-01}, series: []}"
    )
    assert main(["report", str(study), "--db", str(database), "--out", str(out)]) == 0
    assert "<h1>Small and simulated</h1>" in (text_ := out.read_text(encoding="utf-8"))
    assert 'class="simulated"' in text_


def test_data_of_the_demo_are_called_simulated_also_by_a_study_that_does_not(database, tmp_path, capsys):
    from soilhouse.demo_mark import mark

    mark(tmp_path / "lake", "SIMULATED", ["fine"])
    out = tmp_path / "page.html"
    assert main(["report", "--db", str(database), "--lake", str(tmp_path / "lake"), "--out", str(out)]) == 0
    assert "not measured but made by a program: fine." in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--db", "nowhere.duckdb"], 1, "There is no database"),
        (["--out", "page.pdf"], 2, "is not an HTML file"),
        (["java.yml"], 2, "holds the study small, and java.yml is java"),
        (["missing.yml"], 2, "cannot be read"),
        (["--out", "file/page.html"], 1, "cannot be written"),
    ],
)
def test_what_goes_wrong_is_said_in_words(arguments, code, said, database, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "java.yml").write_text("study: {name: java}")
    (tmp_path / "file").write_text("a file, not a folder")
    given = arguments if "--db" in arguments else [*arguments, "--db", str(database)]
    assert main(["report", *given]) == code
    assert said in capsys.readouterr().err


def test_a_database_without_marts(tmp_path, capsys):
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    assert main(["report", "--db", str(tmp_path / "x.duckdb")]) == 1
    assert "holds no marts" in capsys.readouterr().err


def _read_png(data: bytes) -> np.ndarray:
    """A PNG without filters, read chunk by chunk."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, rows, width, height = 8, b"", 0, 0
    while at < len(data):
        size, kind = struct.unpack(">I", data[at : at + 4])[0], data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        rows += body if kind == b"IDAT" else b""
        at += 12 + size
    return (
        np.frombuffer(zlib.decompress(rows), np.uint8).reshape(height, 1 + width * 4)[:, 1:].reshape(height, width, 4)
    )


def test_a_picture_has_a_shape():
    with pytest.raises(ValueError, match="height, width, 4"):
        png(np.zeros((2, 2), np.uint8))
