"""MEAN and SUM in int8 over any axes."""

from __future__ import annotations

from itertools import groupby

from edgecut.engine.kernels.sums import pays, summed
from edgecut.engine.lowered import Call, Lowered, Model, Value, all_rows, whole_view
from edgecut.engine.quantization import LIMITS, Multiplier, quantize_multiplier
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor


def mean(model: Model, op: Operator) -> Lowered | tuple[Lowered, ...]:
    """The mean over axes, as TFLM computes it for these axes and grids."""
    return _reduced(model, op, total=False)


def total(model: Model, op: Operator) -> Lowered | tuple[Lowered, ...]:
    """The sum over axes."""
    return _reduced(model, op, total=True)


def _reduced(model: Model, op: Operator, *, total: bool) -> Lowered | tuple[Lowered, ...]:
    data, output, size = model.ends(op)
    rank = len(data.shape)
    axes = {int(a) + rank * (a < 0) for a in model.constant(op.inputs[1], "int32").ravel()}
    if not axes <= set(range(rank)):
        raise Refused(f"reduces axes {sorted(axes)} of {rank}")
    kept = [n for k, n in enumerate(data.shape) if k not in axes]
    count = data.elements // max(output.elements, 1)
    if [n for n in output.shape if n > 1] != [n for n in kept if n > 1]:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    rescaling = _rescaling(data, output, count, total)
    if rank >= 3 and rank - 3 in axes and min(axes) == rank - 3 and pays(model, op.inputs[0], output.elements):
        end = {name: rescaling[name] for name in ("multiplier", "shift", "out_zero")}
        stays = rank - 2 not in axes, rank - 1 not in axes
        low, high = LIMITS[output.dtype]
        return summed(model, op, stays, -data.zero_points[0] * count, end | {"divisor": 0, "low": low, "high": high})
    # The kernel of 16-bit values has none of the ways that divide.
    ways = rescaling if size == 1 else {name: rescaling[name] for name in ("start", "multiplier", "shift", "out_zero")}
    fields = _loops(data, axes) | ways
    view = whole_view(output)
    return Lowered(
        Call("mean" if size == 1 else "mean16", fields),
        (all_rows(op.inputs[0], whole_view(data), 1),),
        op.outputs[0],
        view,
    )


def _loops(data: Tensor, axes: set[int]) -> dict[str, Value]:
    """Extents and steps of the axes that stay and of those summed over, neighbours joined."""
    runs: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    step = data.elements
    sized = [(k in axes, n) for k, n in enumerate(data.shape) if n != 1]
    for reduced, group in groupby(sized, key=lambda entry: entry[0]):
        extent = 1
        for _, n in group:
            extent *= n
        step //= extent
        runs[reduced].append((extent, step))
    fields: dict[str, Value] = {}
    for name, reduced in (("kept", False), ("over", True)):
        if len(runs[reduced]) > 2:
            raise Refused("reduces axes that lie in more than two groups")
        # One step of one element, not of none: add4() in reduction.c runs up to the address behind the last.
        padded = [*[(1, 1)] * (2 - len(runs[reduced])), *runs[reduced]]
        for k, (extent, by) in enumerate(padded):
            fields |= {f"{name}_{k}": extent, f"{name}_step_{k}": by}
    return fields


def _rescaling(data: Tensor, output: Tensor, count: int, total: bool) -> dict[str, int]:
    """What becomes of a sum: QuantizedMeanOrSum of tensorflow/lite/kernels/internal/reference/reduce.h."""
    factor = quantize_multiplier(data.scales[0] / output.scales[0])
    zero = data.zero_points[0]
    if not total:
        shift = min(count.bit_length() - 1, 32, 31 + factor.shift)
        factor = Multiplier((factor.multiplier << shift) // count, factor.shift - shift)
    return {
        "start": -zero * count, "rescales": 1, "multiplier": factor.multiplier, "shift": factor.shift,
        "divisor": 1, "rounds": 0, "out_zero": output.zero_points[0],
    }  # fmt: skip
