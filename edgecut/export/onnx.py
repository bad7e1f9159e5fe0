"""A TFLite file to ONNX: the one path that is exact for int8."""

from __future__ import annotations

import logging
from pathlib import Path

from edgecut.errors import ExportError
from edgecut.streams import caught_output

OPSET = 18  # the highest that tf2onnx 1.17 writes


def write_onnx(tflite: Path, path: Path) -> None:
    """Write the ONNX form of a TFLite file; inputs and outputs keep their names and their NHWC layout.

    Raises ExportError if an operator has no ONNX form.
    """
    with caught_output() as noise:
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(tflite), opset=OPSET)
        except (ValueError, TypeError, RuntimeError, KeyError, AttributeError, NotImplementedError) as exc:
            lines = [line.strip() for line in [*str(exc).splitlines(), *noise().splitlines()] if line.strip()]
            reason = lines[0].rstrip(".") if lines else type(exc).__name__
            raise ExportError(f"export: {tflite.name} has no ONNX form: {reason}") from exc
    path.write_bytes(model.SerializeToString())
