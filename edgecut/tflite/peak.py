"""When a .tflite graph needs the most memory, and which tensors are to blame."""

from __future__ import annotations

from dataclasses import dataclass

from edgecut.tflite.arena import Placement, aligned, lifetimes, place
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.layers import layer_in


@dataclass(frozen=True)
class LiveTensor:
    """A tensor in the arena. layer: of the source model, "" if its name doesn't tell. offset: where the planner put it.

    first, last: the operators between which it lives, -1 for an input and the number of operators for an output.
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
    """Every tensor of the arena at the place that the greedy planner gives it, in the order of their lives."""
    placed = [_live(graph, placement) for placement in place(lifetimes(graph))]
    return tuple(sorted(placed, key=lambda t: (t.first, t.index)))


def memory_by_operator(graph: TfliteGraph) -> tuple[int, ...]:
    """The bytes alive while each operator runs, each tensor rounded up to 16 bytes."""
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


def _live(graph: TfliteGraph, placement: Placement) -> LiveTensor:
    buffer = placement.buffer
    tensor = graph.tensors[buffer.order]
    return LiveTensor(
        tensor.index, tensor.name, layer_in(tensor.name), buffer.size_bytes, placement.offset, buffer.first, buffer.last
    )
