"""Offsets in the work buffer: tensors that grow, shrink and slide over the run, packed so that none meets another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Extent:
    """The bytes of a buffer that are in use: from moment `first` to `last`, both included, those from low[t - first] up
    to high[t - first]; neither ever falls. role: 0 for what stays behind the segment, 1 for what enters it, 2 for
    line buffers, whose bytes are all in use (low, high of one element).
    """

    first: int
    last: int
    low: np.ndarray
    high: np.ndarray
    role: int

    @property
    def size_bytes(self) -> int:
        """The bytes from the buffer's beginning to the end of what is ever in use."""
        return int(self.high[-1])


def pack(extents: Mapping[int, Extent], alignment: int) -> tuple[dict[int, int], int]:
    """(offset of each buffer, bytes of all): the best of a few orders, each buffer as low as those before let it."""
    forbidden = _forbidden(extents)
    sizes = {key: extent.size_bytes for key, extent in extents.items()}
    roles = {key: extent.role for key, extent in extents.items()}
    best: tuple[dict[int, int], int] | None = None
    for ranks in ((0, 0, 0), (0, 1, 2), (2, 1, 0), (0, 1, 0), (1, 0, 0)):
        order = sorted(extents, key=lambda key: (ranks[roles[key]], -sizes[key]))
        offsets = _placed(order, forbidden, alignment)
        size = max((offset + sizes[key] for key, offset in offsets.items()), default=0)
        if best is None or size < best[1]:
            best = offsets, size
    return best if best is not None else ({}, 0)


def in_use(extents: Sequence[Extent], moments: int) -> np.ndarray:
    """The bytes in use at each moment."""
    total = np.zeros(moments + 1, np.int64)
    for extent in extents:
        if extent.role == 2 and len(extent.high) == 1:
            total[extent.first] += extent.size_bytes
            total[extent.last + 1] -= extent.size_bytes
        else:
            total[extent.first : extent.last + 2] += np.diff(extent.high - extent.low, prepend=0, append=0)
    return np.cumsum(total)[:-1]


def _forbidden(extents: Mapping[int, Extent]) -> dict[tuple[int, int], tuple[int, int]]:
    """(a, b) -> the distances from a's offset to b's, both excluded, at which the two meet at some moment."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    keys = list(extents)
    for place, a in enumerate(keys):
        for b in keys[place + 1 :]:
            x, y = extents[a], extents[b]
            first, last = max(x.first, y.first), min(x.last, y.last)
            if first <= last:
                lower, upper = _meeting(x, y, first, last)
                spans[a, b], spans[b, a] = (lower, upper), (-upper, -lower)
    return spans


def _meeting(x: Extent, y: Extent, first: int, last: int) -> tuple[int, int]:
    """The least and the most distance at which two buffers meet between two moments."""
    (x_low, x_high), (y_low, y_high) = _between(x, first, last), _between(y, first, last)
    if len(x_low) == 1 or len(y_low) == 1:
        # One of them doesn't move, so that the other's ends are at its first and its last moment.
        return int(x_low[0] - y_high[-1]), int(x_high[-1] - y_low[0])
    return int((x_low - y_high).min()), int((x_high - y_low).max())


def _between(extent: Extent, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    if len(extent.low) == 1:
        return extent.low, extent.high
    part = slice(first - extent.first, last - extent.first + 1)
    return extent.low[part], extent.high[part]


def _placed(
    order: Sequence[int], forbidden: Mapping[tuple[int, int], tuple[int, int]], alignment: int
) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for key in order:
        spans = sorted(
            (at + forbidden[a, key][0], at + forbidden[a, key][1]) for a, at in offsets.items() if (a, key) in forbidden
        )
        offset = 0
        for lower, upper in spans:
            if lower < offset < upper:
                offset = -(-upper // alignment) * alignment
        # A span that begins before an offset which a later one moved isn't met again: spans come by their beginnings.
        offsets[key] = offset
    return offsets
