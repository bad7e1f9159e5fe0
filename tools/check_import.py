"""What the importer makes of .onnx files: `python -m tools.check_import FOLDER...` prints a line for each.

A line has the operators, layers, permutes and trainable parameters, the relative error against ONNX Runtime, the
seconds of the import and of Keras loading the same net, the difference after saving and loading, and the peak of memory
beyond TensorFlow's own over the file's size; or why the file is refused. Open sizes are tried at 224. One child process
for each file. Exit code 1 where a float file is refused, is wrong, or reads back otherwise.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

OPEN_SIZE = 224
TIMEOUT_S = 600.0
ERROR = 1e-5
COLUMNS = ("file", "ops", "layers", "permutes", "trainable", "error", "seconds", "keras s", "reload", "peak/file")


def main(arguments: Sequence[str]) -> int:
    """Check all .onnx files below the folders."""
    if arguments[:1] == ["--one"]:
        sys.stdout.write(json.dumps(checked(Path(arguments[1]))))
        return 0
    files = [path for folder in arguments for path in sorted(Path(folder).rglob("*.onnx"))]
    sys.stdout.write("  ".join(COLUMNS) + "\n")
    good, count = 0, 0
    for path in files:
        result = _in_child(path)
        count += not result.get("quantized", False)
        good += result.get("error", 1.0) <= ERROR and result.get("reload") == 0
        sys.stdout.write("  ".join(_cells(path, result)) + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{good} of {count} float files convert with a relative error <= {ERROR:g}\n")
    return 0 if good == count else 1


def checked(path: Path) -> dict[str, Any]:
    """The figures of one file, or {"refused": ...}."""
    from edgecut.errors import EdgecutError
    from edgecut.graph.quiet import import_keras_quietly

    import_keras_quietly()
    import keras
    import numpy as np

    from edgecut.source.onnx import convert, prove, survey

    _warm(keras, np)
    try:
        found = survey(path)
        shapes = {t.name: tuple(s or OPEN_SIZE for s in t.inner_shape) for t in found.inputs}
        before, start = _peak_bytes(), time.perf_counter()
        imported = convert(path, shape=shapes)
        seconds, peak = time.perf_counter() - start, _peak_bytes() - before
        proof = prove(imported, path)
    except EdgecutError as exc:
        return {"refused": str(exc), "quantized": "found" in locals() and found.quantized}
    kinds = [type(operation).__name__ for operation in imported.model.operations]
    loading, difference = _reloaded(imported.model, keras, np)
    return {
        "operators": sum(found.operators.values()),
        "layers": len(kinds),
        "permutes": kinds.count("Permute") + kinds.count("Transpose"),
        "trainable": sum(int(np.prod(w.shape)) for w in imported.model.trainable_weights),
        "error": proof.relative_error,
        "seconds": seconds,
        "keras_seconds": loading,
        "reload": difference,
        "peak": peak / imported.file.size_bytes,
        "quantized": found.quantized,
    }


def _warm(keras: Any, np: Any) -> None:
    """Let TensorFlow take what it takes with the first model that runs."""
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(layers)(np.zeros((4, 8, 8, 3), "float32"))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reloaded(model: Any, keras: Any, np: Any) -> tuple[float, float]:
    """The seconds that Keras takes to build and load the same net, and the largest difference of its outputs."""
    random = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        start = time.perf_counter()
        again = keras.models.load_model(path)
        seconds = time.perf_counter() - start
    x = [random.random((2, *tensor.shape[1:])).astype(tensor.dtype) for tensor in model.inputs]
    x = x if len(x) > 1 else x[0]
    pairs = zip(keras.tree.flatten(model(x)), keras.tree.flatten(again(x)), strict=True)
    return seconds, max(float(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0)) for a, b in pairs)


def _in_child(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.check_import", "--one", str(path)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"refused": f"no end in {TIMEOUT_S:g} s"}
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"refused": f"CRASH: exit {child.returncode}: {last[:300]}"}
    result: dict[str, Any] = json.loads(child.stdout)
    return result


def _cells(path: Path, result: dict[str, Any]) -> Iterator[str]:
    yield path.name
    if "refused" in result:
        yield result["refused"]
        return
    yield from (str(result[key]) for key in ("operators", "layers", "permutes", "trainable"))
    yield f"{result['error']:.1e}"
    yield from (f"{result[key]:.1f}" for key in ("seconds", "keras_seconds"))
    yield f"{result['reload']:g}"
    yield f"{result['peak']:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
