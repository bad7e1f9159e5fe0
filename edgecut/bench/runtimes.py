"""Files loaded by the runtimes that a machine has, ready to be run on random input."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from edgecut.bench.timed import Invoke

LITERT_PACKAGES = (("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime"))


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


def load(path: str, threads: int) -> tuple[Callable[[], Invoke], str]:
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


def version(package: str) -> str:
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
        feeds = onnx_feeds(session)
        return lambda: session.run(None, feeds)

    return prepare, "onnxruntime"


def onnx_feeds(session: InferenceSession) -> dict[str, np.ndarray]:
    """Random input by name; a size that the file leaves open is 1."""
    feeds = {}
    for node in session.get_inputs():
        name = node.type.replace("tensor(", "").replace(")", "")
        dtype = np.dtype({"float": "float32", "double": "float64", "string": "str"}.get(name, name))
        feeds[node.name] = random_input([d if isinstance(d, int) else 1 for d in node.shape], dtype)
    return feeds
