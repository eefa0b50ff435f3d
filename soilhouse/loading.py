"""`soilhouse load`: files of a product, or regions, into the lake."""

from __future__ import annotations

import argparse
from pathlib import Path

from loaders.grids import find_grid
from loaders.lake import Lake, LakeError
from loaders.load import LoadReport, load
from loaders.paths import expand_paths
from loaders.products import TEMPLATES, Product, ProductError, complete, find_product
from soilhouse.building import register_grids
from soilhouse.console import err, out, progress_bar
from soilhouse.demo_mark import is_of_demo, simulated_products
from soilhouse.errors import UserError
from soilhouse.settings import Settings
from soilhouse.study import load_study

OF_REGIONS = ("layer", "id_column", "name_column", "level_column")
OF_ONES_OWN = ("name", "grid", "mapping")


def run(settings: Settings, asked: argparse.Namespace, brief: bool = False) -> int:
    """Load what the command line asks for; `brief` prints one line instead of the table when all went well.

    Returns 1 when a file was skipped. Raises UserError with code 2 for wrong usage, 1 when the lake cannot be used.
    """
    lake = Lake(settings.lake)
    try:
        product = find_product(asked.product, settings.lake)
        _refuse_beside_simulated(product, asked, settings.lake)
        if asked.study:
            register_grids(load_study(asked.study), settings.lake)
        if product.kind == "regions":
            return _regions(lake, asked, brief)
        _refuse(asked, OF_REGIONS, "is for regions")
        _require_grid(lake, asked.grid)
        product = _completed(product, asked, settings.lake)
    except ProductError as error:
        raise UserError(
            str(error), "soilhouse products lists what can be loaded; soilhouse load --help has examples.", 2
        ) from None
    try:
        with progress_bar() as bar:
            report = load(
                product, [Path(p).expanduser() for p in asked.paths], lake, progress=bar, workers=asked.workers
            )
    except LakeError as error:
        raise UserError(f"Nothing was loaded: {error}") from None
    _show(report, brief)
    return 0 if report.ok else 1


def _refuse_beside_simulated(product: Product, asked: argparse.Namespace, lake: Path) -> None:
    """Real files in a product of the demo would be analysed as one with made-up ones; the demo's own may come again."""
    takes_a_name = product.name in TEMPLATES or product.kind in ("regions", "stations")
    name = asked.name if takes_a_name else product.name
    foreign = [path for path in asked.paths if not is_of_demo(Path(path))]
    if foreign and name in simulated_products(lake):
        another_name = f", or under another name: soilhouse load {product.name} ... --as NAME" if takes_a_name else ""
        raise UserError(
            f"{name} of {lake} holds the demo's SIMULATED basin, and {foreign[0]} is not a file of the demo.",
            f"Load it into another lake: --lake DIR{another_name}",
            2,
        )


def _completed(product: Product, asked: argparse.Namespace, lake: Path) -> Product:
    """`table`, `raster` and `stations` become the product that --as names; one that was loaded before is known already."""
    if product.name not in TEMPLATES:
        return complete(product, asked.name, asked.grid, asked.mapping, [])
    known = lake / "catalog" / "definitions" / f"{asked.name}.yml"
    if asked.name is not None and asked.mapping is None and known.is_file():
        before = find_product(asked.name, lake)
        if asked.grid in (None, before.grid):
            return before
    files = expand_paths(product, asked.paths).files
    missing = [p for p in asked.paths if not Path(p).expanduser().exists()]
    if not files and missing:
        raise UserError(f"There is no file {missing[0]}.", f"The current folder is {Path.cwd()}.", 2)
    return complete(product, asked.name, asked.grid, asked.mapping, files)


def _require_grid(lake: Lake, grid: str | None) -> None:
    if grid is None:
        return
    try:
        find_grid(lake, grid)
    except LookupError as error:
        raise UserError(
            str(error.args[0]),
            "A grid of your own is defined in a study (key `grids`): soilhouse load ... --study STUDY.yml --grid NAME",
            2,
        ) from None


def _refuse(asked: argparse.Namespace, options: tuple[str, ...], reason: str) -> None:
    for option in options:
        if getattr(asked, option) is not None:
            flag = "--as" if option == "name" else f"--{option.replace('_', '-')}"
            raise UserError(f"{flag} {reason}, not for {asked.product}.", "soilhouse load --help has examples.", 2)


def _show(report: LoadReport, brief: bool) -> None:
    if brief and report.ok:
        counts = ", ".join(f"{n:,} {status}" for status, n in report.counts.items())
        out.print(f"      {counts}, {report.n_rows:,} rows, {report.seconds:.1f} s", markup=False)
        return
    out.print(report.table())
    skipped = report.counts.get("skipped", 0)
    if skipped:
        err.print(
            f"{skipped} of {len(report.files)} files were skipped, for the reasons above; nothing of them is in the lake.",
            markup=False,
        )
    elif not report.files:
        err.print("There was no file to load.", markup=False)


def _regions(lake: Lake, asked: argparse.Namespace, brief: bool) -> int:
    """Register the polygons of one file as a set of regions."""
    from loaders.granule import BadFile
    from loaders.regions import load_regions

    if asked.name is None:
        raise UserError("regions need a name for their set: --as NAME", "soilhouse load --help has an example.", 2)
    _refuse(asked, ("grid", "mapping"), "is for tables and rasters")
    if len(asked.paths) > 1:
        raise UserError(
            f"A set of regions is one file, and {len(asked.paths)} are given.", "Load each under a name of its own.", 2
        )
    try:
        report = load_regions(
            Path(asked.paths[0]).expanduser(),
            asked.name,
            lake,
            id_column=asked.id_column,
            name_column=asked.name_column,
            level_column=asked.level_column,
            layer=asked.layer,
        )
    except BadFile as error:
        raise UserError(f"{asked.paths[0]}: {error.reason}", "Nothing was registered.") from None
    except LakeError as error:
        raise UserError(f"Nothing was registered: {error}") from None
    state = "registered" if report.changed else "unchanged"
    out.print(
        f"{'      ' if brief else ''}{report.n_regions} regions of {asked.name} {state}, {report.area_km2:,.0f} km2",
        markup=False,
    )
    if report.repaired:
        err.print(
            f"note: repaired, because their outlines crossed themselves: {', '.join(report.repaired)}", markup=False
        )
    if report.ignored:
        err.print(f"note: {report.ignored} features without a polygon were left out", markup=False)
    return 0
