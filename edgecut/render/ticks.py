"""Where an axis has its marks: at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LEADS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))
_FEWEST = 3
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def round_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """At most count + 1 multiples of 1, 2, 2.5 or 5 times a power of ten that enclose low to high.

    >>> round_ticks(0.71, 0.93)
    (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    """
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    for step in (power * each for each in (*_STEPS, 20.0, 25.0, 50.0)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= count:
            break
    return tuple(round(step * k, 12) for k in range(first, max(last, first + 1) + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers from low to high: 1, 2 and 5 times powers of ten; fewer where these are many, more where few.

    >>> log_ticks(0.0009, 0.03)
    (0.001, 0.002, 0.005, 0.01, 0.02)
    >>> log_ticks(110.0, 250.0)
    (120.0, 150.0, 200.0, 250.0)
    """
    by_fineness = [_leads(low, high, leads) for leads in _LEADS]
    return next((ticks for ticks in by_fineness if len(ticks) >= _FEWEST), by_fineness[-1])


def _leads(low: float, high: float, leads: Sequence[float]) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [round(lead * 10.0**power, 15) for power in powers for lead in leads]
    return tuple(tick for tick in every if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9))


def byte_ticks(high: int, count: int = 5) -> tuple[int, ...]:
    """0 and multiples of a round size up to the first at or above `high`, at most count + 1 of them.

    Round are 1, 2, 4, 5, 8, 10 ... KiB: what people call them.

    >>> byte_ticks(11_264)
    (0, 4096, 8192, 12288)
    """
    steps = [lead * scale for scale in (1, 1 << 10, 1 << 20, 1 << 30) for lead in (1, 2, 4, 8, 16, 20, 32, 50, 64, 100)]
    steps += [200 << 10, 256 << 10, 500 << 10, 128, 256, 512]
    step = min((each for each in steps if -(-high // each) <= count), default=max(steps))
    return tuple(step * k for k in range(max(1, -(-high // step)) + 1))
