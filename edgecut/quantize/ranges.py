"""From where to where an activation's 8 bits reach: its extremes, percentiles, or what leaves the least error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from edgecut.quantize.numbers import Range, grid_for
from edgecut.quantize.observed import Observed

Rule = Literal["min-max", "percentile", "mse"]
RULES: tuple[Rule, ...] = ("min-max", "percentile", "mse")

PERCENTILE = 99.99
_SHRINKS = np.concatenate([np.arange(1.0, 0.5, -0.02), np.arange(0.5, 0.1, -0.05)])


def choose(groups: Sequence[Sequence[int]], observed: Mapping[int, Observed], rule: Rule) -> dict[int, Range]:
    """A range for each tensor; the tensors of a group, which share a scale, get the same one."""
    found: dict[int, Range] = {}
    for group in groups:
        seen = [observed[i] for i in group if i in observed]
        if len(seen) == len(group):
            found.update(dict.fromkeys(group, range_of(seen, rule)))
    return found


def range_of(seen: Sequence[Observed], rule: Rule) -> Range:
    """The range of tensors that share a scale, by a rule; always within their extremes."""
    low = min(0.0, *(float(o.low.min()) for o in seen))
    high = max(0.0, *(float(o.high.max()) for o in seen))
    if rule == "min-max" or high - low == 0:
        return low, high
    values = np.concatenate([o.sample.ravel() for o in seen])
    if rule == "percentile":
        tail = (100 - PERCENTILE) / 2 if low < 0 else 100 - PERCENTILE
        return max(low, min(0.0, float(np.percentile(values, tail)))), float(np.percentile(values, 100 - tail))
    errors = [rounding_error(values, low * s, high * s) for s in _SHRINKS]
    best = float(_SHRINKS[int(np.argmin(errors))])
    return low * best, high * best


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    """The mean squared error that int8 from low to high makes of values."""
    scale, zero = grid_for(low, high)
    codes = np.clip(np.rint(values / scale) + zero, -128, 127)
    return float(np.mean(((codes - zero) * scale - values) ** 2))
