"""The arena a .tflite graph needs on a microcontroller, planned from tensor lifetimes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgecut.tflite.flatbuffer import Operator, TfliteGraph

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
        (
            sum(b.size_bytes for b in buffers if b.first <= k <= b.last)
            for k in range(-1, len(graph.operators) + 1)
        ),
        default=0,
    )


def cortex_m_arena_bytes(graph: TfliteGraph, kernels: Literal["cmsis-nn", "reference"] = "cmsis-nn") -> int:
    """An estimate of TFLM's whole arena on a Cortex-M4, M7 or M33.

    Not for Helium (M55, M85), whose scratch differs.
    The head is planned with the scratch of CMSIS-NN's kernels. The tail, 8 bytes per filter, 150 per operator
    and 350, was fitted on four networks built and run for a Cortex-M4; within 2.2 % on these, see
    CORTEX_M_ERROR.
    """
    buffers = list(lifetimes(graph))
    if kernels == "cmsis-nn":
        order = len(graph.tensors)
        for operator in graph.operators:
            size = cmsis_nn_scratch_bytes(graph, operator)
            if size:
                buffers.append(Buffer(order, size, operator.index, operator.index))
                order += 1
    filters = sum(
        graph.tensors[op.outputs[0]].shape[-1]
        for op in graph.operators
        if op.name in {"CONV_2D", "DEPTHWISE_CONV_2D"}
    )
    return _height(place(buffers)) + 8 * filters + 150 * len(graph.operators) + 350


def cmsis_nn_scratch_bytes(graph: TfliteGraph, operator: Operator) -> int:
    """The scratch that CMSIS-NN's int8 kernel asks for on a core with DSP and without Helium (M4, M7, M33).

    From arm_convolve_get_buffer_sizes_s8.c, arm_depthwise_conv_get_buffer_sizes_s8.c and
    arm_avgpool_get_buffer_sizes_s8.c at ARM-software/CMSIS-NN@99f736a. 0 for other operators and for float
    ones.
    """
    image = graph.tensors[operator.inputs[0]] if operator.inputs and operator.inputs[0] >= 0 else None
    if image is None or image.dtype != "int8":
        return 0
    channels = image.shape[-1]
    if operator.name == "AVERAGE_POOL_2D":
        return 4 * channels
    if operator.name == "CONV_2D":
        _, height, width, depth = graph.tensors[operator.inputs[1]].shape
        column = -(-height * width * depth // 4) * 4
        return 0 if (height, width) == (1, 1) else 4 * column
    if operator.name == "DEPTHWISE_CONV_2D":
        _, height, width, filters = graph.tensors[operator.inputs[1]].shape
        dilated = (
            operator.options.get("dilationHFactor", 1),
            operator.options.get("dilationWFactor", 1),
        ) != (1, 1)
        # 3x3 has its own kernel where the padding is at most 1, as it always is for SAME and VALID.
        if filters != channels or dilated or (height, width) == (3, 3):
            return 0
        return 2 * channels * height * width
    return 0


def aligned(size_bytes: int) -> int:
    """The size rounded up to 16 bytes."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _height(placements: Iterable[Placement]) -> int:
    return max((p.offset + aligned(p.buffer.size_bytes) for p in placements), default=0)
