"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], count: int = 3) -> str:
    """ " (closest: 'a', 'b')" for the known names most like `name`; "" if none is like it."""
    lower = {k.lower(): k for k in known}
    hits = difflib.get_close_matches(name.lower(), list(lower), n=count, cutoff=0.5)
    return f" (closest: {', '.join(repr(lower[h]) for h in hits)})" if hits else ""
