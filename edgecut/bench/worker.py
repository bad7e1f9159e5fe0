"""The child process in which files are timed: one JSON job on stdin, one JSON result on stdout.

It never imports TensorFlow, since the same 608 kB file peaks at 42 MiB under LiteRT alone and at 572 MiB beside
TensorFlow. It is also sent to other machines, with those that runners/sent.py lists: so these import nothing else of
edgecut, only numpy and a runtime, and do with Python 3.9. A failure that it can name is {"error": "..."}, with "of",
the file's number, where it isn't the first; a runtime that isn't there is {"missing": "..."}; a crash is the parent's
to report.

Every job has "paths", the files. What else it has, and its result, is said at its function; each result also has
"conditions", the machine's state (`machine_state`).
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.litert_profile import profiled, same_order
from edgecut.bench.machine_state import machine_state, memory_bytes
from edgecut.bench.runtimes import load, onnx_feeds, version
from edgecut.bench.timed import Invoke, timed

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result, Row

ROUNDS_LEAST = 4


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
    prepare, runtime = load(job["paths"][0], job["threads"])
    gc.collect()
    gc.disable()
    memory = memory_bytes("VmRSS")
    start = time.perf_counter_ns()
    invoke = prepare()
    load_s = (time.perf_counter_ns() - start) / 1e9
    times = timed(invoke, job)
    peak = memory_bytes("VmHWM")
    return {
        "wall_s": times["wall_s"],
        "cpu_s": times["cpu_s"],
        "first_s": times["first_s"],
        "load_s": load_s,
        "memory_bytes": None if memory is None or peak is None else max(0, peak - memory),
        "runtime": runtime,
        "version": version(runtime),
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
            prepare, runtime = load(path, job["threads"])
            row = timed(prepare(), job)
            rows.append({"wall_s": row["wall_s"], "cpu_s": row["cpu_s"], "first_s": row["first_s"]})
        except (RuntimeError, ValueError) as exc:
            rows.append({"error": str(exc).partition("\n")[0].rstrip(".")})
    return {"rows": rows, "runtime": runtime, "version": version(runtime), "conditions": conditions}


def interleaved(job: Job) -> Result:
    """Rounds of several files in turn, each turn a fresh process, in reverse order every other round.

    Job: paths, rounds, runs, warmup, threads; ticks (optional). Result: rows, one for each path: wall_s and cpu_s, the
    medians of its rounds; runtime, version, conditions.
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
        if "ticks" in job:
            with open(job["ticks"], "ab") as ticks:
                ticks.write(b".")
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
            prepare, runtime = load(path, job["threads"])
            ready.append((prepare(), rows[-1]))
        except (RuntimeError, ValueError) as exc:
            rows[-1] = {"error": str(exc).partition("\n")[0].rstrip(".")}
    begin = time.perf_counter()
    few: Job = {"runs": 12, "warmup": 1, "threads": job["threads"], "seconds": 0.002}
    for turn in range(job["rounds"]):
        if turn >= ROUNDS_LEAST and time.perf_counter() - begin > job["seconds"]:
            break
        for invoke, row in ready:
            found = timed(invoke, few)
            row["wall_s"].append(min(found["wall_s"]))
            row["cpu_s"].append(min(found["cpu_s"]))
    return {"rows": rows, "runtime": runtime, "version": version(runtime), "conditions": conditions}


def onnx_operators(job: Job) -> Result:
    """The median kernel time of each node that ONNX Runtime runs, in the order of their first run.

    Job: paths (one), runs, warmup, threads. Result: rows of operator, name and seconds; wall_s, of the whole file in
    runs without the profiler; conditions.
    """
    conditions = machine_state(job["threads"])
    import onnxruntime

    wall_s = _whole(job)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = job["threads"], True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(job["paths"][0], options, providers=["CPUExecutionProvider"])
        feeds = onnx_feeds(session)
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
    return {"rows": rows, "wall_s": wall_s, "conditions": conditions}


def litert_operators(job: Job) -> Result:
    """The median time of each operator that LiteRT and its XNNPACK run, in their order, in whole microseconds.

    Job: paths (one), runs, warmup, threads. Result: rows of operator, seconds, and node, the operator's number in the
    file where LiteRT itself ran it; wall_s, of the whole file in runs without the profiler; conditions.
    """
    conditions = machine_state(job["threads"])
    wall_s = _whole(job)
    file = profiled(job["paths"][0], job["threads"])
    for _ in range(job["warmup"]):
        file.events()
    rows: list[Row] = []
    for event, seconds in same_order([file.events() for _ in range(job["runs"])]):
        rows.append({"operator": event.name, "seconds": statistics.median(seconds)})
        if event.node is not None:
            rows[-1]["node"] = event.node
    return {"rows": rows, "wall_s": wall_s, "conditions": conditions}


JOBS = {job.__name__: job for job in (latency, times, interleaved, rounds, onnx_operators, litert_operators)}


def _whole(job: Job) -> list[float]:
    """The wall times of the whole file."""
    prepare, _ = load(job["paths"][0], job["threads"])
    return timed(prepare(), job)["wall_s"]


def _in_child(job: Job) -> Result:
    """The result of a job in a process of its own."""
    # -P: a file named numpy.py beside this one must not be imported.
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    archive = Path(__file__).resolve().parents[2]  # a file on another machine, which runners/sent.py made
    command = [sys.executable, *safe, *([str(archive)] if archive.is_file() else ["-m", "edgecut.bench.worker"])]
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


if __name__ == "__main__":
    serve(JOBS)
