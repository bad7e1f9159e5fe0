"""Keywords that a function takes as one record, `**options: Unpack[Options]`."""

from __future__ import annotations

from collections.abc import Mapping


def check_keywords(function: str, options: Mapping[str, object], record: type) -> None:
    """Raises TypeError for a keyword that the record of a function's keywords hasn't, as Python does for its own."""
    for name in options:
        if name not in record.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
