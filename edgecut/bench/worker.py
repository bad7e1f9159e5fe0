"""The child process in which files are measured: one JSON job on stdin, one JSON result on stdout.

`python -m edgecut.bench.worker`. It never imports TensorFlow, since the same 608 kB file peaks at 42 MiB
under LiteRT alone and at 572 MiB beside TensorFlow. A failure that it can name is {"error": "..."}; a crash
is the parent's to report.
"""

from __future__ import annotations

import base64
import gc
import importlib.metadata
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Job = Mapping[str, Any]

# The interpreter crashes instead of failing with 200 bytes or less.
SMALLEST_ARENA, LARGEST_ARENA, ARENA_STEP = 256, 2**30, 16


def main() -> None:
    """Do the job on stdin. What native code prints on stdout goes to stderr: stdout is one document."""
    result_stream = os.dup(1)
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    result = JOBS[job["job"]](job)
    with os.fdopen(result_stream, "w") as stream:
        json.dump(result, stream)


def latency(job: Job) -> dict[str, Any]:
    """Times of single runs of a file on random input of its own shape and dtype.

    Job: path, runs, warmup, threads. Result: wall_s, cpu_s (lists, one per run), load_s, memory_bytes (growth
    of the peak resident memory over loading and running; None where the system doesn't tell), runtime,
    version.
    """
    load = _litert if job["path"].lower().endswith(".tflite") else _onnxruntime
    prepare, runtime = load(job)
    gc.collect()
    gc.disable()
    memory = _memory_bytes("VmRSS")
    start = time.perf_counter_ns()
    invoke = prepare()
    load_s = (time.perf_counter_ns() - start) / 1e9
    for _ in range(job["warmup"]):
        invoke()
    # The time of this thread alone holds under load; with several threads only the process's time sees them
    # all.
    cpu_clock = time.thread_time_ns if job["threads"] == 1 else time.process_time_ns
    wall_s, cpu_s = [], []
    for _ in range(job["runs"]):
        cpu_start, start = cpu_clock(), time.perf_counter_ns()
        invoke()
        end, cpu_end = time.perf_counter_ns(), cpu_clock()
        wall_s.append((end - start) / 1e9)
        cpu_s.append((cpu_end - cpu_start) / 1e9)
    peak = _memory_bytes("VmHWM")
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "load_s": load_s,
        "memory_bytes": None if memory is None or peak is None else max(0, peak - memory),
        "runtime": runtime,
        "version": importlib.metadata.version(runtime),
    }


def parts(job: Job) -> dict[str, Any]:
    """The median processor time of each of several files.

    Job: paths, runs, warmup, threads. Result: rows, one for each path: seconds, or None and a reason.
    """
    rows: list[dict[str, Any]] = []
    for path in job["paths"]:
        try:
            rows.append({"seconds": statistics.median(latency({**job, "path": path})["cpu_s"])})
        except (RuntimeError, ValueError) as exc:
            rows.append({"seconds": None, "reason": str(exc).partition("\n")[0].rstrip(".")})
    return {"rows": rows}


def onnx_operators(job: Job) -> dict[str, Any]:
    """The median kernel time of each node that ONNX Runtime runs, in the order of their first run.

    Job: path, runs, warmup, threads. Result: rows of operator, name and seconds.
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = job["threads"], True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(job["path"], options, providers=["CPUExecutionProvider"])
        feeds = _onnx_feeds(session)
        for _ in range(job["warmup"] + job["runs"]):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            key = (event["args"]["op_name"], name.removesuffix("_kernel_time"))
            times.setdefault(key, []).append(event["dur"] / 1e6)
    return {
        "rows": [
            {"operator": operator, "name": name, "seconds": statistics.median(found[job["warmup"] :])}
            for (operator, name), found in times.items()
        ]
    }


def tflm_arena(job: Job) -> dict[str, Any]:
    """The smallest arena, a multiple of 16 bytes, with which TFLM constructs and invokes a file.

    Job: path, first_bytes (an arena to start from). Each trial is a fork, since failed constructors leak and
    kernels abort. Result: smallest_bytes, and head_bytes and tail_bytes as the interpreter records them.
    """
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401 (once here, not once in every fork)

    content = Path(job["path"]).read_bytes()
    high = _rounded(max(SMALLEST_ARENA, job["first_bytes"]))
    message = _trial(content, high)
    while message is not None and high < LARGEST_ARENA:
        high *= 4
        message = _trial(content, high)
    if message is not None:
        return {"error": message}
    recorded, low = _recorded_bytes(content, high), SMALLEST_ARENA
    # What the interpreter records is within 16 bytes for most files, so the search starts beside it.
    for guess in (_rounded(recorded["total"]), _rounded(recorded["total"]) - ARENA_STEP):
        if low < guess < high:
            low, high = (low, guess) if _trial(content, guess) is None else (guess, high)
    while high - low > ARENA_STEP:
        middle = _rounded((low + high) // 2)
        low, high = (low, middle) if _trial(content, middle) is None else (middle, high)
    return {"smallest_bytes": high, "head_bytes": recorded["head"], "tail_bytes": recorded["tail"]}


def tflm_run(job: Job) -> dict[str, Any]:
    """The outputs of a file under TFLM with a given arena.

    Job: path, arena_bytes, inputs (raw bytes in base64, one per image, in the file's dtype). Result: outputs
    (alike, the first output's), shape, dtype.
    """
    content = Path(job["path"]).read_bytes()
    outputs: list[str] = []
    result = np.empty(0)
    with _caught_stderr() as read_noise:
        try:
            interpreter = _interpreter(content, job["arena_bytes"])
            details = interpreter.get_input_details(0)
            for encoded in job["inputs"]:
                x = np.frombuffer(base64.b64decode(encoded), details["dtype"]).reshape(details["shape"])
                interpreter.set_input(x, 0)
                interpreter.invoke()
                result = np.array(interpreter.get_output(0))
                outputs.append(base64.b64encode(result.tobytes()).decode())
        except RuntimeError as exc:
            return {"error": _reason(read_noise(), exc)}
    return {"outputs": outputs, "shape": list(result.shape), "dtype": result.dtype.name}


JOBS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "latency": latency,
    "parts": parts,
    "onnx_operators": onnx_operators,
    "tflm_arena": tflm_arena,
    "tflm_run": tflm_run,
}


def _litert(job: Job) -> tuple[Callable[[], Callable[[], Any]], str]:
    from ai_edge_litert.interpreter import Interpreter

    def prepare() -> Callable[[], Any]:
        interpreter = Interpreter(job["path"], num_threads=job["threads"])
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], _random(details["shape"], np.dtype(details["dtype"])))
        return interpreter.invoke

    return prepare, "ai-edge-litert"


def _onnxruntime(job: Job) -> tuple[Callable[[], Callable[[], Any]], str]:
    import onnxruntime

    def prepare() -> Callable[[], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        session = onnxruntime.InferenceSession(job["path"], options, providers=["CPUExecutionProvider"])
        feeds = _onnx_feeds(session)
        return lambda: session.run(None, feeds)

    return prepare, "onnxruntime"


def _onnx_feeds(session: Any) -> dict[str, np.ndarray]:
    return {
        node.name: _random([d if isinstance(d, int) else 1 for d in node.shape], _onnx_dtype(node.type))
        for node in session.get_inputs()
    }


def _onnx_dtype(text: str) -> np.dtype:
    name = text.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(name, name))


def _random(shape: Any, dtype: np.dtype) -> np.ndarray:
    """Integers over the dtype's whole range (8 bits), else floats in -1..1; seeded."""
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.uniform(-1, 1, shape).astype(dtype)
    if dtype.name in {"int8", "uint8", "int16"}:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    # Wider integers are indices as a rule, and 0 and 1 are legal ones nearly everywhere.
    return generator.integers(0, 2, shape).astype(dtype)


def _memory_bytes(field: str) -> int | None:
    """A field of this process's memory status. getrusage won't do: its peak is inherited from the parent."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith(field + ":")), None)
    return int(line.split()[1]) * 1024 if line else None


def _interpreter(content: bytes, arena_bytes: int) -> Any:
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)


def _trial(content: bytes, arena_bytes: int) -> str | None:
    """None if the file runs in the arena, else what the interpreter said."""
    with _caught_stderr() as read_noise:
        pid = os.fork()
        if pid == 0:
            os._exit(_run_once(content, arena_bytes))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ended = f"a kernel ended in {signal.Signals(-status).name}" if status < 0 else "it failed without a message"
        return None if status == 0 else _reason(read_noise(), ended)


def _run_once(content: bytes, arena_bytes: int) -> int:
    try:
        interpreter = _interpreter(content, arena_bytes)
        details = interpreter.get_input_details(0)
        interpreter.set_input(_random(details["shape"], np.dtype(details["dtype"])), 0)
        interpreter.invoke()
    except RuntimeError:
        return 1
    return 0


def _recorded_bytes(content: bytes, arena_bytes: int) -> dict[str, int]:
    with _caught_stderr() as read_noise:
        _interpreter(content, arena_bytes).print_allocations()
        rows = [line.split() for line in read_noise().splitlines() if "Arena allocation" in line]
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
    main()
