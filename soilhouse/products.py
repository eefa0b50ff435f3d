"""`soilhouse products`: what can be loaded, and what is loaded."""

from __future__ import annotations

from rich.table import Table

from loaders.products import Product, ProductError, all_products
from soilhouse.console import err, out
from soilhouse.demo_mark import simulated_products
from soilhouse.errors import UserError
from soilhouse.holdings import Holdings, month_ranges
from soilhouse.settings import Settings


def show(settings: Settings) -> int:
    """Print the table of products with the months of each in the lake. Returns the exit code."""
    try:
        products = all_products(settings.lake)
        built_in = set(all_products())
    except ProductError as error:
        raise UserError(
            f"A product's definition cannot be read:\n{error}", "Mend that file, or load the product again."
        ) from None
    holdings, simulated = Holdings(settings.lake), simulated_products(settings.lake)
    table = Table(title_justify="left", header_style="bold", show_lines=False)
    for column in ("product", "delivers", "grid", "time step", "verified", "in this lake"):
        table.add_column(column, overflow="fold", no_wrap=column in ("product", "grid"))
    for name, product in sorted(
        products.items(), key=lambda item: (item[1].is_template, item[0] not in built_in, item[0])
    ):
        table.add_row(
            name,
            delivers(product),
            _blank(product.grid),
            "" if product.time_step == "from_file" else product.time_step,
            "yes" if product.verified else "no",
            loaded(name, product, holdings) + (" SIMULATED" if name in simulated and holdings.is_loaded(name) else ""),
        )
    out.print(table)
    out.print(f"Lake: {settings.lake}", markup=False)
    err.print(
        "verified: read from a real file; the others follow their documentation."
        " table, raster, stations and regions take files of your own: soilhouse load --help",
        markup=False,
    )
    return 0


def delivers(product: Product) -> str:
    """`soil_moisture (0-7 cm, 7-28 cm), precipitation`; the title for products that take files of one's own."""
    if product.is_template or product.kind == "regions":
        return product.title
    layers: dict[str, list[str]] = {}
    for delivered in product.delivers:
        layers.setdefault(delivered.variable, []).append(delivered.layer)
    return ", ".join(
        variable if found == ["surface"] else f"{variable} ({', '.join(found)})" for variable, found in layers.items()
    )


def loaded(name: str, product: Product, holdings: Holdings) -> str:
    """What a lake holds of a product."""
    if product.kind == "regions":
        return ", ".join(holdings.region_sets())
    if holdings.is_static(name):
        return "yes"
    return month_ranges(holdings.months(name))


def _blank(grid: str) -> str:
    return {"from_file": "the file's", "given": "--grid", "none": ""}.get(grid, grid)
