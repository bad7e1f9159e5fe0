"""In which order rows are computed: segments of operators streamed through line buffers, chosen by peak memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgecut.engine.memory import Extent, in_use, pack
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
        """The segments whose largest needs the least memory (a path of least maximum over the cut points).

        Segments are planned only where a path of least bounds leads through them, which planning then raises.
        """
        count = len(self.order)
        if not count:
            return (self.segment(0, 0),)
        needs = self._bounds()
        while True:
            cuts = _least_path(needs)
            unknown = [(a, b) for a, b in pairwise(cuts) if (a, b) not in self._segments]
            if not unknown:
                break
            for a, b in unknown:
                needs[a, b] = self.segment(a, b).size_bytes
        peak = max(needs[a, b] for a, b in pairwise(cuts))
        allowed = np.zeros(needs.shape, bool)
        for a, b in self._segments:
            allowed[a, b] = needs[a, b] <= peak
        return tuple(self.segment(a, b) for a, b in pairwise(_shortest_path(allowed)))

    def _bounds(self) -> np.ndarray:
        """What a segment from one cut point to another needs at least, [start, stop]: what enters, what leaves, and the
        line buffers between, most of which are full when both lie beside them.
        """
        count = len(self.order)
        live = np.array([sum(self.network.storages[s].view.size_bytes for s in cut) for cut in self.live], np.int64)
        lines = np.array([self._least_lines(self.network.nodes[k].storage) for k in self.order], np.int64)
        filled = np.concatenate([[0], np.cumsum(lines)])
        ends = np.maximum(live[:, None], live[None, :])
        # What the segment's last node makes isn't a line buffer but leaves.
        between = np.maximum(np.append(filled[:-1], 0)[None, np.r_[0, np.arange(count)]] - filled[:, None], 0)
        needs = np.maximum(ends, np.maximum(between, (3 * (between + ends)) // 4))
        needs[np.tril_indices(count + 1)] = np.iinfo(np.int64).max
        return needs

    def _least_lines(self, storage: int) -> int:
        """The bytes of the rows of a storage that its readers see at once."""
        rows = [
            int((operand.row_stop - operand.row_first).max(initial=1))
            for node in self.network.nodes
            for operand in node.operands
            if operand.storage == storage
        ]
        return max(rows, default=1) * self.network.storages[storage].view.row_bytes

    def segment(self, start: int, stop: int) -> Segment:
        """The plan of the nodes from one cut point to another."""
        if (start, stop) not in self._segments:
            self._segments[start, stop] = self._plan(start, stop)
        return self._segments[start, stop]

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
        steps = row_order(nodes, leaving)
        times = _times(steps, nodes)
        extents: dict[int, Extent] = {}
        rooms: dict[int, int] = {}
        for storage in sorted({*entering, *(node.storage for node in nodes)}):
            ends = (storage in entering, storage in leaving)
            extents[storage], rooms[storage] = self._extent(storage, nodes, times, len(steps), ends)
        offsets, size = pack(extents, self.alignment)
        places = {s: Place(offsets[s], rooms[s]) for s in extents}
        used = in_use(list(extents.values()), len(steps) + 1)
        return Segment(tuple(node.index for node in nodes), np.array(steps, np.int64), places, size, used)

    def _extent(
        self, storage: int, nodes: Sequence[Node], times: dict[int, np.ndarray], count: int, ends: tuple[bool, bool]
    ) -> tuple[Extent, int]:
        """The bytes of a storage in use at each moment, and the rows that it has room for.

        times: the steps of each node. count: of all steps; moment 0 is before the first of them. ends: whether it
        enters and whether it leaves the segment.
        """
        own = self.network.storages[storage]
        entering, leaving = ends
        maker = next((node for node in nodes if node.storage == storage), None)
        made = np.zeros(own.view.rows, np.int64) if maker is None else times[maker.index] + 1
        released = made.copy()
        if leaving:
            released[:] = count
        else:
            for node in nodes:
                for operand in node.operands:
                    if operand.storage == storage:
                        last = _last_reads(operand.row_first, times[node.index], len(made)) + 1
                        released = np.maximum(released, last)
        released = np.maximum.accumulate(released)
        # Rows are made and released in order, so that the most of them are there when one is made.
        rows = int((np.arange(1, len(made) + 1) - np.searchsorted(released, made, "left")).max())
        width = own.view.row_bytes
        first, last_moment = int(made[0]), int(released[-1])
        if not (entering or leaving or own.linear or rows == own.view.rows):
            return Extent(first, last_moment, np.zeros(1, np.int64), np.full(1, rows * width), 2), rows
        moments = np.arange(first, last_moment + 1)
        low = np.searchsorted(released, moments, "left") * width
        high = np.searchsorted(made, moments, "right") * width
        return Extent(first, last_moment, low, high, 0 if leaving else 1 if entering else 2), own.view.rows


def _least_path(needs: np.ndarray) -> list[int]:
    """The cut points from the first to the last whose largest step is least."""
    count = len(needs) - 1
    peaks, before = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        through = np.maximum(peaks[:stop], needs[:stop, stop])
        before[stop] = int(through.argmin())
        peaks[stop] = through[before[stop]]
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(before[cuts[-1]]))
    return cuts[::-1]


def _shortest_path(allowed: np.ndarray) -> list[int]:
    """The cut points from the first to the last over the fewest allowed steps."""
    count = len(allowed) - 1
    steps, before = np.full(count + 1, count + 1), np.zeros(count + 1, np.int64)
    steps[0] = 0
    for stop in range(1, count + 1):
        through = np.where(allowed[:stop, stop], steps[:stop] + 1, count + 1)
        before[stop] = int(through.argmin())
        steps[stop] = through[before[stop]]
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(before[cuts[-1]]))
    return cuts[::-1]


def _times(steps: Sequence[int], nodes: Sequence[Node]) -> dict[int, np.ndarray]:
    """The steps of each node."""
    order = np.argsort(np.array(steps, np.int64), kind="stable")
    sorted_steps = np.array(steps, np.int64)[order]
    edges = {node.index: np.searchsorted(sorted_steps, [node.index, node.index + 1]) for node in nodes}
    return {index: order[a:b] for index, (a, b) in edges.items()}


def _last_reads(first: np.ndarray, times: np.ndarray, rows: int) -> np.ndarray:
    """The last step of a node that reads each row, -1 where none does; first: what its rows begin to read at."""
    if not len(times):
        return np.full(rows, -1)
    place = np.searchsorted(first[: len(times)], np.arange(rows), "right") - 1
    return np.where(place >= 0, times[place], -1)


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
