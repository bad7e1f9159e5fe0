"""When a .tflite graph needs the most memory, and which tensors are to blame."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from edgecut.tflite.arena import Placement, aligned, place
from edgecut.tflite.flatbuffer import Tensor, TfliteGraph
from edgecut.tflite.layers import layer_in
from edgecut.tflite.lifetimes import UNUSED, lifetimes, moments
from edgecut.tflite.requests import host_requests


@dataclass(frozen=True)
class LiveTensor:
    """A tensor in the arena, or a kernel's scratch. layer: of the source model, "" if its name doesn't tell.

    index: scratch comes behind all tensors. offset: where the planner put it. first, last: the operators between which
    it lives, -1 for an input and the number of operators for an output; what lives in a subgraph that an operator runs
    lives as long as it. A tensor that nobody makes or reads is planned, and lives at no operator: last < first.
    """

    index: int
    name: str
    layer: str
    size_bytes: int
    offset: int
    first: int
    last: int


@dataclass(frozen=True)
class Peak:
    """operator: the place of the first operator during which the most is alive. live_bytes: the sum of `tensors`, each
    rounded up to 16 bytes, largest first. planned_bytes: the arena's head, which gaps between tensors can make larger.
    """

    operator: int
    name: str
    live_bytes: int
    planned_bytes: int
    tensors: tuple[LiveTensor, ...]


def live_tensors(graph: TfliteGraph) -> tuple[LiveTensor, ...]:
    """Every tensor and scratch of the arena where the greedy planner puts it, in the order of their lives."""
    times = moments(graph)
    tensors = [tensor for part in (graph, *graph.others) for tensor in part.tensors]
    placed = [_live(tensors, times, placement) for placement in place(lifetimes(graph, host_requests))]
    return tuple(sorted(placed, key=lambda t: (t.first, t.index)))


def memory_by_operator(graph: TfliteGraph) -> tuple[int, ...]:
    """The bytes alive while each operator runs, each tensor rounded up to 16 bytes.

    Of an operator that runs subgraphs, what is alive at any time of it, though not all of it at once.
    """
    tensors = live_tensors(graph)
    return tuple(
        sum(aligned(t.size_bytes) for t in tensors if t.first <= k <= t.last) for k in range(len(graph.operators))
    )


def peak(graph: TfliteGraph) -> Peak | None:
    """The moment of the most memory; None for a graph without operators."""
    bytes_alive = memory_by_operator(graph)
    if not bytes_alive:
        return None
    at = max(range(len(bytes_alive)), key=lambda k: (bytes_alive[k], -k))
    tensors = live_tensors(graph)
    alive = sorted((t for t in tensors if t.first <= at <= t.last), key=lambda t: (-t.size_bytes, t.index))
    height = max((t.offset + aligned(t.size_bytes) for t in tensors), default=0)
    return Peak(at, graph.operators[at].name, bytes_alive[at], height, tuple(alive))


def _live(tensors: Sequence[Tensor], times: Sequence[tuple[int, int]], placement: Placement) -> LiveTensor:
    buffer = placement.buffer
    if buffer.operator is None:
        name, layer = tensors[buffer.order].name, layer_in(tensors[buffer.order].name)
    else:
        name, layer = f"scratch of {buffer.operator.name}", ""
    starts = [start for start, _ in times]
    first, last = (bisect.bisect_right(starts, moment) - 1 for moment in (buffer.first, buffer.last))
    if buffer.last == UNUSED:
        first, last = 0, -1
    elif times and buffer.last > times[-1][1]:
        last = len(times)
    return LiveTensor(buffer.order, name, layer, buffer.size_bytes, placement.offset, first, last)
