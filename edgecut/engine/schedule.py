"""In which order rows are computed: segments of operators streamed through line buffers, chosen by peak memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgecut.engine.lifetimes import Room, lives_of, overwritten, rooms, times_of
from edgecut.engine.memory import in_use, pack
from edgecut.engine.network import Network, Node, Storage

# Rows in all segments that are planned: public nets are done after 2,000 to 45,000, which takes up to a second.
_MOST_PLANNED = 60_000
_LONGEST = 64  # operators of a segment: a longer one takes long to plan, and none of them was ever the better
_UNKNOWN = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Place:
    """Where a storage lies in a segment, and how many of its rows there are room for."""

    at: int
    rows: int


@dataclass(frozen=True, eq=False)
class Segment:
    """Nodes that run interleaved, row by row. steps: the node of each step. used: bytes in use before the first step
    and at each. entering_bytes, leaving_bytes: the most of them without what leaves, and without what enters.
    """

    nodes: tuple[int, ...]
    steps: np.ndarray
    places: dict[int, Place]
    size_bytes: int
    used: np.ndarray
    entering_bytes: int
    leaving_bytes: int


class Planner:
    """Segments of one network in one order of its nodes, each planned once."""

    def __init__(self, network: Network, order: Sequence[int], alignment: int) -> None:
        """order: all nodes, each behind those that it reads from."""
        self.network, self.order, self.alignment = network, list(order), alignment
        self.live = self._live()
        self._segments: dict[tuple[int, int], Segment] = {}
        self._planned = 0

    def best(self) -> tuple[Segment, ...]:
        """The segments whose largest needs the least memory (a path of least maximum over the cut points).

        Segments are planned only where a path of least bounds leads through them, which planning then raises; after so
        many that a long row of equal operators would take seconds, the best of those that are planned.
        """
        count = len(self.order)
        if not count:
            return (self.segment(0, 0),)
        needs = self._bounds()
        known = np.full_like(needs, _UNKNOWN)
        cuts = _least_path(needs)
        while unknown := [(a, b) for a, b in pairwise(cuts) if known[a, b] == _UNKNOWN]:
            for a, b in unknown:
                planned = self.segment(a, b)
                known[a, b] = planned.size_bytes
                # A longer segment has the same line buffers beside what enters, or beside what leaves.
                needs[a, b:] = np.maximum(needs[a, b:], planned.entering_bytes)
                needs[: a + 1, b] = np.maximum(needs[: a + 1, b], planned.leaving_bytes)
            needs = np.where(known == _UNKNOWN, needs, known)
            cuts = _least_path(needs if self._planned < _MOST_PLANNED else known)
        peak = max(int(known[a, b]) for a, b in pairwise(cuts))
        return tuple(self.segment(a, b) for a, b in pairwise(self._joined(cuts, needs, peak)))

    def _joined(self, cuts: list[int], needs: np.ndarray, peak: int) -> list[int]:
        """Fewer cut points, where two segments in one need no more than the peak."""
        fewer, place = [0], 0
        while place < len(cuts) - 1:
            ends = cuts[place], cuts[min(place + 2, len(cuts) - 1)]
            place += 2 if needs[ends] <= peak and self.segment(*ends).size_bytes <= peak else 1
            fewer.append(cuts[min(place, len(cuts) - 1)])
        return self._joined(fewer, needs, peak) if len(fewer) < len(cuts) else cuts

    def _bounds(self) -> np.ndarray:
        """What a segment from one cut point to another needs at least, [start, stop]: what enters, and what leaves."""
        live = np.array([sum(self.network.storages[s].view.size_bytes for s in cut) for cut in self.live], np.int64)
        needs = np.maximum(live[:, None], live[None, :])
        needs[np.tril_indices(len(live))] = _UNKNOWN
        needs[np.triu_indices(len(live), _LONGEST + 1)] = _UNKNOWN
        return needs

    def segment(self, start: int, stop: int) -> Segment:
        """The plan of the nodes from one cut point to another."""
        if (start, stop) not in self._segments:
            self._segments[start, stop] = self._plan(start, stop)
            self._planned += len(self._segments[start, stop].steps)
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
        steps = row_order(nodes, self.network.storages, leaving)
        times = times_of(steps, nodes)
        storages = self.network.storages
        present = [storages[k] for k in sorted({*entering, *(node.storage for node in nodes)})]
        lives = lives_of(nodes, times, present, leaving, len(steps))
        over = overwritten(nodes, times, lives, leaving)
        indices = tuple(node.index for node in nodes)
        best: Segment | None = None
        for way in [over, {}] if over else [{}]:
            made = rooms(storages, lives, way, entering, leaving)
            segment = _segment(indices, np.array(steps, np.int64), made, entering, self.alignment)
            best = segment if best is None or segment.size_bytes < best.size_bytes else best
            if best.size_bytes == best.used.max(initial=0):
                break
        assert best is not None
        return best


def _segment(
    nodes: tuple[int, ...], steps: np.ndarray, made: Sequence[Room], entering: frozenset[int], alignment: int
) -> Segment:
    """A segment whose storages have these rooms."""
    moments = len(steps) + 1
    used = in_use([room.extent for room in made], moments)
    without_leaving = in_use([room.extent for room in made if room.extent.role], moments)
    without_entering = in_use([room.extent for room in made if room.members[0] not in entering], moments)
    offsets, size = pack([room.extent for room in made], alignment, int(used.max(initial=0)))
    places = {s: Place(at, room.rows) for room, at in zip(made, offsets, strict=True) for s in room.members}
    return Segment(
        nodes, steps, places, size, used, int(without_leaving.max(initial=0)), int(without_entering.max(initial=0))
    )


def _least_path(needs: np.ndarray) -> list[int]:
    """The cut points from the first to the last whose largest step is least; of equal steps the shortest."""
    count = len(needs) - 1
    peaks, before = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        through = np.maximum(peaks[:stop], needs[:stop, stop])
        before[stop] = stop - 1 - int(through[::-1].argmin())
        peaks[stop] = through[before[stop]]
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(before[cuts[-1]]))
    return cuts[::-1]


def row_order(nodes: Sequence[Node], storages: Sequence[Storage], leaving: frozenset[int]) -> list[int]:
    """The node of each step, each row made as late as those that need it allow; nodes that make what leaves are led
    through their rows side by side.
    """
    makers = {node.storage: k for k, node in enumerate(nodes)}
    needs = [
        [
            (makers[o.storage], (o.row_stop * storages[o.storage].parts).tolist())
            for o in node.operands
            if o.storage in makers
        ]
        for node in nodes
    ]
    made, rows = [0] * len(nodes), [node.steps for node in nodes]
    ends = [k for k, node in enumerate(nodes) if node.storage in leaving]
    steps: list[int] = []
    while True:
        pending = [k for k in ends if made[k] < rows[k]]
        if not pending:
            return steps
        stack = [min(pending, key=lambda k: made[k] / rows[k])]
        while stack:
            top = stack[-1]
            row = made[top]
            for k, stop in needs[top]:
                if made[k] < stop[row]:
                    stack.append(k)
                    break
            else:
                steps.append(nodes[top].index)
                made[top] = row + 1
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
