"""What the tests of comparisons share: measurements that are made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.bench.runners import tflm
from edgecut.bench.runners.tflm import TflmArena
from edgecut.handoff import compare as comparing


@pytest.fixture(scope="module")
def arenas() -> dict[bytes, TflmArena]:
    return {}


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch, arenas: dict[bytes, TflmArena]) -> None:
    """One round of latency; the interpreter says the arena of the same bytes once for all the tests."""
    measure = tflm.smallest_arena_bytes

    def once(path: Path) -> TflmArena:
        content = path.read_bytes()
        if content not in arenas:
            arenas[content] = measure(path)
        return arenas[content]

    monkeypatch.setattr(comparing, "ROUNDS", 1)
    monkeypatch.setattr(tflm, "smallest_arena_bytes", once)
