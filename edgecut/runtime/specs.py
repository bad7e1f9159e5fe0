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


def open_sizes(graph: TfliteGraph | OnnxGraph) -> str:
    """The inputs of which the file leaves more open than the batch, their first axis: "'x' (?×3×?×?)"; "" for none."""
    shapes: dict[str, tuple[int, ...]] = {}
    if isinstance(graph, OnnxGraph):
        shapes = {spec.name: spec.shape for spec in graph.inputs}
    else:
        for tensor in (graph.tensors[index] for index in graph.inputs):
            sizes = enumerate(tensor.shape)
            shapes[tensor.name] = tuple(-1 if axis in tensor.open_axes else size for axis, size in sizes)
    said = {name: "×".join("?" if size < 0 else str(size) for size in shape) for name, shape in shapes.items()}
    return ", ".join(f"{name!r} ({said[name]})" for name, shape in shapes.items() if min(shape[1:], default=0) < 0)


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
