"""Files of a single operator each, of any combination of types, to ask TensorFlow Lite Micro what it makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgecut.tflite.write import Draft

TYPES = ("float32", "float16", "int4", "int8", "uint8", "int16", "int32", "uint32", "int64", "bool")
SCALED = {"int4", "int8", "uint8", "int16"}
SCALE, STATE_SCALE = 0.05, 2.0**-11


@dataclass(frozen=True)
class Slot:
    """A tensor of the operator. role: which of the trial's types it has ("data", "weights", "bias", "state", "result"),
    or a type of its own. values: of a constant; None for one that is fed. scales: how many, along `axis`.
    """

    role: str
    shape: tuple[int, ...]
    constant: bool = False
    values: tuple[int | float, ...] = ()
    scales: int = 1
    axis: int = 0
    variable: bool = False
    absent: bool = False


@dataclass(frozen=True)
class Kind:
    """What an operator takes and gives, and its options."""

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    table: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


IMAGE = (1, 4, 4, 4)


def data(*shape: int, role: str = "data") -> Slot:
    """A tensor that is fed or computed."""
    return Slot(role, shape or IMAGE)


def const(shape: Sequence[int], role: str, *values: float, scales: int = 1, axis: int = 0) -> Slot:
    """A constant; without values, of ones and twos."""
    return Slot(role, tuple(shape), True, values, scales, axis)


def ints(*values: int) -> Slot:
    """A constant of 32-bit integers."""
    return Slot("int32", (len(values),), True, values)


def scalar(value: int, role: str = "int32") -> Slot:
    """A constant without axes."""
    return Slot(role, (), True, (value,))


def same(table: str = "", options: Mapping[str, Any] | None = None, inputs: int = 1, role: str = "data") -> Kind:
    """An operator whose tensors all have one shape."""
    return Kind((data(),) * inputs, (data(role=role),), table, options or {})


CONV = {"padding": 0, "strideH": 1, "strideW": 1}
POOL = {"padding": 0, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
REDUCE = Kind((data(), ints(1, 2)), (data(1, 1, 1, 4),), "ReducerOptions", {"keepDims": True})
RESIZE = Kind((data(), ints(8, 8)), (data(1, 8, 8, 4),))
CELLS, FED, STEPS = 3, 5, 2


def lstm() -> Kind:
    """A fused LSTM without peepholes, projection and normalization, as Keras' is converted."""
    into, again, bias = const((CELLS, FED), "weights"), const((CELLS, CELLS), "weights"), const((CELLS,), "bias")
    none = Slot("data", (), absent=True)
    states = (Slot("data", (1, CELLS), variable=True), Slot("state", (1, CELLS), variable=True))
    inputs = (data(1, STEPS, FED), into, into, into, into, again, again, again, again, none, none, none,
              bias, bias, bias, bias, none, none, *states, none, none, none, none)  # fmt: skip
    options = {"fusedActivationFunction": 4, "cellClip": 10.0}
    return Kind(inputs, (data(1, STEPS, CELLS),), "UnidirectionalSequenceLSTMOptions", options)


SVDF = Kind(
    (data(1, 4), const((6, 4), "weights"), const((6, 5), "state"), const((3,), "bias"),
     Slot("state", (1, 30), variable=True)),
    (data(1, 3),), "SVDFOptions", {"rank": 2, "fusedActivationFunction": 1},
)  # fmt: skip

KINDS: dict[str, Kind] = {
    "ABS": same(), "ADD": same("AddOptions", inputs=2), "ADD_N": same("AddNOptions", inputs=3),
    "ARG_MAX": Kind((data(), scalar(3)), (data(1, 4, 4, role="result"),), "ArgMaxOptions", {"outputType": 2}),
    "ARG_MIN": Kind((data(), scalar(3)), (data(1, 4, 4, role="result"),), "ArgMinOptions", {"outputType": 2}),
    "AVERAGE_POOL_2D": Kind((data(),), (data(1, 2, 2, 4),), "Pool2DOptions", POOL),
    "BATCH_MATMUL": Kind((data(1, 2, 3), data(1, 3, 4, role="weights")), (data(1, 2, 4),), "BatchMatMulOptions"),
    "BATCH_TO_SPACE_ND": Kind((data(4, 2, 2, 1), ints(2, 2), const((2, 2), "int32", 0, 0, 0, 0)), (data(1, 4, 4, 1),)),
    "BROADCAST_ARGS": Kind((Slot("data", (2,)), Slot("data", (2,))), (Slot("data", (2,)),)),
    "BROADCAST_TO": Kind((data(1, 1, 1, 4), ints(1, 4, 4, 4)), (data(),)),
    "CAST": Kind((data(),), (data(role="result"),), "CastOptions"),
    "CEIL": same(),
    "CONCATENATION": Kind((data(), data()), (data(1, 4, 4, 8),), "ConcatenationOptions", {"axis": 3}),
    "CONV_2D": Kind((data(), const((2, 3, 3, 4), "weights", scales=2), const((2,), "bias", scales=2)),
                    (data(1, 4, 4, 2),), "Conv2DOptions", CONV),
    "CONV_3D": Kind((data(1, 4, 4, 4, 2), const((2, 2, 2, 2, 3), "weights")), (data(1, 4, 4, 4, 3),), "Conv3DOptions",
                    {"padding": 0, "strideD": 1, "strideH": 1, "strideW": 1}),
    "COS": same(),
    "CUMSUM": Kind((data(), scalar(1)), (data(),), "CumsumOptions"),
    "DEPTHWISE_CONV_2D": Kind(
        (data(), const((1, 3, 3, 4), "weights", scales=4, axis=3), const((4,), "bias", scales=4)), (data(),),
        "DepthwiseConv2DOptions", {**CONV, "depthMultiplier": 1}),
    "DEPTH_TO_SPACE": Kind((data(),), (data(1, 8, 8, 1),), "DepthToSpaceOptions", {"blockSize": 2}),
    "DEQUANTIZE": Kind((data(),), (data(role="result"),)),
    "DIV": Kind((data(), const(IMAGE, "data", 1)), (data(),), "DivOptions"),
    "DYNAMIC_UPDATE_SLICE": Kind((data(), data(1, 2, 2, 4), data(4, role="index")), (data(),)),
    "ELU": same(),
    "EMBEDDING_LOOKUP": Kind((data(3, role="index"), const((5, 4), "weights")), (data(3, 4, role="result"),)),
    "EXP": same(), "EXPAND_DIMS": Kind((data(4, 4), scalar(0)), (data(1, 4, 4),)),
    "EQUAL": same(inputs=2, role="result"), "NOT_EQUAL": same(inputs=2, role="result"),
    "GREATER": same(inputs=2, role="result"), "GREATER_EQUAL": same(inputs=2, role="result"),
    "LESS": same(inputs=2, role="result"), "LESS_EQUAL": same(inputs=2, role="result"),
    "FILL": Kind((ints(1, 4), Slot("data", ())), (data(1, 4),)),
    "FLOOR": same(),
    "FLOOR_DIV": Kind((data(), const(IMAGE, "data", 1)), (data(),)),
    "FLOOR_MOD": Kind((data(), const(IMAGE, "data", 1)), (data(),)),
    "FULLY_CONNECTED": Kind((data(1, 4), const((3, 4), "weights"), const((3,), "bias")), (data(1, 3),),
                            "FullyConnectedOptions"),
    "GATHER": Kind((data(), data(2, role="index")), (data(1, 2, 4, 4),), "GatherOptions", {"axis": 1}),
    "GATHER_ND": Kind((data(2, 4, 4, 4), data(2, 1, role="index")), (data(2, 4, 4, 4),)),
    "GELU": same(), "HARD_SWISH": same(), "L2_NORMALIZATION": same("L2NormOptions"),
    "L2_POOL_2D": Kind((data(),), (data(1, 2, 2, 4),), "Pool2DOptions", POOL),
    "LEAKY_RELU": same("LeakyReluOptions", {"alpha": 0.1}), "LOG": same(), "LOGICAL_AND": same(inputs=2),
    "LOGICAL_NOT": same(), "LOGICAL_OR": same(inputs=2), "LOGISTIC": same(), "LOG_SOFTMAX": same(),
    "MAXIMUM": same(inputs=2), "MINIMUM": same(inputs=2),
    "MAX_POOL_2D": Kind((data(),), (data(1, 2, 2, 4),), "Pool2DOptions", POOL),
    "MEAN": REDUCE, "SUM": REDUCE, "REDUCE_MAX": REDUCE, "REDUCE_MIN": REDUCE, "REDUCE_ALL": REDUCE,
    "REDUCE_ANY": REDUCE, "REDUCE_PROD": REDUCE,
    "MIRROR_PAD": Kind((data(), const((4, 2), "int32", 0, 0, 1, 1, 1, 1, 0, 0)), (data(1, 6, 6, 4),),
                       "MirrorPadOptions", {"mode": 0}),
    "MUL": same("MulOptions", inputs=2), "NEG": same(),
    "PACK": Kind((data(), data()), (data(2, 1, 4, 4, 4),), "PackOptions", {"axis": 0, "valuesCount": 2}),
    "PAD": Kind((data(), const((4, 2), "int32", 0, 0, 1, 1, 1, 1, 0, 0)), (data(1, 6, 6, 4),), "PadOptions"),
    "PADV2": Kind((data(), const((4, 2), "int32", 0, 0, 1, 1, 1, 1, 0, 0), const((1,), "data", 1)),
                  (data(1, 6, 6, 4),), "PadV2Options"),
    "POW": same(inputs=2), "PRELU": Kind((data(), const((1, 1, 4), "weights")), (data(),)),
    "QUANTIZE": Kind((data(),), (data(role="result"),)),
    "RELU": same(), "RELU6": same(), "RELU_N1_TO_1": same(), "RELU_0_TO_1": same(),
    "RESHAPE": Kind((data(), ints(1, 64)), (data(1, 64),)),
    "RESIZE_BILINEAR": replace(RESIZE, table="ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": replace(RESIZE, table="ResizeNearestNeighborOptions"),
    "REVERSE_V2": Kind((data(), ints(1)), (data(),)),
    "ROUND": same(), "RSQRT": Kind((const(IMAGE, "data", 1, 2),), (data(),)),
    "SELECT": Kind((data(role="bool"), data(), data()), (data(),)),
    "SELECT_V2": Kind((data(role="bool"), data(), data()), (data(),)),
    "SHAPE": Kind((data(),), (Slot("result", (4,)),), "ShapeOptions", {"outType": 2}),
    "SIGN": same(), "SIN": same(),
    "SLICE": Kind((data(), const((4,), "index", 0, 1, 1, 0), const((4,), "index", 1, 2, 2, 4)), (data(1, 2, 2, 4),)),
    "SOFTMAX": Kind((data(1, 8),), (data(1, 8, role="result"),), "SoftmaxOptions", {"beta": 1.0}),
    "SPACE_TO_BATCH_ND": Kind((data(1, 4, 4, 1), ints(2, 2), const((2, 2), "int32", 0, 0, 0, 0)), (data(4, 2, 2, 1),)),
    "SPACE_TO_DEPTH": Kind((data(),), (data(1, 2, 2, 16),), "SpaceToDepthOptions", {"blockSize": 2}),
    "SPLIT": Kind((scalar(3), data()), (data(1, 4, 4, 2), data(1, 4, 4, 2)), "SplitOptions", {"numSplits": 2}),
    "SPLIT_V": Kind((data(), ints(1, 3), scalar(3)), (data(1, 4, 4, 1), data(1, 4, 4, 3)), "SplitVOptions",
                    {"numSplits": 2}),
    "SQRT": same(), "SQUARE": same(), "SQUARED_DIFFERENCE": same(inputs=2),
    "SQUEEZE": Kind((data(1, 4, 1),), (data(4),), "SqueezeOptions", {"squeezeDims": [0, 2]}),
    "STRIDED_SLICE": Kind((data(), ints(0, 0, 0, 0), ints(1, 4, 4, 4), ints(1, 2, 2, 1)), (data(1, 2, 2, 4),),
                          "StridedSliceOptions"),
    "SUB": same("SubOptions", inputs=2), "SVDF": SVDF, "TANH": same(),
    "TILE": Kind((data(), ints(1, 2, 1, 1)), (data(1, 8, 4, 4),)),
    "TRANSPOSE": Kind((data(), ints(0, 2, 1, 3)), (data(),), "TransposeOptions"),
    "TRANSPOSE_CONV": Kind((ints(1, 8, 8, 2), const((2, 3, 3, 4), "weights", scales=2), data(),
                            const((2,), "bias", scales=2)), (data(1, 8, 8, 2),), "TransposeConvOptions",
                           {"padding": 0, "strideH": 2, "strideW": 2}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm(),
    "UNPACK": Kind((data(2, 4),), (data(4), data(4)), "UnpackOptions", {"num": 2, "axis": 0}),
    "ZEROS_LIKE": same(),
}  # fmt: skip

# The types that a converter gives beside data of a type: weights, bias, state, index, result.
USUAL: dict[str, dict[str, str]] = {
    "float32": {"weights": "float32", "bias": "float32", "state": "float32"},
    "int8": {"weights": "int8", "bias": "int32", "state": "int16"},
    "int16": {"weights": "int8", "bias": "int64", "state": "int16"},
}
RESULTS = {"ARG_MAX": "int32", "ARG_MIN": "int32", "CAST": "float32", "DEQUANTIZE": "float32", "QUANTIZE": "int8",
           "SHAPE": "int32", "EQUAL": "bool", "NOT_EQUAL": "bool", "GREATER": "bool", "GREATER_EQUAL": "bool",
           "LESS": "bool", "LESS_EQUAL": "bool"}  # fmt: skip


def usual_types(name: str, dtype: str) -> dict[str, str]:
    """The types by role that a converter gives an operator with data of a type."""
    weights = USUAL.get(dtype, {"weights": dtype, "bias": dtype, "state": dtype})
    if name == "PRELU":
        weights = {**weights, "weights": dtype}
    if name == "BATCH_MATMUL":
        weights = {**weights, "weights": dtype}
    if name == "EMBEDDING_LOOKUP":
        return {"data": dtype, "index": "int32", "weights": dtype, "result": dtype}
    return {"data": dtype, **weights, "index": "int32", "result": RESULTS.get(name, dtype)}


def roles(name: str) -> tuple[str, ...]:
    """The roles that an operator's tensors have, each once."""
    kind = KINDS[name]
    named = (slot.role for slot in (*kind.inputs, *kind.outputs) if slot.role not in TYPES)
    return tuple(dict.fromkeys(named))


def combinations(name: str, limit: Sequence[str] = TYPES) -> Iterator[dict[str, str]]:
    """Every assignment of types to the operator's roles."""
    own = roles(name)
    for types in itertools.product(limit, repeat=len(own)):
        yield dict(zip(own, types, strict=True))


# The scale and zero point that a kernel asks of its output.
GRIDS: dict[tuple[str, str], tuple[float, int]] = {
    ("LOGISTIC", "int8"): (2.0**-8, -128), ("LOGISTIC", "int16"): (2.0**-15, 0),
    ("SOFTMAX", "int8"): (2.0**-8, -128), ("SOFTMAX", "int16"): (2.0**-15, 0),
    ("LOG_SOFTMAX", "int8"): (16 / 256, 127), ("L2_NORMALIZATION", "int8"): (2.0**-7, 0),
    ("TANH", "int8"): (2.0**-7, 0), ("TANH", "int16"): (2.0**-15, 0),
}  # fmt: skip


class Trial(Draft):
    """A draft that also takes types that numpy lacks, variables, and quantization by channel of anything.

    stateful: the bias has the scale of the state times that of its weights.
    """

    stateful = False

    def place(self, slot: Slot, types: Mapping[str, str], grid: tuple[float, int] | None = None) -> int:
        """The tensor of a slot; -1 for one that is left out. grid: its scale and zero point, if not the usual."""
        if slot.absent:
            return -1
        dtype = types.get(slot.role, slot.role)
        scale, zero_point = grid or ((STATE_SCALE if slot.role == "state" else SCALE), 0)
        scales = [scale] * slot.scales if dtype in SCALED or slot.role == "bias" else []
        if not slot.constant:
            index = self.tensor(slot.shape, dtype, scales[0] if scales else None, zero_point)
            self._tensors[index].isVariable = slot.variable
            return index
        filled = np.resize(np.array(slot.values or (1, 2), np.float64), slot.shape)
        if dtype == "int4":
            packed = np.zeros(-(-filled.size // 2), np.uint8) + 0x21
            index = self.constant(packed, scales, slot.axis)
            self._tensors[index].shape = np.array(slot.shape, np.int32)
            self._tensors[index].type = 17
            return index
        if slot.role == "bias" and dtype in {"int32", "int64"}:
            scales = [STATE_SCALE**2 if "state" in types and self.stateful else SCALE * SCALE] * slot.scales
        return self.constant(filled.astype(dtype), scales if dtype not in {"float32", "float16"} else [], slot.axis)


def operator_file(name: str, types: Mapping[str, str], kind: Kind | None = None) -> bytes:
    """A file of one operator whose roles have these types."""
    shape, trial = kind or KINDS[name], Trial()
    trial.stateful = name == "SVDF"
    inputs = [trial.place(slot, types) for slot in shape.inputs]
    outputs = [trial.place(slot, types, GRIDS.get((name, types.get(slot.role, slot.role)))) for slot in shape.outputs]
    trial.operator(name, inputs, outputs, 1, shape.table, dict(shape.options))
    slots = zip(inputs, shape.inputs, strict=True)
    return trial.file([i for i, s in slots if not (s.constant or s.variable or s.absent)], outputs)
