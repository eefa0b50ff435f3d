"""The models of a lake: files by the hash of their content, and a register of what each training gave.

`<store>/<sha256>.model` is one model (artefact.py); a stack names its members by their hashes. `<store>/registry/<model_id>.json` is the
record of one training: its scores, what it was trained with, and the hash of its model. Both are written beside and renamed, and a file
whose content is not what its name says is never read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udfs.downscaling import estimators
from udfs.downscaling.artefact import DamagedModel, pack, unpack
from udfs.downscaling.design import Design
from udfs.downscaling.estimators import Model, Stack

ENDING = ".model"

_MODEL_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Kept:
    """A model with what a prediction needs beside it: its columns, its training range, the half-width of its interval."""

    model: Model
    design: Design
    half_width: float | None


def default_store() -> Path:
    """The models of the lake that the environment names (SOILHOUSE_LAKE, else `lake`)."""
    return Path(os.environ.get("SOILHOUSE_LAKE", "lake")) / "models"


class Store:
    """The folder `models` of a lake, on a disk that every worker sees under the same path."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def keep(self, kept: Kept, members: Sequence[str] = ()) -> str:
        """Write a model; the SHA-256 of its file, which is its name. Written once. `members`: the names of a stack's, kept before it."""
        described: dict[str, Any] = {
            "kind": kept.model.kind,
            "design": kept.design.header(),
            "half_width": kept.half_width,
        }
        if isinstance(kept.model, Stack):
            described["members"] = list(members)
            described["model"] = {"intercept": kept.model.intercept}
            data = pack(described, {"weights": np.asarray(kept.model.weights)})
        else:
            described["model"], blobs = kept.model.parts()
            data = pack(described, blobs)
        name = hashlib.sha256(data).hexdigest()
        if not self.has(name):
            _write(self._file(name), data)
        return name

    def has(self, name: str) -> bool:
        """Whether the model, and every member of a stack, is there and is what its name says."""
        try:
            header, _ = unpack(self._read(name))
        except ValueError:
            return False
        return all(self.has(member) for member in header.get("members", ()))

    def model(self, name: str) -> Kept:
        """Read a model. ValueError, in the user's words: it is not there, or its content is not what its name says."""
        try:
            header, blobs = unpack(self._read(name))
            if header["kind"] == Stack.kind:
                members = [self.model(member).model for member in header["members"]]
                model: Model = Stack(members, blobs["weights"], header["model"]["intercept"])
            else:
                model = estimators.load(header["kind"], header["model"], blobs)
        except (DamagedModel, KeyError) as error:
            raise ValueError(
                f"The model {self._file(name)} cannot be used ({error}). Delete it and build int_downscaling_training again."
            ) from None
        return Kept(model, Design.from_header(header["design"]), header["half_width"])

    def record(self, model_id: str) -> dict[str, Any] | None:
        """The record of a training; None where there is none, or none that can be read (then it is trained again)."""
        file = self._record_file(model_id)
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def register(self, model_id: str, record: dict[str, Any]) -> None:
        """Write the record of a training: JSON with sorted keys and no time stamps."""
        _write(self._record_file(model_id), (json.dumps(record, sort_keys=True, indent=1) + "\n").encode())

    def of_training(self, model_id: str) -> Kept:
        """The model of a training. ValueError: no such training here, or one that gave no model."""
        record = self.record(model_id)
        if record is None or record["result"]["artifact_sha256"] is None:
            raise ValueError(
                f"There is no model {model_id} in {self.folder}. Build int_downscaling_training with this lake first;"
                " workers of Spark must see the lake under the same path."
            )
        return self.model(record["result"]["artifact_sha256"])

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}{ENDING}"

    def _record_file(self, model_id: str) -> Path:
        if not _MODEL_ID.fullmatch(model_id):
            raise ValueError(f"{model_id!r} is not the id of a model: 16 of the digits 0-9 and a-f")
        return self.folder / "registry" / f"{model_id}.json"

    def _read(self, name: str) -> bytes:
        try:
            data = self._file(name).read_bytes()
        except OSError as error:
            raise DamagedModel(error.strerror or "not readable") from None
        if hashlib.sha256(data).hexdigest() != name:
            raise DamagedModel("its content is not what its name says")
        return data


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}-{threading.get_ident()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
