"""A .tflite or .onnx file run on arrays in this process, without TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgecut.errors import RunError
from edgecut.export.onnx_graph import onnx_failures
from edgecut.export.readback import read_graph, tensor_specs
from edgecut.records.artifact import TensorSpec
from edgecut.streams import caught_output
from edgecut.tflite.flatbuffer import TfliteGraph

Run = Callable[[np.ndarray], list[np.ndarray]]
Kernels = Literal["default", "plain", "reference"]
LIMIT_S = 300.0
"""How long one run of an .onnx file may take: the loop of a damaged one may have no end."""


class FileRunner:
    """A model file loaded in its runtime: LiteRT for .tflite, ONNX Runtime with default options for .onnx.

    inputs, outputs: as read from the file; one input is expected.
    """

    def __init__(self, path: str | Path, threads: int = 1, kernels: Kernels = "default") -> None:
        """Load the file. Raises SourceError if it can't be read, RunError if its runtime refuses it.

        kernels: "plain" leaves out what the runtime does by itself to be quicker: LiteRT's XNNPACK delegate, ONNX
        Runtime's graph optimizations. "reference" runs a .tflite with LiteRT's plainest kernels. They are nearer to
        TFLM than the default ones, and not equal to it: on 200 CIFAR-10 photos through an int8 ResNet they differed on
        12 (by up to 10 steps of the softmax), the default ones on 109 (by up to 60). What TFLM gives is
        runners/tflm.py: run_tflm.
        """
        self.path = Path(path)
        graph = read_graph(self.path)
        self.inputs, self.outputs = tensor_specs(graph)
        if len(self.inputs) != 1:
            raise RunError(f"{path}: takes {len(self.inputs)} inputs; a file with one input is expected")
        if isinstance(graph, TfliteGraph):
            self._run = _litert(self.path, threads, kernels)
        else:
            self._run = _onnxruntime(self.path, threads, kernels)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The first output in float32, shape (n, ...), for float32 images of shape (n, ...).

        A quantized file's input is quantized with the file's own scale and zero point, its output
        dequantized.
        Raises RunError if the shape doesn't fit, the values aren't finite, or the runtime fails.
        """
        return self.predict_each(x)[0]

    def predict_each(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Every output as `predict` gives the first one."""
        rows = self._rows(x, lambda row: quantize(row, self.inputs[0], str(self.path)))
        return tuple(dequantize(y, spec) for y, spec in zip(rows, self.outputs, strict=True))

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The first output in the file's own dtype, for images (n, ...) in the dtype of its input."""
        return self.predict_raw_each(x)[0]

    def predict_raw_each(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Every output as `predict_raw` gives the first one."""
        if x.dtype.name != self.inputs[0].dtype:
            raise RunError(f"{self.path}: takes {self.inputs[0].dtype}, found an array of {x.dtype.name}")
        return self._rows(x, lambda row: row)

    def _rows(self, x: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, ...]:
        batch, *expected = (1 if size < 0 else size for size in self.inputs[0].shape)
        fits = x.ndim == len(expected) + 1 and x.shape[1:] == tuple(expected)
        if not fits or len(x) % batch:
            raise RunError(f"{self.path}: takes images of shape {(batch, *expected)}, found an array of {x.shape}")
        results: list[np.ndarray] = []
        for start in range(0, len(x), batch):
            outputs = self._run(convert(x[start : start + batch]))
            if not results:
                results = [np.empty((len(x), *y.shape[1:]), y.dtype) for y in outputs]
            for whole, part in zip(results, outputs, strict=True):
                try:
                    whole[start : start + batch] = part
                except ValueError as exc:
                    raise RunError(f"{self.path}: puts out the shape {part.shape} for {batch} images") from exc
        return tuple(results) or tuple(np.empty((0, *s.shape[1:]), s.dtype) for s in self.outputs)


def quantize(x: np.ndarray, spec: TensorSpec, where: str = "input") -> np.ndarray:
    """Float values in the dtype of `spec`, as TFLite's QUANTIZE does it: float32, halves away from zero,
    clipped.

    Without a scale, integers are rounded and clipped alone. Raises RunError, beginning with `where`, for
    values that aren't finite.
    """
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return x.astype(dtype)
    if not np.isfinite(x).all():
        raise RunError(f"{where}: the images hold values that aren't finite, so they can't be quantized")
    scaled = x.astype(np.float32) / np.float32(1.0 if spec.scale is None else spec.scale)
    # In float64, since 0.49999997 + 0.5 is 1 in float32.
    rounded = np.trunc(scaled.astype(np.float64) + np.copysign(0.5, scaled)) + (spec.zero_point or 0)
    limits = np.iinfo(dtype)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def dequantize(y: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Values of an output in float32: scale * (y - zero point), or the values themselves without a scale."""
    if spec.scale is None:
        return y.astype(np.float32)
    return np.float32(spec.scale) * (y.astype(np.int32) - (spec.zero_point or 0)).astype(np.float32)


def first_line(error: BaseException | str) -> str:
    """The first line of a runtime's message that says something, without its full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:300]


def run_session(
    session: Any, outputs: Sequence[str] | None, feeds: Mapping[str, np.ndarray], where: str
) -> list[np.ndarray]:
    """The outputs that an ONNX Runtime session gives (None: all).

    Raises RunError, beginning with `where`, if it fails or takes longer than LIMIT_S.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4  # what fails is told here
    watch = threading.Timer(LIMIT_S, setattr, (options, "terminate", True))
    watch.daemon = True
    watch.start()
    try:
        return list(session.run(outputs, dict(feeds), options))
    except onnx_failures() as exc:
        if options.terminate:
            raise RunError(f"{where}: one run takes over {LIMIT_S:g} s; a loop in the file may have no end") from exc
        raise RunError(f"{where}: ONNX Runtime failed while running it: {first_line(exc)}") from exc
    finally:
        watch.cancel()


def _litert(path: Path, threads: int, kernels: Kernels) -> Run:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = {
        "default": OpResolverType.AUTO,
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "reference": OpResolverType.BUILTIN_REF,
    }[kernels]
    with caught_output() as noise:
        try:
            interpreter = Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=resolver)
            interpreter.allocate_tensors()
            source = interpreter.get_input_details()[0]["index"]
            targets = [details["index"] for details in interpreter.get_output_details()]
        except (RuntimeError, ValueError) as exc:
            text = " ".join(line for line in noise().splitlines() if line.startswith("ERROR"))
            raise RunError(f"{path}: LiteRT can't run it: {first_line(exc)} {text}".rstrip()) from exc

    def run(x: np.ndarray) -> list[np.ndarray]:
        # A stateful model (a variable tensor) starts anew with each image.
        interpreter.reset_all_variables()
        interpreter.set_tensor(source, np.ascontiguousarray(x))
        try:
            interpreter.invoke()
        except RuntimeError as exc:
            raise RunError(f"{path}: LiteRT failed while running it: {first_line(exc)}") from exc
        return [interpreter.get_tensor(target) for target in targets]

    return run


def _onnxruntime(path: Path, threads: int, kernels: Kernels) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if kernels == "plain":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except onnx_failures() as exc:
        raise RunError(f"{path}: ONNX Runtime can't run it: {first_line(exc)}") from exc
    source = session.get_inputs()[0].name
    return lambda x: run_session(session, None, {source: np.ascontiguousarray(x)}, str(path))
