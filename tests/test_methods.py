"""docs/methods.md has something to say of every mart of the analytics. (That its queries run is tested with the demo.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
METHODS = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
MARTS = sorted(
    path.stem for room in ("patterns", "trends", "drivers") for path in (ROOT / "models/marts" / room).glob("*.sql")
)


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_has_its_words_and_a_query(mart: str) -> None:
    assert f"`{mart}`" in METHODS, "say what it answers, how, and whom it agrees with"
    queries = re.findall(r"```sql\n(.*?)```", METHODS, re.S)
    assert any(f"marts.{mart}\n" in query or f"marts.{mart} " in query for query in queries), "give one query"
