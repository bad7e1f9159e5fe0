"""A .tflite or .onnx file of one input run on images, in its runtime's child process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgecut.errors import RunError
from edgecut.records.artifact import TensorSpec
from edgecut.runtime.session import Kernels, Session
from edgecut.runtime.specs import file_format, read_graph, tensor_specs

_REQUEST_BYTES = 1 << 20  # of images in one message to the child


class FileRunner:
    """A model file loaded in its runtime: LiteRT for .tflite, ONNX Runtime with default options for .onnx.

    inputs, outputs: as read from the file; one input is expected.
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
        if len(self.inputs) != 1:
            raise RunError(f"{path}: takes {len(self.inputs)} inputs; a file with one input is expected")
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
        rows = self._rows(x, lambda row: quantize(row, self.inputs[0], str(self.path)))
        return tuple(dequantize(y, spec) for y, spec in zip(rows, self.outputs, strict=True))

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The first output in the file's own dtype, for images (n, ...) in the dtype of its input."""
        return self.predict_raw_each(x)[0]

    def predict_raw_each(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Every output as `predict_raw` gives the first one."""
        if x.dtype.name != self.inputs[0].dtype:
            raise RunError(f"{self.path}: takes {self.inputs[0].dtype}, found an array of {x.dtype.name}")
        return self._rows(x, lambda row: row)

    def _rows(self, x: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, ...]:
        batch, *expected = (1 if size < 0 else size for size in self.inputs[0].shape)
        fits = x.ndim == len(expected) + 1 and x.shape[1:] == tuple(expected)
        if not fits or len(x) % batch:
            raise RunError(f"{self.path}: takes images of shape {(batch, *expected)}, found an array of {x.shape}")
        step = batch * max(1, _REQUEST_BYTES // max(1, x[:batch].nbytes))
        parts = [self._outputs(convert(x[k : k + step]), batch) for k in range(0, len(x), step)]
        if not parts:
            return tuple(np.empty((0, *s.shape[1:]), s.dtype) for s in self.outputs)
        try:
            return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        except ValueError as exc:
            raise RunError(f"{self.path}: puts out other shapes for other images") from exc

    def _outputs(self, x: np.ndarray, batch: int) -> list[np.ndarray]:
        """Every output for images (n, ...), n a multiple of the batch."""
        source = self._session.inputs[0]
        runs = x.reshape(len(x) // batch, batch, *x.shape[1:])
        outputs = self._session.run_each({source: runs}, self._session.outputs)
        try:
            rows = [y[:, None] if y.ndim == 1 else y for y in outputs]  # one number for a whole batch
            spread = [np.broadcast_to(y, (len(runs), batch, *y.shape[2:])) for y in rows]
        except ValueError as exc:
            shapes = ", ".join(str(y.shape[1:]) for y in outputs)
            raise RunError(f"{self.path}: puts out the shape {shapes} for {batch} images") from exc
        return [y.reshape(len(x), *y.shape[2:]) for y in spread]


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
    scaled = x.astype(np.float32) / np.float32(1.0 if spec.scale is None else spec.scale)
    # In float64, since 0.49999997 + 0.5 is 1 in float32.
    rounded = np.trunc(scaled.astype(np.float64) + np.copysign(0.5, scaled)) + (spec.zero_point or 0)
    limits = np.iinfo(dtype)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def dequantize(y: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Values of an output in float32: scale * (y - zero point), or the values themselves without a scale."""
    if spec.scale is None:
        return y.astype(np.float32)
    return np.float32(spec.scale) * (y.astype(np.int32) - (spec.zero_point or 0)).astype(np.float32)
