"""Marks, scales and axes of an SVG, as text. Colours of lines and letters come from the page's style (light, dark, print)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: four significant digits, no exponent between 1e-4 and 1e6; a dash for NULL."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if value == 0:
        return "0"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}"
    size = abs(value)
    if size < 1e-4 or size >= 1e6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"


def tick(value: float) -> str:
    """A round number on an axis: no zeros at its end, powers of ten written out."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:,.10f}".rstrip("0").rstrip(".").replace("-", "−")
    digits, power = f"{value:.6e}".split("e")
    raised = str(int(power)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return f"{digits.rstrip('0').rstrip('.')}×10{raised}".replace("-", "−")


def place(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two limits, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", turn: bool = False) -> str:
    """A line of text at a place; `turn` reads from bottom to top."""
    turned = f' transform="rotate(-90 {place(x)} {place(y)})"' if turn else ""
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{place(x)}" y="{place(y)}" text-anchor="{anchor}"{css}{turned}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{place(x1)}" y1="{place(y1)}" x2="{place(x2)}" y2="{place(y2)}"/>'


def path(points: Sequence[tuple[float, float]], kind: str = "line", colour: str = "", close: bool = False) -> str:
    """A line through points."""
    if not points:
        return ""
    way = "M" + "L".join(f"{place(x)} {place(y)}" for x, y in points) + ("Z" if close else "")
    style = f' style="{"fill" if close else "stroke"}:{colour}"' if colour else ""
    return f'<path class="{kind}" d="{way}"{style}/>'


def said(words: str) -> str:
    """The attribute that the page shows and speaks at a mark."""
    return f' data-t="{escape(words, quote=True)}"'


def dot(x: float, y: float, words: str = "", radius: float = 3, colour: str = "", kind: str = "dot") -> str:
    """A point, with what is said of it."""
    style = f' style="fill:{colour}"' if colour else ""
    return f'<circle class="{kind}" cx="{place(x)}" cy="{place(y)}" r="{place(radius)}"{style}{said(words) if words else ""}/>'


def box(x: float, y: float, width: float, height: float, colour: str, words: str = "", kind: str = "cell") -> str:
    """A filled rectangle, with what is said of it."""
    return (
        f'<rect class="{kind}" x="{place(x)}" y="{place(y)}" width="{place(max(width, 0))}" height="{place(max(height, 0))}"'
        f' style="fill:{colour}"{said(words) if words else ""}/>'
    )


def short(words: str, width: float) -> str:
    """A title that fits in a width, ended by an ellipsis where it does not."""
    most = max(3, int(width / 7.6))
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


@dataclass(frozen=True)
class Panel:
    """A frame with two linear scales: `x` and `y` are (low, high) of the values at its edges; `y` may fall downwards (low > high)."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, value: float) -> float:
        low, high = self.x
        return self.left + (value - low) / ((high - low) or 1) * self.width

    def at_y(self, value: float) -> float:
        low, high = self.y
        return self.top + self.height - (value - low) / ((high - low) or 1) * self.height

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.at_x(x), self.at_y(y)

    def frame(
        self,
        x_name: str = "",
        y_name: str = "",
        x_ticks: Sequence[tuple[float, str]] | None = None,
        y_ticks: Sequence[tuple[float, str]] | None = None,
        title: str = "",
        name_gap: float = 54,
    ) -> str:
        """Grid lines, tick labels, names of the axes and a title above."""
        bottom = self.top + self.height
        if x_ticks is None:
            x_ticks = [(v, tick(v)) for v in ticks(min(self.x), max(self.x), max(2, int(self.width // 70)))]
        if y_ticks is None:
            y_ticks = [(v, tick(v)) for v in ticks(min(self.y), max(self.y), max(2, int(self.height // 45)))]
        parts = []
        for value, words in y_ticks:
            y = self.at_y(value)
            parts += [
                line(self.left, y, self.left + self.width, y, "grid"),
                text(self.left - 6, y + 4, words, "tick", "end"),
            ]
        for value, words in x_ticks:
            x = self.at_x(value)
            parts += [line(x, bottom, x, bottom + 4), text(x, bottom + 17, words, "tick", "middle")]
        parts += [line(self.left, bottom, self.left + self.width, bottom)]
        if x_name:
            parts.append(text(self.left + self.width / 2, bottom + 36, x_name, "name", "middle"))
        if y_name:
            parts.append(text(self.left - name_gap, self.top + self.height / 2, y_name, "name", "middle", turn=True))
        if title:
            parts.append(text(self.left, self.top - 8, title, "panel"))
        return "".join(parts)


def padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Limits a little wider than the values, never of no width."""
    room = (high - low) * share or abs(low) * share or 1.0
    return low - room, high + room


def legend(
    left: float, top: float, entries: Sequence[tuple[str, str]], gap: float = 16, most_width: float = 10_000
) -> str:
    """Squares of colours with their names in a row, broken into lines at `most_width`."""
    parts, x, y = [], left, top
    for colour, words in entries:
        width = 22 + 7.2 * len(words) + gap
        if x > left and x + width > left + most_width:
            x, y = left, y + 19
        parts += [box(x, y - 10, 12, 12, colour, kind="key"), text(x + 17, y, words, "tick")]
        x += width
    return "".join(parts)


def legend_lines(entries: Sequence[tuple[str, str]], most_width: float, gap: float = 16) -> int:
    """How many lines `legend` takes."""
    lines, x = 1, 0.0
    for _, words in entries:
        width = 22 + 7.2 * len(words) + gap
        if x > 0 and x + width > most_width:
            lines, x = lines + 1, 0.0
        x += width
    return lines


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
