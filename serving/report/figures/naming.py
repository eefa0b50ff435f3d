"""How series, regions and units are written in lists, captions and axes."""

from __future__ import annotations

from datetime import date, timedelta

from serving.report.svg import MONTHS


def words(name: str) -> str:
    """`soil_moisture` as `soil moisture`."""
    return name.replace("_", " ")


def unit(given: str | None) -> str:
    """A unit as it is printed: `m3 m-3` as `m³ m⁻³`; empty for none and for 1."""
    if not given or given == "1":
        return ""
    raised = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
    parts = []
    for part in given.split(" "):
        letters = part.rstrip("0123456789-")
        power = part[len(letters) :]
        parts.append(letters + power.translate(raised) if letters and power.lstrip("-").isdigit() else part)
    return " ".join(parts).replace("degC", "°C")


def named(quantity: str, given: str | None) -> str:
    """A quantity with its unit in brackets."""
    shown = unit(given)
    return f"{quantity} ({shown})" if shown else quantity


def series(row: dict) -> str:
    """One series in the order in which people look for it: what, at which depth, from which product."""
    depth = "" if row["layer"] == "surface" else f", {row['layer']}"
    return f"{words(row.get('variable', 'soil_moisture')).capitalize()}{depth} · {row['product']}"


def month(day: date) -> str:
    """`Jul 2019`."""
    return f"{MONTHS[day.month - 1]} {day.year}"


def period(row: dict) -> str:
    """A period of the drivers or of the depth profile: `JJA 2019`, `2019`, `all years`, `Jul 2019`."""
    kind, start, end = row["period_kind"], row["period_start"], row["period_end"]
    if kind == "all":
        return "all years"
    if kind == "season":
        # A winter belongs to the year of its January.
        return f"{row['season']} {(end - timedelta(days=1)).year}"
    return str(start.year) if kind == "year" else month(start) if kind == "month" else f"{start} to {end}"
