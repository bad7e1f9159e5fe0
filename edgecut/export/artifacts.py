"""Model files in the formats and precisions asked for, described from what was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from edgecut.errors import RequestError
from edgecut.export.agreeing import INPUTS, check_against_file, converted
from edgecut.export.onnx import write_onnx
from edgecut.export.onnx_static import picture_input, quantize_static
from edgecut.export.plain_c import c_name, write_c
from edgecut.export.readback import read_artifact, tflite_precision
from edgecut.export.tflite import write_saved_model
from edgecut.records.artifact import Artifact
from edgecut.records.precision import is_written, needs_images, precisions_of
from edgecut.records.recipe import Exported, Format, Precision, Quantizer
from edgecut.source.policies import in_float32
from edgecut.tflite.flatbuffer import parse
from edgecut.whole import scratch_folder, write_whole

ORT_WRITES = "quantizer ort writes int8 ONNX files"


def export(
    model: keras.Model,
    format: Exported = "tflite",
    precision: Precision = "int8",
    calibration: np.ndarray | Sequence[np.ndarray] | None = None,
    path: str | Path | None = None,
    quantizer: Quantizer = "tflite",
) -> Artifact:
    """The file written to `path` (default: the model's name in this folder), as read back from it.

    calibration: array (n, height, width, channels) as the model takes it, or one per input, for int8 and int16x8.
    quantizer: "ort" makes an int8 .onnx file by onnxruntime's static quantization instead of through int8 TFLite.
    format "c": `path` is a folder for the int8 .tflite file and the C that is generated from it.
    Nothing is left at `path` if it fails. Raises RequestError or ExportError.

    >>> edgecut.export(edgecut.load("bell.keras"), precision="float32").operators
    {'CONV_2D': 1, 'MEAN': 1, 'FULLY_CONNECTED': 1, 'SOFTMAX': 1}
    """
    if format == "c":
        return _export_c(model, precision, calibration, Path(path) if path is not None else Path(f"{model.name}.c"))
    target = Path(path) if path is not None else Path(f"{model.name}.{precision}.{format}")
    if not is_written(format, precision):
        raise RequestError(f"export: ONNX is written in {' and '.join(precisions_of(format))}, found {precision!r}")
    if quantizer == "ort" and (format, precision) != ("onnx", "int8"):
        raise RequestError(f"export: {ORT_WRITES}, found {format} {precision}")
    model = in_float32(model).model
    arrays = [calibration] if isinstance(calibration, np.ndarray) else calibration
    with scratch_folder() as folder:
        saved_model = folder / "saved_model"
        write_saved_model(model, saved_model, loops=not needs_images(precision))
        if quantizer == "ort":
            write_static(converted(saved_model, model, "float32"), arrays, target)
        else:
            write_file(converted(saved_model, model, precision, arrays), format, target)
    return read_artifact(target, name=f"{target.stem}.{format}", precision=precision)


def _export_c(
    model: keras.Model, precision: Precision, calibration: np.ndarray | Sequence[np.ndarray] | None, folder: Path
) -> Artifact:
    """The int8 .tflite file of a model, written beside its C into a folder."""
    if precision != "int8":
        raise RequestError(f"export: C is generated from int8, found {precision!r}")
    name = c_name(model.name)
    with scratch_folder() as scratch:
        written = scratch / f"{name}.tflite"
        export(model, "tflite", precision, calibration, written)
        write_c(written.read_bytes(), name, folder, model.name)
    return read_artifact(folder / f"{name}.tflite", name=f"{name}.tflite", precision=precision)


def quantize_onnx(source: Path, calibration: np.ndarray, path: Path) -> Artifact:
    """The int8 form of a float .onnx file, made by onnxruntime's static quantization, as read back from `path`.

    calibration: array (n, height, width, channels) as the model takes it, whatever its layout. Nothing is left at
    `path` if it fails. Raises RequestError, SourceError or ExportError.
    """
    with scratch_folder() as folder:
        written = folder / "int8.onnx"
        _quantize(source, calibration, written)
        _put(written, path)
    return read_artifact(path, name=path.name, precision="int8")


def write_static(tflite: bytes, calibration: Sequence[np.ndarray] | None, target: Path) -> None:
    """Write the int8 ONNX form of a float TFLite file's content by onnxruntime's static quantization, or nothing.

    calibration: one array (n, height, width, channels). Raises RequestError without it, or ExportError.
    """
    if calibration is None or len(calibration) != 1:
        raise RequestError("export: int8 needs data to calibrate on; set data.train or pass --data")
    with scratch_folder() as folder:
        source, written = folder / "float.onnx", folder / "int8.onnx"
        write_file(tflite, "onnx", source)
        _quantize(source, calibration[0], written)
        _put(written, target)


def _quantize(source: Path, images: np.ndarray, target: Path) -> None:
    """quantize_static, and its file run against the float one."""
    quantize_static(source, images, target)
    rows = np.stack(list(picture_input(source).rows(images[:INPUTS])))
    check_against_file(target, source, "int8", [rows])


def write_file(tflite: bytes, format: Format, target: Path) -> None:
    """Write a TFLite file's content to `target` in a format, whole or not at all."""
    with scratch_folder() as folder:
        source = folder / "model.tflite"
        source.write_bytes(tflite)
        written = source
        if format == "onnx":
            written = folder / "model.onnx"
            write_onnx(source, written)
            check_against_file(written, source, tflite_precision(parse(tflite, source.name)))
        _put(written, target)


def _put(written: Path, target: Path) -> None:
    """Copy a file to its place, whole or not at all."""
    write_whole(target, written.read_bytes())
