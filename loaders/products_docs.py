"""Writes docs/products.md from the product YAMLs: `python -m loaders.products_docs`, with `--check` only compares."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from loaders.products import Product, Variable, all_products

PAGE = Path(__file__).resolve().parents[1] / "docs" / "products.md"

HEAD = """# Products

<!-- Written by `python -m loaders.products_docs` from loaders/products/*.yml; do not edit. -->

What `soilhouse load PRODUCT PATH...` understands. How to load your own tables and maps, and what happens to bad files, is in
[loading.md](loading.md). *Verified* means that the reader has read a real file of the product; the others are written from the
provider's documentation.

"""


def page(products: dict[str, Product] | None = None) -> str:
    """The page as Markdown."""
    products = products or all_products()
    ready = [p for p in products.values() if p.variables and p.kind == "gridded"]
    own = [p for p in products.values() if p not in ready]
    lines = [HEAD.rstrip("\n"), ""]
    lines += ["| product | what it is | grid | time step | delivers | verified |", "|---|---|---|---|---|---|"]
    for product in ready:
        offered = [d.variable for d in product.delivers] or [v.name for v in product.variables]
        delivers = ", ".join(dict.fromkeys(offered))
        lines.append(
            f"| [`{product.name}`](#{product.name}) | {product.title} | `{product.grid}` | {product.time_step} "
            f"| {delivers} | {'yes' if product.verified else 'no'} |"
        )
    lines += ["", "Your own files:", "", "| product | what it is | where the data come from |", "|---|---|---|"]
    lines += [f"| `{p.name}` | {p.title} | {_cell(p.source)} |" for p in own]
    for product in ready:
        lines += ["", *_section(product)]
    return "\n".join(lines) + "\n"


def _section(product: Product) -> list[str]:
    lines = [f"## {product.name}", "", f"{product.title}.", ""]
    lines += [f"* Source: {_cell(product.source)}", f"* Cite: {_cell(product.citation)}"]
    lines += [f"* Grid `{product.grid}`, {_STEPS[product.time_step]}, format `{product.format}`"]
    if product.file_pattern:
        lines.append(f"* File names: `{product.file_pattern}`")
    if product.shares_input_with:
        shared = ", ".join(f"`{p}`" for p in product.shares_input_with)
        lines.append(f"* Not independent of {shared}: the two share input")
    if product.time_step == "static":
        lines.append("* Without dates: a study takes its columns as factors, with their scale and range")
    else:
        lines += ["", "| delivered in the staging view | layer | unit |", "|---|---|---|"]
        lines += [f"| {d.variable} | {d.layer} | {d.unit} |" for d in product.delivers]
    lines += ["", "| column of the lake, as delivered | type | fill | unit | meaning |", "|---|---|---|---|---|"]
    lines += [_row(v) for v in product.variables]
    return lines


_STEPS = {
    "instant": "a row an observation, with its time in UTC",
    "day": "a value a day",
    "month": "a value a month",
    "static": "without dates",
}


def _row(variable: Variable) -> str:
    fill = ", ".join(f"{f:g}" for f in variable.fill) or ("NaN" if variable.dtype.startswith("float") else "none")
    optional = " (a file may lack it)" if variable.optional else ""
    return (
        f"| {variable.name} | {variable.dtype} | {fill} | {variable.unit} | {_cell(variable.description)}{optional} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with `--check` say how the one on disk differs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loaders.products_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when docs/products.md is stale")
    wanted = page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(wanted, encoding="utf-8")
        print(f"wrote {PAGE}")
        return 0
    found = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    if found == wanted:
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), "docs/products.md", "from the YAMLs", n=1)
    )
    print("docs/products.md is stale: run python -m loaders.products_docs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
