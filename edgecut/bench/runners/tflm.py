"""TensorFlow Lite Micro's real interpreter on this host: the smallest arena that works, and outputs."""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.bench.runners.local import run_job
from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.errors import RunError
from edgecut.images.rows import columns
from edgecut.records.measurement import Measurement, measured
from edgecut.records.packages import TFLM, absent
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench
from edgecut.tflite.arena import planned_bytes
from edgecut.tflite.flatbuffer import read

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result

PACKAGE = TFLM.name
WHERE = "TFLM interpreter on host"


@dataclass(frozen=True)
class TflmArena:
    """smallest_bytes: a multiple of 16 with which the file is constructed and invoked; 16 less doesn't do.

    head_bytes, tail_bytes: what the interpreter itself records of activations and persistent data. version:
    of the package.
    """

    smallest_bytes: int
    head_bytes: int
    tail_bytes: int
    version: str


@dataclass(frozen=True)
class Tflm:
    """The interpreter on this host, a Runner of protocol.py."""

    name: str = "tflm"
    place: str = "host"

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """The arena that the real interpreter needs on this host; of the settings only the time limit counts.

        Raises RunError if TFLM can't run the file, MissingRuntimeError if the interpreter is absent.
        """
        arena = smallest_arena_bytes(path, settings.timeout_s)
        conditions = {
            "interpreter": f"{PACKAGE} {arena.version}",
            "kernels": "reference",
            "head_bytes": arena.head_bytes,
            "tail_bytes": arena.tail_bytes,
            "temporary_bytes": max(0, arena.smallest_bytes - arena.head_bytes - arena.tail_bytes),
            "pointers": "64 bits: the tail is larger than with a microcontroller's 32 bits",
            "scratch": "buffers of optimized kernels (CMSIS-NN, ESP-NN) are not in it",
            "device_kernels": "" if profile is None else profile.runtime.kernels,
        }
        return (
            measured(
                "arena",
                artifact,
                [arena.smallest_bytes],
                where=WHERE,
                method="smallest arena by bisection",
                profile=None if profile is None else profile.id,
                conditions=conditions,
            ),
        )


def is_here() -> bool:
    """Whether the interpreter's package is installed."""
    return importlib.util.find_spec("tflite_micro") is not None


def smallest_arena_bytes(path: Path, timeout_s: float = TIMEOUT_S) -> TflmArena:
    """The smallest arena with which the interpreter constructs and invokes a .tflite file.

    Each trial is a process of its own, because kernels abort and failed constructors leak.
    Raises SourceError for a file that is no .tflite, RunError with the interpreter's words if it can't run
    it, MissingRuntimeError if it is absent.
    """
    graph = read(path)
    _must_be_here()
    job: Job = {"job": "tflm_arena", "first_bytes": 2 * planned_bytes(graph) + 2**20}
    result = _run(job, [path], timeout_s)
    return TflmArena(
        smallest_bytes=result["smallest_bytes"],
        head_bytes=result["head_bytes"],
        tail_bytes=result["tail_bytes"],
        version=importlib.metadata.version(PACKAGE),
    )


def interpreter_heads(paths: Sequence[Path], timeout_s: float = TIMEOUT_S) -> list[int | str]:
    """For each file the head of the arena that the interpreter records, or in its words why it doesn't run it.

    Raises MissingRuntimeError if it is absent, RunError if the child that asks it fails.
    """
    _must_be_here()
    rows = _run({"job": "tflm_heads"}, paths, timeout_s)["rows"]
    return [row["error"] if "error" in row else int(row["head_bytes"]) for row in rows]


def interpreter_outputs(
    paths: Sequence[Path], inputs: Sequence[Sequence[bytes]], timeout_s: float = TIMEOUT_S
) -> list[list[bytes] | str]:
    """For each file its outputs on each of its inputs, or in the interpreter's words why it doesn't run it.

    inputs, outputs: the raw bytes of all tensors of a side, one behind the other. Raises as interpreter_heads does.
    """
    _must_be_here()
    encoded = [[base64.b64encode(values).decode() for values in rows] for rows in inputs]
    rows = _run({"job": "tflm_outputs", "inputs_of": encoded}, paths, timeout_s)["rows"]
    return [row["error"] if "error" in row else [base64.b64decode(y) for y in row["outputs"]] for row in rows]


def run_tflm(path: Path, inputs: np.ndarray, arena_bytes: int) -> np.ndarray:
    """The first output under TFLM for images (n, ...) in the file's own dtype, as an array (n, ...) of its
    dtype. Several inputs come as rows (images/rows.py).

    Raises RunError if the arena is too small or a kernel fails, MissingRuntimeError if the interpreter is
    absent.
    """
    graph = read(path)
    _must_be_here()
    parts = columns(inputs)
    taken = [(graph.tensors[index].dtype, graph.tensors[index].shape[1:]) for index in graph.inputs]
    found = [(x.dtype.name, x.shape[1:]) for x in parts]
    if found != taken:
        own = " and ".join(f"{dtype} images of shape {shape}" for dtype, shape in taken)
        other = " and ".join(f"{dtype} of shape {shape}" for dtype, shape in found)
        raise RunError(f"{path}: takes {own}, found {other}")
    rows = [b"".join(np.ascontiguousarray(x).tobytes() for x in row) for row in zip(*parts, strict=True)]
    encoded = [base64.b64encode(row).decode() for row in rows]
    result = _run({"job": "tflm_run", "arena_bytes": arena_bytes, "inputs": encoded}, [path])
    outputs = [np.frombuffer(base64.b64decode(y), result["dtype"]) for y in result["outputs"]]
    return np.stack(outputs).reshape(len(outputs), *result["shape"][1:])


def _run(job: Job, paths: Sequence[Path], timeout_s: float = TIMEOUT_S) -> Result:
    try:
        return run_job(job, paths, module="edgecut.bench.tflm_worker", timeout_s=timeout_s)
    except RunError as exc:
        said = str(exc).removeprefix(f"{paths[0]}: ")
        raise type(exc)(f"{paths[0]}: TensorFlow Lite Micro can't run it: {said}") from exc


def _must_be_here() -> None:
    if not is_here():
        raise absent(TFLM)
