"""Offsets in the work buffer: tensors that grow, shrink and slide over the run, packed so that none meets another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Extent:
    """The bytes from low[t] up to high[t] of a buffer that are in use at moment t; none where they are equal.

    role: 0 for what stays behind the segment, 1 for what enters it, 2 for line buffers.
    """

    low: np.ndarray
    high: np.ndarray
    role: int

    @property
    def size_bytes(self) -> int:
        """The bytes from the buffer's beginning to the end of what is ever in use."""
        return int(self.high.max(initial=0))


def pack(extents: Mapping[int, Extent], alignment: int) -> tuple[dict[int, int], int]:
    """(offset of each buffer, bytes of all): the best of a few orders, each buffer as low as those before let it."""
    forbidden = _forbidden(extents)
    best: tuple[dict[int, int], int] | None = None
    for order in _orders(extents):
        offsets = _placed(order, forbidden, alignment)
        size = max((offset + extents[key].size_bytes for key, offset in offsets.items()), default=0)
        if best is None or size < best[1]:
            best = offsets, size
    return best if best is not None else ({}, 0)


def _orders(extents: Mapping[int, Extent]) -> list[list[int]]:
    keys = list(extents)
    ways: Sequence[Callable[[int], tuple[int, ...]]] = (
        lambda k: (-extents[k].size_bytes,),
        lambda k: (extents[k].role, -extents[k].size_bytes),
        lambda k: (-extents[k].role, -extents[k].size_bytes),
        lambda k: (extents[k].role == 1, -extents[k].size_bytes),
        lambda k: (extents[k].role == 0, -extents[k].size_bytes),
    )
    return [sorted(keys, key=way) for way in ways]


def _forbidden(extents: Mapping[int, Extent]) -> dict[tuple[int, int], tuple[int, int]]:
    """(a, b) -> the distances from a's offset to b's, both excluded, at which the two meet at some moment."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    keys = list(extents)
    for place, a in enumerate(keys):
        for b in keys[place + 1 :]:
            x, y = extents[a], extents[b]
            both = (x.low < x.high) & (y.low < y.high)
            if both.any():
                lower, upper = int((x.low - y.high)[both].min()), int((x.high - y.low)[both].max())
                spans[a, b], spans[b, a] = (lower, upper), (-upper, -lower)
    return spans


def _placed(
    order: Sequence[int], forbidden: Mapping[tuple[int, int], tuple[int, int]], alignment: int
) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for key in order:
        spans = [
            (at + forbidden[a, key][0], at + forbidden[a, key][1]) for a, at in offsets.items() if (a, key) in forbidden
        ]
        offset = 0
        for lower, upper in sorted(spans):
            if lower < offset < upper:
                offset = -(-upper // alignment) * alignment
        # A later span may begin below an offset that an earlier one moved.
        while any(lower < offset < upper for lower, upper in spans):
            offset = min(-(-u // alignment) * alignment for lo, u in spans if lo < offset < u)
        offsets[key] = offset
    return offsets
