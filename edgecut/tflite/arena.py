"""The arena a .tflite graph needs on a microcontroller, planned from tensor lifetimes."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Literal, NamedTuple, cast

from edgecut.tflite.flatbuffer import Operator, TfliteGraph, per_operator
from edgecut.tflite.kinds import CONVOLUTIONS
from edgecut.tflite.lifetimes import UNUSED, Buffer, Scratch, lifetimes
from edgecut.tflite.persistent import persistent_bytes
from edgecut.tflite.requests import host_requests, reference_requests
from edgecut.tflite.scratch import cmsis_nn_requests

ALIGNMENT = 16

# The worst relative error of cortex_m_arena_bytes on the four networks that were built and run for a
# Cortex-M4 is 4.6 % (tests/tflite/test_arena.py). Its constants were fitted on these four, so the
# promised band is wider.
CORTEX_M_ERROR = 0.10
# What tables and records differ by at most on int8 files of 1 to 33 operators, every kind among them, from what the
# interpreter holds less its wider pointers (tests/tflite/test_whole_arena.py): more than a tenth of a tiny arena.
CORTEX_M_ERROR_BYTES = 260


class Placement(NamedTuple):
    """A buffer at its offset in the arena."""

    buffer: Buffer
    offset: int


def place(buffers: Iterable[Buffer]) -> tuple[Placement, ...]:
    """Every buffer at the first gap that fits, largest first: what TFLM's GreedyMemoryPlanner does.

    Sizes are rounded up to 16 bytes. Among equal sizes the highest order goes first; the other way round
    MLPerf Tiny's visual wake words would come out 12.5 % short. Those that have an offset already come before all.
    """
    rows = _in_turn(buffers)
    return tuple(sorted(map(Placement, rows, _offsets(rows)), key=attrgetter("offset")))


def planned_bytes(graph: TfliteGraph, scratch: Scratch | None = host_requests) -> int:
    """The arena's head: activations and the kernels' scratch, placed by the greedy planner.

    By default to the byte what the interpreter on this host records; scratch=None leaves all scratch out.
    """
    return _end(lifetimes(graph, scratch))


def planning_bytes(graph: TfliteGraph, scratch: Scratch = reference_requests, *, wide: bool = False) -> int:
    """What TFLM needs where the head will lie while it plans: more than the head itself in a net of many small tensors.

    A record for each tensor and scratch buffer, 40 bytes more for each that is planned, and the requests for scratch
    (micro_allocator.cc, micro_allocation_info.h, greedy_memory_planner.h): within 40 bytes of the interpreter on nets
    of 5 to 128 operators. wide: with pointers of 64 bits, as there.
    """
    return _planning_bytes(graph, lifetimes(graph, scratch), wide=wide)


def _planning_bytes(graph: TfliteGraph, buffers: Sequence[Buffer], *, wide: bool = False) -> int:
    record, request, size = (32, 16, 8) if wide else (24, 12, 4)
    parts = (graph, *graph.others)
    requests = sum(buffer.operator is not None for buffer in buffers)
    tensors = sum(len(part.tensors) for part in parts)
    return request * requests + size * len(parts) + record * (tensors + requests) + 40 * len(buffers)


def preparing_bytes(graph: TfliteGraph, *, wide: bool = False) -> int:
    """What TFLM needs where the head will lie while an operator is prepared: more than the head in a tiny net.

    A record for each tensor of the operator, and its zero points, one for each channel (micro_allocator.cc:
    AllocateTempTfLiteTensor). A convolution holds its tensors once more, about 290 bytes. wide: with pointers of 64
    bits; then within 60 bytes of the interpreter on operators of 1 to 24 tensors.
    """
    rule = _prepared_wide if wide else _prepared
    return max((most for part in (graph, *graph.others) for most in per_operator(part, rule)), default=0)


def live_bytes(graph: TfliteGraph) -> int:
    """The largest sum of tensors alive at once: what no planner can go below. It is not the arena."""
    buffers = lifetimes(graph)
    moments = {b.first for b in buffers}
    return max((sum(b.size_bytes for b in buffers if b.first <= k <= b.last) for k in moments), default=0)


def cortex_m_arena_bytes(graph: TfliteGraph, kernels: Literal["cmsis-nn", "reference"] = "cmsis-nn") -> int:
    """An estimate of TFLM's whole arena on a Cortex-M4, M7 or M33.

    Not for Helium (M55, M85), whose scratch differs.
    The head is planned with the scratch of CMSIS-NN's kernels. The tail's 8 bytes per filter, 150 per operator
    and 350 were fitted on four networks built and run for a Cortex-M4; within 4.6 % on these, see
    CORTEX_M_ERROR.
    """
    scratch = cmsis_nn_requests if kernels == "cmsis-nn" else reference_requests
    return _device_bytes(graph, scratch)


def cortex_m_error(arena_bytes: int) -> float:
    """The band of cortex_m_arena_bytes, relative to its value."""
    return max(CORTEX_M_ERROR, CORTEX_M_ERROR_BYTES / max(arena_bytes, 1))


def esp_nn_arena_bytes(
    graph: TfliteGraph, scratch: Callable[[TfliteGraph, Operator], tuple[int, ...] | None]
) -> int | None:
    """An estimate of TFLM's whole arena with ESP-NN's kernels, None if a kernel's scratch isn't known.

    scratch: of the chip. It was read from ESP-NN's source and not confirmed on a device; the tail is the Cortex-M's.
    On an ESP32-S3 ESP-NN copies the weights of a convolution into the arena, which is often far above the activations.
    """
    if any(sizes is None for part in (graph, *graph.others) for sizes in per_operator(part, scratch)):
        return None
    return _device_bytes(graph, cast("Scratch", scratch))


def safe_arena_bytes(smallest_bytes: int | None, estimate_bytes: int | None, error: float | None) -> int | None:
    """An arena that is large enough on the device as far as is known, a multiple of 1 KiB; None where nothing tells.

    smallest_bytes: what the interpreter on this host needs, without the scratch of optimized kernels. estimate_bytes:
    with it, and `error` its band; an estimate without a band promises nothing, so nothing is then safe.
    """
    if estimate_bytes is None or error is None:
        return None
    needed = max(smallest_bytes or 0, math.ceil(estimate_bytes * (1 + error)))
    return -(-needed // 1024) * 1024


def tail_bytes(graph: TfliteGraph) -> int:
    """What TFLM keeps beside the activations with 32-bit pointers; cortex_m_arena_bytes says how well."""
    parts = (graph, *graph.others)
    filters = sum(sum(per_operator(part, _filters)) for part in parts)
    operators = sum(len(part.operators) for part in parts)
    return 8 * filters + 150 * operators + 350 + sum(map(persistent_bytes, parts))


def aligned(size_bytes: int) -> int:
    """The size rounded up to 16 bytes."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _device_bytes(graph: TfliteGraph, scratch: Scratch) -> int:
    buffers = lifetimes(graph, scratch)
    head = max(_end(buffers), _planning_bytes(graph, buffers), preparing_bytes(graph))
    return head + tail_bytes(graph)


def _prepared(graph: TfliteGraph, operator: Operator, record: int = 40, grid: int = 16) -> int:
    """The bytes of an operator's tensors while it is prepared."""
    tensors = [graph.tensors[k] for k in (*operator.inputs, *operator.outputs) if k >= 0]
    scales = [len(tensor.scales) for tensor in tensors if tensor.scales]
    again = record * 4 if operator.name == "CONV_2D" and scales else 0
    return record * len(tensors) + sum(grid + 4 * count for count in scales) + again


def _prepared_wide(graph: TfliteGraph, operator: Operator) -> int:
    return _prepared(graph, operator, 64, 28)


def _filters(graph: TfliteGraph, operator: Operator) -> int:
    """The filters of a convolution, 0 for another operator."""
    is_convolution = operator.name in CONVOLUTIONS and bool(operator.outputs)
    return (graph.tensors[operator.outputs[0]].shape or (1,))[-1] if is_convolution else 0


def _end(buffers: Iterable[Buffer]) -> int:
    """How far the placed buffers reach."""
    rows = _in_turn(buffers)
    return max([offset + aligned(row.size_bytes) for row, offset in zip(rows, _offsets(rows), strict=True)], default=0)


def _in_turn(buffers: Iterable[Buffer]) -> list[Buffer]:
    """The buffers in the order in which they are placed."""
    rows = sorted(buffers, key=attrgetter("size_bytes", "order"), reverse=True)
    rows.sort(key=_is_free)
    return rows


def _offsets(rows: Sequence[Buffer]) -> list[int]:
    """Where each buffer goes."""
    # What is alive at a moment, sorted by offset: a buffer is held against these alone.
    alive: list[list[tuple[int, int]]] = [[] for _ in range(max((b.last for b in rows), default=UNUSED) - UNUSED + 1)]
    offsets: list[int] = []
    for _, size_bytes, first, last, planned, _ in rows:
        size, moments = aligned(size_bytes), alive[first - UNUSED : last - UNUSED + 1]
        offset = _first_gap(moments, size) if planned is None else planned
        offsets.append(offset)
        extent = offset, offset + size
        for neighbours in moments:
            insort(neighbours, extent)
    return offsets


def _first_gap(moments: Sequence[list[tuple[int, int]]], size_bytes: int) -> int:
    """The lowest offset at which so many bytes are free at all moments. moments: (begin, end) of the placed, sorted."""
    if len(moments) == 2:
        # Nearly all activations; twice as fast as what does for any number.
        neighbours = sorted(moments[0] + moments[1])
    else:
        neighbours = moments[0] if len(moments) == 1 else sorted(set(chain.from_iterable(moments)))
    offset = 0
    for begin, end in neighbours:
        if end > offset:
            if offset + size_bytes <= begin:
                break
            offset = end
    return offset


def _is_free(buffer: Buffer) -> bool:
    return buffer.offset is None
