"""Old words that still work, and the sentence that says the new one (docs/stability.md)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from edgecut.errors import DocumentError

GONE_WITH = "1.0"

OLD_KEYS: dict[str, str] = {}
"""A recipe's key that an earlier version knew -> the one that has its meaning now, both as "table.key"."""


class OldWordWarning(DeprecationWarning):
    """A word was used that a later version doesn't know: a name, a recipe's key, an option. Its text is a sentence."""


def old_word(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that `old` works no longer from the next major version on, and say what to write.

    stacklevel: as warnings.warn counts it; 3 is the caller of the function that calls this one.
    """
    warnings.warn(
        f"{old} is deprecated and goes with edgecut {GONE_WITH}; write {new}", OldWordWarning, stacklevel=stacklevel
    )


def in_new_words(tables: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The tables of a recipe with what stands under a key of OLD_KEYS under the new one, each told with a warning.

    Raises DocumentError where the old key and the new one are both there.
    """
    renewed = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for old, new in OLD_KEYS.items():
        (place, key), (new_place, new_key) = old.split("."), new.split(".")
        table, new_table = renewed.get(place), renewed.get(new_place, {})
        if not isinstance(table, dict) or not isinstance(new_table, dict) or key not in table:
            continue
        if new_key in new_table:
            raise DocumentError([f"{where}: {old}: is the old word for {new}, which is there too; leave it out"])
        renewed[new_place] = {**new_table, new_key: table[key]}
        old_word(f"{where}: {old}", new)
        del renewed[place][key]
        if not renewed[place]:
            del renewed[place]
    return renewed
