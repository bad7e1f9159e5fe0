"""What edgecut makes of others' files: `python -m tools.check_foreign FOLDER` prints crashes and wrong answers.

Every .tflite, .onnx and .keras file below the folder is inspected, cut, benched; each command is a child process. For a
.tflite file the head of the arena and the verdict on its operators are held against TensorFlow Lite Micro's
interpreter. Minutes for hundreds of files; exit code 1 where anything was found.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx

from edgecut.bench.runners.tflm import interpreter_heads
from edgecut.errors import RunError, SourceError
from edgecut.tflite.arena import planned_bytes
from edgecut.tflite.flatbuffer import TfliteGraph, read
from edgecut.tflite.support import unsupported, verdicts
from edgecut.tflite.support_tables import TFLM_COMMIT

ENDINGS = {".tflite", ".onnx", ".keras", ".h5"}
CRASH = 5  # the exit code of an error that edgecut has no sentence for
DEVICE = "nucleo-l4r5zi-reference"
TIMEOUT_S = 600.0
CHILDREN = 2


def main(arguments: Sequence[str]) -> int:
    """Check the folder that the first argument names."""
    files = sorted(path for path in Path(arguments[0]).rglob("*") if path.suffix in ENDINGS and path.is_file())
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(CHILDREN) as pool:
        numbered = [(path, Path(folder) / str(number)) for number, path in enumerate(files)]
        found = [line for lines in pool.map(lambda pair: list(crashes(*pair)), numbered) for line in lines]
    for path in files:
        found += wrong_answers(path) if path.suffix == ".tflite" else []
    sys.stdout.write("\n".join([*found, f"{len(files)} files, {len(found)} faults", ""]))
    return 1 if found else 0


def crashes(path: Path, out: Path) -> Iterator[str]:
    """A line for each command that ended in a crash, by a signal, or not at all."""
    for words in _commands(path, out):
        try:
            child = subprocess.run(
                [sys.executable, "-m", "edgecut", *words], capture_output=True, text=True, errors="replace",
                timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            yield f"{path}: edgecut {words[0]}: no end in {TIMEOUT_S:g} s"
            continue
        if child.returncode == CRASH or child.returncode < 0:
            last = (child.stderr.strip().splitlines() or ["nothing"])[-1]
            yield f"{path}: edgecut {words[0]}: exit {child.returncode}: {last[:300]}"


def wrong_answers(path: Path) -> list[str]:
    """A line for a head that isn't the interpreter's, and one for a verdict that it contradicts."""
    try:
        graph = read(path)
        head = interpreter_heads([path], TIMEOUT_S)[0]
    except SourceError:
        return []
    except RunError as exc:
        return [f"{path}: the interpreter's child: {exc}"]
    refused = unsupported(verdicts(graph, "tflm", "reference", TFLM_COMMIT))
    if isinstance(head, str):
        return [] if refused else [f"{path}: called supported, and TFLM says: {head}"]
    lines = [f"{path}: runs, and is called unsupported: {verdict.sentence()}" for verdict in refused]
    planned = planned_bytes(graph)
    return lines if planned == head else [*lines, f"{path}: the head is {head} bytes, planned were {planned}"]


def _commands(path: Path, out: Path) -> Iterator[list[str]]:
    yield ["inspect", str(path)]
    if path.suffix in {".keras", ".h5"}:
        yield ["inspect", str(path), "--cuts", "--profile", DEVICE]
        return
    yield ["bench", str(path), "--profile", DEVICE, "--runs", "1", "--warmup", "0", "--timeout", "60"]
    end = _middle(path)
    if end:
        yield ["cut", str(path), "--to", end, "-o", f"{out}{path.suffix}"]


def _middle(path: Path) -> str:
    """The name of a tensor in the middle of a graph, "" where there is none to cut at."""
    from edgecut.runtime.specs import read_graph

    try:
        graph = read_graph(path)
    except SourceError:
        return ""
    if isinstance(graph, TfliteGraph):
        made = [graph.tensors[op.outputs[0]].name for op in graph.operators if op.outputs]
    else:
        nodes = onnx.load(path, load_external_data=False).graph.node
        made = [node.output[0] for node in nodes if node.output and node.output[0]]
    return made[len(made) // 2] if made else ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
