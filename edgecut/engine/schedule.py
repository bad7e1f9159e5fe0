"""In which order rows are computed: segments of operators streamed through line buffers, chosen by peak memory."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgecut.engine.memory import Extent, pack
from edgecut.engine.network import Network, Node


@dataclass(frozen=True)
class Place:
    """Where a storage lies in a segment, and how many of its rows there are room for."""

    at: int
    rows: int


@dataclass(frozen=True, eq=False)
class Segment:
    """Nodes that run interleaved, row by row. steps: the node of each step. used: bytes in use before the first step
    and at each.
    """

    nodes: tuple[int, ...]
    steps: np.ndarray
    places: dict[int, Place]
    size_bytes: int
    used: np.ndarray


class Planner:
    """Segments of one network in one order of its nodes, each planned once."""

    def __init__(self, network: Network, order: Sequence[int], alignment: int) -> None:
        """order: all nodes, each behind those that it reads from."""
        self.network, self.order, self.alignment = network, list(order), alignment
        self.live = self._live()
        self._segments: dict[tuple[int, int], Segment] = {}

    def best(self) -> tuple[Segment, ...]:
        """The segments whose largest needs the least memory (a path of least maximum over the cut points)."""
        count = len(self.order)
        if not count:
            return (self.segment(0, 0),)
        peaks, before = {0: 0}, dict[int, int]()
        bound = max((self.segment(k, k + 1).size_bytes for k in range(count)), default=0)
        queue = [(0, 0)]
        while queue:
            peak, start = heapq.heappop(queue)
            if start == count:
                break
            if peak > peaks[start]:
                continue
            for stop in range(start + 1, count + 1):
                least = max(peak, self._least(start, stop))
                if least > bound or least >= peaks.get(stop, bound + 1):
                    continue
                segment = self.segment(start, stop)
                reached = max(peak, segment.size_bytes)
                if reached <= bound and reached < peaks.get(stop, bound + 1):
                    peaks[stop], before[stop] = reached, start
                    heapq.heappush(queue, (reached, stop))
                    if stop == count:
                        bound = reached
                if _lines(segment) > bound:
                    break
        cuts = [count]
        while cuts[-1]:
            cuts.append(before[cuts[-1]])
        return tuple(self.segment(a, b) for b, a in pairwise(cuts))[::-1]

    def segment(self, start: int, stop: int) -> Segment:
        """The plan of the nodes from one cut point to another."""
        if (start, stop) not in self._segments:
            self._segments[start, stop] = self._plan(start, stop)
        return self._segments[start, stop]

    def _least(self, start: int, stop: int) -> int:
        sizes = (sum(self.network.storages[s].view.size_bytes for s in self.live[k]) for k in (start, stop))
        return max(sizes)

    def _live(self) -> list[frozenset[int]]:
        """The storages that hold something at each cut point."""
        last: dict[int, int] = {}
        for place, node in enumerate(self.order):
            for operand in self.network.nodes[node].operands:
                last[operand.storage] = place
        last |= dict.fromkeys(self.network.outputs, len(self.order))
        made = dict.fromkeys(self.network.inputs, -1)
        made |= {self.network.nodes[node].storage: place for place, node in enumerate(self.order)}
        return [
            frozenset(s for s, at in made.items() if at < cut <= last.get(s, -1)) for cut in range(len(self.order) + 1)
        ]

    def _plan(self, start: int, stop: int) -> Segment:
        nodes = [self.network.nodes[k] for k in self.order[start:stop]]
        entering, leaving = self.live[start], self.live[stop]
        steps = np.array(row_order(nodes, leaving), np.int64)
        moments = np.arange(-1, len(steps))
        extents: dict[int, Extent] = {}
        rooms: dict[int, int] = {}
        for storage in sorted({*entering, *(node.storage for node in nodes)}):
            extents[storage], rooms[storage] = self._extent(storage, nodes, steps, moments, entering, leaving)
        offsets, size = pack(extents, self.alignment)
        places = {s: Place(offsets[s], rooms[s]) for s in extents}
        used = sum((e.high - e.low for e in extents.values()), np.zeros(len(moments), np.int64))
        return Segment(tuple(node.index for node in nodes), steps, places, size, used)

    def _extent(
        self,
        storage: int,
        nodes: Sequence[Node],
        steps: np.ndarray,
        moments: np.ndarray,
        entering: frozenset[int],
        leaving: frozenset[int],
    ) -> tuple[Extent, int]:
        """The bytes of a storage in use at each moment, and the rows that it has room for."""
        own = self.network.storages[storage]
        maker = next((node for node in nodes if node.storage == storage), None)
        made = np.full(own.view.rows, -1) if maker is None else np.flatnonzero(steps == maker.index)
        released = np.maximum(made, -1 if storage in entering else 0)
        if storage in leaving:
            released = np.full(len(made), len(steps))
        else:
            for node in nodes:
                for operand in node.operands:
                    if operand.storage == storage:
                        released = np.maximum(released, _last_reads(operand.row_first, steps, node.index, len(made)))
        released = np.maximum.accumulate(released)
        low = np.searchsorted(released, moments, "left")
        high = np.maximum(np.searchsorted(made, moments, "right"), low)
        rows = int((high - low).max(initial=0))
        whole = storage in entering or storage in leaving or own.linear or rows == own.view.rows
        width = own.view.row_bytes
        if whole:
            role = 0 if storage in leaving else 1 if storage in entering else 2
            return Extent(low * width, high * width, role), own.view.rows
        present = (moments >= made[0]) & (moments <= released[-1])
        return Extent(np.zeros_like(low), present * (rows * width), 2), rows


def _last_reads(first: np.ndarray, steps: np.ndarray, node: int, rows: int) -> np.ndarray:
    """The last step of a node that reads each row, -1 where none does; first: what its rows begin to read at."""
    times = np.flatnonzero(steps == node)
    place = np.searchsorted(first[: len(times)], np.arange(rows), "right") - 1
    return np.where(place >= 0, times[place], -1)


def _lines(segment: Segment) -> int:
    """The least bytes in use at the fullest moment: what no other place of the segment's buffers can save."""
    return int(segment.used.max(initial=0))


def row_order(nodes: Sequence[Node], leaving: frozenset[int]) -> list[int]:
    """The node of each step, each row made as late as those that need it allow; nodes that make what leaves are led
    through their rows side by side.
    """
    makers = {node.storage: k for k, node in enumerate(nodes)}
    needs = [[(makers[o.storage], o.row_stop.tolist()) for o in node.operands if o.storage in makers] for node in nodes]
    made, rows = [0] * len(nodes), [node.rows for node in nodes]
    ends = [k for k, node in enumerate(nodes) if node.storage in leaving]
    steps: list[int] = []
    while True:
        pending = [k for k in ends if made[k] < rows[k]]
        if not pending:
            return steps
        stack = [min(pending, key=lambda k: made[k] / rows[k])]
        while stack:
            top = stack[-1]
            lacking = next((k for k, stop in needs[top] if made[k] < stop[made[top]]), None)
            if lacking is not None:
                stack.append(lacking)
                continue
            steps.append(nodes[top].index)
            made[top] += 1
            stack.pop()


def orders(network: Network) -> list[list[int]]:
    """Orders of the nodes to try: the file's, and those that follow each branch to its end, from either side."""
    plain = list(range(len(network.nodes)))
    makers = {node.storage: node.index for node in network.nodes}
    if all(len({o.storage for o in node.operands} & makers.keys()) < 2 for node in network.nodes):
        return [plain]
    ways = [plain, _depth_first(network, makers, 1), _depth_first(network, makers, -1)]
    return [order for k, order in enumerate(ways) if order not in ways[:k]]


def _depth_first(network: Network, makers: dict[int, int], step: int) -> list[int]:
    done: dict[int, None] = {}
    stack = [makers[s] for s in network.outputs if s in makers]
    while stack:
        top = stack[-1]
        lacking = [
            makers[o.storage]
            for o in network.nodes[top].operands
            if o.storage in makers and makers[o.storage] not in done
        ][::step]
        if lacking:
            stack.append(lacking[0])
            continue
        done[stack.pop()] = None
    return list(done)
