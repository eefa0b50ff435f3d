"""A study against the products that exist and what the lake holds of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from loaders.grids import GRIDS
from loaders.nearest import suggestion
from loaders.products import Product, ProductError, all_products
from soilhouse.errors import UserError
from soilhouse.holdings import Holdings, month_ranges
from soilhouse.problems import Problem
from soilhouse.seeds import variables
from soilhouse.settings import project_root

DATED_KINDS = ("gridded", "table")


def problems_with_lake(study: Mapping[str, Any], lake: Path) -> tuple[list[Problem], list[str]]:
    """The problems of a study (defaults filled in, of any shape) that need the products or the lake to be seen, and notes."""
    try:
        products = all_products(lake)
    except ProductError as error:
        raise UserError(
            f"A product's definition cannot be read:\n{error}", "Mend that file, or load the product again."
        ) from None
    holdings = Holdings(lake)
    problems: list[Problem] = []
    notes: list[str] = []
    entries = study.get("series")
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            problems += _series(f"study.series[{i}]", entry, products, holdings, study.get("period"), notes)
    factors = study.get("factors")
    for i, entry in enumerate(factors if isinstance(factors, list) else []):
        if isinstance(entry, dict):
            problems += _factor(f"study.factors[{i}]", entry, products, holdings)
    problems += _grids(study, lake)
    problems += _water(study, products, holdings)
    problems += _drivers(study)
    stations = study.get("stations")
    for i, name in enumerate(stations if isinstance(stations, list) else []):
        problems += _station_product(f"study.stations[{i}]", name, products, holdings, study.get("period"), notes)
    problems += _region(study.get("region"), holdings)
    problems += _fine_grid(study.get("downscaling"), holdings)
    return problems, list(dict.fromkeys(notes))


def load_command(product: str, products: Mapping[str, Product], lake: Path) -> str:
    """The command that loads a product; capitals stand for what only the user knows."""
    known = products.get(product)
    if known is None or product not in all_products():
        template, grid = ("table", "GRID") if known is None else (known.kind, known.grid)
        template = {"gridded": "raster"}.get(template, template)
        if known is not None and known.format in all_products():
            template = known.format  # a format that is a product too: a network's files under a name of their own
        command = f"soilhouse load {template} FILES --as {product}"
        command += f" --grid {grid}" if grid not in ("none", "from_file") else ""
    else:
        grid = " --grid GRID" if known.grid == "given" else ""
        command = f"soilhouse load {product} FILES{grid}"
    default = project_root() / "lake"
    return command if lake == default else f"{command} --lake {shlex.quote(str(lake))}"


def _series(
    path: str,
    entry: Mapping[str, Any],
    products: Mapping[str, Product],
    holdings: Holdings,
    period: Any,
    notes: list[str],
) -> Iterator[Problem]:
    name = entry.get("product")
    if not isinstance(name, str):
        return
    usable = {n: p for n, p in products.items() if p.kind in DATED_KINDS and not p.is_template}
    product = usable.get(name)
    if product is None:
        yield _not_usable(f"{path}.product", name, products, usable, holdings)
        return
    if product.time_step == "static" or (holdings.is_static(name) and not holdings.months(name)):
        yield Problem(f"{path}.product", f"{name} has no dates: it can be a factor, not a series")
        return

    built_in = all_products()
    yield from _times_of_day(path, entry, product, name in built_in)
    if name in built_in:
        yield from _delivered(path, entry, product)
    else:
        yield from _brought(path, entry, product)
    yield from _prepared(f"{path}.prepare", entry.get("prepare"), product)

    if not holdings.is_loaded(name):
        yield Problem(
            f"{path}.product",
            f"{name} is not loaded into {holdings.lake}. Load it: {load_command(name, products, holdings.lake)}",
        )
        return
    if not holdings.is_catalogued(name):
        yield Problem(
            f"{path}.product",
            f"{name} is in {holdings.lake} but not in its catalogue, because a load was interrupted."
            f" Load any file of it again: {load_command(name, products, holdings.lake)}",
        )
    yield from _months(path, name, holdings, period, notes)


def _times_of_day(path: str, entry: Mapping[str, Any], product: Product, is_built_in: bool) -> Iterator[Problem]:
    """`hours` and `solar_time` are about products with times of day; one of the user's own needs `hours`."""
    asked = [key for key in ("hours", "solar_time") if entry.get(key) is not None]
    if product.time_step != "instant":
        for key in asked:
            yield Problem(f"{path}.{key}", f"{product.name} has no times of day")
    elif not is_built_in and entry.get("hours") is None:
        yield Problem(
            path,
            f"needs `hours`: {product.name} has times of day. [0, 24] takes the mean of the day, [6, 9] that of the morning",
        )
    elif "solar_time" in asked and not (is_built_in and product.format == "subdaily"):
        yield Problem(f"{path}.solar_time", f"{product.name} cannot be sampled at a solar time: give `hours`")
    elif asked and entry.get("variable") == "precipitation" and is_built_in:
        yield Problem(f"{path}.{asked[0]}", "precipitation is the total of the day: leave it out")


def _not_usable(
    path: str, name: str, products: Mapping[str, Product], usable: Mapping[str, Product], holdings: Holdings
) -> Problem:
    product = products.get(name)
    if product is None:
        load = load_command(name, products, holdings.lake)
        return Problem(path, f"{name!r} is not a product. {suggestion(name, usable)} If it is data of your own: {load}")
    if product.is_template:
        load = f"soilhouse load {name} FILES --as NAME --grid GRID"
        return Problem(path, f"{name} stands for data of your own: load it under a name ({load}) and give that name")
    return Problem(path, f"{name} holds {product.kind}, not values on a grid")


def _delivered(path: str, entry: Mapping[str, Any], product: Product) -> Iterator[Problem]:
    """A product of ours: its staging view has a column for every variable and layer that it delivers."""
    if not (project_root() / "models" / "staging" / f"stg_{product.name}.sql").is_file():
        yield Problem(
            f"{path}.product", f"{product.name} has no staging model yet: models/staging/stg_{product.name}.sql"
        )
    for key in ("column", "columns"):
        if entry.get(key) is not None:
            yield Problem(
                f"{path}.{key}",
                f"is for data of your own; {product.name} is read through its staging model, by variable and layer",
            )
            return
    members = entry.get("mean_of")
    if isinstance(members, list):
        for j, member in enumerate(members):
            if isinstance(member, str):
                other, _, variable = member.rpartition(".")
                of = all_products().get(other) if other else product
                if of is not None:
                    yield from _delivered(f"{path}.mean_of[{j}]", {**entry, "variable": variable, "mean_of": None}, of)
                else:
                    yield Problem(f"{path}.mean_of[{j}]", f"{other!r} is no product with a staging model")
        return
    variable, layer = entry.get("variable"), entry.get("layer", "surface")
    if not isinstance(variable, str):
        return
    layers = [d.layer for d in product.delivers if d.variable == variable]
    if not layers:
        delivered = {d.variable for d in product.delivers}
        yield Problem(
            f"{path}.variable", f"{variable!r} is not delivered by {product.name}. {suggestion(variable, delivered)}"
        )
    elif layer not in layers:
        where = f"{path}.layer" if "layer" in entry else path
        said = f"{layer!r} is not a layer" if "layer" in entry else "needs a layer: `surface` is not one"
        yield Problem(where, f"{said} of {variable} in {product.name}. Possible: {', '.join(layers)}.")


def _brought(path: str, entry: Mapping[str, Any], product: Product) -> Iterator[Problem]:
    """A product of the user's own: the study names the column and, for a variable that is not in seeds/, what it means."""
    columns = [v.name for v in product.variables]
    bands = entry.get("columns")
    if isinstance(bands, dict):
        for band, column in bands.items():
            if isinstance(column, str) and column not in columns:
                yield Problem(
                    f"{path}.columns.{band}",
                    f"{column!r} is not a column of {product.name}. {suggestion(column, columns)}",
                )
        return
    if entry.get("mean_of") is not None:
        yield Problem(f"{path}.mean_of", f"is for products with a staging model; {product.name} is data of your own")
    column = entry.get("column")
    if column is None:
        yield Problem(
            path, f"needs `column`: {product.name} is data of your own, with the columns {', '.join(columns)}"
        )
    elif column not in columns:
        yield Problem(f"{path}.column", f"{column!r} is not a column of {product.name}. {suggestion(column, columns)}")
    else:
        held = next(v for v in product.variables if v.name == column)
        if held.dtype == "string":
            yield Problem(f"{path}.column", f"{column!r} of {product.name} is text, not a number")
    variable = entry.get("variable")
    if isinstance(variable, str) and variable not in variables():
        missing = [k for k in ("unit", "monthly_statistic") if entry.get(k) is None]
        if missing:
            yield Problem(
                f"{path}.variable",
                f"{variable!r} is not in seeds/variables.csv. {suggestion(variable, variables())}"
                f" For a variable of your own give {' and '.join(missing)} too.",
            )


def _prepared(path: str, prepare: Any, product: Product) -> Iterator[Problem]:
    """Steps over days are for products that have days."""
    if isinstance(prepare, dict) and product.time_step == "month":
        for key in ("centred_mean_days", "composite_days", "max_gap_days", "smoothing"):
            if prepare.get(key) is not None:
                yield Problem(f"{path}.{key}", f"{product.name} has a value a month: there are no days to prepare")


def _grids(study: Mapping[str, Any], lake: Path) -> Iterator[Problem]:
    """The grids that series are brought to: of the registry, the study or the lake."""
    own = study.get("grids")
    known = {*GRIDS, *(path.stem for path in (lake / "grids" / "definitions").glob("[!._]*.json"))}
    known |= {grid.get("name") for grid in (own if isinstance(own, list) else []) if isinstance(grid, dict)}
    series = study.get("series")
    for i, entry in enumerate(series if isinstance(series, list) else []):
        prepare = entry.get("prepare") if isinstance(entry, dict) else None
        grid = prepare.get("grid") if isinstance(prepare, dict) else None
        if isinstance(grid, str) and grid not in known:
            yield Problem(
                f"study.series[{i}].prepare.grid",
                f"{grid!r} is not a grid. {suggestion(grid, known)} A grid of your own is described in `grids`",
            )


def _water(study: Mapping[str, Any], products: Mapping[str, Product], holdings: Holdings) -> Iterator[Problem]:
    masks = study.get("masks")
    water = masks.get("water") if isinstance(masks, dict) else None
    if isinstance(water, dict):
        yield from _factor("study.masks.water", water, products, holdings)


def _factor(
    path: str, entry: Mapping[str, Any], products: Mapping[str, Product], holdings: Holdings
) -> Iterator[Problem]:
    """A column of a product without dates; what a series or a coordinate may be is seen without the lake."""
    name, column = entry.get("product"), entry.get("column")
    if not isinstance(name, str) or not isinstance(column, str):
        return
    static = {n: p for n, p in products.items() if p.time_step == "static" and p.kind in DATED_KINDS}
    product = products.get(name)
    if product is None:
        load = load_command(name, products, holdings.lake)
        yield Problem(
            f"{path}.product",
            f"{name!r} is not a product. {suggestion(name, static)} If it is data of your own: {load}",
        )
        return
    if name not in static:
        dated = product.time_step not in ("static", "from_file") and product.kind in DATED_KINDS
        what = "has dates: name it in `series`, and the factor by `variable`" if dated else "is no map"
        yield Problem(f"{path}.product", f"{name} {what}. Products without dates: {suggestion(name, static)}")
        return
    columns = {v.name: v for v in product.variables}
    if column not in columns:
        yield Problem(f"{path}.column", f"{column!r} is not a column of {name}. {suggestion(column, columns)}")
    elif columns[column].dtype == "string":
        yield Problem(
            f"{path}.column", f"{column!r} of {name} is text, not a number: give its classes codes before the load"
        )
    if not holdings.is_static(name):
        yield Problem(
            f"{path}.product",
            f"{name} is not loaded into {holdings.lake}. Load it: {load_command(name, products, holdings.lake)}",
        )


def _drivers(study: Mapping[str, Any]) -> Iterator[Problem]:
    """What the detectors need beside their keys: something to explain, and something that explains it."""
    groups, drivers, series = (study.get(key) for key in ("groups", "drivers", "series"))
    if not isinstance(groups, list) or "drivers" not in groups or not isinstance(drivers, dict):
        return
    known = {s.get("variable") for s in series if isinstance(s, dict)} if isinstance(series, list) else set()
    known = {variable for variable in known if isinstance(variable, str)}
    targets = drivers.get("targets")
    for i, target in enumerate(targets if isinstance(targets, list) else []):
        if isinstance(target, str) and target not in known:
            yield Problem(
                f"study.drivers.targets[{i}]",
                f"{target!r} is not a variable of the study's series. {suggestion(target, known)}",
            )
    if not study.get("factors"):
        yield Problem("study.factors", "is empty: the group drivers explains targets by factors (docs/study_file.md)")


def _months(path: str, name: str, holdings: Holdings, period: Any, notes: list[str]) -> Iterator[Problem]:
    start, end = (period.get(k) for k in ("start", "end")) if isinstance(period, dict) else (None, None)
    try:
        start, end = date.fromisoformat(str(start)), date.fromisoformat(str(end))
    except ValueError:
        return
    if start >= end:
        return
    months = holdings.months(name)
    within = [m for m in months if start <= m < end]
    asked = (end.year - start.year) * 12 + end.month - start.month
    if not within:
        yield Problem(
            f"{path}.product",
            f"{name} has no month between {start} and {end} in {holdings.lake}; loaded: {month_ranges(months) or 'none'}",
        )
    elif len(within) < asked:
        notes.append(f"{name}: {len(within)} of the period's {asked} months are loaded ({month_ranges(within)})")


def _station_product(
    path: str, name: Any, products: Mapping[str, Product], holdings: Holdings, period: Any, notes: list[str]
) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    known = {n for n, p in products.items() if p.kind == "stations" and not p.is_template}
    if name not in known:
        yield Problem(
            path,
            f"{name!r} is not a product of stations. {suggestion(name, known)}"
            f" Load stations of your own: {load_command('stations', products, holdings.lake)} --as {name};"
            f" files of the International Soil Moisture Network: {load_command('ismn', products, holdings.lake)} --as {name}",
        )
    elif name not in holdings.station_products():
        yield Problem(
            path, f"{name} is not loaded into {holdings.lake}. Load it: {load_command(name, products, holdings.lake)}"
        )
    elif not holdings.months(name):
        yield Problem(
            path,
            f"{name} has stations but no measurements in {holdings.lake}. Load them:"
            f" {load_command(name, products, holdings.lake)}",
        )
    else:
        # stations without a day in the period are no mistake of a study of many networks, but may surprise
        notes += [problem.reason for problem in _months(path, name, holdings, period, notes)]


def _region(region: Any, holdings: Holdings) -> Iterator[Problem]:
    if not isinstance(region, dict) or not isinstance(region.get("set"), str):
        return
    name = region["set"]
    if name not in holdings.region_sets():
        lake = "" if holdings.lake == project_root() / "lake" else f" --lake {shlex.quote(str(holdings.lake))}"
        yield Problem(
            "study.region.set",
            f"no set of regions {name!r} is registered in {holdings.lake}. {suggestion(name, holdings.region_sets())}"
            f" Register it: soilhouse load regions FILE --as {name}{lake}",
        )
        return
    ids = region.get("ids")
    known = holdings.region_ids(name)
    if "all" in (ids if isinstance(ids, list) else known):
        yield Problem(
            "study.region.set" if ids is None else "study.region.ids",
            f"{name} has a region that is called `all`, which is what tables call the whole study. Give it another id in the"
            " file (or another column with --id-column) and register the set again",
        )
    for i, region_id in enumerate(ids if isinstance(ids, list) else []):
        if region_id not in known:
            yield Problem(
                f"study.region.ids[{i}]",
                f"{region_id!r} is not a region of {name}. {suggestion(str(region_id), known)}",
            )


def _fine_grid(downscaling: Any, holdings: Holdings) -> Iterator[Problem]:
    """The grid that is downscaled to has its pixels from the products that were loaded onto it."""
    name = downscaling.get("grid") if isinstance(downscaling, dict) else None
    folder = holdings.lake / "grids" / "pixels"
    loaded = sorted(p.stem for p in folder.glob("[!._]*.parquet") if p.stem != "empty") if folder.is_dir() else []
    if isinstance(name, str) and name not in loaded:
        yield Problem(
            "study.downscaling.grid",
            f"nothing in {holdings.lake} is on the grid {name!r}: load the features of the fine grid first. {suggestion(name, loaded)}",
        )
