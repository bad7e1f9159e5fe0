"""A .tflite file written from nothing: tensors and operators put down one by one, then packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecut.tflite.pack import AlignedBuffer, packed

# The schema's version, which every runtime of today reads.
SCHEMA_VERSION = 3


class Draft:
    """A graph in the making. Tensors are named by their index, in the order they were put down."""

    def __init__(self) -> None:
        """An empty graph. Buffer 0 is the empty one that tensors without data name."""
        self._tensors: list[schema.TensorT] = []
        self._buffers: list[schema.BufferT] = [schema.BufferT()]
        self._operators: list[schema.OperatorT] = []
        self._codes: dict[tuple[str, int], int] = {}
        self._shared: dict[tuple[str, bytes], int] = {}

    def tensor(self, shape: Sequence[int], dtype: str, scale: float | None = None, zero_point: int = 0) -> int:
        """An activation; with a scale it is quantized per tensor."""
        grid = None if scale is None else _grid([scale], [zero_point], 0)
        return self._add(shape, dtype, 0, grid)

    def constant(self, data: np.ndarray, scales: Sequence[float] = (), axis: int = 0) -> int:
        """A constant of the array's shape and dtype; scales: one, or one for each channel along `axis`.

        Equal constants share one buffer of the file.
        """
        key = (data.dtype.name, data.tobytes())
        if key not in self._shared:
            self._buffers.append(AlignedBuffer(np.frombuffer(key[1], np.uint8)))
            self._shared[key] = len(self._buffers) - 1
        grid = _grid(scales, [0] * len(scales), axis) if scales else None
        return self._add(data.shape, data.dtype.name, self._shared[key], grid)

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        """The shape that a tensor was given."""
        return tuple(int(d) for d in self._tensors[tensor].shape)

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        table: str = "",
        options: Mapping[str, object] | None = None,
    ) -> None:
        """A call of a builtin operator such as "CONV_2D".

        table: the schema's options table ("Conv2DOptions"), filled with `options` by the schema's field names; "" for
        none. An absent optional input is -1.
        """
        call = schema.OperatorT()
        call.opcodeIndex = self._codes.setdefault((name, version), len(self._codes))
        call.inputs, call.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if table:
            call.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            call.builtinOptions = getattr(schema, f"{table}T")()
            for field, value in (options or {}).items():
                setattr(call.builtinOptions, field, value)
        self._operators.append(call)

    def file(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file that takes and gives these tensors."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self._operators, b"main"
        graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, b"edgecut"
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [_code(name, version) for name, version in self._codes]
        return packed(model)

    def _add(self, shape: Sequence[int], dtype: str, buffer: int, grid: schema.QuantizationParametersT | None) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type = np.array(shape, np.int32), getattr(schema.TensorType, dtype.upper())
        tensor.buffer, tensor.quantization = buffer, grid
        tensor.name = f"t{len(self._tensors)}".encode()
        tensor.hasRank = True
        self._tensors.append(tensor)
        return len(self._tensors) - 1


def _grid(scales: Sequence[float], zero_points: Sequence[int], axis: int) -> schema.QuantizationParametersT:
    grid = schema.QuantizationParametersT()
    grid.scale, grid.zeroPoint = np.array(scales, np.float32), np.array(zero_points, np.int64)
    grid.quantizedDimension = axis
    return grid


def _code(name: str, version: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    # Readers older than the 32-bit field look here; 127 sends them to it.
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    return code
