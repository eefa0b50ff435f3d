"""Colours that people with a colour vision deficiency tell apart, and that keep their order in grey.

viridis and cividis: Nunez, Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239. Brown-teal, purple-orange and red-blue (not red-green):
ColorBrewer, Harrower and Brewer 2003, doi:10.1179/000870403235002042. Classes without order: Okabe and Ito 2008.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ANCHORS = {
    "viridis": "440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
    # dry to wet
    "brown_teal": "543005 8c510a bf812d dfc27d f6e8c3 f5f5f5 c7eae5 80cdc1 35978f 01665e 003c30",
    # cold to warm
    "blue_red": "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
    "purple_orange": "2d004b 542788 8073ac b2abd2 d8daeb f7f7f7 fee0b6 fdb863 e08214 b35806 7f3b08",
}

CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#7F7F7F")


def colours(name: str, shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Red, green and blue of shares of a palette's length, 0 to 1 (beyond them its ends), shape (..., 3); shares must be finite."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in _ANCHORS[name].split()], np.float64)
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(shares, places, anchors[:, i]) for i in range(3)], -1).round().astype(np.uint8)


def colour(name: str, share: float) -> str:
    """One colour as `#rrggbb`."""
    return "#" + "".join(f"{v:02x}" for v in colours(name, np.array(share)))


def ink_on(colour_: str) -> str:
    """Black or white, whichever is read more easily on a colour `#rrggbb` (relative luminance of WCAG 2)."""
    parts = [int(colour_[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"
