"""Operators that move values without computing: PAD, CONCATENATION, slices, SPLIT and TRANSPOSE."""

from __future__ import annotations

import numpy as np

from edgecut.engine.kernels.elementwise import four
from edgecut.engine.lowered import (
    BYTES,
    Call,
    Lowered,
    Model,
    Read,
    Value,
    View,
    all_rows,
    option,
    row_view,
    whole_view,
)
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor


def pad(model: Model, op: Operator) -> Lowered:
    """A tensor with its zero point, or a constant of PADV2, around it."""
    data, output, size = model.ends(op)
    pads = model.constant(op.inputs[1], "int32", "int64").astype(int)
    rank = len(data.shape)
    if rank > 4 or pads.shape != (rank, 2) or pads.min(initial=0) < 0:
        raise Refused(f"has the padding {pads.tolist()} for {rank} axes")
    if output.shape != tuple(int(n + p.sum()) for n, p in zip(data.shape, pads, strict=True)):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    fill = int(model.constant(op.inputs[2], data.dtype).ravel()[0]) if len(op.inputs) > 2 else output.zero_points[0]
    if size > 1 and fill:
        raise Refused(f"pads 16-bit values with {fill}, and 0 is expected")
    lead = [(0, 0)] * (4 - rank)
    before = [int(p[0]) for p in (*lead, *pads)]
    if rank < 3:
        before = [0, before[2], 0, before[3]]
    (batches, height, width, depth), made = four(data.shape), four(output.shape)
    rows = np.arange(made[0] * made[1])
    batch, y = rows // made[1] - before[0], rows % made[1] - before[1]
    inside = (batch >= 0) & (batch < batches) & (y >= 0) & (y < height)
    first = np.clip(batch, 0, batches - 1) * height + np.clip(y, 0, height)
    first = np.where(batch < 0, 0, np.where(batch >= batches, batches * height, first))
    call = Call("pad_row", {
        "batches": batches, "height": height, "width": width, "depth": depth * size, "out_height": made[1],
        "out_width": made[2], "out_depth": made[3] * size, "before": (*before[:3], before[3] * size), "fill": fill,
    })  # fmt: skip
    read = Read(op.inputs[0], row_view(data), first, first + inside)
    return Lowered(call, (read,), op.outputs[0], row_view(output))


def concatenation(model: Model, op: Operator) -> Lowered:
    """Several tensors joined along one axis."""
    data, output = [model.ends(op, place)[0] for place in range(len(op.inputs))], model.ends(op)[1]
    bytes_each = model.ends(op)[2]
    rank = len(output.shape)
    axis = option(op, "axis", 0) + rank * (option(op, "axis", 0) < 0)
    joined = [tensor.shape[axis] for tensor in data if len(tensor.shape) == rank and 0 <= axis < rank]
    if len(joined) != len(data) or sum(joined) != output.shape[axis]:
        raise Refused(f"makes shape {list(output.shape)} of shapes {[list(t.shape) for t in data]}")
    made = row_view(output)
    inner = min(2, rank) if rank >= 3 else 1
    behind = axis >= rank - inner
    group = bytes_each * int(np.prod(output.shape[axis:])) if behind else made.row_bytes
    # One batch of rows where the batches are what is joined, so that all rows count through.
    height = made.rows if behind or axis == 0 else int(np.prod(output.shape[axis : rank - inner]))
    parts: list[int] = []
    reads: list[Read] = []
    start = 0
    rows = np.arange(made.rows)
    for index, tensor in zip(op.inputs, data, strict=True):
        if [n for k, n in enumerate(tensor.shape) if k != axis] != [n for k, n in enumerate(output.shape) if k != axis]:
            raise Refused(f"joins shapes {[list(t.shape) for t in data]} along axis {axis}")
        view = row_view(tensor)
        own = height if behind else view.rows * height // made.rows
        size = bytes_each * int(np.prod(tensor.shape[axis:])) if behind else view.row_bytes
        parts += [0, own, size, start] if behind else [start, own, size, 0]
        offset = 0 if behind else start
        y = rows % height - offset
        first = rows // height * own + np.clip(y, 0, own)
        reads.append(Read(index, view, first, first + ((y >= 0) & (y < own))))
        start += size if behind else own
    call = Call("concatenation_row", {
        "count": len(data), "height": height, "groups": made.row_bytes // group, "group_bytes": group,
        "parts": np.array(parts, np.int32),
    })  # fmt: skip
    return Lowered(call, tuple(reads), op.outputs[0], made)


def slice_(model: Model, op: Operator) -> Lowered:
    """SLICE: so many elements from a place on each axis."""
    data, output, _ = model.ends(op)
    begin = model.constant(op.inputs[1], "int32", "int64").ravel().tolist()
    return part_of(op.inputs[0], data, op.outputs[0], output, begin, [1] * len(data.shape))


def strided_slice(model: Model, op: Operator) -> Lowered:
    """STRIDED_SLICE without new axes or an ellipsis; an axis that is taken away is one of extent 1."""
    data, output, _ = model.ends(op)
    if option(op, "ellipsisMask", 0) or option(op, "newAxisMask", 0) or op.options.get("offset"):
        raise Refused("has an ellipsis, a new axis or an offset")
    begin, end, strides = (model.constant(index, "int32").ravel().tolist() for index in op.inputs[1:4])
    masks, shrunk = (option(op, "beginMask", 0), option(op, "endMask", 0)), option(op, "shrinkAxisMask", 0)
    first: list[int] = []
    extents: list[int] = []
    for k, (n, start, stop, step) in enumerate(zip(data.shape, begin, end, strides, strict=True)):
        start, stop = _ends(n, start, stop, step, (bool(masks[0] >> k & 1), bool(masks[1] >> k & 1)))
        if shrunk >> k & 1 and step < 0:
            raise Refused("takes an axis away by a negative stride, and the interpreter's kernel writes nothing then")
        first.append(start)
        extents += [] if shrunk >> k & 1 else [max(-((start - stop) // step), 0)]
    if tuple(extents) != output.shape:
        raise Refused(f"takes a part of shape {extents} into shape {list(output.shape)}")
    return part_of(op.inputs[0], data, op.outputs[0], output, first, strides, shrunk)


def _ends(n: int, start: int, stop: int, step: int, masked: tuple[bool, bool]) -> tuple[int, int]:
    """The first element of an axis of n that is taken, and what is behind the last
    (tensorflow/lite/kernels/internal/strided_slice_logic.h: StridedSliceStartForAxis, StridedSliceEndForAxis).
    """
    if step == 0:
        raise Refused("has a stride of 0")
    low, high = (0, n) if step > 0 else (-1, n - 1)
    start, stop = (min(max(at + n * (at < 0), low), high) for at in (start, stop))
    edges = (low, high) if step > 0 else (high, low)
    return edges[0] if masked[0] else start, edges[1] if masked[1] else stop


def split(model: Model, op: Operator) -> tuple[Lowered, ...]:
    """SPLIT: equal parts along an axis, each made by itself."""
    data = model.ends(op, 1)[0]
    axis = int(model.constant(op.inputs[0], "int32").ravel()[0])
    shapes = [model.activation(index, data.dtype).shape for index in op.outputs]
    if len(set(shapes)) > 1:
        raise Refused(f"makes shapes {[list(shape) for shape in shapes]}, and equal parts are expected")
    return _parts(model, op, op.inputs[1], data, axis)


def split_v(model: Model, op: Operator) -> tuple[Lowered, ...]:
    """SPLIT_V: parts of the outputs' own extents."""
    axis = int(model.constant(op.inputs[2], "int32").ravel()[0])
    return _parts(model, op, op.inputs[0], model.ends(op)[0], axis)


def _parts(model: Model, op: Operator, index: int, data: Tensor, axis: int) -> tuple[Lowered, ...]:
    rank = len(data.shape)
    axis += rank * (axis < 0)
    if not 0 <= axis < rank:
        raise Refused(f"splits axis {axis} of {rank}")
    lowered: list[Lowered] = []
    start = 0
    for made in op.outputs:
        output = model.activation(made, data.dtype)
        begin = [start if k == axis else 0 for k in range(rank)]
        lowered.append(part_of(index, data, made, output, begin, [1] * rank))
        start += output.shape[axis]
    if start != data.shape[axis]:
        raise Refused(f"makes parts of {start} in all of {data.shape[axis]}")
    return tuple(lowered)


def part_of(
    index: int, data: Tensor, made: int, output: Tensor, begin: list[int], steps: list[int], shrunk: int = 0
) -> Lowered:
    """Every so-manieth element from a place on, for each axis; `shrunk` has a bit for each axis that is taken away."""
    rank = len(data.shape)
    axes = [k for k in range(rank) if not shrunk >> k & 1]
    if rank > 4 or len(begin) != rank or len(axes) != len(output.shape):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    extents = dict(zip(axes, output.shape, strict=True))
    shape = tuple(extents.get(k, 1) for k in range(rank))
    for n, start, by, extent in zip(data.shape, begin, steps, shape, strict=True):
        if not (0 <= start < n and 0 <= start + (extent - 1) * by < n and by != 0):
            raise Refused(f"takes {extent} elements from {start} on by {by} of {n}")
    lead = 4 - rank
    full, taken = four(data.shape), four(shape)
    first, step = [0] * lead + begin, [1] * lead + steps
    if rank < 3:
        (
            first,
            step,
        ) = [0, first[2], 0, first[3]], [1, step[2], 1, step[3]]
    size = BYTES[data.dtype]
    if size > 1 and step[3] != 1 and taken[3] > 1:
        raise Refused("takes 16-bit channels that don't lie side by side")
    rows = np.arange(taken[0] * taken[1])
    at = (first[0] + rows // taken[1] * step[0]) * full[1] + first[1] + rows % taken[1] * step[1]
    stop = at + 1
    if np.any(np.diff(at) < 0):
        at, stop = np.zeros_like(at), np.full_like(at, full[0] * full[1])
    fields: dict[str, Value] = {
        "in_height": full[1], "in_width": full[2], "in_depth": full[3] * size, "height": taken[1], "width": taken[2],
        "depth": taken[3] * size, "first": (*first[:3], first[3] * size),
        "step": (*step[:3], 1 if size > 1 else step[3]),
    }  # fmt: skip
    view = View(taken[0] * taken[1], taken[2] * taken[3] * size)
    return Lowered(Call("slice_row", fields), (Read(index, row_view(data), at, stop),), made, view)


def transpose(model: Model, op: Operator) -> Lowered:
    """The axes in another order; row by row where the rows stay, else from the whole tensor."""
    data, output = model.activation(op.inputs[0]), model.output(op)
    order = [k + len(data.shape) * (k < 0) for k in model.constant(op.inputs[1], "int32").ravel().tolist()]
    if len(data.shape) > 4 or sorted(order) != list(range(len(data.shape))):
        raise Refused(f"has the order {order} of {len(data.shape)} axes")
    if output.shape != tuple(data.shape[k] for k in order):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    strides = [int(np.prod(data.shape[k + 1 :])) for k in order]
    shape = (1,) * (4 - len(order)) + output.shape
    step = [0] * (4 - len(order)) + strides
    made = row_view(output)
    if len(order) < 3:
        shape, step = (1, shape[2], 1, shape[3]), [0, step[2], 0, step[3]]
    fields: dict[str, Value] = {"height": shape[1], "width": shape[2], "depth": shape[3], "step": tuple(step)}
    read = all_rows(op.inputs[0], whole_view(data), made.rows)
    return Lowered(Call("transpose_row", fields), (read,), op.outputs[0], made)
