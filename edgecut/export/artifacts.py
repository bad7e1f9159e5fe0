"""Model files in the formats and precisions asked for, described from what was written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from edgecut.errors import RequestError
from edgecut.export.onnx import write_onnx
from edgecut.export.readback import read_artifact
from edgecut.export.tflite import convert, write_saved_model
from edgecut.records.artifact import Artifact
from edgecut.records.recipe import Format, Precision

ONNX_PRECISIONS = ("float32", "int8")


def export(
    model: keras.Model,
    format: Format = "tflite",
    precision: Precision = "int8",
    calibration: np.ndarray | Sequence[np.ndarray] | None = None,
    path: str | Path | None = None,
) -> Artifact:
    """The file written to `path` (default: the model's name in this folder), as read back from it.

    calibration: array (n, height, width, channels) as the model takes it, or one per input, for int8 and int16x8.
    Nothing is left at `path` if it fails. Raises RequestError or ExportError.
    """
    target = Path(path) if path is not None else Path(f"{model.name}.{precision}.{format}")
    if format == "onnx" and precision not in ONNX_PRECISIONS:
        raise RequestError(f"export: ONNX is written in {' and '.join(ONNX_PRECISIONS)}, found {precision!r}")
    arrays = [calibration] if isinstance(calibration, np.ndarray) else calibration
    with tempfile.TemporaryDirectory() as folder:
        saved_model = Path(folder) / "saved_model"
        write_saved_model(model, saved_model)
        content = convert(saved_model, model, precision, arrays)
        write_file(content, format, target)
    return read_artifact(target, name=f"{target.stem}.{format}", precision=precision)


def write_file(tflite: bytes, format: Format, target: Path) -> None:
    """Write a TFLite file's content to `target` in a format, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(tflite)
        written = source
        if format == "onnx":
            written = Path(folder) / "model.onnx"
            write_onnx(source, written)
        partial = target.with_name(target.name + ".partial")
        try:
            partial.write_bytes(written.read_bytes())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
