"""Names and terms that may stand in C source."""

from __future__ import annotations

import re


def c_symbol(name: str) -> str:
    """The name as the beginning of C identifiers: letters, digits and single _, since C++ reserves two in any place."""
    symbol = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "model"
    return f"m{symbol}" if symbol[0].isdigit() else symbol


def signed(value: float) -> str:
    """What is added to a term before it: " + 3", " - 3", or nothing for 0."""
    return f" {'-' if value < 0 else '+'} {abs(value):.9g}" if value else ""
