"""The report in a real Chromium: drawn, silent, offline, usable by pointer and keyboard, printable. Run by `make test-browser`.

Its name keeps it out of the default suite: it needs a browser, which is no package of Python.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from serving.report import Facts, Reader, write
from tests.serving.marts import world

INSTALL = "No Chromium: install it (Debian, Ubuntu: apt install chromium), or name one: SOILHOUSE_CHROMIUM=/path/to/chromium make test-browser"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
FACTS = Facts(
    "small", "A small study", date(2019, 1, 1), date(2021, 1, 1), "UTC", "", "Made up for a test.", 0.05, ("patterns",)
)


def chromium() -> str | None:
    named = os.environ.get("SOILHOUSE_CHROMIUM")
    return named or next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        pytest.fail(INSTALL)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """The report of a small database with every mart; SOILHOUSE_REPORT=FILE tests another page instead."""
    if "SOILHOUSE_REPORT" in os.environ:
        return Path(os.environ["SOILHOUSE_REPORT"]).absolute()
    folder = tmp_path_factory.mktemp("browser")
    world(folder / "small.duckdb")
    with duckdb.connect(str(folder / "small.duckdb"), read_only=True) as connection:
        return write(Reader(connection, FACTS), folder / "page.html", date(2021, 1, 1), "1").path


@pytest.fixture
def page(browser, file) -> Iterator:
    """The page in a window of a desk's size; whatever it says to the console or asks of the network fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: said.append(f"error: {error}"))
    opened.on(
        "request",
        lambda request: (
            said.append(f"request: {request.url[:80]}")
            if not request.url.startswith(("file:", "data:", "blob:"))
            else None
        ),
    )
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert said == []


def test_every_figure_is_drawn_for_every_choice(page):
    figures = page.query_selector_all("figure")
    assert len(figures) >= 10
    for figure in figures:
        select = figure.query_selector("select")
        for i in range(len(select.query_selector_all("option")) if select else 1):
            if select:
                select.select_option(str(i))
            stage = [s for s in figure.query_selector_all(".stage") if s.is_visible()]
            assert len(stage) == 1, "one choice is shown, and only one"
            box = stage[0].query_selector("svg").bounding_box()
            assert box["width"] > 300 and box["height"] > 80
    # What is on the screen has colours: counted on pictures of the first choice of each figure.
    from PIL import Image

    for figure in figures:
        select = figure.query_selector("select")
        if select:
            select.select_option("0")
        stage = next(s for s in figure.query_selector_all(".stage") if s.is_visible())
        picture = Image.open(io.BytesIO(stage.screenshot())).convert("RGB")
        colours = picture.getcolors(1_000_000)
        background = max(colours)[1]
        painted = sum(n for n, c in colours if max(abs(a - b) for a, b in zip(c, background, strict=True)) > 40)
        assert painted > 0.004 * picture.width * picture.height, figure.get_attribute("id")
        assert len({tuple(v // 32 for v in c) for _, c in colours}) >= 4, figure.get_attribute("id")


def test_text_stays_inside_its_drawing_and_does_not_overlap(page):
    """Labels that lie on each other, or are cut at the edge, are what a colleague sees first."""
    found = page.evaluate(
        """() => Array.from(document.querySelectorAll('.view:not([hidden]) .stage svg')).flatMap((svg) => {
            const edge = svg.getBoundingClientRect(), name = svg.getAttribute('aria-label').slice(0, 40), wrong = [];
            const texts = Array.from(svg.querySelectorAll('text')).map((t) => [t.textContent, t.getBoundingClientRect()]);
            texts.forEach(([words, box], i) => {
                if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1) wrong.push(name + ': cut: ' + words);
                texts.slice(i + 1).forEach(([other, b]) => {
                    const across = Math.min(box.right, b.right) - Math.max(box.left, b.left), down = Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top);
                    if (across > 2 && down > 6) wrong.push(name + ': ' + words + ' on ' + other);
                });
            });
            return wrong;
        })"""
    )
    assert found == []


def test_the_pointer_reads_values_off_a_map(page):
    stage = page.locator("#mean-map .stage").first
    stage.scroll_into_view_if_needed()
    box = page.locator("#mean-map g.map image").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.55)
    page.wait_for_selector("#tip:not([hidden])")
    words = page.inner_text("#tip")
    assert re.match(r"mean: [\d.]+ m³ m⁻³ at \d+\.\d+° N, \d+\.\d+° E", words)
    # the value is that of the row of the table at this cell
    known = page.evaluate("JSON.parse(document.querySelector('#mean-map g.map').dataset.map)")
    row, column = int(known["r"] + 0.55 * known["rows"] // 1), int(known["c"] + 0.55 * known["cols"] // 1)
    line = next(r for r in _csv(page, "#mean-map") if (int(r["row_index"]), int(r["col_index"])) == (row, column))
    assert float(words.split()[1]) == pytest.approx(float(line["mean"]), rel=1e-5)


def test_the_pointer_reads_values_off_a_plot(page):
    mark = page.locator("#seasonal-cycle .view:not([hidden]) circle").nth(3)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.inner_text("#tip") == mark.get_attribute("data-t")


def test_the_keyboard_reaches_and_reads_every_figure(page):
    for figure in page.query_selector_all("figure"):
        stage = next(s for s in figure.query_selector_all(".stage") if s.is_visible())
        stage.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#tip:not([hidden])", timeout=5000)
        first = page.inner_text("#tip")
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(60)
        assert first and page.inner_text("#tip")
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden(), figure.get_attribute("id")


def test_tab_goes_through_the_page_in_order(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(400):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.activeElement.closest('figure')?.id")
        if inside and inside not in seen:
            seen.append(inside)
        if page.evaluate("document.activeElement === document.body"):
            break
    assert seen == [f.get_attribute("id") for f in page.query_selector_all("figure")]


def test_zoom_and_back(page):
    figure = page.locator("#mean-map")
    svg = figure.locator(".view:not([hidden]) svg")
    whole = svg.get_attribute("viewBox")
    figure.locator('[data-zoom="in"]').click()
    nearer = svg.get_attribute("viewBox")
    assert float(nearer.split()[2]) == pytest.approx(float(whole.split()[2]) * 0.67, rel=0.01)
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 80)
    page.mouse.up()
    assert float(svg.get_attribute("viewBox").split()[0]) > float(nearer.split()[0])
    figure.locator('[data-zoom="whole"]').click()
    assert svg.get_attribute("viewBox") == whole
    figure.locator(".view:not([hidden]) .stage").focus()
    page.keyboard.press("+")
    assert svg.get_attribute("viewBox") == nearer
    page.keyboard.press("0")
    assert svg.get_attribute("viewBox") == whole


def test_a_choice_shows_its_view(page):
    select = page.locator("#side-by-side select")
    options = select.locator("option").all_inner_texts()
    assert len(options) > 1
    select.select_option("1")
    assert options[1] in page.locator("#side-by-side .view:not([hidden]) svg").get_attribute("aria-label")


def test_tables_and_files_hold_the_rows(page):
    for name in ("#mean-map", "#q-heat-map", "#published"):
        if not page.locator(name).count():
            continue
        table = page.locator(f"{name} .view:not([hidden]) details.table")
        table.locator("summary").click()
        page.wait_for_selector(f"{name} .view:not([hidden]) details.table table")
        with page.expect_download() as download:
            table.locator(".csv").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
        assert rows == _csv(page, name)
        assert download.value.suggested_filename.endswith(".csv")
        shown = page.locator(f"{name} .view:not([hidden]) tbody tr").count()
        assert shown == min(len(rows), 500)
        assert table.locator("thead th[scope=col]").all_inner_texts() == list(rows[0])


def test_the_query_is_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    query = page.locator("#trend-map .view:not([hidden]) details.query")
    query.locator("summary").click()
    query.locator(".copy").click()
    page.wait_for_selector("button:has-text('Copied')")
    assert "from marts.fct_trends" in query.locator("code").inner_text()


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(page):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_it_prints_without_cutting_a_figure(page, tmp_path):
    page.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # the width of A4 between its margins
    for figure in page.query_selector_all("figure"):
        box = figure.bounding_box()
        assert box["height"] < 1001, f"{figure.get_attribute('id')} is higher than a page and would be cut"
        assert figure.evaluate("(f) => getComputedStyle(f).breakInside") == "avoid"
        svg = next(s for s in figure.query_selector_all("svg") if s.is_visible()).bounding_box()
        assert svg["x"] >= 0 and svg["x"] + svg["width"] <= 689
    assert not any(b.is_visible() for b in page.query_selector_all("button, select"))


def test_without_scripts_the_first_choice_is_there(browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    for figure in page.query_selector_all("figure"):
        assert sum(s.is_visible() for s in figure.query_selector_all(".stage")) == 1
    assert page.locator(".query").first.is_visible()
    context.close()


def _csv(page, figure: str) -> list[dict]:
    text = page.evaluate(
        """async (figure) => {
            const held = document.querySelector(figure + ' .view:not([hidden]) script.data').textContent.trim();
            const bytes = Uint8Array.from(atob(held), (c) => c.charCodeAt(0));
            return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
        }""",
        figure,
    )
    return list(csv.DictReader(io.StringIO(text)))
