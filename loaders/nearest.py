"""The known names nearest to one that is not known: every message about a wrong word ends with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Below this likeness difflib proposes words that have nothing in common with what was meant.
CUTOFF = 0.6
LISTED = 12


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Up to `n` of `known`, most alike first; names that contain the word, or are contained in it, count as alike."""
    names = {k.lower(): k for k in sorted(set(known))}
    word = str(name).lower()
    alike = difflib.get_close_matches(word, list(names), n=n, cutoff=CUTOFF)
    # `chirps` is meant for chirps_monthly although most of the letters are missing.
    contained = [k for k in names if k not in alike and len(word) >= 3 and (word in k or k in word)]
    return [names[k] for k in (alike + contained)[:n]]


def suggestion(name: str, known: Iterable[str]) -> str:
    """`Nearest: a, b.`, or when nothing is alike the known names themselves (shortened when there are many)."""
    names = sorted(set(known))
    alike = nearest(name, names)
    if alike:
        return f"Nearest: {', '.join(alike)}."
    if not names:
        return "None is known."
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"Known: {', '.join(names[:LISTED])}{more}."
