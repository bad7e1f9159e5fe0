"""Every operator that the importer takes, with its odd attributes, against ONNX Runtime: a file for each family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecut.source.onnx import convert, prove
from tests.source.onnx.graphs import one, save, weight

pytestmark = pytest.mark.tensorflow


class Cases:
    """Nodes that share their inputs; each case is an output of the file."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.outputs: list[str] = []

    def node(self, case: str, operator: str, *arguments: Any, count: int = 1, **attributes: Any) -> list[str]:
        """The names of what a node puts out; an array among its arguments becomes a constant."""
        names = []
        for place, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray | np.generic):
                name = f"{case}.c{len(self.constants)}"
                self.constants[name] = np.asarray(argument)
                names.append(name)
            else:
                names.append(argument)
            assert place < 9
        outputs = [f"{case}.{len(self.nodes)}.{k}" for k in range(count)]
        self.nodes.append(one(operator, *names, outputs=outputs, **attributes))
        return outputs

    def case(self, name: str, operator: str, *arguments: Any, count: int = 1, **attributes: Any) -> None:
        """A node whose outputs are compared."""
        self.outputs += self.node(name, operator, *arguments, count=count, **attributes)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def convolutions(c: Cases) -> None:
    w, b = weight(6, 4, 3, 3), weight(6)
    c.case("plain", "Conv", "x", w, b)
    c.case("same_upper", "Conv", "x", w, b, auto_pad="SAME_UPPER", strides=[2, 2])
    c.case("same_lower", "Conv", "x", w, auto_pad="SAME_LOWER", strides=[2, 2])
    c.case("valid", "Conv", "x", w, auto_pad="VALID", strides=[1, 2])
    c.case("symmetric", "Conv", "x", w, pads=[1, 1, 1, 1], strides=[2, 2])
    c.case("asymmetric", "Conv", "x", w, b, pads=[0, 2, 1, 0])
    c.case("dilated", "Conv", "x", w, b, dilations=[2, 2], pads=[2, 2, 2, 2])
    c.case("dilated_by_axis", "Conv", "x", w, dilations=[1, 3])
    c.case("dilated_with_stride", "Conv", "x", w, dilations=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1])
    c.case("groups", "Conv", "x", weight(6, 2, 3, 3), b, group=2)
    c.case("depthwise", "Conv", "x", weight(4, 1, 3, 3), weight(4), group=4, pads=[1, 1, 1, 1])
    c.case("multiplier", "Conv", "x", weight(8, 1, 3, 3), group=4, strides=[2, 2])
    c.case("depthwise_strides", "Conv", "x", weight(4, 1, 3, 3), group=4, strides=[2, 1])
    c.case("depthwise_dilated", "Conv", "x", weight(4, 1, 3, 3), group=4, dilations=[2, 2])
    c.case("even", "Conv", "x", weight(6, 4, 2, 4), auto_pad="SAME_UPPER")
    c.case("sequence", "Conv", "s", weight(6, 4, 5), b, pads=[4, 0], dilations=[1])
    c.case("causal", "Conv", "s", weight(6, 4, 3), b, pads=[4, 0], dilations=[2])
    c.case("sequence_depthwise", "Conv", "s", weight(4, 1, 3), group=4, strides=[2], pads=[1, 1])
    c.case("volume", "Conv", "v", weight(5, 4, 2, 3, 3), weight(5), pads=[0, 1, 1, 1, 1, 1], strides=[1, 2, 2])
    c.case("volume_groups", "Conv", "v", weight(6, 2, 2, 3, 3), b, group=2)


def transposed(c: Cases) -> None:
    w, b = weight(4, 6, 3, 3), weight(6)
    c.case("plain", "ConvTranspose", "x", w, b)
    c.case("stride", "ConvTranspose", "x", weight(4, 6, 2, 2), b, strides=[2, 2])
    c.case("gap", "ConvTranspose", "x", weight(4, 6, 2, 2), b, strides=[3, 3])
    c.case("pads", "ConvTranspose", "x", weight(4, 6, 4, 4), b, strides=[2, 2], pads=[1, 1, 1, 1])
    c.case("output_padding", "ConvTranspose", "x", w, b, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    c.case("beyond", "ConvTranspose", "x", weight(4, 6, 2, 2), b, strides=[3, 2], output_padding=[2, 1])
    c.case("asymmetric", "ConvTranspose", "x", w, strides=[2, 1], pads=[0, 1, 1, 0])
    c.case("dilated", "ConvTranspose", "x", w, dilations=[2, 2], strides=[2, 2])
    c.case("groups", "ConvTranspose", "x", weight(4, 3, 3, 3), b, group=2, strides=[2, 2])
    c.case("depthwise", "ConvTranspose", "x", weight(4, 1, 3, 3), weight(4), group=4, strides=[2, 2])
    c.case("output_shape", "ConvTranspose", "x", w, strides=[2, 2], output_shape=[18, 22])
    c.case("same_upper", "ConvTranspose", "x", w, strides=[2, 2], auto_pad="SAME_UPPER")
    c.case("same_lower", "ConvTranspose", "x", w, strides=[2, 2], auto_pad="SAME_LOWER")
    c.case("sequence", "ConvTranspose", "s", weight(4, 6, 5), b, strides=[2], pads=[2, 1])
    c.case("volume", "ConvTranspose", "v", weight(4, 2, 2, 2, 2), strides=[2, 2, 2])


def pools(c: Cases) -> None:
    (positive,) = c.node("positive", "Relu", "x")
    for operator, extra in (("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1})):
        name = operator + str(len(extra))
        c.case(f"{name}.plain", operator, "x", kernel_shape=[2, 2], strides=[2, 2], **extra)
        c.case(f"{name}.pads", operator, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], **extra)
        c.case(f"{name}.ceil", operator, "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, **extra)
        c.case(
            f"{name}.ceil_pads",
            operator,
            "x",
            kernel_shape=[3, 2],
            strides=[2, 3],
            pads=[1, 0, 1, 1],
            ceil_mode=1,
            **extra,
        )
        c.case(f"{name}.stride1", operator, "x", kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2], **extra)
        c.case(f"{name}.lower", operator, "x", kernel_shape=[2, 2], auto_pad="SAME_LOWER", strides=[1, 2], **extra)
        c.case(f"{name}.upper", operator, "x", kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2], **extra)
        c.case(f"{name}.sequence", operator, "s", kernel_shape=[3], strides=[2], pads=[1, 1], **extra)
        c.case(f"{name}.volume", operator, "v", kernel_shape=[2, 2, 2], strides=[1, 2, 2], **extra)
    c.case("positive", "MaxPool", positive, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    c.case("dilated", "MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3])
    c.case("dilated_pads", "MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1], strides=[2, 2])
    c.case("lp", "LpPool", "x", kernel_shape=[2, 2], strides=[2, 2], p=2)
    for operator in ("GlobalAveragePool", "GlobalMaxPool"):
        for name in "xsv":
            c.case(f"{operator}.{name}", operator, name)


def arithmetic(c: Cases) -> None:
    (y,) = c.node("y", "Sigmoid", "x")
    (row,) = c.node("row", "GlobalAveragePool", "x")
    for operator in ("Add", "Sub", "Mul", "Div"):
        c.case(f"{operator}.tensors", operator, "x", y)
        c.case(f"{operator}.broadcast", operator, row, y)
        c.case(f"{operator}.number", operator, "x", np.float32(1.5))
        c.case(f"{operator}.number_first", operator, np.float32(1.5), y)
        c.case(f"{operator}.channels", operator, "x", np.abs(weight(4, 1, 1)) + 0.5)
        c.case(f"{operator}.places", operator, np.abs(weight(9, 11)) + 0.5, y)
        c.case(f"{operator}.widens", operator, row, np.abs(weight(1, 1, 3, 2)) + 0.5)
    for operator in ("Max", "Min", "Sum", "Mean"):
        c.case(f"{operator}.three", operator, "x", y, "x")
        c.case(f"{operator}.constant", operator, "x", weight(4, 1, 1))
        c.case(f"{operator}.one", operator, "x")
    for exponent in (2.0, 0.5, 3.0):
        c.case(f"Pow.{exponent}", "Pow", y, np.float32(exponent))
    for operator in (
        "Abs",
        "Ceil",
        "Cos",
        "Erf",
        "Exp",
        "Floor",
        "Neg",
        "Round",
        "Sign",
        "Sin",
        "Tanh",
        "Atan",
        "Sinh",
    ):
        c.case(operator, operator, "x")
    for operator in ("Log", "Reciprocal", "Sqrt", "Asin", "Acos", "Atanh"):
        c.case(operator, operator, y)
    (greater,) = c.node("greater", "Greater", "x", np.float32(0))
    (less,) = c.node("less", "LessOrEqual", "x", y)
    (both,) = c.node("both", "And", greater, less)
    (neither,) = c.node("neither", "Not", both)
    c.case("Where", "Where", greater, "x", y)
    c.case("Where.numbers", "Where", neither, np.float32(-1), "x")
    c.case("Cast.bool", "Cast", greater, to=onnx.TensorProto.FLOAT)
    (whole,) = c.node("whole", "Cast", "x", to=onnx.TensorProto.INT32)
    c.case("Cast.int", "Cast", whole, to=onnx.TensorProto.FLOAT)
    c.case("Mod", "Mod", "x", np.float32(0.3), fmod=1)
    c.case("Clip", "Clip", "x", np.float32(-0.5), np.float32(0.25))
    c.case("Clip.low", "Clip", "x", np.float32(-0.25))
    c.case("Clip.high", "Clip", "x", "", np.float32(0.25))


def activations(c: Cases) -> None:
    plain = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "HardSigmoid", "Elu", "Selu", "LeakyRelu")
    for operator in (*plain, "Mish", "ThresholdedRelu", "Celu", "Shrink"):
        c.case(operator, operator, "x")
    c.case("HardSigmoid.sixth", "HardSigmoid", "x", alpha=1 / 6, beta=0.5)
    c.case("Elu.alpha", "Elu", "x", alpha=0.5)
    c.case("Selu.own", "Selu", "x", alpha=1.2, gamma=0.9)
    c.case("PRelu.channels", "PRelu", "x", weight(4, 1, 1))
    c.case("PRelu.one", "PRelu", "x", weight(1))
    c.case("PRelu.places", "PRelu", "x", weight(4, 9, 11))
    c.case("PRelu.sequence", "PRelu", "s", weight(4, 1))
    for axis in (1, -1, 2):
        c.case(f"Softmax.{axis}", "Softmax", "x", axis=axis)
        c.case(f"LogSoftmax.{axis}", "LogSoftmax", "x", axis=axis)
    c.case("Hardmax", "Hardmax", "x", axis=1)


def normalizations(c: Cases) -> None:
    four = [np.abs(weight(4)) + 0.5 for _ in range(4)]
    for name in "xsv":
        c.case(f"BatchNormalization.{name}", "BatchNormalization", name, *four, epsilon=1e-3)
        c.case(f"InstanceNormalization.{name}", "InstanceNormalization", name, *four[:2])
    c.case("LayerNormalization", "LayerNormalization", "x", weight(11), weight(11))
    c.case("LayerNormalization.axes", "LayerNormalization", "x", weight(9, 11), axis=-2)
    c.case("LayerNormalization.all", "LayerNormalization", "x", weight(4, 9, 11), weight(4, 9, 11), axis=1)
    c.case("LRN", "LRN", "x", size=3, alpha=0.01, beta=0.6, bias=1.5)
    c.case("LRN.wide", "LRN", "x", size=5)
    c.case("LpNormalization", "LpNormalization", "x", axis=1)
    c.case("LpNormalization.1", "LpNormalization", "x", axis=-1, p=1)
    (turned,) = c.node("turned", "Transpose", "x", perm=[0, 2, 3, 1])
    (normal,) = c.node("normal", "LayerNormalization", turned, weight(4), weight(4))
    c.case("LayerNormalization.turned", "Transpose", normal, perm=[0, 3, 1, 2])
    (groups,) = c.node("groups", "Reshape", "x", ints(0, 2, -1))
    (normal,) = c.node("normal", "InstanceNormalization", groups, np.ones(2, np.float32), np.zeros(2, np.float32))
    (back,) = c.node("back", "Reshape", normal, ints(-1, 4, 9, 11))
    c.case("torch's GroupNorm", "Mul", back, weight(4, 1, 1))


def shapes(c: Cases) -> None:
    c.case("Transpose", "Transpose", "x", perm=[0, 3, 1, 2])
    c.case("Reshape.merge", "Reshape", "x", ints(0, 0, -1))
    c.case("Reshape.split", "Reshape", "x", ints(-1, 2, 2, 99))
    c.case("Reshape.cross", "Reshape", "x", ints(-1, 6, 66))
    c.case("Flatten", "Flatten", "x")
    c.case("Flatten.last", "Flatten", "s", axis=-2)
    (wide,) = c.node("wide", "Unsqueeze", "x", ints(1, -1))
    c.case("Squeeze", "Squeeze", wide, ints(1))
    for axis in (1, 2, -1):
        c.case(f"Concat.{axis}", "Concat", "x", "x", axis=axis)
        c.case(f"Split.{axis}", "Split", "x", ints(1, {1: 3, 2: 8, -1: 10}[axis]), count=2, axis=axis)
    c.case("Split.even", "Split", "x", count=2, axis=1)
    c.case("Slice", "Slice", "x", ints(1, 2), ints(-1, 9), ints(2, 3))
    c.case("Slice.steps", "Slice", "x", ints(0, 1), ints(99, 99), ints(2, -1), ints(2, 3))
    c.case("Slice.backwards", "Slice", "x", ints(-1), ints(-99), ints(3), ints(-2))
    c.case("Slice.channels", "Slice", "x", ints(1), ints(3), ints(1))
    c.case("Gather.one", "Gather", "x", np.asarray(2, np.int64), axis=1)
    c.case("Gather.some", "Gather", "x", ints(3, 0, -1), axis=2)
    c.case("Gather.table", "Gather", "x", np.asarray([[0, 2], [3, 1]], np.int64), axis=1)
    c.case("Expand", "Expand", wide, ints(1, 3, 4, 9, 11, 1))
    c.case("Tile", "Tile", "x", ints(1, 2, 1, 3))
    c.case("Pad", "Pad", "x", ints(0, 0, 1, 2, 0, 0, 0, 1))
    c.case("Pad.value", "Pad", "x", ints(0, 1, 0, 0, 0, 2, 0, 0), np.float32(0.5))
    c.case("Pad.reflect", "Pad", "x", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="reflect")
    c.case("Pad.edge", "Pad", "x", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="edge")
    c.case("Pad.crop", "Pad", "x", ints(0, 0, -1, 0, 0, 0, 0, -2))
    (even,) = c.node("even", "Slice", "x", ints(0, 0), ints(8, 10), ints(2, 3))
    c.case("SpaceToDepth", "SpaceToDepth", even, blocksize=2)
    c.case("DepthToSpace", "DepthToSpace", "x", blocksize=2)
    c.case("DepthToSpace.crd", "DepthToSpace", "x", blocksize=2, mode="CRD")
    c.case("Trilu", "Trilu", "x", np.asarray(1, np.int64), upper=0)


def reductions(c: Cases) -> None:
    for operator in (
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSumExp",
    ):
        c.case(f"{operator}.places", operator, "x", axes=[2, 3])
        c.case(f"{operator}.flat", operator, "x", axes=[-2, -1], keepdims=0)
        c.case(f"{operator}.channels", operator, "x", axes=[1], keepdims=0)
    c.case("ReduceSum", "ReduceSum", "x", ints(1, -1))
    c.case("ReduceSum.nothing", "ReduceSum", "x", noop_with_empty_axes=1)
    c.case("ReduceProd", "ReduceProd", "x", axes=[3])
    for operator in ("ArgMax", "ArgMin"):
        c.case(operator, operator, "x", axis=1)
        c.case(f"{operator}.last", operator, "x", axis=-1, keepdims=0)
    c.case("TopK", "TopK", "x", ints(3), axis=1, count=2)
    c.case("CumSum", "CumSum", "x", np.asarray(2, np.int64))


def products(c: Cases) -> None:
    c.case("MatMul", "MatMul", "x", weight(11, 5))
    c.case("MatMul.left", "MatMul", weight(5, 9), "x")
    c.case("MatMul.vector", "MatMul", "x", weight(11))
    (turned,) = c.node("turned", "Transpose", "x", perm=[0, 1, 3, 2])
    c.case("MatMul.tensors", "MatMul", "x", turned)
    (flat,) = c.node("flat", "Flatten", "x")
    c.case("Gemm", "Gemm", flat, weight(396, 5), weight(5))
    c.case("Gemm.scaled", "Gemm", flat, weight(5, 396), weight(1, 5), transB=1, alpha=0.5, beta=2.0)
    (product,) = c.node("product", "MatMul", "x", weight(11, 5))
    c.case("MatMul.bias", "Add", weight(5), product)
    c.case("Einsum", "Einsum", "x", turned, equation="bchw,bcwv->bchv")
    c.case("Einsum.constant", "Einsum", "x", weight(4, 6), equation="bchw,cd->bdhw")


def resizes(c: Cases) -> None:
    both = np.asarray([1, 1, 2, 2], np.float32)
    for mode in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"):
        for kind in ("nearest", "linear", "cubic"):
            attributes = {"coordinate_transformation_mode": mode, "mode": kind}
            c.case(f"{mode}.{kind}.twice", "Resize", "x", "", both, **attributes)
            c.case(f"{mode}.{kind}.sizes", "Resize", "x", "", "", ints(13, 6), axes=[2, 3], **attributes)
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        c.case(rounding, "Resize", "x", "", np.asarray([1, 1, 1.6, 0.7], np.float32), nearest_mode=rounding)
    c.case("sequence", "Resize", "s", "", np.asarray([1, 1, 3], np.float32), mode="nearest")
    c.case("volume", "Resize", "v", "", np.asarray([1, 1, 2, 2, 2], np.float32), mode="nearest")
    c.case("exclude", "Resize", "x", "", both, mode="cubic", exclude_outside=1)


def recurrent(c: Cases) -> None:
    for operator, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            w, r, b = weight(count, gates * 5, 4), weight(count, gates * 5, 5), weight(count, 2 * gates * 5)
            outputs = 3 if operator == "LSTM" else 2
            attributes = {"hidden_size": 5, "direction": direction}
            c.case(f"{operator}.{direction}", operator, "t", w, r, b, count=outputs, **attributes)
            if operator == "GRU":
                c.case(f"after.{direction}", operator, "t", w, r, b, count=2, linear_before_reset=1, **attributes)
    w, r = weight(1, 20, 4), weight(1, 20, 5)
    c.case("LSTM.bare", "LSTM", "t", w, r, hidden_size=5)
    c.case("RNN.relu", "RNN", "t", weight(1, 5, 4), weight(1, 5, 5) / 3, hidden_size=5, activations=["Relu"])


FAMILIES: list[tuple[Callable[[Cases], None], int]] = [
    (convolutions, 17),
    (transposed, 17),
    (pools, 19),
    (arithmetic, 17),
    (activations, 18),
    (normalizations, 17),
    (shapes, 17),
    (reductions, 17),
    (products, 17),
    (resizes, 19),
    (recurrent, 17),
]  # fmt: skip


@pytest.mark.parametrize(("family", "opset"), FAMILIES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_family_computes_what_onnx_runtime_computes(
    tmp_path: Path, family: Callable[[Cases], None], opset: int
) -> None:
    cases = Cases()
    family(cases)
    kinds = {"x": ["N", 4, 9, 11], "s": ["N", 4, 13], "v": ["N", 4, 5, 6, 7], "t": [7, "N", 4]}
    used = {name for node in cases.nodes for name in node.input}
    inputs = {name: shape for name, shape in kinds.items() if name in used}
    path = save(tmp_path / "family.onnx", cases.nodes, inputs, cases.constants, cases.outputs, opset=opset)
    proof = prove(convert(path), path)
    assert {name: error for name, error in proof.outputs.items() if error > 1e-5} == {}
