"""A .tflite or .onnx file run on images or rows, in its runtime's child process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgecut.errors import RunError
from edgecut.images.rows import columns, packed
from edgecut.records.artifact import TensorSpec
from edgecut.runtime.session import Kernels, Session
from edgecut.runtime.specs import file_format, read_graph, tensor_specs

_REQUEST_BYTES = 1 << 20  # of images in one message to the child
_CHUNK_VALUES = 1 << 15  # quantized at once: what fits into a core's cache is quantized three times as fast
Specs = Sequence[TensorSpec]


class FileRunner:
    """A model file loaded in its runtime: LiteRT for .tflite, ONNX Runtime with default options for .onnx.

    inputs, outputs: as read from the file. What it is run on are images (n, ...), or for several inputs rows
    (images/rows.py) in the file's order.
    """

    def __init__(self, path: str | Path, threads: int = 1, kernels: Kernels = "default") -> None:
        """Load the file. Raises SourceError if it can't be read, RunError if its runtime refuses it.

        kernels: "plain" leaves out what the runtime does by itself to be quicker: LiteRT's XNNPACK delegate, ONNX
        Runtime's graph optimizations. "reference" runs a .tflite with LiteRT's plainest kernels. They are nearer to
        TFLM than the default ones, and not equal to it: on 200 CIFAR-10 photos through an int8 ResNet they differed on
        12 (by up to 10 steps of the softmax), the default ones on 109 (by up to 60). What TFLM gives is
        runners/tflm.py: run_tflm.
        """
        self.path = Path(path)
        graph = read_graph(self.path)
        self.inputs, self.outputs = tensor_specs(graph)
        if not self.inputs:
            raise RunError(f"{path}: takes no input; a file with at least one is expected")
        self._session = Session(self.path, file_format(self.path), str(path), kernels=kernels, threads=threads)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The first output in float32, shape (n, ...), for float32 images of shape (n, ...).

        A quantized file's input is quantized with the file's own scale and zero point, its output
        dequantized.
        Raises RunError if the shape doesn't fit, the values aren't finite, or the runtime fails.
        """
        return self.predict_each(x)[0]

    def predict_each(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Every output as `predict` gives the first one."""
        rows = self._rows(x, lambda rows: columns(quantize_rows(rows, self.inputs, str(self.path))))
        return tuple(dequantize(y, spec) for y, spec in zip(rows, self.outputs, strict=True))

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The first output in the file's own dtype, for images (n, ...) in the dtype of its input."""
        return self.predict_raw_each(x)[0]

    def predict_raw_each(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Every output as `predict_raw` gives the first one."""
        found, taken = ([each.dtype.name for each in columns(x)], [spec.dtype for spec in self.inputs])
        if found != taken:
            raise RunError(f"{self.path}: takes {', '.join(taken)}, found an array of {', '.join(found)}")
        return self._rows(x, columns)

    def _rows(self, x: np.ndarray, convert: Callable[[np.ndarray], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        shapes = [tuple(1 if size < 0 else size for size in spec.shape) for spec in self.inputs]
        batch, given = shapes[0][0] if shapes[0] else 1, [each.shape for each in columns(x)]
        if [shape[1:] for shape in shapes] != [shape[1:] for shape in given] or len(x) % batch:
            taken, found = (", ".join(map(str, each)) for each in (shapes, given))
            raise RunError(f"{self.path}: takes images of shape {taken}, found an array of {found}")
        step = batch * max(1, _REQUEST_BYTES // max(1, x[:batch].nbytes))
        parts = [self._outputs(convert(x[k : k + step]), batch) for k in range(0, len(x), step)]
        if not parts:
            return tuple(np.empty((0, *s.shape[1:]), s.dtype) for s in self.outputs)
        try:
            return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        except ValueError as exc:
            raise RunError(f"{self.path}: puts out other shapes for other images") from exc

    def _outputs(self, inputs: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
        """Every output for images (n, ...) of each input, n a multiple of the batch."""
        total, count = len(inputs[0]), len(inputs[0]) // batch
        runs = [x.reshape(count, batch, *x.shape[1:]) for x in inputs]
        outputs = self._session.run_each(dict(zip(self._session.inputs, runs, strict=True)), self._session.outputs)
        try:
            rows = [y[:, None] if y.ndim == 1 else y for y in outputs]  # one number for a whole batch
            spread = [np.broadcast_to(y, (count, batch, *y.shape[2:])) for y in rows]
        except ValueError as exc:
            shapes = ", ".join(str(y.shape[1:]) for y in outputs)
            raise RunError(f"{self.path}: puts out the shape {shapes} for {batch} images") from exc
        return [y.reshape(total, *y.shape[2:]) for y in spread]


def quantize_rows(rows: np.ndarray, specs: Specs, where: str = "input") -> np.ndarray:
    """The same rows with each input in the dtype of its spec, as `quantize` makes it."""
    return packed([quantize(x, spec, where) for x, spec in zip(columns(rows), specs, strict=True)])


def dequantize_rows(rows: np.ndarray, specs: Specs) -> np.ndarray:
    """The same rows with each input in float32, as `dequantize` makes it."""
    return packed([dequantize(x, spec) for x, spec in zip(columns(rows), specs, strict=True)])


def quantize(x: np.ndarray, spec: TensorSpec, where: str = "input") -> np.ndarray:
    """Float values in the dtype of `spec`, as TFLite's QUANTIZE does it: float32, halves away from zero,
    clipped.

    Without a scale, integers are rounded and clipped alone. Raises RunError, beginning with `where`, for
    values that aren't finite.
    """
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return x.astype(dtype)
    if not np.isfinite(x).all():
        raise RunError(f"{where}: the images hold values that aren't finite, so they can't be quantized")
    scale, zero = np.float32(1.0 if spec.scale is None else spec.scale), spec.zero_point or 0
    limits, result = np.iinfo(dtype), np.empty(x.shape, dtype)
    values, integers = np.ascontiguousarray(x).reshape(-1), result.reshape(-1)
    for first in range(0, len(values), _CHUNK_VALUES):
        chunk = slice(first, first + _CHUNK_VALUES)
        scaled = values[chunk].astype(np.float32) / scale
        # In float64, since 0.49999997 + 0.5 is 1 in float32.
        rounded = scaled + np.copysign(0.5, scaled, dtype=np.float64)
        np.trunc(rounded, out=rounded)
        rounded += zero
        integers[chunk] = np.clip(rounded, limits.min, limits.max, out=rounded)
    return result


def dequantize(y: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Values of an output in float32: scale * (y - zero point), or the values themselves without a scale."""
    if spec.scale is None:
        return y.astype(np.float32)
    return np.float32(spec.scale) * (y.astype(np.int32) - (spec.zero_point or 0)).astype(np.float32)
