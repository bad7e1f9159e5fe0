"""Operators that move values without computing: PAD and PADV2."""

from __future__ import annotations

import numpy as np

from edgecut.engine.kernels.elementwise import four
from edgecut.engine.lowered import Call, Lowered, Model, Read, row_view
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator


def pad(model: Model, op: Operator) -> Lowered:
    """A tensor with its zero point, or a constant of PADV2, around it."""
    data, output = model.activation(op.inputs[0]), model.output(op)
    pads = model.constant(op.inputs[1], "int32", "int64").astype(int)
    rank = len(data.shape)
    if rank > 4 or pads.shape != (rank, 2) or pads.min(initial=0) < 0:
        raise Refused(f"has the padding {pads.tolist()} for {rank} axes")
    if output.shape != tuple(int(n + p.sum()) for n, p in zip(data.shape, pads, strict=True)):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    fill = int(model.constant(op.inputs[2], "int8").ravel()[0]) if len(op.inputs) > 2 else output.zero_points[0]
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
        "batches": batches, "height": height, "width": width, "depth": depth, "out_height": made[1],
        "out_width": made[2], "out_depth": made[3], "before": tuple(before), "fill": fill,
    })  # fmt: skip
    read = Read(op.inputs[0], row_view(data), first, first + inside)
    return Lowered(call, (read,), op.outputs[0], row_view(output))
