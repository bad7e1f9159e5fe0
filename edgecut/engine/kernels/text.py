"""The C text of kernels: pieces of the .c files beside this one, with what each needs before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_MARK = re.compile(r"^/\*@ (\w+)(?:: ([\w ]+))? \*/\n", re.MULTILINE)


def pieces(names: Iterable[str]) -> dict[str, str]:
    """{piece: its text} of the named ones and all that they need, each behind what it needs."""
    known = _all_pieces()
    chosen: dict[str, str] = {}

    def add(name: str) -> None:
        needs, text = known[name]
        for need in needs:
            add(need)
        chosen.setdefault(name, text)

    for name in names:
        add(name)
    return chosen


@cache
def _all_pieces() -> dict[str, tuple[tuple[str, ...], str]]:
    known: dict[str, tuple[tuple[str, ...], str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.c")):
        parts = _MARK.split(path.read_text())[1:]
        for name, needs, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            known[name] = (tuple((needs or "").split()), text.strip() + "\n")
    return known
