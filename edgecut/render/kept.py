"""The cache as a table."""

from __future__ import annotations

from collections.abc import Iterable

from edgecut.records.units import format_bytes
from edgecut.render.grid import Fitted, fitted

_AGES = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))


def cache_table(rows: Iterable[tuple[str, str, int, float, bool]]) -> Fitted:
    """One row for each entry: (build, stage, bytes, seconds since it was used, whether it can be read)."""
    found = [
        (title, kind, format_bytes(size_bytes), _age(age_s), "" if sound else "damaged: made anew")
        for title, kind, size_bytes, age_s, sound in rows
    ]
    return fitted(("<build", "<stage", "size", "unused", "<state"), found, ("unused", "size", "state", "stage"))


def _age(seconds: float) -> str:
    for unit_s, unit in _AGES:
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
