"""The arena a .tflite graph needs on a microcontroller, planned from tensor lifetimes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.scratch import cmsis_nn_scratch_bytes, esp_nn_s3_scratch_bytes

ALIGNMENT = 16

# The worst relative error of cortex_m_arena_bytes on the four networks that were built and run for a
# Cortex-M4 is 2.2 % (tests/unit/test_tflite_arena.py). Its constants were fitted on these four, so the
# promised band is wider.
CORTEX_M_ERROR = 0.10


@dataclass(frozen=True)
class Buffer:
    """Memory that must exist from one operator to another, both included.

    order: the place among buffers of equal size, which decides who is placed first; tensors come by their
    index, scratch behind all tensors.
    """

    order: int
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """A buffer at its offset in the arena."""

    buffer: Buffer
    offset: int


def lifetimes(graph: TfliteGraph) -> tuple[Buffer, ...]:
    """One buffer for each tensor that lives in the arena, in the order of the tensors.

    An input lives from before the first operator to its last use, an output to the end. Constants and
    variables live elsewhere; a tensor nobody makes or reads needs no memory.
    """
    first: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    last: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    for operator in graph.operators:
        for index in operator.outputs:
            first.setdefault(index, operator.index)
        for index in (*operator.inputs, *operator.outputs):
            last[index] = operator.index
    last.update(dict.fromkeys(graph.outputs, len(graph.operators)))
    return tuple(
        Buffer(tensor.index, tensor.size_bytes, first[tensor.index], last[tensor.index])
        for tensor in graph.tensors
        if tensor.index in first and not tensor.is_constant and not tensor.is_variable and tensor.size_bytes
    )


def place(buffers: Iterable[Buffer]) -> tuple[Placement, ...]:
    """Every buffer at the first gap that fits, largest first: what TFLM's GreedyMemoryPlanner does.

    Sizes are rounded up to 16 bytes. Among equal sizes the highest order goes first; the other way round
    MLPerf Tiny's visual wake words would come out 12.5 % short.
    """
    placed: list[Placement] = []
    for buffer in sorted(buffers, key=lambda b: (b.size_bytes, b.order), reverse=True):
        offset = 0
        for other in placed:
            if other.buffer.last < buffer.first or buffer.last < other.buffer.first:
                continue
            if offset + aligned(buffer.size_bytes) <= other.offset:
                break
            offset = max(offset, other.offset + aligned(other.buffer.size_bytes))
        placed.append(Placement(buffer, offset))
        placed.sort(key=lambda p: p.offset)
    return tuple(placed)


def planned_bytes(graph: TfliteGraph) -> int:
    """The arena's head: activations placed by the greedy planner, without any kernel's scratch."""
    return _height(place(lifetimes(graph)))


def live_bytes(graph: TfliteGraph) -> int:
    """The largest sum of tensors alive at once: what no planner can go below. It is not the arena."""
    buffers = lifetimes(graph)
    return max(
        (sum(b.size_bytes for b in buffers if b.first <= k <= b.last) for k in range(-1, len(graph.operators) + 1)),
        default=0,
    )


def cortex_m_arena_bytes(graph: TfliteGraph, kernels: Literal["cmsis-nn", "reference"] = "cmsis-nn") -> int:
    """An estimate of TFLM's whole arena on a Cortex-M4, M7 or M33.

    Not for Helium (M55, M85), whose scratch differs.
    The head is planned with the scratch of CMSIS-NN's kernels. The tail, 8 bytes per filter, 150 per operator
    and 350, was fitted on four networks built and run for a Cortex-M4; within 2.2 % on these, see
    CORTEX_M_ERROR.
    """
    scratch = cmsis_nn_scratch_bytes if kernels == "cmsis-nn" else _no_scratch
    return planned_bytes_with(graph, scratch) + tail_bytes(graph)


def esp32_s3_arena_bytes(graph: TfliteGraph) -> int | None:
    """An estimate of TFLM's whole arena on an ESP32-S3 with ESP-NN, None if a kernel's scratch isn't known.

    The scratch was read from ESP-NN's source and not confirmed on a device; the tail is the Cortex-M's.
    ESP-NN copies the weights of a convolution into the arena, so this is often far above the activations.
    """
    if any(esp_nn_s3_scratch_bytes(graph, operator) is None for operator in graph.operators):
        return None
    return planned_bytes_with(graph, lambda g, op: esp_nn_s3_scratch_bytes(g, op) or 0) + tail_bytes(graph)


def safe_arena_bytes(smallest_bytes: int | None, estimate_bytes: int | None, error: float | None) -> int | None:
    """An arena that is large enough on the device as far as is known, a multiple of 1 KiB; None where nothing tells.

    smallest_bytes: what the interpreter on this host needs, without the scratch of optimized kernels. estimate_bytes:
    with it, and `error` its band; an estimate without a band promises nothing, so nothing is then safe.
    """
    if estimate_bytes is None or error is None:
        return None
    needed = max(smallest_bytes or 0, math.ceil(estimate_bytes * (1 + error)))
    return -(-needed // 1024) * 1024


def planned_bytes_with(graph: TfliteGraph, scratch: Callable[[TfliteGraph, Operator], int]) -> int:
    """The arena's head with each operator's scratch, which lives as long as the operator runs."""
    wanted = [(operator.index, scratch(graph, operator)) for operator in graph.operators]
    extra = [Buffer(len(graph.tensors) + k, size, index, index) for k, (index, size) in enumerate(wanted) if size]
    return _height(place((*lifetimes(graph), *extra)))


def tail_bytes(graph: TfliteGraph) -> int:
    """What TFLM keeps beside the activations with 32-bit pointers; cortex_m_arena_bytes says how well."""
    names = {"CONV_2D", "DEPTHWISE_CONV_2D"}
    filters = sum(graph.tensors[op.outputs[0]].shape[-1] for op in graph.operators if op.name in names)
    return 8 * filters + 150 * len(graph.operators) + 350


def aligned(size_bytes: int) -> int:
    """The size rounded up to 16 bytes."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _height(placements: Iterable[Placement]) -> int:
    return max((p.offset + aligned(p.buffer.size_bytes) for p in placements), default=0)


def _no_scratch(_graph: TfliteGraph, _operator: Operator) -> int:
    return 0
