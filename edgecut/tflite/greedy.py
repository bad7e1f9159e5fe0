"""Where TensorFlow Lite Micro puts the buffers of an arena: its GreedyMemoryPlanner."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from operator import eq

from edgecut.tflite.lifetimes import Buffer

ALIGNMENT = 16


@dataclass(frozen=True)
class Placement:
    """A buffer at its offset in the arena."""

    buffer: Buffer
    offset: int


def place(buffers: Iterable[Buffer]) -> tuple[Placement, ...]:
    """Every buffer at the first gap that fits, largest first, sorted by offset: what TFLM's GreedyMemoryPlanner does.

    Sizes are rounded up to 16 bytes. Among equal sizes the highest order goes first; the other way round
    MLPerf Tiny's visual wake words would come out 12.5 % short. Those that have an offset already come before all.
    """
    return tuple(sorted(GreedyPlanner().place(buffers), key=_offset))


class GreedyPlanner:
    """Places the buffers of one graph after another: as far as they are the last one's, largest first, they stay."""

    def __init__(self) -> None:
        """Nothing is placed yet."""
        self._rows: list[tuple[int, int, int, int | None]] = []  # size_bytes, first, last and fixed offset, as placed
        self._spans: list[tuple[int, int]] = []  # begin and end of each
        # What is alive at a moment, sorted by offset: a buffer is held against these alone.
        self._alive: dict[int, list[tuple[int, int]]] = {}

    def end(self, buffers: Iterable[Buffer]) -> int:
        """How far the placed buffers reach."""
        self._settle(buffers)
        return max((end for _, end in self._spans), default=0)

    def place(self, buffers: Iterable[Buffer]) -> list[Placement]:
        """Each buffer at its offset, in the order of placing."""
        order = self._settle(buffers)
        return [Placement(buffer, begin) for buffer, (begin, _) in zip(order, self._spans, strict=True)]

    def _settle(self, buffers: Iterable[Buffer]) -> list[Buffer]:
        order = sorted(buffers, key=_by_turn)
        rows = [(buffer.size_bytes, buffer.first, buffer.last, buffer.offset) for buffer in order]
        self._back_to(sum(takewhile(bool, map(eq, self._rows, rows))))
        for row in rows[len(self._rows) :]:
            self._add(row)
        return order

    def _add(self, row: tuple[int, int, int, int | None]) -> None:
        size_bytes, first, last, fixed = row
        size_bytes, offset = aligned(size_bytes), fixed or 0
        if fixed is None:
            for begin, end in self._neighbours(first, last):
                if offset + size_bytes <= begin:
                    break
                offset = max(offset, end)
        span = offset, offset + size_bytes
        self._rows.append(row)
        self._spans.append(span)
        for moment in range(first, last + 1):
            insort(self._alive.setdefault(moment, []), span)

    def _back_to(self, count: int) -> None:
        """Take away what was placed behind the first ones."""
        for (_, first, last, _), span in zip(self._rows[count:], self._spans[count:], strict=True):
            for moment in range(first, last + 1):
                alive = self._alive[moment]
                del alive[bisect_left(alive, span)]
        del self._rows[count:], self._spans[count:]

    def _neighbours(self, first: int, last: int) -> Sequence[tuple[int, int]]:
        """(begin, end) of what is placed and alive from one moment to another, sorted, some of it several times."""
        rows = [self._alive[moment] for moment in range(first, last + 1) if moment in self._alive]
        return rows[0] if len(rows) == 1 else sorted(chain.from_iterable(rows))


def aligned(size_bytes: int) -> int:
    """The size rounded up to 16 bytes."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _by_turn(buffer: Buffer) -> tuple[bool, int, int]:
    return (False, 0, 0) if buffer.offset is not None else (True, -buffer.size_bytes, -buffer.order)


def _offset(placement: Placement) -> int:
    return placement.offset
