"""The child process in which files run under TensorFlow Lite Micro: one JSON job on stdin, one JSON result on stdout.

`python -m edgecut.bench.tflm_worker`, on this machine only.
"""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.bench.runtimes import random_input
from edgecut.bench.worker import serve

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import SubGraph
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    from edgecut.bench.jobs import Job, Result, Row

# The interpreter crashes instead of failing with 200 bytes or less.
SMALLEST_ARENA, LARGEST_ARENA, ARENA_STEP = 256, 2**30, 16
AMPLE_ARENA = 2**26


def tflm_arena(job: Job) -> Result:
    """The smallest arena, a multiple of 16 bytes, with which TFLM constructs and invokes a file.

    Job: paths (one), first_bytes (an arena to start from). Each trial is a fork, since failed constructors leak and
    kernels abort. Result: smallest_bytes, and head_bytes and tail_bytes as the interpreter records them.
    """
    _load_before_forks()

    content = Path(job["paths"][0]).read_bytes()
    high = _rounded(max(SMALLEST_ARENA, job["first_bytes"]))
    recorded = _trial(content, high)
    while isinstance(recorded, str) and high < LARGEST_ARENA:
        high *= 4
        recorded = _trial(content, high)
    if isinstance(recorded, str):
        return {"error": recorded}
    low = SMALLEST_ARENA
    # What the interpreter records is within 16 bytes for most files, so the search starts beside it.
    for guess in (_rounded(recorded["total"]), _rounded(recorded["total"]) - ARENA_STEP):
        if low < guess < high:
            low, high = (guess, high) if isinstance(_trial(content, guess), str) else (low, guess)
    while high - low > ARENA_STEP:
        middle = _rounded((low + high) // 2)
        low, high = (middle, high) if isinstance(_trial(content, middle), str) else (low, middle)
    return {"smallest_bytes": high, "head_bytes": recorded["head"], "tail_bytes": recorded["tail"]}


def tflm_heads(job: Job) -> Result:
    """What the interpreter makes of each of several files, with an arena that is large enough for any.

    Job: paths. Result: rows, one for each path: head_bytes, or error in the interpreter's words.
    """
    _load_before_forks()

    rows: list[Row] = []
    for path in job["paths"]:
        recorded = _trial(Path(path).read_bytes(), AMPLE_ARENA)
        rows.append({"error": recorded} if isinstance(recorded, str) else {"head_bytes": recorded["head"]})
    return {"rows": rows}


def tflm_run(job: Job) -> Result:
    """The outputs of a file under TFLM with a given arena.

    Job: paths (one), arena_bytes, inputs (raw bytes in base64 for each image, all inputs one behind the other).
    Result: outputs (one per image, the first output's), shape, dtype.
    """
    content = Path(job["paths"][0]).read_bytes()
    outputs: list[str] = []
    result = np.empty(0)
    with _caught_stderr() as read_noise:
        try:
            interpreter = _interpreter(content, job["arena_bytes"])
            for encoded in job["inputs"]:
                _feed(interpreter, content, base64.b64decode(encoded))
                interpreter.invoke()
                result = np.array(interpreter.get_output(0))
                outputs.append(base64.b64encode(result.tobytes()).decode())
        except RuntimeError as exc:
            return {"error": _reason(read_noise(), exc)}
    return {"outputs": outputs, "shape": list(result.shape), "dtype": result.dtype.name}


def tflm_outputs(job: Job) -> Result:
    """All outputs of each of several files on its own inputs, with an arena that is large enough for any.

    Job: paths; inputs_of, for each path a list of raw bytes in base64, all input tensors one behind the other. Result:
    rows, one for each path: outputs (alike), or error in the interpreter's words.
    """
    _load_before_forks()

    rows = zip(job["paths"], job["inputs_of"], strict=True)
    return {"rows": [_outputs_in_fork(Path(path).read_bytes(), inputs) for path, inputs in rows]}


JOBS: dict[str, Callable[[Job], Result]] = {
    "tflm_arena": tflm_arena,
    "tflm_heads": tflm_heads,
    "tflm_outputs": tflm_outputs,
    "tflm_run": tflm_run,
}


def _interpreter(content: bytes, arena_bytes: int) -> Interpreter:
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)


def _load_before_forks() -> None:
    """Loads what a fork needs, which would load it anew each time and take six times as long."""
    from ai_edge_litert import schema_py_generated  # noqa: F401
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401

    random_input((1,), np.dtype("int8"))  # numpy loads its generators with the first one


def _trial(content: bytes, arena_bytes: int) -> dict[str, int] | str:
    """What the interpreter records of the arena in which the file ran, in bytes; what it said if it didn't."""
    with _caught_stderr() as read_noise:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _run_once(content, arena_bytes)
            finally:
                os._exit(code)  # whatever was raised: what follows is the parent's work
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ended = f"a kernel ended in {signal.Signals(-status).name}" if status < 0 else "it failed without a message"
        return _allocations(read_noise()) if status == 0 else _reason(read_noise(), ended)


def _run_once(content: bytes, arena_bytes: int) -> int:
    try:
        interpreter = _interpreter(content, arena_bytes)
        for place in range(_inputs(content)):
            details = interpreter.get_input_details(place)
            interpreter.set_input(random_input(details["shape"], np.dtype(details["dtype"])), place)
        interpreter.invoke()
    except RuntimeError:
        return 1
    interpreter.print_allocations()
    return 0


def _outputs_in_fork(content: bytes, inputs: Sequence[str]) -> Row:
    with tempfile.TemporaryFile() as file, _caught_stderr() as read_noise:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                interpreter = _interpreter(content, AMPLE_ARENA)
                rows = [_fed(interpreter, content, base64.b64decode(text)) for text in inputs]
                file.write(json.dumps([base64.b64encode(row).decode() for row in rows]).encode())
                file.flush()
                code = 0
            finally:
                os._exit(code)  # whatever was raised: what follows is the parent's work
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != 0:
            return {"error": _reason(read_noise(), f"a kernel ended with {status}")}
        file.seek(0)
        return {"outputs": json.loads(file.read())}


def _fed(interpreter: Interpreter, content: bytes, values: bytes) -> bytes:
    """The bytes of all outputs for the bytes of all inputs."""
    _feed(interpreter, content, values)
    interpreter.invoke()
    return b"".join(np.array(interpreter.get_output(k)).tobytes() for k in range(_graph(content).OutputsLength()))


def _feed(interpreter: Interpreter, content: bytes, values: bytes) -> None:
    """Set all inputs from their bytes, one behind the other."""
    start = 0
    for place in range(_inputs(content)):
        details = interpreter.get_input_details(place)
        dtype, shape = np.dtype(details["dtype"]), tuple(details["shape"])
        count = math.prod(shape)
        interpreter.set_input(np.frombuffer(values, dtype, count, start).reshape(shape), place)
        start += count * dtype.itemsize


def _inputs(content: bytes) -> int:
    return int(_graph(content).InputsLength())


def _graph(content: bytes) -> SubGraph:
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(content, 0).Subgraphs(0)


def _allocations(noise: str) -> dict[str, int]:
    rows = [line.split() for line in noise.splitlines() if "Arena allocation" in line]
    return {row[3]: int(row[4]) for row in rows}


def _rounded(size: int) -> int:
    return -(-size // ARENA_STEP) * ARENA_STEP


def _reason(noise: str, otherwise: object) -> str:
    """The first two lines that the interpreter wrote: the cause, and the node it struck."""
    lines = [line.strip().rstrip(".") for line in noise.splitlines() if line.strip()]
    return "; ".join(lines[:2]) or str(otherwise)


@contextmanager
def _caught_stderr() -> Iterator[Callable[[], str]]:
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
        finally:
            os.dup2(saved, 2)
            os.close(saved)


if __name__ == "__main__":
    serve(JOBS)
