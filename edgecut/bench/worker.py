"""The child process in which files are timed: one JSON job on stdin, one JSON result on stdout.

It never imports TensorFlow, since the same 608 kB file peaks at 42 MiB under LiteRT alone and at 572 MiB beside
TensorFlow. It is also sent to other machines as it stands: so it imports nothing of edgecut, only numpy and a runtime,
and does with Python 3.9. A failure that it can name is {"error": "..."}, with "of", the file's number, where it isn't
the first; a runtime that isn't there is {"missing": "..."}; a crash is the parent's to report.

Every job has "paths", the files. What else it has, and its result, is said at its function; each result also has
"conditions", the machine's state (`machine_state`).
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypedDict

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Invoke = Callable[[], object]


class Job(TypedDict, total=False):
    """What is to be done; which keys a job has is said at its function. inputs: in base64."""

    job: str
    paths: list[str]
    rounds: int
    runs: int
    warmup: int
    threads: int
    seconds: float
    address_bytes: int
    first_bytes: int
    arena_bytes: int
    inputs: list[str]
    inputs_of: list[list[str]]


class Row(TypedDict, total=False):
    """What a result says of one file, or of one operator."""

    wall_s: list[float]
    cpu_s: list[float]
    first_s: float
    error: str
    operator: str
    name: str
    seconds: float
    head_bytes: int
    outputs: list[str]


class Result(TypedDict, total=False):
    """What came of a job; which keys there are is said at its function."""

    rows: list[Row]
    wall_s: list[float]
    cpu_s: list[float]
    first_s: float
    load_s: float
    memory_bytes: int | None
    runtime: str
    version: str
    conditions: State
    error: str
    of: int
    missing: str | None
    smallest_bytes: int
    head_bytes: int
    tail_bytes: int
    outputs: list[str]
    shape: list[int]
    dtype: str


class Clocks(TypedDict):
    """Seconds of wall and of processor time."""

    wall: float
    cpu: float


class State(TypedDict):
    """The machine as it is when files are timed: see `machine_state`."""

    machine: str
    cpu: str
    cores: int | None
    python: str
    load: float | None
    governor: str | None
    pinned_to: list[int] | None
    timer_s: Clocks


class TimedState(State):
    """The same with the first run's seconds, which a latency's conditions have."""

    first_s: float


class Timed(TypedDict):
    """Seconds of each run, and of the first one."""

    wall_s: list[float]
    cpu_s: list[float]
    first_s: float


MIN_RUNS = 5  # of a file whose time is up
ROUNDS_LEAST = 4
LITERT_PACKAGES = (("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime"))


def serve(jobs: Mapping[str, Callable[[Job], Result]]) -> None:
    """Do the job on stdin. What native code prints on stdout goes to stderr: stdout is one document."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as in edgecut/__init__.py, which other machines lack
    result_stream = os.dup(1)
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    if "address_bytes" in job:  # not on another machine
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        least = job["address_bytes"] if most < 0 else min(job["address_bytes"], most)
        resource.setrlimit(resource.RLIMIT_AS, (least, most))
    result: Result
    try:
        result = jobs[job["job"]](job)
    except ModuleNotFoundError as exc:
        result = {"missing": exc.name}
    except (RuntimeError, ValueError) as exc:  # what a runtime says of a file that it doesn't take
        result = {"error": " ".join(str(exc).split()).rstrip(".")[:300]}
    except MemoryError:
        result = {"error": "there isn't enough memory to run it; close other programs, or cut the model smaller"}
    with os.fdopen(result_stream, "w") as stream:
        json.dump(result, stream)


def latency(job: Job) -> Result:
    """Times of single runs of one file on random input of its own shape and dtype.

    Job: paths (one), runs, warmup, threads. Result: wall_s, cpu_s (lists, one per run), first_s (the first run: of
    the warm-up where there is any), load_s, memory_bytes (growth of the peak resident memory over loading and
    running; None where the system doesn't tell), runtime, version, conditions.
    """
    conditions = machine_state(job["threads"])
    prepare, runtime = _load(job["paths"][0], job["threads"])
    gc.collect()
    gc.disable()
    memory = _memory_bytes("VmRSS")
    start = time.perf_counter_ns()
    invoke = prepare()
    load_s = (time.perf_counter_ns() - start) / 1e9
    times = _timed(invoke, job)
    peak = _memory_bytes("VmHWM")
    return {
        "wall_s": times["wall_s"],
        "cpu_s": times["cpu_s"],
        "first_s": times["first_s"],
        "load_s": load_s,
        "memory_bytes": None if memory is None or peak is None else max(0, peak - memory),
        "runtime": runtime,
        "version": _version(runtime),
        "conditions": conditions,
    }


def times(job: Job) -> Result:
    """Times of single runs of each of several files, one after another in this process.

    Job: paths, runs, warmup, threads; seconds (optional: a file's runs end after so long, MIN_RUNS at the least).
    Result: rows, one for each path: wall_s, cpu_s, first_s; or error, why it doesn't run. runtime, version, conditions.
    """
    conditions = machine_state(job["threads"])
    rows: list[Row] = []
    runtime = ""
    gc.disable()
    for path in job["paths"]:
        try:
            prepare, runtime = _load(path, job["threads"])
            row = _timed(prepare(), job)
            rows.append({"wall_s": row["wall_s"], "cpu_s": row["cpu_s"], "first_s": row["first_s"]})
        except (RuntimeError, ValueError) as exc:
            rows.append({"error": str(exc).partition("\n")[0].rstrip(".")})
    return {"rows": rows, "runtime": runtime, "version": _version(runtime), "conditions": conditions}


def interleaved(job: Job) -> Result:
    """Rounds of several files in turn, each turn a fresh process, in reverse order every other round.

    Job: paths, rounds, runs, warmup, threads. Result: rows, one for each path: wall_s and cpu_s, the medians of its
    rounds; runtime, version, conditions.
    """
    conditions = machine_state(job["threads"])
    rows: list[Row] = [{"wall_s": [], "cpu_s": []} for _ in job["paths"]]
    result: Result = {}
    for turn in range(job["rounds"]):
        order = range(len(rows)) if turn % 2 == 0 else reversed(range(len(rows)))
        for k in order:
            result = _in_child({**job, "job": "latency", "paths": [job["paths"][k]]})
            if "error" in result:
                return {"error": result["error"], "of": k}
            if "missing" in result:
                return result
            rows[k]["wall_s"].append(statistics.median(result["wall_s"]))
            rows[k]["cpu_s"].append(statistics.median(result["cpu_s"]))
    return {"rows": rows, "runtime": result["runtime"], "version": result["version"], "conditions": conditions}


def rounds(job: Job) -> Result:
    """The least time of a few runs of each of several files, again and again: all are loaded, and take turns.

    Job: paths, rounds, threads, seconds (no round begins after so long, but for the first ROUNDS_LEAST).
    Result: rows, one for each path: wall_s, cpu_s, one value for each round; or error. runtime, version, conditions.
    """
    conditions = machine_state(job["threads"])
    rows: list[Row] = []
    ready: list[tuple[Invoke, Row]] = []
    runtime = ""
    gc.disable()
    for path in job["paths"]:
        rows.append({"wall_s": [], "cpu_s": []})
        try:
            prepare, runtime = _load(path, job["threads"])
            ready.append((prepare(), rows[-1]))
        except (RuntimeError, ValueError) as exc:
            rows[-1] = {"error": str(exc).partition("\n")[0].rstrip(".")}
    begin = time.perf_counter()
    few: Job = {"runs": 12, "warmup": 1, "threads": job["threads"], "seconds": 0.002}
    for turn in range(job["rounds"]):
        if turn >= ROUNDS_LEAST and time.perf_counter() - begin > job["seconds"]:
            break
        for invoke, row in ready:
            found = _timed(invoke, few)
            row["wall_s"].append(min(found["wall_s"]))
            row["cpu_s"].append(min(found["cpu_s"]))
    return {"rows": rows, "runtime": runtime, "version": _version(runtime), "conditions": conditions}


def onnx_operators(job: Job) -> Result:
    """The median kernel time of each node that ONNX Runtime runs, in the order of their first run.

    Job: paths (one), runs, warmup, threads. Result: rows of operator, name and seconds; conditions.
    """
    conditions = machine_state(job["threads"])
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = job["threads"], True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(job["paths"][0], options, providers=["CPUExecutionProvider"])
        feeds = _onnx_feeds(session)
        for _ in range(job["warmup"] + job["runs"]):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    found: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            key = (event["args"]["op_name"], name.replace("_kernel_time", ""))
            found.setdefault(key, []).append(event["dur"] / 1e6)
    rows: list[Row] = [
        {"operator": operator, "name": name, "seconds": statistics.median(seconds[job["warmup"] :])}
        for (operator, name), seconds in found.items()
    ]
    return {"rows": rows, "conditions": conditions}


JOBS = {job.__name__: job for job in (latency, times, interleaved, rounds, onnx_operators)}


def machine_state(threads: int) -> State:
    """What the times depend on, as it is now; it also pins this process to as many cores as it has threads.

    machine, cpu, cores, python; load (the mean number of running processes over the last minute), governor (of the
    core's frequency), pinned_to (core numbers): None where the system doesn't tell or allow it.
    timer_s: the median wall and processor time that is counted for a call that does nothing, which is in every figure.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    pinned = _pin(threads)
    governor = _text(f"/sys/devices/system/cpu/cpu{pinned[0] if pinned else 0}/cpufreq/scaling_governor")
    empty = _timed(lambda: None, {"runs": 200, "warmup": 20, "threads": threads})
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": load,
        "governor": governor,
        "pinned_to": pinned,
        "timer_s": {"wall": statistics.median(empty["wall_s"]), "cpu": statistics.median(empty["cpu_s"])},
    }


def random_input(shape: Sequence[int] | np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Integers over the dtype's whole range (8 and 16 bits), else floats in -1..1; seeded."""
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.uniform(-1, 1, shape).astype(dtype)
    if dtype.name in {"int8", "uint8", "int16"}:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    # Wider integers are indices as a rule, and 0 and 1 are legal ones nearly everywhere.
    return generator.integers(0, 2, shape).astype(dtype)


def _timed(invoke: Invoke, job: Job) -> Timed:
    """wall_s and cpu_s of each run, first_s of the first one."""
    # The time of this thread alone holds under load; with several threads only the process's time sees them all.
    cpu_clock = time.thread_time_ns if job["threads"] == 1 else time.process_time_ns
    wall_s: list[float] = []
    cpu_s: list[float] = []
    begin = time.perf_counter_ns()
    for _ in range(job["warmup"]):
        invoke()
        if not wall_s:
            wall_s.append((time.perf_counter_ns() - begin) / 1e9)
    first_s = wall_s.pop() if wall_s else None
    limit_ns = job.get("seconds", float("inf")) * 1e9
    begin = time.perf_counter_ns()
    for count in range(job["runs"]):
        cpu_start, start = cpu_clock(), time.perf_counter_ns()
        if count >= MIN_RUNS and start - begin > limit_ns:
            break
        invoke()
        end, cpu_end = time.perf_counter_ns(), cpu_clock()
        wall_s.append((end - start) / 1e9)
        cpu_s.append((cpu_end - cpu_start) / 1e9)
    return {"wall_s": wall_s, "cpu_s": cpu_s, "first_s": wall_s[0] if first_s is None else first_s}


def _in_child(job: Job) -> Result:
    """The result of a job in a process of its own."""
    # -P: a file named numpy.py beside this one must not be imported.
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    command = [sys.executable, *safe, str(Path(__file__).resolve())]
    child = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, errors="replace", check=False
    )
    if child.returncode != 0:
        said = [line.strip() for line in child.stderr.splitlines() if line.strip()]
        return {
            "error": f"the process that ran it ended with {child.returncode}: {said[-1] if said else 'nothing said'}"
        }
    result: Result = json.loads(child.stdout)
    return result


def _load(path: str, threads: int) -> tuple[Callable[[], Invoke], str]:
    """(what loads the file and returns its run, the runtime's package)."""
    if not path.lower().endswith(".tflite"):
        return _onnxruntime(path, threads)
    module, package = _litert()

    def prepare() -> Invoke:
        interpreter = module.Interpreter(path, num_threads=threads)
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], random_input(details["shape"], np.dtype(details["dtype"])))
        run: Invoke = interpreter.invoke
        return run

    return prepare, package


def _litert() -> tuple[ModuleType, str]:
    """LiteRT's Python module and package; small boards may have its forerunner."""
    for name, package in LITERT_PACKAGES:
        try:
            return importlib.import_module(name), package
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(name=LITERT_PACKAGES[0][1])


def _version(package: str) -> str:
    """The package's version, "" where a system's own package doesn't tell."""
    try:
        return importlib.metadata.version(package) if package else ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _onnxruntime(path: str, threads: int) -> tuple[Callable[[], Invoke], str]:
    import onnxruntime

    def prepare() -> Invoke:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = _onnx_feeds(session)
        return lambda: session.run(None, feeds)

    return prepare, "onnxruntime"


def _onnx_feeds(session: InferenceSession) -> dict[str, np.ndarray]:
    feeds = {}
    for node in session.get_inputs():
        name = node.type.replace("tensor(", "").replace(")", "")
        dtype = np.dtype({"float": "float32", "double": "float64", "string": "str"}.get(name, name))
        feeds[node.name] = random_input([d if isinstance(d, int) else 1 for d in node.shape], dtype)
    return feeds


def _pin(threads: int) -> list[int] | None:
    """Ties this process to the fastest cores it may use, among those the least busy; None where that can't be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    khz = {c: int(_text(f"/sys/devices/system/cpu/cpu{c}/cpufreq/cpuinfo_max_freq") or 0) for c in allowed}
    before = _busy_ticks()
    time.sleep(0.05)
    busy = {core: ticks - before.get(core, 0) for core, ticks in _busy_ticks().items()}
    chosen = sorted(sorted(allowed, key=lambda core: (-khz[core], busy.get(core, 0), -core))[:threads])
    try:
        os.sched_setaffinity(0, chosen)
    except OSError:
        return None
    return chosen


def _busy_ticks() -> dict[int, int]:
    """The clock ticks that each core has worked (proc(5): user, nice, system, then idle and iowait)."""
    ticks = {}
    for line in (_text("/proc/stat") or "").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name[3:].isdigit():
            ticks[int(name[3:])] = sum(int(word) for word in rest.split()[:3])
    return ticks


def _cpu_name() -> str:
    lines = [line.partition(":") for line in (_text("/proc/cpuinfo") or "").splitlines()]
    names = {key.strip(): value.strip() for key, _, value in lines}
    return names.get("model name") or names.get("Model") or platform.processor() or platform.machine()


def _memory_bytes(field: str) -> int | None:
    """A field of this process's memory status. getrusage won't do: its peak is inherited from the parent."""
    lines = (_text("/proc/self/status") or "").splitlines()
    line = next((line for line in lines if line.startswith(field + ":")), None)
    return int(line.split()[1]) * 1024 if line else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


if __name__ == "__main__":
    serve(JOBS)
