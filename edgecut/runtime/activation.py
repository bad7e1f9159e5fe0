"""By which activation an output comes out of a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.runtime.onnx_graph import parse_onnx
from edgecut.runtime.specs import file_format
from edgecut.tflite.activation import last_activation as tflite_activation
from edgecut.tflite.flatbuffer import read, read_content

if TYPE_CHECKING:
    import onnx

_ACTIVATIONS = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "Tanh": "tanh",
    "QLinearSigmoid": "sigmoid",
    "QLinearSoftmax": "softmax",
}
_PASSED = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Cast",
        "Identity",
        "Transpose",
        "GlobalAveragePool",
        "ReduceMean",
        "AveragePool",
    }
)
_WEIGHTED = frozenset(
    {
        "Gemm",
        "MatMul",
        "Conv",
        "ConvTranspose",
        "Add",
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "MatMulInteger",
        "ConvInteger",
        "QLinearAdd",
    }
)


def last_activation(path: Path, output: int = 0) -> str:
    """The activation of an output of a .tflite or .onnx file, in lower case, as Keras calls it. Raises SourceError."""
    if file_format(path) == "tflite":
        return tflite_activation(read(path), output)
    return onnx_activation(parse_onnx(read_content(path), str(path)), output)


def onnx_activation(model: onnx.ModelProto, output: int = 0) -> str:
    """The activation of an output in lower case, as Keras calls it: "linear" for a node of weights without one.

    "" where it can't be told.
    """
    writers = {name: node for node in model.graph.node for name in node.output}
    node = writers.get(model.graph.output[output].name)
    for _ in range(len(model.graph.node)):
        if node is None or node.op_type not in _PASSED:
            break
        node = writers.get(node.input[0])
    if node is None:
        return ""
    return "linear" if node.op_type in _WEIGHTED else _ACTIVATIONS.get(node.op_type, "")
