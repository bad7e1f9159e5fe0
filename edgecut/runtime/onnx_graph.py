"""An .onnx file read as data: inputs, outputs, nodes, multiply-accumulates, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.errors import RunError, SourceError
from edgecut.records.artifact import TensorSpec
from edgecut.runtime.onnx_native import Refused, passed
from edgecut.tflite.flatbuffer import read_content

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
Macs = Callable[[Sequence[Shape], Shape, Mapping[str, object]], int]


@dataclass(frozen=True)
class OnnxNode:
    """One node. output_shape: None if shape inference can't tell. macs: None if not modelled."""

    index: int
    name: str
    operator: str
    output_shape: Shape | None
    macs: int | None


@dataclass(frozen=True)
class OnnxGraph:
    """The main graph of a file. A dynamic dimension of an input or output is -1.

    float16_weights: whether a constant is float16; quantized_activations: the dtype of the first activation
    that a QuantizeLinear writes, "" if there is none; quantized_weights: whether an 8-bit constant is
    dequantized.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    nodes: tuple[OnnxNode, ...]
    opset: int
    float16_weights: bool
    quantized_weights: bool
    quantized_activations: str

    @property
    def macs(self) -> int | None:
        """The multiply-accumulates of one inference, None if a node isn't modelled."""
        counts = [node.macs for node in self.nodes if node.macs is not None]
        return sum(counts) if len(counts) == len(self.nodes) else None


def read_onnx(path: Path) -> OnnxGraph:
    """The graph of an .onnx file. Raises SourceError if the file is missing, foreign, empty or damaged."""
    model = parse_onnx(read_content(path), str(path))
    model = with_shapes(model, str(path))
    for side, values in (("takes", model.graph.input), ("puts out", model.graph.output)):
        for value in values:
            if kind := other_kind(value):
                raise SourceError(
                    f"{path}: {side} {value.name!r}, {kind}; a file whose inputs and outputs are tensors is expected, "
                    "so export it without that"
                )
    try:
        return _graph(model)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as exc:
        raise SourceError(f"{path}: is a damaged .onnx file ({exc}); get it again") from exc


def with_shapes(model: onnx.ModelProto, where: str, *, data_prop: bool = False) -> onnx.ModelProto:
    """The onnx.ModelProto with the types and shapes that inference can tell; foreign operators have none.

    data_prop: follow shapes that the graph computes, too. Raises SourceError for what inference takes for damage.
    """
    try:
        return passed("infer values" if data_prop else "infer", model, where)
    except RunError as exc:
        raise SourceError(str(exc)) from exc
    except Refused as exc:
        if exc.by_inference:
            return model
        raise SourceError(f"{where}: is a damaged .onnx file ({exc}); get it again") from exc


def other_kind(value: onnx.ValueInfoProto) -> str:
    """What an onnx.ValueInfoProto is that is no tensor, such as "a sequence"; "" for a tensor or no type."""
    kind = str(value.type.WhichOneof("value") or "tensor_type").removesuffix("_type").replace("_", " ")
    return "" if kind == "tensor" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def parse_onnx(content: bytes, where: str = "model") -> onnx.ModelProto:
    """The onnx.ModelProto in a file's bytes. Raises SourceError if they are foreign, damaged or without a graph."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as exc:
        raise SourceError(f"{where}: is no .onnx file, or a damaged one; get it again") from exc
    graph = model.graph
    if not graph.node or not graph.output:
        raise SourceError(f"{where}: holds no ONNX graph; a model with at least one node is expected")
    names = (text for node in graph.node for text in (node.name, node.op_type, *node.input, *node.output))
    # protobuf gives a text that is no UTF-8 as bytes.
    if not all(isinstance(text, str) for text in (*names, *(value.name for value in (*graph.input, *graph.output)))):
        raise SourceError(f"{where}: is a damaged .onnx file (a name in it is no text); get it again")
    return model


def tensors_read(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node takes, those that its bodies (If, Loop, Scan) take from outside included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            made = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
            made |= {name for inner in body.node for name in inner.output}
            inside = [name for inner in body.node for name in tensors_read(inner)] + [
                value.name for value in body.output
            ]
            yield from (name for name in inside if name not in made)


def _graph(model: onnx.ModelProto) -> OnnxGraph:
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {name: tuple(tensor.dims) for name, tensor in constants.items()}
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = _dims(value, dynamic=1)

    def constant(name: str) -> float | None:
        tensor = constants.get(name)
        return None if tensor is None else float(numpy_helper.to_array(tensor).reshape(-1)[0])

    producers = {name: node for node in graph.node for name in node.output}
    written = [n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"]
    quantized = [n for n in graph.node if n.op_type == "QuantizeLinear" and len(n.input) > 2]
    kinds = [constants[n.input[2]].data_type for n in quantized if n.input[2] in constants]
    first = helper.tensor_dtype_to_np_dtype(kinds[0]).name if kinds else "uint8" if written else ""
    return OnnxGraph(
        inputs=tuple(_input_spec(v, graph, constant) for v in graph.input if v.name not in constants),
        outputs=tuple(_output_spec(v, producers, constant) for v in graph.output),
        nodes=tuple(_node(k, node, shapes) for k, node in enumerate(graph.node)),
        opset=max((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), default=0),
        float16_weights=any(t.data_type == TensorProto.FLOAT16 for t in graph.initializer),
        quantized_weights=any(
            n.op_type == "DequantizeLinear" and n.input[0] in constants and len(shapes[n.input[0]]) > 1
            for n in graph.node
        ),
        quantized_activations=first,
    )


def _dims(value: onnx.ValueInfoProto, dynamic: int) -> Shape:
    return tuple(d.dim_value if d.HasField("dim_value") else dynamic for d in value.type.tensor_type.shape.dim)


def _spec(
    value: onnx.ValueInfoProto, node: onnx.NodeProto | None, constant: Callable[[str], float | None]
) -> TensorSpec:
    from onnx import helper

    scale = constant(node.input[1]) if node is not None else None
    zero = (constant(node.input[2]) if len(node.input) > 2 else 0.0) if node is not None else None
    return TensorSpec(
        name=value.name,
        shape=_dims(value, dynamic=-1),
        dtype=helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
        scale=scale,
        zero_point=None if scale is None or zero is None else int(zero),
    )


def _input_spec(
    value: onnx.ValueInfoProto, graph: onnx.GraphProto, constant: Callable[[str], float | None]
) -> TensorSpec:
    name, node = value.name, None
    for _ in graph.node:
        reader = next((n for n in graph.node if n.input and n.input[0] == name), None)
        if reader is None or reader.op_type not in {*_MOVES, "DequantizeLinear"}:
            break
        if reader.op_type == "DequantizeLinear":
            node = reader
            break
        name = reader.output[0]
    return _spec(value, node, constant)


def _output_spec(
    value: onnx.ValueInfoProto, producers: Mapping[str, onnx.NodeProto], constant: Callable[[str], float | None]
) -> TensorSpec:
    node = producers.get(value.name)
    while node is not None and node.op_type in _MOVES:
        node = producers.get(node.input[0])
    return _spec(value, node if node is not None and node.op_type == "QuantizeLinear" else None, constant)


def _node(index: int, node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> OnnxNode:
    output = shapes.get(node.output[0]) if node.output else None
    return OnnxNode(index, node.name or f"{node.op_type}_{index}", node.op_type, output, _macs(node, shapes))


def _macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    if node.domain not in {"", "ai.onnx"}:
        return None
    if node.op_type not in COUNTED:
        return 0 if node.op_type in UNCOUNTED else None
    data, weights, count = COUNTED[node.op_type]
    needed = [shapes.get(node.input[data]), shapes.get(node.input[weights]), shapes.get(node.output[0])]
    known = [shape for shape in needed if shape is not None]
    attributes = {a.name: a.i for a in node.attribute}
    return count(known[:2], known[2], attributes) if len(known) == 3 else None


def _conv(inputs: Sequence[Shape], output: Shape, _: Mapping[str, object]) -> int:
    # Weights are (filters, channels of one group, kernel...).
    return math.prod(output) * math.prod(inputs[1][1:])


def _conv_transpose(inputs: Sequence[Shape], _output: Shape, _: Mapping[str, object]) -> int:
    # Weights are (channels, filters of one group, kernel...).
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _matmul(inputs: Sequence[Shape], output: Shape, _: Mapping[str, object]) -> int:
    return math.prod(output) * inputs[0][-1]


def _gemm(inputs: Sequence[Shape], output: Shape, attributes: Mapping[str, object]) -> int:
    return math.prod(output) * inputs[0][0 if attributes.get("transA") else -1]


_MOVES = frozenset({"Reshape", "Transpose", "Identity", "Squeeze", "Unsqueeze", "Flatten"})

# Operator -> (place of the data, place of the weights, count).
COUNTED: dict[str, tuple[int, int, Macs]] = {
    "Conv": (0, 1, _conv),
    "ConvInteger": (0, 1, _conv),
    "ConvTranspose": (0, 1, _conv_transpose),
    "Gemm": (0, 1, _gemm),
    "MatMul": (0, 1, _matmul),
    "MatMulInteger": (0, 1, _matmul),
    "QLinearConv": (0, 3, _conv),
    "QLinearMatMul": (0, 3, _matmul),
}

# Element-wise work, pooling and data movement. Recurrent nodes and control flow are left out on purpose.
UNCOUNTED = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "ArgMax",
        "ArgMin",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Cos",
        "DepthToSpace",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "DynamicQuantizeLinear",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "GatherND",
        "Gelu",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Greater",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "InstanceNormalization",
        "LRN",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "Log",
        "LogSoftmax",
        "Max",
        "MaxPool",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pad",
        "Pow",
        "QuantizeLinear",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "Selu",
        "Shape",
        "Sigmoid",
        "Sign",
        "Sin",
        "Slice",
        "Softmax",
        "Softplus",
        "SpaceToDepth",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tanh",
        "Tile",
        "TopK",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
