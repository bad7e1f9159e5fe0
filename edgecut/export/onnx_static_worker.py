"""ONNX Runtime's static quantization as a child process: a JSON job on stdin, {"reason": ""} on stdout.

The job names the float file, its input, the rows that calibrate it (an .npy of (n, ...), float32), and where the int8
file goes. A reason says why there is none. What the library writes goes to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TypedDict

import numpy as np
import onnx

from edgecut.runtime.worker import onnx_failures
from edgecut.streams import caught_output


class Job(TypedDict):
    """What main() is told, paths as text."""

    source: str
    rows: str
    name: str
    written: str


def main() -> None:
    """Do the job on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    job = json.load(sys.stdin)
    json.dump({"reason": _quantized(job)}, answers)
    answers.close()


def _quantized(job: Job) -> str:
    """ "" once the file is written, or why it can't be."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = Path(job["written"]).with_name("prepared.onnx")
    refusals: tuple[type[Exception], ...] = (
        *onnx_failures(),
        onnx.checker.ValidationError,
        *(AttributeError, KeyError, RuntimeError, TypeError, ValueError),
    )
    with caught_output() as noise:
        try:
            # Symbolic inference is for open shapes, and needs sympy.
            quant_pre_process(job["source"], prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                job["written"],
                _reader(quantization.CalibrationDataReader, job["name"], np.load(job["rows"], allow_pickle=False)),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except refusals as exc:
            lines = [line.strip() for line in [*str(exc).splitlines(), *noise().splitlines()] if line.strip()]
            return lines[0].rstrip(".") if lines else type(exc).__name__
    return ""


def _reader(base: type, name: str, rows: np.ndarray) -> object:
    """A CalibrationDataReader over rows (n, ...); the class is onnxruntime's, which is imported late."""

    class Reader(base):
        def __init__(self) -> None:
            self._rows = iter(rows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self._rows, None)
            return None if row is None else {name: row[None]}

    return Reader()


if __name__ == "__main__":
    main()
