"""Old words that still work, and the sentence that says the new one (docs/stability.md)."""

from __future__ import annotations

import warnings

GONE_WITH = "1.0"


class OldWordWarning(DeprecationWarning):
    """A word was used that a later version doesn't know: a name, a recipe's key, an option. Its text is a sentence."""


def old_word(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that `old` works no longer from the next major version on, and say what to write.

    stacklevel: as warnings.warn counts it; 3 is the caller of the function that calls this one.
    """
    warnings.warn(
        f"{old} is deprecated and goes with edgecut {GONE_WITH}; write {new}", OldWordWarning, stacklevel=stacklevel
    )
