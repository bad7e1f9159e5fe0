"""When rows of storages are in use while a segment runs: lifetimes by row, and outputs written over dying operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.engine.memory import Extent
from edgecut.engine.network import Node, Storage


@dataclass(frozen=True, eq=False)
class Life:
    """Rows of a storage: the moment that each is made at, and the last that it is needed at; neither ever falls.

    Moment 0 is before the segment's first step, moment t + 1 is step t.
    """

    made: np.ndarray
    released: np.ndarray

    @property
    def rows(self) -> int:
        """The most rows that are there at once: made and released in order, they are when one is made."""
        return int((np.arange(1, len(self.made) + 1) - np.searchsorted(self.released, self.made, "left")).max())


def times_of(steps: Sequence[int], nodes: Sequence[Node]) -> dict[int, np.ndarray]:
    """The moments of each node's steps."""
    made = np.array(steps, np.int64)
    order = np.argsort(made, kind="stable")
    indices = np.array([node.index for node in nodes], np.int64)
    starts, stops = (np.searchsorted(made[order], indices, side) for side in ("left", "right"))
    return {k: order[a:b] + 1 for k, a, b in zip(indices.tolist(), starts.tolist(), stops.tolist(), strict=True)}


def lives_of(
    nodes: Sequence[Node],
    times: Mapping[int, np.ndarray],
    storages: Sequence[Storage],
    leaving: frozenset[int],
    last: int,
) -> dict[int, Life]:
    """The lives of storages. last: the last moment, up to which what leaves is in use."""
    parts = {storage.index: storage.parts for storage in storages}
    made = {storage.index: np.zeros(storage.view.rows, np.int64) for storage in storages}
    released = {index: rows.copy() for index, rows in made.items()}
    for node in nodes:
        # Sums lie there from their first step on, and up to their last at least.
        made[node.storage] = times[node.index][:: parts[node.storage]]
        released[node.storage] = times[node.index][parts[node.storage] - 1 :: parts[node.storage]].copy()
    for node in nodes:
        for operand in node.operands:
            own = released[operand.storage]
            np.maximum(own, _last_reads(operand.row_first, times[node.index], len(own)), out=own)
    for storage in leaving & released.keys():
        released[storage][:] = last
    return {storage: Life(made[storage], np.maximum.accumulate(rows)) for storage, rows in released.items()}


def _last_reads(first: np.ndarray, times: np.ndarray, rows: int) -> np.ndarray:
    """The last moment at which a node reads each row, 0 where it doesn't; first: what its rows begin to read at."""
    if not len(times):
        return np.zeros(rows, np.int64)
    place = np.searchsorted(first[: len(times)], np.arange(rows), "right") - 1
    return np.where(place >= 0, times[place], 0)


def overwritten(
    nodes: Sequence[Node], times: Mapping[int, np.ndarray], lives: Mapping[int, Life], leaving: frozenset[int]
) -> dict[int, int]:
    """{storage: the operand that its rows are written over}, where nothing needs the operand's row any more."""
    over: dict[int, int] = {}
    ended = set(leaving)
    for node in nodes:
        mixed = {o.storage for o in node.operands if not o.in_place}
        dying = [
            o.storage
            for o in node.operands
            if o.storage not in mixed | ended and np.array_equal(lives[o.storage].released, times[node.index])
        ]
        if dying:
            over[node.storage] = max(dying, key=lambda storage: lives[storage].rows)
            ended.add(over[node.storage])
    return over


@dataclass(frozen=True, eq=False)
class Room:
    """Storages that lie in one place one after the other. rows: that there is room for."""

    members: tuple[int, ...]
    extent: Extent
    rows: int


def rooms(
    storages: Sequence[Storage],
    lives: Mapping[int, Life],
    over: Mapping[int, int],
    entering: frozenset[int],
    leaving: frozenset[int],
) -> list[Room]:
    """The room that each storage has, by itself or with those whose rows it is written over."""
    behind = {operand: storage for storage, operand in over.items()}
    made: list[Room] = []
    for first in (storage for storage in sorted(lives) if storage not in over):
        members = [first]
        while members[-1] in behind:
            members.append(behind[members[-1]])
        life = Life(lives[first].made, lives[members[-1]].released)
        role = 0 if members[-1] in leaving else 1 if first in entering else 2
        linear = any(storages[k].linear for k in members)
        own = storages[first].view
        rows = life.rows
        is_whole = role < 2 or first in entering or linear or rows == own.rows
        extent = _sliding(life, own.row_bytes, role) if is_whole else _ring(life, rows * own.row_bytes)
        made.append(Room(tuple(members), extent, own.rows if is_whole else rows))
    return made


def _sliding(life: Life, width: int, role: int) -> Extent:
    moments = np.arange(int(life.made[0]), int(life.released[-1]) + 1)
    low = np.searchsorted(life.released, moments, "left") * width
    high = np.searchsorted(life.made, moments, "right") * width
    return Extent(int(moments[0]), int(moments[-1]), low, high, role)


def _ring(life: Life, size: int) -> Extent:
    first, last = int(life.made[0]), int(life.released[-1])
    changes = np.zeros(last - first + 2, np.int64)
    np.add.at(changes, life.made - first, 1)
    np.add.at(changes, life.released - first + 1, -1)
    return Extent(first, last, np.zeros(1, np.int64), np.full(1, size), 2, np.cumsum(changes)[:-1] > 0)
