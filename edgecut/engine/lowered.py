"""Operators bound to kernels: which rows each reads for each row it writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

# What inconsistent numbers in a file raise while an operator is bound: shapes, axes and options that don't fit.
MISFIT = (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, KeyError)

BYTES = {"int8": 1, "uint8": 1, "int16": 2}
_SIGNED = ("int8", "int16")

# What a struct's field holds: a number, numbers in place, or a table apart (None: no table), its type by its elements.
Value = int | tuple[int, ...] | np.ndarray | None


@dataclass(frozen=True)
class View:
    """How a kernel sees a tensor: so many rows of so many bytes, one behind the other."""

    rows: int
    row_bytes: int

    @property
    def size_bytes(self) -> int:
        """All rows together."""
        return self.rows * self.row_bytes


@dataclass(frozen=True, eq=False)
class Read:
    """One operand: rows first[y] up to stop[y] of the view are read for step y of the output; neither ever falls.

    in_place: the kernel reads row y alone for step y, and each value before it writes the one at its place, so that it
    may write its row over that one.
    """

    tensor: int
    view: View
    first: np.ndarray
    stop: np.ndarray
    in_place: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel's C function, and the constant struct that it is given: fields in the order of the struct."""

    kernel: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Lowered:
    """An operator's output tensor, made row by row by a kernel from rows of its operands.

    parts: the steps that each row takes, of which those behind the first add to what lies there; operands are read by
    step. state: of sums that aren't a tensor of the file; `output` is then a number that no tensor of it has.
    """

    call: Call
    reads: tuple[Read, ...]
    output: int
    view: View
    parts: int = 1
    state: Tensor | None = None

    @property
    def steps(self) -> int:
        """The steps of all rows."""
        return self.view.rows * self.parts


@dataclass(frozen=True, eq=False)
class Model:
    """The file's graph and its constants by tensor index."""

    graph: TfliteGraph
    constants: Mapping[int, np.ndarray]

    def activation(self, index: int, *dtypes: str) -> Tensor:
        """A tensor that is computed, of one of these types (int8 without any), quantized per tensor."""
        tensor = self.graph.tensors[index]
        allowed = dtypes or ("int8",)
        if tensor.is_constant:
            raise Refused("takes a constant where values that are computed are expected")
        if tensor.dtype not in allowed:
            raise Refused(
                f"has {tensor.dtype} data, and {' or '.join(allowed)} is expected", "quantize the whole model"
            )
        check_grid(tensor)
        return tensor

    def constant(self, index: int, *dtypes: str) -> np.ndarray:
        """The elements of a constant of one of these types."""
        tensor = self.graph.tensors[index] if index >= 0 else None
        if tensor is None or not (tensor.is_constant or index in self.constants):
            raise Refused("takes computed values where constants are expected")
        if index not in self.constants or self.constants[index].dtype.name not in dtypes:
            raise Refused(f"has {tensor.dtype} constants, and {' or '.join(dtypes)} is expected")
        return self.constants[index]

    def ends(self, op: Operator, place: int = 0) -> tuple[Tensor, Tensor, int]:
        """(an operator's input at a place, its first output, the bytes of an element), of 8 or 16 bits alike."""
        data, output = self.activation(op.inputs[place], *_SIGNED), self.activation(op.outputs[0], *_SIGNED)
        if data.dtype != output.dtype:
            raise Refused(f"makes {output.dtype} values of {data.dtype} ones")
        return data, output, BYTES[data.dtype]

    def output(self, op: Operator, *dtypes: str) -> Tensor:
        """The operator's first output."""
        return self.activation(op.outputs[0], *dtypes)


def check_grid(tensor: Tensor) -> None:
    """Refuse a tensor that isn't quantized by one positive scale and a zero point of its own type."""
    low, high = {"int8": (-128, 127), "uint8": (0, 255), "int16": (0, 0)}.get(tensor.dtype, (0, 0))
    if len(tensor.scales) != 1 or not (0.0 < tensor.scales[0] < math.inf):
        raise Refused("has values without one positive scale", "quantize the whole model")
    if tensor.lacks_zero_points:
        raise Refused(
            "has a scale without a zero point, which TensorFlow Lite Micro takes as not quantized",
            "write the zero points into the file, too",
        )
    if not low <= tensor.zero_points[0] <= high:
        raise Refused(f"has the zero point {tensor.zero_points[0]}, which {tensor.dtype} values can't have")


def row_view(tensor: Tensor) -> View:
    """A tensor by rows: of all channels of all columns from rank 3 on, else of the last axis."""
    shape = tensor.shape
    depth = 2 if len(shape) >= 3 else 1
    return View(math.prod(shape[:-depth]), math.prod(shape[-depth:]) * BYTES[tensor.dtype])


def whole_view(tensor: Tensor) -> View:
    """A tensor as one row."""
    return View(1, tensor.elements * BYTES[tensor.dtype])


def same_rows(tensor: int, view: View, *, in_place: bool = False) -> Read:
    """Row y for row y."""
    rows = np.arange(view.rows)
    return Read(tensor, view, rows, rows + 1, in_place)


def all_rows(tensor: int, view: View, output_rows: int) -> Read:
    """The whole tensor for each row."""
    return Read(tensor, view, np.zeros(output_rows, np.int64), np.full(output_rows, view.rows))


def window_rows(tensor: int, view: View, window: Window, batches: int) -> Read:
    """The rows under a window that moves down, batch by batch."""
    y = np.arange(window.out_size) * window.stride - window.pad
    first = np.clip(y, 0, window.in_size)
    stop = np.maximum(np.clip(y + (window.size - 1) * window.dilation + 1, 0, window.in_size), first)
    base = np.arange(batches)[:, None] * window.in_size
    return Read(tensor, view, (base + first).ravel(), (base + stop).ravel())


@dataclass(frozen=True)
class Window:
    """One axis of a convolution or pooling: sizes in elements, pad before the first."""

    in_size: int
    out_size: int
    size: int
    stride: int
    dilation: int
    pad: int


SAME, VALID = 0, 1  # schema.fbs: Padding


def window(in_size: int, out_size: int, size: int, stride: int, dilation: int, padding: int) -> Window:
    """A window with TensorFlow's padding. Raises Refused if the output hasn't the size that comes of it."""
    if min(in_size, out_size, size, stride, dilation) < 1 or padding not in (SAME, VALID):
        raise Refused("has a size, a stride or a padding that no window has")
    reach = (size - 1) * dilation + 1
    expected = -(-in_size // stride) if padding == SAME else -(-(in_size - reach + 1) // stride)
    if expected != out_size:
        raise Refused(f"has an output of {out_size} where {max(expected, 0)} comes of its window")
    return Window(in_size, out_size, size, stride, dilation, max((out_size - 1) * stride + reach - in_size, 0) // 2)


def option(op: Operator, name: str, default: int) -> int:
    """A number of the operator's options."""
    value = op.options.get(name, default)
    return int(default if value is None else value)


def same_shape(*tensors: Tensor) -> bool:
    """Whether tensors have one shape."""
    return len({tensor.shape for tensor in tensors}) == 1


def merged(values: Sequence[int]) -> int:
    """The product of some extents."""
    return math.prod(values)
