"""What sums over whole images, as sums that rows are added to, so that the image never stands in memory."""

from __future__ import annotations

from collections.abc import Mapping

from edgecut.engine.lowered import BYTES, Call, Lowered, Model, View, row_view, same_rows
from edgecut.tflite.flatbuffer import Operator, Tensor
from edgecut.tflite.kinds import RENAMES

SUM_BYTES = 4


def pays(model: Model, index: int, kept: int) -> bool:
    """Whether sums of so many elements take less memory than a tensor, which nothing else needs whole."""
    tensor, graph = model.graph.tensors[index], model.graph
    readers = sum(op.inputs.count(index) for op in graph.operators)
    view = row_view(tensor)
    return readers == 1 and index not in graph.outputs and (SUM_BYTES + 1) * kept + view.row_bytes < view.size_bytes


def state(model: Model, op: Operator, batches: int, count: int) -> Tensor:
    """The sums of an operator as a tensor, of a number that no tensor of the file has."""
    name = model.graph.tensors[op.outputs[0]].name
    return Tensor(len(model.graph.tensors) + op.index, f"the sums of {name}", (batches, count), "int32")


def flattened(model: Model, index: int) -> int:
    """The tensor that one is another shape of, where nothing else reads either or those between."""
    graph = model.graph
    makers = {made: op for op in graph.operators for made in op.outputs if op.name in RENAMES}
    while index in makers and sum(op.inputs.count(index) for op in graph.operators) == 1 and index not in graph.outputs:
        index = makers[index].inputs[0]
    return index


def summed(
    model: Model, op: Operator, kept: tuple[bool, bool], start: int, end: Mapping[str, int]
) -> tuple[Lowered, ...]:
    """The sums over the rows of an operator's first input, and what becomes of them.

    kept: whether columns and channels stay. start: of each sum. end: the fields of the last step.
    """
    index = op.inputs[0]
    data, view = model.graph.tensors[index], row_view(model.graph.tensors[index])
    rows, width, depth = data.shape[-3:]
    kept_x, kept_c = (width if kept[0] else 1), (depth if kept[1] else 1)
    wide = BYTES[data.dtype] > 1
    call = Call("sum16_row" if wide else "sum_row", {
        "row_bytes": view.row_bytes, "rows": rows, "depth": depth, "kept_x": kept_x, "kept_c": kept_c,
        "over_x": width // kept_x, "over_c": depth // kept_c, "start": start,
    })  # fmt: skip
    batches, count = view.rows // rows, kept_x * kept_c
    own = state(model, op, batches, count)
    sums = View(batches, SUM_BYTES * count)
    adding = Lowered(call, (same_rows(index, view),), own.index, sums, rows, own)
    last = Call("sum16_end" if wide else "sum_end", {"count": count, **end})
    return adding, Lowered(last, (same_rows(own.index, sums),), op.outputs[0], View(batches, BYTES[data.dtype] * count))
