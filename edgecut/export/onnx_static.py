"""A float ONNX graph quantized by onnxruntime's own static quantization, for graphs that never were TFLite."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgecut.errors import ExportError, RequestError, SourceError
from edgecut.export.onnx_fusion import keep_pads
from edgecut.export.ranges import check_samples
from edgecut.runtime.onnx_graph import read_onnx
from edgecut.sandbox.child import ChildDied, run_job
from edgecut.sandbox.limits import read_limits
from edgecut.whole import scratch_folder


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
    ONNX Runtime works in a child process, since the file may be anybody's.
    Raises RequestError or SourceError as picture_input does, ExportError for an image that isn't finite, or if
    onnxruntime refuses the graph or dies of it.
    """
    picture = picture_input(source)
    if not len(images):
        raise RequestError("export: int8 needs data to calibrate on; set data.train or pass --data")
    if images.shape[1:] != (picture.height, picture.width, picture.channels):
        shape = (picture.height, picture.width, picture.channels)
        raise RequestError(f"{source}: takes pictures of {shape}, found calibration images of {images.shape[1:]}")
    check_samples(images)
    with scratch_folder() as folder:
        rows, written = folder / "rows.npy", folder / "int8.onnx"
        np.save(rows, np.concatenate(list(picture.rows(images))), allow_pickle=False)
        job = {"source": str(source.absolute()), "rows": str(rows), "name": picture.name, "written": str(written)}
        try:
            answer = run_job("edgecut.export.onnx_static_worker", job, read_limits().seconds * (1 + len(images)))
        except ChildDied as exc:
            raise ExportError(f"export: onnxruntime can't quantize {source.name}: {exc}") from exc
        if answer["reason"]:
            if shutil.disk_usage(folder).free < 2 * source.stat().st_size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)  # which it doesn't say
            raise ExportError(f"export: onnxruntime can't quantize {source.name}: {answer['reason']}")
        model = onnx.load(written)
    keep_pads(model)
    target.write_bytes(model.SerializeToString())


_CHANNELS = frozenset({1, 3, 4})
