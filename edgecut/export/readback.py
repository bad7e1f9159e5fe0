"""What an artifact is, read from the written file itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from edgecut.records.artifact import Artifact, sha256_of
from edgecut.records.recipe import Precision
from edgecut.runtime.onnx_graph import OnnxGraph
from edgecut.runtime.specs import file_format, read_graph, tensor_specs
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, per_operator
from edgecut.tflite.ops import COUNTED, macs, operator_counts, operator_macs


def read_artifact(
    path: Path,
    *,
    name: str,
    precision: Precision,
    expects: Literal["raw", "normalized"] | None = None,
    relative_to: Path | None = None,
) -> Artifact:
    """The artifact in a .tflite or .onnx file: shapes, dtypes, scales, operators, MACs, size and hash.

    expects: what the inputs take; it is not written in a file. relative_to: the folder that the artifact's
    path is given relative to. Raises SourceError if the file can't be read or is of another format.
    """
    graph = read_graph(path)
    inputs, outputs = tensor_specs(graph)
    if isinstance(graph, TfliteGraph):
        operators, count = operator_counts(graph), macs(graph)
    else:
        operators, count = dict(Counter(n.operator for n in graph.nodes).most_common()), graph.macs
    return Artifact(
        name=name,
        path=(path.relative_to(relative_to) if relative_to else path).as_posix(),
        format=file_format(path),
        precision=precision,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        inputs=tuple(spec.model_copy(update={"expects": expects}) for spec in inputs),
        outputs=outputs,
        operators=operators,
        macs=count,
    )


def guess_precision(path: Path) -> Precision:
    """The precision in which the file does most of its multiply-accumulates. Raises SourceError."""
    graph = read_graph(path)
    return _onnx_precision(graph) if isinstance(graph, OnnxGraph) else tflite_precision(graph)


def tflite_precision(graph: TfliteGraph) -> Precision:
    """The precision of most of a graph's multiply-accumulates; without any, that of its activations."""
    votes: Counter[Precision] = Counter()
    for precision, count in zip(per_operator(graph, _vote), per_operator(graph, operator_macs), strict=True):
        if precision is not None:
            votes[precision] += count or 0
    if votes:
        return votes.most_common(1)[0][0]
    dtypes = {t.dtype for t in graph.tensors if not t.is_constant and (t.scales or t.dtype == "float32")}
    return "int16x8" if "int16" in dtypes else "int8" if dtypes & {"int8", "uint8"} else "float32"


def _vote(graph: TfliteGraph, operator: Operator) -> Precision | None:
    """The precision of an operator's multiply-accumulates, None without any."""
    if operator.name not in COUNTED:
        return None
    data = graph.tensors[operator.inputs[0 if operator.name != "TRANSPOSE_CONV" else 2]]
    place = operator.inputs[1]
    if not graph.tensors[place].is_constant:
        makers = (op for op in graph.operators if op.name == "DEQUANTIZE" and op.outputs[0] == place)
        place = next((op.inputs[0] for op in makers), place)
    return _pair_precision(data.dtype, graph.tensors[place].dtype)


def _pair_precision(data: str, weights: str) -> Precision:
    if data == "int16":
        return "int16x8"
    if data in {"int8", "uint8"}:
        return "int8"
    if weights == "float16":
        return "float16"
    return "float32" if weights == "float32" else "dynamic"


def _onnx_precision(graph: OnnxGraph) -> Precision:
    if graph.quantized_activations:
        return "int16x8" if graph.quantized_activations in {"int16", "uint16"} else "int8"
    operators = {node.operator for node in graph.nodes}
    if graph.quantized_weights or operators & {"ConvInteger", "MatMulInteger"}:
        return "dynamic"
    if "QLinearConv" in operators:
        return "int8"
    return "float16" if graph.float16_weights else "float32"
