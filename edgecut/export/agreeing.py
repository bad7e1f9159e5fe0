"""A written file run against what it was made of, before anybody is told that it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import tree

from edgecut.errors import ExportError, GraphError, RunError
from edgecut.export.tflite import convert
from edgecut.graph.calls import calls
from edgecut.graph.proof import call_flat, parts, seeded_inputs, to_array, to_tensor, undisturbed
from edgecut.graph.sentences import LAYER_FAULTS
from edgecut.records.artifact import TensorSpec
from edgecut.records.recipe import Precision
from edgecut.runtime.files import dequantize, quantize
from edgecut.runtime.session import Kernels, Session
from edgecut.runtime.specs import file_format, read_graph, tensor_specs
from edgecut.sandbox.limits import check_array
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.layers import called
from edgecut.whole import scratch_folder

INPUTS = 4
FLOAT_BOUNDS: Mapping[str, float] = {"float32": 1e-3, "float16": 0.1}
"""How far a float output may be off, over its largest value.

Rounding alone was at most 1e-5 in float32 files of the real models. What 8 bits cost is judged on images by who asks
for it (budgets, explain, auto): of a quantized file only what no rounding does is refused, see _fault.
"""
SAME = 1 / 16
"""Of an output's range: what its source must vary by before a quantized output that never varies is a fault."""

NOT_FINITE = "isn't finite"

Arrays = Sequence[np.ndarray]
Results = tuple[list[np.ndarray], tuple[TensorSpec, ...]]
"""Each output of a file over k inputs, (k, ...), and what the file says of it."""


def converted(saved_model: Path, model: keras.Model, precision: Precision, calibration: Arrays | None = None) -> bytes:
    """The TFLite file that tflite.convert makes, run against the model; raises as that and check_against_model do."""
    content = convert(saved_model, model, precision, calibration)
    check_against_model(content, model, precision, calibration)
    return content


def check_against_model(
    content: bytes, model: keras.Model, precision: Precision, calibration: Arrays | None = None
) -> None:
    """Run a .tflite file of a model on a few of its calibration inputs, or on seeded ones.

    Raises ExportError if its runtime refuses it, or if an output has another shape, isn't finite where the model's is,
    or is off by more than rounding can make it.
    """
    arrays = seeded_inputs(model.inputs, count=INPUTS) if calibration is None else calibration
    inputs = [np.asarray(x[:INPUTS]) for x in arrays]
    fed = [x[:, None] for x in inputs]
    names = [tensor._keras_history.operation.name for tensor in model.outputs]
    with scratch_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(content)
        results = _run(path, fed)
        at_once = _answers_at_once(model, inputs)
        if at_once is None or any(_faults(results, at_once, precision)):
            _refuse(path, fed, _faults(results, _answers_by_row(model, inputs), precision), names, precision)


def check_against_file(path: Path, source: Path, precision: Precision, inputs: Arrays | None = None) -> None:
    """Run an .onnx file against the file of the same inputs that it was made of; raises as check_against_model does.

    inputs: for each input an array (k, batch, ...) of real values, else seeded ones. ONNX Runtime computes without its
    optimizations, whose faults are told apart (onnx_fusion.py).
    """
    fed = _seeded(source) if inputs is None else inputs
    expected, specs = _run(source, fed)
    names = [spec.name for spec in specs]
    _refuse(path, fed, _faults(_run(path, fed), expected, precision), names, precision)


def _answers_at_once(model: keras.Model, inputs: Arrays) -> list[np.ndarray] | None:
    """Each output of a model for inputs (k, ...), (k, ...), from one call, or as few as its values have room in.

    The file took them one by one: if it agrees, the model's rows don't mix either. None of a model that takes one row
    at a time, and of an output that is the same for all, which may be mixed of them.
    """
    if any(tensor.shape[:1] != (None,) for tensor in model.inputs):
        return None
    try:
        answers = [_answers(model, part) for part in parts(calls(model), inputs)]
    except (GraphError, *LAYER_FAULTS):
        return None
    if any(not answer.shape[:1] for part in answers for answer in part):
        return None
    outputs = [np.concatenate(column) for column in zip(*answers, strict=True)]
    return outputs if all((y != y[:1]).any() for y in outputs) else None


def _answers_by_row(model: keras.Model, inputs: Arrays) -> list[np.ndarray]:
    """Each output of a model for inputs (k, ...), (k, 1, ...), from a call for each row."""
    answers = [_answers(model, [x[k : k + 1] for x in inputs]) for k in range(len(inputs[0]))]
    return [np.stack(column) for column in zip(*answers, strict=True)]


def _answers(model: keras.Model, inputs: Arrays) -> list[np.ndarray]:
    values = [to_tensor(value, tensor) for value, tensor in zip(inputs, model.inputs, strict=True)]
    with undisturbed(model):
        return [to_array(y) for y in tree.flatten(call_flat(model, values))]


def _seeded(source: Path) -> list[np.ndarray]:
    """Real values for each input of a file, (k, batch, ...): all that an integer one with a scale can stand for."""
    random = np.random.default_rng(0)
    fed: list[np.ndarray] = []
    for spec in tensor_specs(read_graph(source))[0]:
        shape = (INPUTS, *(max(1, size) for size in spec.shape))
        check_array(f"{source}: the input {spec.name!r}", shape)
        if spec.scale is not None:
            limits = np.iinfo(spec.dtype)
            fed.append(spec.scale * (random.integers(limits.min, limits.max, shape) - (spec.zero_point or 0)))
        else:
            fed.append(random.uniform(-1, 1, shape) if "float" in spec.dtype else random.integers(0, 2, shape))
    return fed


def _run(path: Path, fed: Arrays) -> Results:
    """Each output of k runs as real values, (k, ...), for inputs (k, batch, ...); and what the file says of them."""
    _, outputs = tensor_specs(read_graph(path))
    try:
        results = _results(path, fed, "default" if file_format(path) == "tflite" else "plain")
    except RunError as exc:
        try:
            # LiteRT 2.3's XNNPACK frees memory twice on some int8 files with gates, which its own kernels and TFLM
            # run: such a file is right, and bench, build and verify say which runtime dies of it.
            results = _results(path, fed, "plain")
        except RunError:
            raise ExportError(f"export: nothing is written, since the file can't be run: {exc}") from exc
    return [dequantize(y, spec) if spec.scale else y for y, spec in zip(results, outputs, strict=True)], outputs


def _results(path: Path, fed: Arrays, kernels: Kernels) -> list[np.ndarray]:
    """Each output as the file has it, (k, ...), by these kernels of its runtime."""
    inputs, _ = tensor_specs(read_graph(path))
    session = Session(path, file_format(path), path.name, kernels=kernels)
    keys = zip(session.inputs, inputs, fed, strict=True)
    return session.run_each({key: quantize(x, spec) for key, spec, x in keys}, session.outputs)


def _faults(results: Results, expected: Arrays, precision: Precision) -> list[str]:
    """What is wrong with each output of a file, "" for what isn't."""
    return [_fault(*each, precision) for each in zip(results[0], expected, results[1], strict=True)]


def _refuse(path: Path, fed: Arrays, faults: Sequence[str], names: Sequence[str], precision: Precision) -> None:
    """Raise ExportError for the first output with a fault."""
    for name, fault in zip(names, faults, strict=True):
        if fault:
            layer = _first_not_finite(path, fed) if fault.startswith(NOT_FINITE) else ""
            cut = f", from {layer} on; cut before it" if layer else "; cut the model at an earlier layer"
            raise ExportError(
                f"export: nothing is written, since the {precision} {path.suffix[1:]} file computes something else "
                f"than its source: output {name!r} {fault}{cut}"
            )


def _fault(own: np.ndarray, source: np.ndarray, spec: TensorSpec, precision: Precision) -> str:
    """What is wrong with an output, (k, ...) over k inputs, beside its source's; "" if nothing is.

    A quantized output is refused if it is off by more than its whole range, which clipping alone never makes of a
    calibrated one, or if it is the same for all inputs while its source's varies by SAME of that range.
    """
    a, b = own.astype("float64"), source.astype("float64")
    if a.size != b.size:
        return f"has the shape {own.shape[1:]}, where {source.shape[1:]} was expected"
    a, finite = a.reshape(b.shape), np.isfinite(b)
    if not np.isfinite(a[finite]).all():
        return f"{NOT_FINITE} on {len(b)} inputs"
    if source.dtype.kind != "f":
        # A whole number flips where two scores are nearly equal.
        return "is another number for more than half of its elements" if a.size and np.mean(a != b) > 0.5 else ""
    a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    largest = max(float(np.abs(b).max(initial=0.0)), 1e-6)
    reach = 2 * largest if spec.scale is None else spec.scale * float(np.ptp([*_limits(spec)]))
    error = float(np.abs(a - b).max(initial=0.0))
    limit = largest * FLOAT_BOUNDS[precision] if precision in FLOAT_BOUNDS else reach
    if error > limit:
        return (
            f"is off by {error:.3g} on {len(b)} inputs, where {limit:.3g} is let pass and {largest:.3g} is its largest"
        )
    varied = float(np.ptp(b, axis=0).max(initial=0.0))
    if precision not in FLOAT_BOUNDS and varied > SAME * reach and not np.ptp(a, axis=0).any():
        return f"is the same for all of {len(b)} inputs, where its source's varies by {varied:.3g}"
    return ""


def _limits(spec: TensorSpec) -> tuple[int, int]:
    limits = np.iinfo(spec.dtype)
    return limits.min, limits.max


def _first_not_finite(path: Path, fed: Arrays) -> str:
    """The first operator of a .tflite file that makes of finite numbers something else, "" if it isn't known."""
    if file_format(path) != "tflite":
        return ""
    graph = read(path)
    specs, _ = tensor_specs(graph)
    try:
        session = Session(path, "tflite", path.name, kernels="plain", whole=True)
        for row in zip(*fed, strict=True):
            feeds = {key: quantize(x, spec) for key, spec, x in zip(session.inputs, specs, row, strict=True)}
            session.run(feeds, ())
            for operator in graph.operators:
                floats = [i for i in operator.outputs if graph.tensors[i].dtype == "float32"]
                if not all(np.isfinite(values).all() for values in session.read(floats)):
                    return called(graph, operator)
    except RunError:
        return ""
    return ""
