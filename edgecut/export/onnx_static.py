"""A float ONNX graph quantized by onnxruntime's own static quantization, for graphs that never were TFLite."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgecut.errors import ExportError, RequestError, SourceError
from edgecut.export.onnx_fusion import keep_pads
from edgecut.runtime.onnx_graph import read_onnx
from edgecut.runtime.worker import onnx_failures
from edgecut.streams import caught_output


@dataclass(frozen=True)
class PictureInput:
    """The one picture that an ONNX graph takes. channels_first: whether it is (batch, channels, height, width)."""

    name: str
    height: int
    width: int
    channels: int
    channels_first: bool

    def rows(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """What the graph is fed for images (n, height, width, channels), one by one, float32 with a batch axis."""
        for image in images:
            row = np.asarray(image, np.float32)[None]
            yield np.ascontiguousarray(row.transpose(0, 3, 1, 2)) if self.channels_first else row


def picture_input(path: Path) -> PictureInput:
    """The input of a float .onnx file that takes one picture of fixed size, one at a time.

    Raises SourceError if it is no .onnx file, or a quantized one, RequestError if it takes anything else.
    """
    graph = read_onnx(path)
    if graph.quantized_activations or graph.quantized_weights:
        raise SourceError(f"{path}: is quantized already; give the float model that it was made of")
    specs = graph.inputs
    if len(specs) == 1 and specs[0].dtype == "float32" and len(specs[0].shape) == 4 and specs[0].shape[0] in {-1, 1}:
        name, (_, first, middle, last) = specs[0].name, specs[0].shape
        if min(first, middle, last) > 0 and last in _CHANNELS:
            return PictureInput(name, first, middle, last, channels_first=False)
        if min(first, middle, last) > 0 and first in _CHANNELS:
            return PictureInput(name, middle, last, first, channels_first=True)
    raise RequestError(
        f"{path}: takes {[(spec.dtype, spec.shape) for spec in specs]}, and images calibrate one float32 picture of "
        "fixed size, (1, height, width, channels) or (1, channels, height, width)"
    )


def quantize_static(source: Path, images: np.ndarray, target: Path) -> None:
    """Write the int8 form of a float .onnx file: QDQ nodes, float32 inputs and outputs.

    images: (n, height, width, channels), float32, as the model takes them; they set the ranges by their extremes.
    Weights are int8 with a scale for each channel, activations uint8, which ONNX Runtime computes faster on x86.
    Raises RequestError or SourceError as picture_input does, ExportError if onnxruntime refuses the graph.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    taken = picture_input(source)
    if not len(images):
        raise RequestError("export: int8 needs images to calibrate on; set data.train or pass --data")
    if images.shape[1:] != (taken.height, taken.width, taken.channels):
        shape = (taken.height, taken.width, taken.channels)
        raise RequestError(f"{source}: takes pictures of {shape}, found calibration images of {images.shape[1:]}")
    with tempfile.TemporaryDirectory() as folder, caught_output() as noise:
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        failures: tuple[type[Exception], ...] = (
            *onnx_failures(),
            onnx.checker.ValidationError,
            ValueError,
            TypeError,
            RuntimeError,
            KeyError,
            AttributeError,
        )
        try:
            # Symbolic inference is for open shapes, and needs sympy.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                written,
                _reader(quantization.CalibrationDataReader, taken, images),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            model = onnx.load(written)
        except failures as exc:
            if shutil.disk_usage(folder).free < 2 * source.stat().st_size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder) from exc  # which it doesn't say
            lines = [line.strip() for line in [*str(exc).splitlines(), *noise().splitlines()] if line.strip()]
            reason = lines[0].rstrip(".") if lines else type(exc).__name__
            raise ExportError(f"export: onnxruntime can't quantize {source.name}: {reason}") from exc
    keep_pads(model)
    target.write_bytes(model.SerializeToString())


def _reader(base: Any, taken: PictureInput, images: np.ndarray) -> Any:
    """A CalibrationDataReader over the images; the class is onnxruntime's, which is imported late."""

    class Reader(base):
        def __init__(self) -> None:
            self._rows = taken.rows(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self._rows, None)
            return None if row is None else {taken.name: row}

    return Reader()


_CHANNELS = frozenset({1, 3, 4})
