"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], count: int = 3) -> str:
    """ " (closest: 'a', 'b')" for the known names most like `name`; "" if none is like it.

    A name with dots is also found by its last part, such as "conv" for "backbone.conv".
    """
    spelled: dict[str, list[str]] = {}
    for k in known:
        for text in dict.fromkeys((k.lower(), k.lower().rpartition(".")[2])):
            spelled.setdefault(text, []).append(k)
    hits = difflib.get_close_matches(name.lower(), list(spelled), n=count, cutoff=0.5)
    found = list(dict.fromkeys(k for hit in hits for k in spelled[hit]))[:count]
    return f" (closest: {', '.join(map(repr, found))})" if found else ""
