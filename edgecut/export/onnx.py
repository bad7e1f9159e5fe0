"""A TFLite file to ONNX: the one path that is exact for int8."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecut.errors import ExportError
from edgecut.export.onnx_fusion import keep_pads
from edgecut.export.onnx_handlers import teach_operators
from edgecut.export.onnx_order import settle
from edgecut.streams import caught_output
from edgecut.tflite.flatbuffer import read

_UNKNOWN = "TFL_"
OPSET = 18  # the highest that tf2onnx 1.17 writes

_MOVING = frozenset(
    {
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Identity",
        "Split",
        "Slice",
        "Gather",
        "Expand",
        "Tile",
        "ReverseSequence",
        "DepthToSpace",
        "SpaceToDepth",
        "MaxPool",
    }
)
_JOINING = frozenset({"Concat", "Max", "Min"})

Scale = tuple[str, str]  # the names of a scale and a zero point


def write_onnx(tflite: Path, path: Path) -> None:
    """Write the ONNX form of a TFLite file; inputs and outputs keep their names and their NHWC layout.

    Raises ExportError if an operator has no ONNX form.
    """
    with caught_output() as noise:
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        teach_operators()
        try:
            model, _ = tf2onnx.convert.from_tflite(str(tflite), opset=OPSET)
        except (ValueError, TypeError, RuntimeError, LookupError, AttributeError) as exc:
            lines = [line.strip() for line in [*str(exc).splitlines(), *noise().splitlines()] if line.strip()]
            reason = lines[0].rstrip(".") if lines else type(exc).__name__
            raise ExportError(f"export: {tflite.name} has no ONNX form: {reason}") from exc
    # tf2onnx leaves an operator that it doesn't know as it is, under a name of its own.
    unknown = sorted({node.op_type for node in model.graph.node if node.op_type.startswith(_UNKNOWN)})
    if unknown:
        names = ", ".join(name.removeprefix(_UNKNOWN) for name in unknown)
        raise ExportError(f"export: {tflite.name} has no ONNX form: no counterpart of {names} is known; write tflite")
    carry_bytes(model.graph)
    keep_pads(model)
    settle(model, read(tflite), tflite.read_bytes())
    path.write_bytes(model.SerializeToString(deterministic=True))


def carry_bytes(graph: onnx.GraphProto) -> None:
    """Let int8 activations travel as uint8, which changes no value; inputs, outputs and weights stay int8.

    ONNX Runtime on x86 computes in integers only on uint8 activations. It turns int8 ones over by itself
    (QDQS8ToU8Transformer), but not at the model's inputs and outputs, around a Transpose or where a tensor has two
    readers; there it computes in float, and MobileNetV1 was up to 11 steps off at its output, where it is now equal.
    Between two of them only what moves elements, or compares them, may stand; what reaches another operator or a
    constant of int8 stays int8.
    """
    constants = {x.name: x for x in graph.initializer}
    fixed = _of_fixed_type(graph, constants)
    turned = [node for node in graph.node if _is_int8_activation(node, constants) and _integers(node) not in fixed]
    edges = _edge_scales(graph, turned)
    shifted: dict[str, str] = {}

    def as_uint8(zero_point: str) -> str:
        if zero_point not in shifted:
            value = numpy_helper.to_array(constants[zero_point]).astype(np.int16) + 128
            shifted[zero_point] = f"{zero_point}/uint8"
            graph.initializer.append(numpy_helper.from_array(value.astype(np.uint8), shifted[zero_point]))
        return shifted[zero_point]

    for node in turned:
        node.input[2] = as_uint8(node.input[2])
    first: list[onnx.NodeProto] = []
    last: list[onnx.NodeProto] = []
    inputs = {x.name for x in graph.input}
    for name, (scale, zero_point) in edges.items():
        signed, unsigned = (scale, zero_point), (scale, as_uint8(zero_point))
        _rename(graph, name, f"{name}/uint8")
        if name in inputs:
            first += _requantize(name, signed, f"{name}/uint8", unsigned)
        else:
            last += _requantize(f"{name}/uint8", unsigned, name, signed)
    nodes = [*first, *graph.node, *last]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _moved(node: onnx.NodeProto) -> list[str]:
    """The tensors whose elements a node passes on as they are, on both of its sides; none of another node."""
    if node.op_type in _JOINING:
        return [*node.input, *node.output]
    return [node.input[0], *node.output] if node.op_type in _MOVING else []


def _of_fixed_type(graph: onnx.GraphProto, constants: Collection[str]) -> set[str]:
    """The tensors that another operator than a quantizing or a moving one takes or makes, through moving ones too."""
    quantizing = {"QuantizeLinear", "DequantizeLinear"}
    others = [node for node in graph.node if not _moved(node) and node.op_type not in quantizing]
    fixed = {*constants, *(name for node in others for name in (*node.input, *node.output))}
    moving = [set(moved) for node in graph.node if (moved := _moved(node))]
    while mixed := [ends for ends in moving if not ends.isdisjoint(fixed) and not ends <= fixed]:
        fixed.update(*mixed)
    return fixed


def _integers(node: onnx.NodeProto) -> str:
    """The quantized side of a QuantizeLinear or DequantizeLinear."""
    return str(node.output[0] if node.op_type == "QuantizeLinear" else node.input[0])


def _is_int8_activation(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a node quantizes to int8, or dequantizes int8 values that aren't constants (weights)."""
    if node.op_type not in {"QuantizeLinear", "DequantizeLinear"} or node.input[0] in constants:
        return False
    return len(node.input) > 2 and constants[node.input[2]].data_type == onnx.TensorProto.INT8


def _edge_scales(graph: onnx.GraphProto, turned: Sequence[onnx.NodeProto]) -> dict[str, Scale]:
    """The scale of each int8 input and output of the graph, found through operators that only move elements."""
    scales: dict[str, Scale] = {}
    for node in turned:
        scales[_integers(node)] = (node.input[1], node.input[2])
    for order in (list(graph.node), list(reversed(graph.node))):
        for node in order:
            ends = _moved(node)
            known = next((scales[name] for name in ends if name in scales), None)
            if known is not None:
                scales.update({name: scales.get(name, known) for name in ends})
    edges = [x for x in (*graph.input, *graph.output) if x.type.tensor_type.elem_type == onnx.TensorProto.INT8]
    return {x.name: scales[x.name] for x in edges if x.name in scales}


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _requantize(source: str, source_scale: Scale, target: str, target_scale: Scale) -> list[onnx.NodeProto]:
    real = f"{source}/real"
    return [
        helper.make_node("DequantizeLinear", [source, *source_scale], [real]),
        helper.make_node("QuantizeLinear", [real, *target_scale], [target]),
    ]
