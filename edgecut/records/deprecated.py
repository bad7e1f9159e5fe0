"""Old words that still work, and the sentence that says the new one (docs/stability.md)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

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
    warnings.warn(old_sentence(old, new), OldWordWarning, stacklevel=stacklevel)


def old_sentence(old: str, new: str) -> str:
    """What is said of an old word."""
    return f"{old} is deprecated and goes with edgecut {GONE_WITH}; write {new}"


def in_new_words(tables: Mapping[str, object], where: str) -> dict[str, object]:
    """The tables of a recipe with what stands under a key of OLD_KEYS under the new one, each told with a warning.

    Raises DocumentError where the old key and the new one are both there.
    """
    renewed: dict[str, object] = dict(tables)
    for old, new in OLD_KEYS.items():
        (place, key), (new_place, new_key) = old.split("."), new.split(".")
        table = renewed.get(place)
        if not isinstance(table, Mapping) or key not in table:
            continue
        rest = {name: value for name, value in table.items() if name != key}
        without = {**renewed, place: rest} if rest else {name: x for name, x in renewed.items() if name != place}
        new_table = without.get(new_place, {})
        if not isinstance(new_table, Mapping):
            continue
        if new_key in new_table:
            raise DocumentError([f"{where}: {old}: is the old word for {new}, which is there too; leave it out"])
        old_word(f"{where}: {old}", new)
        renewed = {**without, new_place: {**new_table, new_key: table[key]}}
    return {name: dict(table) if isinstance(table, Mapping) else table for name, table in renewed.items()}
