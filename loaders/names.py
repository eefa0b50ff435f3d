"""What names and layers look like, in product definitions and in studies alike."""

from __future__ import annotations

import re

# Products, grids, variables, studies: folders of the lake and names in SQL on both engines.
NAME = re.compile(r"[a-z][a-z0-9_]*")
# Written into SQL without quotes, so nothing but an identifier may pass.
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LAYER = re.compile(r"surface|\d+(\.\d+)?-\d+(\.\d+)? cm")


def checked_layer(layer: str) -> str:
    """The layer itself, a depth interval such as `0-5 cm` or `surface`. Raises ValueError for anything else."""
    if not LAYER.fullmatch(layer):
        raise ValueError("a layer is a depth interval such as `0-5 cm`, or `surface`")
    if layer != "surface":
        top, bottom = layer_limits(layer)
        if top >= bottom:
            raise ValueError("a layer goes from its top down, such as `0-5 cm`")
    return layer


def layer_limits(layer: str) -> tuple[float, float]:
    """Top and bottom, cm, of a depth interval such as `0-5 cm`. Raises ValueError for `surface`, which has none."""
    top, bottom = layer.removesuffix(" cm").split("-")
    return float(top), float(bottom)
