"""Other numbers in a .tflite file of the same structure: weights, biases, scales and zero points, written in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import SourceError
from edgecut.tflite.flatbuffer import TfliteGraph

# Offsets of the fields in the vtables of the schema's tables.
_BUFFER_DATA = 4
_QUANTIZATION_MIN, _QUANTIZATION_MAX = 4, 6
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO_POINT = 8, 10

DTYPES = {
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "float32": np.float32,
    "float16": np.float16,
}


@dataclass(frozen=True, eq=False)
class Grid:
    """How a tensor's integers mean real values: scale * (q - zero_point), one or one per channel."""

    scales: np.ndarray
    zero_points: np.ndarray


@dataclass(frozen=True)
class Range:
    """The least and the largest value that a float tensor had while it was calibrated."""

    least: float
    largest: float


def constant(content: bytes, index: int) -> np.ndarray:
    """The elements of a constant tensor in its own dtype and shape.

    Raises SourceError if the tensor is no constant, or its data isn't inside the flatbuffer.
    """
    tensor = _subgraph(content).Tensors(index)
    shape = tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))  # ShapeAsNumpy gives 0 for a scalar
    data = _buffer(content, tensor)
    return np.frombuffer(data.tobytes(), DTYPES[_dtype(tensor)]).reshape(shape)


def constants(content: bytes, graph: TfliteGraph) -> dict[int, np.ndarray]:
    """The constants of a graph whose dtype numpy has, by tensor index."""
    return {t.index: constant(content, t.index) for t in graph.tensors if t.is_constant and t.dtype in DTYPES}


def patched(
    content: bytes,
    values: Mapping[int, np.ndarray],
    grids: Mapping[int, Grid],
    ranges: Mapping[int, Range] = MappingProxyType({}),
) -> bytes:
    """The file with other elements in some constants, and other scales and zero points or ranges on some tensors.

    values: tensor index -> elements of the tensor's own dtype and shape. grids: tensor index -> as many scales and
    zero points as it has. ranges: tensor index -> the one range that it has. Nothing moves, so the size and the
    alignment are the file's own.
    Raises SourceError if two tensors share a buffer and would need different elements, ValueError for another
    shape, dtype or count than the file's.
    """
    result = bytearray(content)
    subgraph = _subgraph(content)
    written: dict[int, bytes] = {}
    for index, array in values.items():
        tensor = subgraph.Tensors(index)
        shape = tuple(int(d) for d in tensor.ShapeAsNumpy())
        if array.dtype != DTYPES[_dtype(tensor)] or array.shape != shape:
            raise ValueError(f"tensor {index} holds {_dtype(tensor)} {shape}, found {array.dtype} {array.shape}")
        data, bytes_ = _buffer(content, tensor), np.ascontiguousarray(array).tobytes()
        if written.setdefault(tensor.Buffer(), bytes_) != bytes_:
            raise SourceError(f"model: tensors share buffer {tensor.Buffer()}, so they can't hold different numbers")
        start = _position(content, data)
        result[start : start + len(bytes_)] = bytes_
    for index, grid in grids.items():
        table = subgraph.Tensors(index).Quantization()
        _overwrite(result, content, table, _QUANTIZATION_SCALE, table.ScaleAsNumpy(), grid.scales)
        _overwrite(result, content, table, _QUANTIZATION_ZERO_POINT, table.ZeroPointAsNumpy(), grid.zero_points)
    for index, found in ranges.items():
        table = subgraph.Tensors(index).Quantization()
        _overwrite(result, content, table, _QUANTIZATION_MIN, table.MinAsNumpy(), np.asarray([found.least]))
        _overwrite(result, content, table, _QUANTIZATION_MAX, table.MaxAsNumpy(), np.asarray([found.largest]))
    return bytes(result)


def _subgraph(content: bytes) -> schema.SubGraph:
    return schema.Model.GetRootAs(content, 0).Subgraphs(0)


def _dtype(tensor: schema.Tensor) -> str:
    return _TYPE_NAMES.get(tensor.Type(), "")


def _buffer(content: bytes, tensor: schema.Tensor) -> np.ndarray:
    data = schema.Model.GetRootAs(content, 0).Buffers(tensor.Buffer()).DataAsNumpy()
    if not isinstance(data, np.ndarray) or not data.size:
        raise SourceError(f"model: tensor {tensor.Name().decode(errors='replace')!r} holds no constant in the file")
    return data


def _position(content: bytes, view: np.ndarray) -> int:
    """Where in the file a view of its bytes begins."""
    whole = np.frombuffer(content, np.uint8)
    return int(view.__array_interface__["data"][0] - whole.__array_interface__["data"][0])


def _overwrite(
    result: bytearray, content: bytes, table: schema.Tensor, slot: int, old: np.ndarray, new: np.ndarray
) -> None:
    count = len(old) if isinstance(old, np.ndarray) else 0
    if count == 0 and slot == _QUANTIZATION_ZERO_POINT and not np.any(new):
        return
    if count != len(new):
        raise ValueError(f"{count} scales or zero points are in the file, found {len(new)}")
    start = _position(content, old)
    data = np.asarray(new).astype(old.dtype).tobytes()
    result[start : start + len(data)] = data


_TYPE_NAMES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
