"""The child process in which model files are run: it answers a message (sandbox/wire.py) on stdin by one on stdout.

A file stays open under its number until a message closes it. What the runtimes write goes to stderr. A failure that
can be named is {"error": "..."}; whatever else happens ends the process, and sandbox/child.py says of what.
It imports no more than it needs, since every command that runs a file starts one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.runtime.onnx_trace import exposed, traced
from edgecut.sandbox.confined import limit_address_space, limited
from edgecut.sandbox.wire import Header, receive, send

Key = str | int
"""A tensor: its index in a .tflite file, its name in an .onnx file."""
_ML_DTYPES = 2  # what numpy's isbuiltin says of a type that another package has registered
_KEEPS_NONE = "ONNX Runtime keeps no tensors after a run"
Run = Callable[[Mapping[Key, np.ndarray], Sequence[Key]], list[np.ndarray]]


@dataclass(frozen=True)
class OpenFile:
    """A file in its runtime. run: feeds and what to fetch -> arrays. read: tensors as the last run left them.

    extremes: their least and largest elements, (tensors, 2).
    """

    inputs: Sequence[Key]
    outputs: Sequence[Key]
    run: Run
    read: Callable[[Sequence[Key]], list[np.ndarray]]
    extremes: Callable[[Sequence[Key]], np.ndarray]


def main() -> None:
    """Answer until stdin ends."""
    stdin, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    files: dict[int, OpenFile] = {}
    while (message := receive(stdin)) is not None:
        header, arrays = message
        for number in header["close"]:
            files.pop(number, None)
        try:
            send(answers, *_answer(header, arrays, files))
        except MemoryError:
            send(answers, {"memory": True})
        except (IndexError, KeyError, NotImplementedError, OverflowError, RuntimeError, TypeError, ValueError) as exc:
            send(answers, {"error": str(exc) or type(exc).__name__})


def onnx_failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises on a model that it refuses or can't finish."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))


def _answer(
    header: Header, arrays: list[np.ndarray], files: dict[int, OpenFile]
) -> tuple[Header, Sequence[np.ndarray]]:
    if header["do"] == "open":
        limit_address_space(header["address_bytes"])
        with limited(header["seconds"]):
            content = arrays[0].tobytes() if arrays else None
            file = files[header["file"]] = _load(header, content)
        return {"inputs": file.inputs, "outputs": file.outputs}, ()
    if header["do"] == "onnx":
        from edgecut.runtime.onnx_native import answer_of

        limit_address_space(header["address_bytes"])
        with limited(header["seconds"]):
            return answer_of(header, arrays[0].tobytes())
    if header["do"] == "trace":
        limit_address_space(header["address_bytes"])
        with limited(header["seconds"] * (1 + len(header["inputs"]))):
            return traced(header, (*onnx_failures(), RuntimeError, TypeError, ValueError))
    file = files[header["file"]]
    if header["do"] == "read":
        return {}, file.read(header["fetch"])
    if header["do"] == "extremes":

        def extremes(feeds: Mapping[Key, np.ndarray], keys: Sequence[Key]) -> list[np.ndarray]:
            file.run(feeds, ())
            return [file.extremes(keys)]

        return {}, _runs(extremes, header, arrays)
    return {}, _runs(file.run, header, arrays)


def _runs(run: Run, header: Header, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Each array that a run gives over all runs, (runs, ...); the feeds are stacked alike."""
    results: list[np.ndarray] = []
    parent = os.getppid()
    for k in range(header["runs"]):
        if os.getppid() != parent:
            sys.exit("nobody waits for the answer any more")
        feeds = {key: array[k, ...] for key, array in zip(header["feeds"], arrays, strict=True)}
        with limited(header["seconds"]):
            values = run(feeds, header["fetch"])
        if not results:
            # Rows of objects are texts of different lengths.
            results = [np.empty((header["runs"], *np.shape(value)), _stacked_dtype(value)) for value in values]
        for whole, value in zip(results, values, strict=True):
            if whole.shape[1:] != value.shape:
                raise ValueError(f"it puts out the shape {value.shape} after {whole.shape[1:]}")
            whole[k] = value
    return results


def _stacked_dtype(value: object) -> np.dtype:
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(f"it puts out a {type(value).__name__}, and a tensor is expected")
    return np.dtype(object) if value.dtype.kind in "SU" else value.dtype


def _load(header: Header, content: bytes | None) -> OpenFile:
    opener = _litert if header["format"] == "tflite" else _onnxruntime
    return opener(header["path"] if content is None else content, header)


def _litert(model: str | bytes, header: Header) -> OpenFile:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = {
        "default": OpResolverType.AUTO,
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "reference": OpResolverType.BUILTIN_REF,
    }[header["kernels"]]
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    interpreter = Interpreter(
        **source,
        num_threads=header["threads"],
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=header["whole"],
    )
    interpreter.allocate_tensors()

    def run(feeds: Mapping[Key, np.ndarray], fetch: Sequence[Key]) -> list[np.ndarray]:
        # A stateful model (a variable tensor) starts anew with each run.
        interpreter.reset_all_variables()
        for index, array in feeds.items():
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return read(fetch)

    def read(fetch: Sequence[Key]) -> list[np.ndarray]:
        return [interpreter.get_tensor(index) for index in fetch]

    def extremes(keys: Sequence[Key]) -> np.ndarray:
        # Looked at where they are: no view may be left when the interpreter runs again.
        return np.asarray([_least_and_largest(interpreter.tensor(index)()) for index in keys]).reshape(-1, 2)

    inputs = [int(details["index"]) for details in interpreter.get_input_details()]
    outputs = [int(details["index"]) for details in interpreter.get_output_details()]
    return OpenFile(inputs, outputs, run, read, extremes)


def _least_and_largest(values: np.ndarray) -> tuple[np.generic | float, np.generic | float]:
    """nan, twice, where one is nan; 0, twice, of nothing."""
    return (values.min(), values.max()) if values.size else (0.0, 0.0)


def _onnxruntime(model: str | bytes, header: Header) -> OpenFile:
    import onnxruntime

    failures = onnx_failures()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = header["threads"]
    options.log_severity_level = 4  # what fails is told in the answer
    if header["kernels"] == "plain":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        if header["expose"]:
            session = exposed(str(model), header["expose"], options)
        else:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except failures as exc:
        raise RuntimeError(str(exc)) from exc
    run_options = onnxruntime.RunOptions()
    run_options.log_severity_level = 4

    def run(feeds: Mapping[Key, np.ndarray], fetch: Sequence[Key]) -> list[np.ndarray]:
        strange = [array.dtype.name for array in feeds.values() if array.dtype.isbuiltin == _ML_DTYPES]
        if strange:
            raise TypeError(f"it takes {strange[0]}, which can't be given to it from Python")
        try:
            return list(session.run(list(fetch), dict(feeds), run_options)) if fetch else []
        except failures as exc:
            raise RuntimeError(str(exc)) from exc

    def read(fetch: Sequence[Key]) -> list[np.ndarray]:
        raise NotImplementedError(_KEEPS_NONE)

    def extremes(keys: Sequence[Key]) -> np.ndarray:
        raise NotImplementedError(_KEEPS_NONE)

    inputs, outputs = ([node.name for node in nodes] for nodes in (session.get_inputs(), session.get_outputs()))
    return OpenFile(inputs, outputs, run, read, extremes)


if __name__ == "__main__":
    main()
