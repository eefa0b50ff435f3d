"""The twenty questions of docs/queries.md and the report of the demo, on a demo built anew."""

from __future__ import annotations

import base64
import gzip
import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from serving import queries_docs
from serving.queries_docs import PAGE, answered, queries


@pytest.fixture(scope="module")
def demo(finished) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo's warehouse without the kernels: what a reader has who does not know this project."""
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        yield connection


def test_the_answers_in_the_documentation_are_those_of_the_demo(demo):
    text = PAGE.read_text(encoding="utf-8")
    assert len(queries(text)) == len(re.findall(r"^## \d+\. ", text, re.MULTILINE)) == 20
    for old, new in zip(text.split("\n## "), answered(text, demo).split("\n## "), strict=True):
        assert old == new, "after a change of the demo: soilhouse demo, then python -m serving.queries_docs"


def test_the_report_of_the_demo_has_the_marts_numbers(finished, demo):
    """Each query of the page, asked anew, gives the rows that the page holds."""
    page = (finished[0] / "demo_report.html").read_text(encoding="utf-8")
    assert len(page) < 15_000_000
    figures = re.findall(r'<figure id="([\w-]+)"', page)
    assert {
        "mean-map", "trend-map", "stability-map", "drought-map", "side-by-side", "seasonal-cycle", "qq-plot", "variogram", "drought-area", "depth-profile",
        "depth-pattern", "q-heat-map", "interactions",
    } <= set(figures)  # fmt: skip
    compared = 0
    for block in re.findall(r'<div class="view".*?(?=<div class="view"|</figure>)', page, re.DOTALL):
        sql = html.unescape(re.search(r"<pre[^>]*><code>(.*?)</code>", block, re.DOTALL)[1])
        held = re.search(r'class="data">(.*?)</script>', block)
        n = int(re.search(r"Table: ([\d,]+) rows?<", block)[1].replace(",", ""))
        answer = demo.execute(sql)
        columns, rows = [c[0] for c in answer.description], answer.fetchall()
        assert len(rows) == n > 0
        if held:
            lines = gzip.decompress(base64.b64decode(held[1])).decode().splitlines()
            assert [c.strip('"') for c in lines[0].split(",")] == columns
            numbers = [i for i, v in enumerate(rows[0]) if isinstance(v, float)]
            if "," not in "".join(str(v) for v in rows[0]) and numbers:
                given = [line.split(",")[numbers[0]] for line in lines[1:]]
                assert [float(v) if v else None for v in given] == [r[numbers[0]] for r in rows]
                compared += len(rows)
    assert compared > 50_000


def test_answers_that_changed_are_found(tmp_path, monkeypatch, capsys):
    page, database = tmp_path / "queries.md", tmp_path / "x.duckdb"
    page.write_text(
        "# Q\n\n## 1. How much?\n\n```sql\nselect 1 as a, 0.123456 as b, date '2020-01-01' as c, true as d, null as e, 'x|y' as f\n```\n",
        encoding="utf-8",
    )
    duckdb.connect(str(database)).close()
    monkeypatch.setattr(queries_docs, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["queries_docs", "--db", str(database), "--check"])
    assert queries_docs.main() == 1
    assert "is not what the demo answers" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["queries_docs", "--db", str(database)])
    assert queries_docs.main() == 0
    assert "| 1 | 0.1235 | 2020-01-01 | yes |  | x\\|y |" in page.read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["queries_docs", "--db", str(database), "--check"])
    assert queries_docs.main() == 0
    assert queries_docs.main() == 0, "asking twice changes nothing"
    page.write_text(page.read_text(encoding="utf-8").replace("0.1235", "0.1236"), encoding="utf-8")
    assert queries_docs.main() == 1
    monkeypatch.setattr(sys, "argv", ["queries_docs", "--db", str(tmp_path / "none.duckdb")])
    assert queries_docs.main() == 1
    assert "soilhouse demo makes it" in capsys.readouterr().err


@pytest.mark.parametrize("sql", ["select 1 where false", "select * from range(16)"])
def test_an_answer_has_rows_and_not_too_many(sql):
    with duckdb.connect() as connection, pytest.raises(ValueError, match="rows, of 1 to 15"):
        answered(f"## 1. x\n\n```sql\n{sql}\n```\n", connection)


def test_only_marts_are_asked():
    for sql in queries(PAGE.read_text(encoding="utf-8")):
        assert not re.search(r"\b(intermediate|staging|seeds)\.", sql)
        assert Path(PAGE).name == "queries.md" and "marts." in sql
