"""Sizes, times and frequencies as people write them, and back."""

from __future__ import annotations

import re

_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_NUMBER = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµ]*)\s*")


def parse_bytes(value: object) -> int:
    """A size in bytes from 262144, "262144", "256 KiB" (1024) or "256 kB" (1000).

    "98.4 KiB", which is no whole number of bytes, is the nearest one. Raises ValueError if the text is no size, is
    negative or is a part of a byte.
    """
    size = _parse(value, _BYTES, "a size such as '256 KiB'")
    in_bytes = not isinstance(value, str) or not value.strip().lower().endswith(("kb", "mb", "gb", "ib"))
    if in_bytes and size != int(size):
        raise ValueError(f"{value!r} is no whole number of bytes")
    return round(size)


def parse_seconds(value: object) -> float:
    """A time in seconds from 0.05, "50 ms", "800 us" or "1 s". Raises ValueError if the text is no time."""
    return _parse(value, _SECONDS, "a time such as '50 ms'")


def format_bytes(size: float) -> str:
    """262144 as "256 KiB", 100000 as "97.7 KiB", 512 as "512 B"."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size) >= factor:
            return f"{_short(size / factor)} {unit}"
    return f"{_short(size)} B"


def format_exact_bytes(size: int) -> str:
    """262144 as "262144 bytes (256 KiB)", 512 as "512 bytes": of what code has to reserve to the byte."""
    return f"{size} bytes ({format_bytes(size)})" if size >= 2**10 else f"{size} bytes"


def format_seconds(seconds: float) -> str:
    """0.0123 as "12.3 ms", 2.0 as "2 s", 4.5e-5 as "45 µs"."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= factor:
            return f"{_short(seconds / factor)} {unit}"
    return f"{_short(seconds / 1e-9)} ns"


def format_count(count: float) -> str:
    """7489536 as "7.49 M", 812 as "812"."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(count) >= factor:
            return f"{_short(count / factor)} {unit}"
    return _short(count)


def _short(number: float) -> str:
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _parse(value: object, units: dict[str, float] | dict[str, int], expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not {expected}")
    if isinstance(value, int | float):
        number = float(value)
    else:
        match = _NUMBER.fullmatch(value)
        if match is None or match[2].lower() not in units:
            raise ValueError(f"{value!r} is not {expected}")
        number = float(match[1].replace("_", "")) * units[match[2].lower()]
    if not 0 <= number < float("inf"):
        raise ValueError(f"{value!r} is not {expected}")
    return number
