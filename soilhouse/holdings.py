"""What a lake holds, read from the names of its files: no Parquet is opened, so it is instant on a lake of any size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_MONTH_FOLDERS = re.compile(r"year=(\d{4})/month=(\d{2})")


@dataclass(frozen=True)
class Holdings:
    """A lake's folders, as docs/architecture.md lays them out. A lake that does not exist holds nothing."""

    lake: Path

    def months(self, product: str) -> list[date]:
        """The months of a product, ascending, each as its first day; none for a product that is static or not loaded."""
        found = set()
        for path in self._month_files(product):
            match = _MONTH_FOLDERS.search(path.as_posix())
            if match:
                found.add(date(int(match[1]), int(match[2]), 1))
        return sorted(found)

    def is_loaded(self, product: str) -> bool:
        return next(self._month_files(product), None) is not None or self.is_static(product)

    def is_static(self, product: str) -> bool:
        """Whether the product lies in the lake as one file without dates."""
        return (self.lake / "raw" / product / "static" / f"{product}.parquet").is_file()

    def is_catalogued(self, product: str) -> bool:
        """Whether the last load of a product ended: the catalogue is what a load writes last."""
        return (self.lake / "catalog" / "products" / f"{product}.parquet").is_file()

    def products(self) -> list[str]:
        """The products with at least one file."""
        raw = self.lake / "raw"
        folders = sorted(p.name for p in raw.iterdir() if p.is_dir() and p.name[0] not in "._") if raw.is_dir() else []
        return [name for name in folders if self.is_loaded(name)]

    def region_sets(self) -> list[str]:
        """The sets of regions that are registered."""
        return sorted(p.stem for p in (self.lake / "regions" / "region").glob("[!._]*.parquet") if p.stem != "empty")

    def region_ids(self, region_set: str) -> set[str]:
        """The regions of a set."""
        import pyarrow.parquet as pq

        path = self.lake / "regions" / "region" / f"{region_set}.parquet"
        return set(pq.read_table(path, columns=["region_id"])["region_id"].to_pylist()) if path.is_file() else set()

    def station_products(self) -> list[str]:
        """The station products whose stations are registered."""
        return sorted(p.stem for p in (self.lake / "stations").glob("[!._]*.parquet") if p.stem != "empty")

    def _month_files(self, product: str) -> Iterator[Path]:
        return (self.lake / "raw" / product).glob("year=*/month=*/[!._]*.parquet")


def month_ranges(months: list[date]) -> str:
    """`2011-01 to 2017-12`, with `, ` between runs of months without a gap."""
    runs: list[list[date]] = []
    for month in months:
        if runs and (month.year - runs[-1][-1].year) * 12 + month.month - runs[-1][-1].month == 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    shown = [f"{r[0]:%Y-%m}" if len(r) == 1 else f"{r[0]:%Y-%m} to {r[-1]:%Y-%m}" for r in runs]
    if len(shown) > 4:
        return f"{shown[0]}, ... {shown[-1]} ({len(months)} months in {len(shown)} runs)"
    return ", ".join(shown)
