"""The memory plan of a network: the best segments over the orders that are tried, as a record that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgecut.engine.lowered import Call
from edgecut.engine.network import Network, Node
from edgecut.engine.program import Program
from edgecut.engine.schedule import Planner, Segment, orders


@dataclass(frozen=True)
class Lifetime:
    """A tensor in one segment. rows: that there is room for, of row_bytes each; first, last: steps of the whole run;
    size_bytes: of the whole tensor, which the buffer holds where rows are all rows.
    """

    tensor: str
    segment: int
    at: int
    rows: int
    row_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class Stretch:
    """A segment: operators that run interleaved. peak_bytes: of its part of the buffer; first, last: its steps."""

    operators: tuple[str, ...]
    first: int
    last: int
    peak_bytes: int


@dataclass(frozen=True)
class Plan:
    """The work buffer over one inference. usage: (step, bytes in use), where the bytes change; a step makes one row."""

    arena_bytes: int
    segments: tuple[Stretch, ...]
    lifetimes: tuple[Lifetime, ...]
    usage: tuple[tuple[int, int], ...]
    moved_bytes: int


@dataclass(frozen=True, eq=False)
class Streamed:
    """A network whose input is made row by row by a node of its own, the last, and its segments."""

    network: Network
    segments: tuple[Segment, ...]


def whole(network: Network) -> tuple[Segment, ...]:
    """The segments of least memory for inputs that lie in the work buffer."""
    return _best(network, orders(network))


def by_rows(network: Network) -> Streamed:
    """The segments of least memory for one input that arrives row by row."""
    source = network.inputs[0]
    count = len(network.nodes)
    node = Node(count, "the input's next row", Call("", {}), (), source, network.storages[source].view.rows)
    fed = replace(network, nodes=(*network.nodes, node), inputs=())
    return Streamed(fed, _best(fed, [[count, *(k for k in order if k != count)] for order in orders(network)]))


def _best(network: Network, tried: list[list[int]]) -> tuple[Segment, ...]:
    alignment = 2 if any(s.tensor.dtype == "int16" for s in network.storages) else 1
    plans = [Planner(network, order, alignment).best() for order in tried]
    return min(plans, key=lambda segments: (max((s.size_bytes for s in segments), default=0), len(segments)))


def planned(network: Network, segments: tuple[Segment, ...], made: Program) -> Plan:
    """The record of a plan."""
    stretches: list[Stretch] = []
    lifetimes: list[Lifetime] = []
    usage: list[tuple[int, int]] = []
    start = 0
    for number, segment in enumerate(segments):
        labels = tuple(network.nodes[k].label for k in segment.nodes)
        stretches.append(Stretch(labels, start, start + len(segment.steps) - 1, segment.size_bytes))
        for storage, place in segment.places.items():
            own = network.storages[storage]
            lifetimes.append(
                Lifetime(own.tensor.name, number, place.at, place.rows, own.view.row_bytes, own.view.size_bytes)
            )
        changes = np.flatnonzero(np.diff(segment.used, prepend=-1))
        usage += [(start + max(int(k) - 1, 0), int(segment.used[k])) for k in changes]
        start += len(segment.steps)
    moved = sum(move.count for move in made.moves)
    return Plan(made.arena_bytes, tuple(stretches), tuple(lifetimes), tuple(usage), moved)
