"""The file work of the `lake_parquet` materialisation: a dbt-duckdb plugin, because SQL can neither make folders nor remove files.

Its `store` is called from macros/materializations/lake_parquet.sql with an action and JSON arguments; it knows nothing of models.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig


class Plugin(BasePlugin):
    """Actions: `remove_orphans`, `make_folder`, `sync`."""

    def initialize(self, plugin_config: dict) -> None:
        """Nothing to set up."""

    def store(self, target_config: TargetConfig) -> None:
        """Carry out the action named by the location's format, with the JSON arguments in its path."""
        action = {"remove_orphans": remove_orphans, "make_folder": make_folder, "sync": sync}[
            target_config.location.format
        ]
        action(**json.loads(target_config.location.path))


def remove_orphans(root: str, owner: str, listed: list[str]) -> None:
    """Remove the Parquet files under `root` that this database (`owner`, the beginning of their names) wrote and no view lists.

    Files of other databases that share the lake stay. Folders that become empty go too.
    """
    keep = set(listed)
    for file in Path(root).glob(f"year=*/month=*/{owner}_*.parquet"):
        if str(file) not in keep:
            file.unlink(missing_ok=True)
    for folder in sorted(Path(root).glob("year=*/month=*"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def make_folder(file: str) -> None:
    """Make the folder that `file` will be written to."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)


def sync(files: list[str]) -> None:
    """Bring files and their folders to the disk, so that a power cut after the view was replaced cannot leave it without data."""
    for path in [*files, *{str(Path(file).parent) for file in files}]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
