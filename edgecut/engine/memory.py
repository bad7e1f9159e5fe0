"""Offsets in the work buffer: tensors that grow, shrink and slide over the run, packed so that none meets another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_TRIES = 12  # orders of buffers that are tried behind the first ones, each with what lay highest put first


@dataclass(frozen=True, eq=False)
class Extent:
    """The bytes of a buffer that are in use: from moment `first` to `last`, both included, those from low[t - first] up
    to high[t - first]; neither ever falls. role: 0 for what stays behind the segment, 1 for what enters it, 2 for
    what lives inside it. busy: of a line buffer, the moments from `first` on at which a row is in it; all its bytes are
    in use then (low, high of one element), and at others it may hold what another has there.
    """

    first: int
    last: int
    low: np.ndarray
    high: np.ndarray
    role: int
    busy: np.ndarray | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes from the buffer's beginning to the end of what is ever in use."""
        return int(self.high[-1])


def pack(extents: Sequence[Extent], alignment: int, least: int) -> tuple[list[int], int]:
    """(offset of each buffer, bytes of all): the best of some orders, each buffer as low as those before let it.

    least: the bytes below which no packing can be, at which the search ends.
    """
    spans = _forbidden(extents)
    sizes = [extent.size_bytes for extent in extents]
    best: list[int] = []
    size, order = sum(sizes) + 1, list[int]()
    for ranks in ((0, 0, 0), (0, 1, 2), (2, 1, 0), (0, 1, 0), (1, 0, 0)):
        tried = sorted(range(len(sizes)), key=lambda key: (ranks[extents[key].role], -sizes[key]))
        offsets = _placed(tried, spans, alignment)
        if _end(offsets, sizes) < size:
            best, size, order = offsets, _end(offsets, sizes), tried
        if size <= least:
            return best, size
    offsets = best
    for _ in range(min(_TRIES, len(sizes))):
        # What ends highest comes first, where nothing stands in its way.
        highest = max(order, key=lambda key: offsets[key] + sizes[key])
        order = [highest, *(key for key in order if key != highest)]
        offsets = _placed(order, spans, alignment)
        if _end(offsets, sizes) < size:
            best, size = offsets, _end(offsets, sizes)
        if size <= least:
            break
    return best, size


def _end(offsets: Sequence[int], sizes: Sequence[int]) -> int:
    return max((at + size for at, size in zip(offsets, sizes, strict=True)), default=0)


def in_use(extents: Sequence[Extent], moments: int) -> np.ndarray:
    """The bytes in use at each moment."""
    total = np.zeros(moments, np.int64)
    for extent in extents:
        part = total[extent.first : extent.last + 1]
        part += extent.size_bytes * extent.busy if extent.busy is not None else extent.high - extent.low
    return total


Span = tuple[int, int]


def _forbidden(extents: Sequence[Extent]) -> list[dict[int, Span]]:
    """For each buffer {another: the distances from its offset to the buffer's, both excluded, at which they meet}."""
    spans: list[dict[int, Span]] = [{} for _ in extents]
    meeting = _lines_meet(extents)
    for b, y in enumerate(extents):
        for a, x in enumerate(extents[:b]):
            first, last = max(x.first, y.first), min(x.last, y.last)
            if first > last or not meeting[a, b]:
                continue
            if x.busy is not None and y.busy is not None:
                span: Span | None = (-y.size_bytes, x.size_bytes)
            elif x.busy is not None or y.busy is not None:
                span = _line_meets(x, y, first, last)
            else:
                (x_low, x_high), (y_low, y_high) = _between(x, first, last), _between(y, first, last)
                span = int((x_low - y_high).min()), int((x_high - y_low).max())
            if span is not None:
                spans[b][a], spans[a][b] = span, (-span[1], -span[0])
    return spans


def _lines_meet(extents: Sequence[Extent]) -> np.ndarray:
    """Whether two line buffers are busy at one moment, [a, b]; true wherever one of the two is none."""
    lines = [k for k, extent in enumerate(extents) if extent.busy is not None]
    meeting = np.ones((len(extents), len(extents)), bool)
    busy = np.zeros((len(lines), max((extent.last + 1 for extent in extents), default=0)), np.float32)
    for row, k in zip(busy, lines, strict=True):
        row[extents[k].first : extents[k].last + 1] = extents[k].busy
    meeting[np.ix_(lines, lines)] = busy @ busy.T > 0
    return meeting


def _line_meets(x: Extent, y: Extent, first: int, last: int) -> Span | None:
    """The distances at which a line buffer and one that slides meet while the line buffer is busy."""
    line = x if x.busy is not None else y
    assert line.busy is not None
    busy = np.flatnonzero(line.busy[first - line.first : last - line.first + 1])
    if not len(busy):
        return None
    # What slides never goes back, so that its ends are at the first and at the last of these moments.
    start, stop = int(busy[0]) + first, int(busy[-1]) + first
    if line is x:
        return -int(y.high[stop - y.first]), x.size_bytes - int(y.low[start - y.first])
    return int(x.low[start - x.first]) - y.size_bytes, int(x.high[stop - x.first])


def _between(extent: Extent, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    part = slice(first - extent.first, last - extent.first + 1)
    return extent.low[part], extent.high[part]


def _placed(order: Sequence[int], forbidden: Sequence[dict[int, Span]], alignment: int) -> list[int]:
    offsets = [-1] * len(forbidden)
    for key in order:
        spans = sorted(
            (offsets[a] + low, offsets[a] + high) for a, (low, high) in forbidden[key].items() if offsets[a] >= 0
        )
        offset = 0
        for lower, upper in spans:
            if lower < offset < upper:
                offset = -(-upper // alignment) * alignment
        # A span that begins before an offset which a later one moved isn't met again: spans come by their beginnings.
        offsets[key] = offset
    return offsets
