"""What a cut costs before it is built: the file that its calls and a new head become, as far as is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgecut.graph.callgraph import Calls
from edgecut.graph.callgraph import Tensor as GraphTensor
from edgecut.graph.live import layer_calls
from edgecut.lowering.lower import lowering
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

# Of a written file beside its weights and biases: operator and tensor tables with their names; per filter a scale
# (4 bytes) and a zero point (8) for its weights and again for its bias. Least squares over 21 int8 files of five
# models (1.7 kB to 1.8 MB), which it meets within 7 kB.
_OPERATOR_BYTES, _FILTER_BYTES = 950, 24


def lowered(
    calls: Calls, outputs: int, precision: str, *, softmax: bool = True
) -> Callable[[GraphTensor], TfliteGraph]:
    """For any cut, the graph of the file that it becomes with an average pooling and a Dense of `outputs`.

    softmax: whether it ends in one. precision: "int8", or "float32" for whatever computes in float. size_bytes: an
    estimate of the written file's.
    """
    lower = lowering(layer_calls(calls), "int8" if precision == "int8" else "float32")

    def with_head(cut: GraphTensor) -> TfliteGraph:
        graph = _headed(lower(cut), outputs, softmax)
        return replace(graph, size_bytes=_size_bytes(graph))

    return with_head


def _headed(body: TfliteGraph, classes: int, softmax: bool) -> TfliteGraph:
    tensors, operators, last = list(body.tensors), list(body.operators), body.outputs[0]

    def tensor(shape: tuple[int, ...], dtype: str, *, constant: bool = False) -> int:
        scales = () if constant else body.tensors[last].scales
        tensors.append(Tensor(len(tensors), "", shape, dtype, scales, is_constant=constant))
        return len(tensors) - 1

    def operator(name: str, inputs: tuple[int, ...], shape: tuple[int, ...]) -> int:
        output = tensor(shape, dtype)
        operators.append(Operator(len(operators), name, 1, inputs, (output,)))
        return output

    shape, dtype = body.tensors[last].shape, body.tensors[last].dtype
    features = operator("MEAN", (last,), (1, shape[-1])) if len(shape) > 2 else last
    kernel = tensor((classes, shape[-1]), dtype, constant=True)
    bias = tensor((classes,), "int32" if dtype == "int8" else dtype, constant=True)
    scores = operator("FULLY_CONNECTED", (features, kernel, bias), (1, classes))
    output = operator("SOFTMAX", (scores,), (1, classes)) if softmax else scores
    return replace(body, tensors=tuple(tensors), operators=tuple(operators), outputs=(output,))


def _size_bytes(graph: TfliteGraph) -> int:
    constants = [tensor for tensor in graph.tensors if tensor.is_constant]
    weights = sum(tensor.elements for tensor in constants if len(tensor.shape) > 1)
    filters = sum(tensor.elements for tensor in constants if len(tensor.shape) == 1)
    tables = _OPERATOR_BYTES * len(graph.operators)
    if graph.tensors[graph.inputs[0]].dtype == "int8":
        return tables + weights + (4 + _FILTER_BYTES) * filters
    return tables + 4 * (weights + filters)
