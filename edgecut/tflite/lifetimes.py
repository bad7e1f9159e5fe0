"""When the tensors and the kernels' scratch of a .tflite file are alive, as TensorFlow Lite Micro plans them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecut.tflite.flatbuffer import Operator, TfliteGraph, per_operator

Scratch = Callable[[TfliteGraph, Operator], tuple[int, ...]]

UNUSED = -2

# Operators that run other subgraphs, and the options that name these (micro_allocation_info.cc).
CALLS = {
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "CALL_ONCE": ("initSubgraphIndex",),
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
}


class Buffer(NamedTuple):
    """Memory that must exist from one moment to another, both included.

    order: the place among buffers of equal size, which decides who is placed first; tensors come by their index,
    those of further subgraphs behind them, scratch behind all tensors. first, last: operators, in execution order
    through the subgraphs that they run; -1 for the file's inputs, UNUSED for a tensor that nobody makes or reads.
    offset: in an arena that was planned beforehand, None for all others. operator: the one that asks for scratch.
    """

    order: int
    size_bytes: int
    first: int
    last: int
    offset: int | None = None
    operator: Operator | None = None


@dataclass
class _Clock:
    """The moment, and by subgraph the first and last moment of every tensor, and of every operator, so far."""

    graphs: tuple[TfliteGraph, ...]
    first: tuple[list[int], ...]
    last: tuple[list[int], ...]
    nodes: tuple[dict[int, tuple[int, int]], ...]
    now: int = -1


def lifetimes(graph: TfliteGraph, scratch: Scratch | None = None) -> tuple[Buffer, ...]:
    """One buffer for each tensor that lives in the arena, in the order of the tensors, then those of the scratch.

    An input lives from before the first operator to its last use, an output to the end. Constants and variables live
    elsewhere, and so does what VAR_HANDLE makes. A tensor that nobody makes or reads is planned all the same.
    """
    clock = _ran(graph)
    buffers: list[Buffer] = []
    before = 0
    for place, part in enumerate(clock.graphs):
        handles = {i for op in part.operators if op.name == "VAR_HANDLE" for i in op.outputs}
        lives = zip(part.tensors, clock.first[place], clock.last[place])  # noqa: B905  one place more
        buffers += [
            Buffer(before + tensor.index, size, first, last)
            for tensor, first, last in lives
            if (size := tensor.arena_bytes) and tensor.index not in handles
        ]
        before += len(part.tensors)
    if any(offset >= 0 for offset in graph.arena_offsets):
        buffers = [_planned(buffer, graph.arena_offsets) for buffer in buffers]
    if scratch is not None:
        buffers += _scratch(clock, scratch, before)
    return tuple(buffers)


def moments(graph: TfliteGraph) -> tuple[tuple[int, int], ...]:
    """The first and last moment of each operator of the first subgraph: several where it runs others."""
    clock = _ran(graph)
    return tuple(clock.nodes[0][operator.index] for operator in graph.operators)


def _ran(graph: TfliteGraph) -> _Clock:
    graphs = (graph, *graph.others)
    # One place more is that of -1, a tensor that isn't there.
    first, last = (tuple([UNUSED] * (len(part.tensors) + 1) for part in graphs) for _ in range(2))
    clock = _Clock(graphs, first, last, tuple({} for _ in graphs))
    _run(clock, 0, ())
    return clock


def _run(clock: _Clock, place: int, callers: tuple[int, ...]) -> None:
    """Mark what a subgraph does: AllocationInfoBuilder::MarkAllocationLifetimes of micro_allocation_info.cc."""
    graph, first, last, nodes = clock.graphs[place], clock.first[place], clock.last[place], clock.nodes[place]
    for index in (*graph.inputs, *graph.outputs):
        first[index] = last[index] = clock.now
    for operator in graph.operators:
        start = clock.now = clock.now + 1
        for index in operator.outputs:
            first[index] = start
        for option in CALLS.get(operator.name, ()):
            called = operator.options.get(option)
            if isinstance(called, int) and 0 <= called < len(clock.graphs) and called not in (*callers, place):
                clock.now += 1
                _run(clock, called, (*callers, place))
        now = clock.now
        for index in operator.inputs:
            last[index] = now
        for index in operator.outputs:
            last[index] = now
        nodes[operator.index] = start, now
    for index in graph.outputs:
        last[index] = clock.now + (place == 0)


def _scratch(clock: _Clock, scratch: Scratch, before: int) -> list[Buffer]:
    buffers: list[Buffer] = []
    for place, part in enumerate(clock.graphs):
        for operator, sizes in zip(part.operators, per_operator(part, scratch), strict=True):
            for size in sizes:
                life = clock.nodes[place].get(operator.index, (UNUSED, UNUSED))
                buffers.append(Buffer(before + len(buffers), size, *life, operator=operator))
    return buffers


def _planned(buffer: Buffer, offsets: Sequence[int]) -> Buffer:
    """The buffer at its offset, where one was planned beforehand."""
    offset = offsets[buffer.order] if buffer.order < len(offsets) else -1
    return buffer if offset < 0 else buffer._replace(offset=offset)
