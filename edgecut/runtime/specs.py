"""What a .tflite or .onnx file takes and puts out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecut.errors import SourceError
from edgecut.records.artifact import TensorSpec
from edgecut.records.recipe import Format
from edgecut.runtime.onnx_graph import OnnxGraph, read_onnx
from edgecut.tflite.flatbuffer import TfliteGraph, read

FORMATS: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx"}


def file_format(path: Path) -> Format:
    """The format that the file's name says. Raises SourceError for another suffix."""
    if path.suffix.lower() not in FORMATS:
        raise SourceError(f"{path}: is neither a .tflite nor an .onnx file by its name")
    return FORMATS[path.suffix.lower()]


def read_graph(path: Path) -> TfliteGraph | OnnxGraph:
    """The graph in a .tflite or .onnx file. Raises SourceError."""
    return read(path) if file_format(path) == "tflite" else read_onnx(path)


def tensor_specs(graph: TfliteGraph | OnnxGraph) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and the outputs of a graph."""
    if isinstance(graph, OnnxGraph):
        return graph.inputs, graph.outputs
    return tflite_specs(graph, graph.inputs), tflite_specs(graph, graph.outputs)


def tflite_specs(graph: TfliteGraph, indices: Sequence[int]) -> tuple[TensorSpec, ...]:
    """Tensors of a graph by their indices."""
    specs = []
    for tensor in (graph.tensors[index] for index in indices):
        single = len(tensor.scales) == 1
        specs.append(
            TensorSpec(
                name=tensor.name,
                shape=tensor.shape,
                dtype=tensor.dtype,
                scale=tensor.scales[0] if single else None,
                zero_point=tensor.zero_points[0] if single else None,
            )
        )
    return tuple(specs)
