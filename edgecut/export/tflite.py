"""A Keras model to TFLite, through one SavedModel with batch 1 and named inputs and outputs."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from edgecut.errors import ExportError, RequestError
from edgecut.export.converter import Converter, converter_of, read_graph_def, run_converter
from edgecut.graph.proof import call_flat
from edgecut.graph.traced import NO_BIAS, is_recurrent, traced_for_tflite, unrolled
from edgecut.records.precision import needs_images
from edgecut.records.recipe import Precision
from edgecut.streams import caught_output
from edgecut.tflite.flatbuffer import name_io, parse
from edgecut.tflite.patch import constant, patched


def write_saved_model(model: keras.Model, folder: Path, *, loops: bool = True) -> None:
    """Write a SavedModel with batch 1, signature inputs named as the model's and outputs "output" or "output_k".

    loops: whether recurrent layers may be loops, through which TensorFlow's calibration crashes.
    Raises RequestError if a height or width is open, ExportError if Keras can't export the model, OSError if the disk
    is full.
    """
    specs = []
    for name, tensor in zip(input_names(model), model.inputs, strict=True):
        if any(size is None for size in tensor.shape[1:]):
            own_name, remedy = tensor._keras_history.operation.name, _remedy(tensor.shape)
            raise RequestError(f"export: input {own_name!r} has the open shape {tuple(tensor.shape)}; {remedy}")
        specs.append(tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name))

    def serve(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        results = call_flat(model, inputs)
        return dict(zip(output_names(model), tree.flatten(results), strict=True))

    with caught_output() as noise:
        try:
            with nullcontext() if loops else unrolled(model), traced_for_tflite():
                function = tf.function(serve, input_signature=specs).get_concrete_function()
            # Twice, as Keras' own export does: what the converter calls the outputs depends on it.
            signatures = {"serve": function, "serving_default": function}
            tf.saved_model.save(_holder(function, model), str(folder), signatures)
        except (ValueError, TypeError, RuntimeError, NotImplementedError, tf.errors.OpError) as exc:
            _raise_if_full(exc, folder)
            raise ExportError(
                f"export: {model.name!r} can't be written as a SavedModel: {reason_of(exc, noise())}"
            ) from exc


def _holder(function: ConcreteFunction, model: keras.Model) -> tf.Module:
    """What is saved with a traced function: its variables, and the model itself only where it reads anything else.

    A Keras model is saved layer by layer, which takes longer than all the rest.
    """
    holder = tf.Module()
    holder.state = list(function.variables)
    handles = {id(variable.handle) for variable in function.variables}
    if any(x.dtype == tf.resource and id(x) not in handles for x in function.captured_inputs):
        holder.model = model  # a lookup table's layer
    return holder


def _remedy(shape: Sequence[int | None]) -> str:
    """What gives a model's input a fixed size."""
    if len(shape) == 4:
        return "write a model of fixed size first: edgecut stem MODEL --size HxW -o FIXED.keras"
    return "save the model with an input of fixed size"


def _raise_if_full(error: Exception, folder: Path) -> None:
    """Raise OSError, which names the folder, if that is what TensorFlow's own error is about."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        if os.strerror(number) in str(error):
            raise OSError(number, os.strerror(number), str(folder)) from error


def input_names(model: keras.Model) -> tuple[str, ...]:
    """What an exported file calls the model's inputs: "input", or the layers' own names where there are several."""
    if len(model.inputs) == 1:
        return ("input",)
    # A signature takes names of these letters alone.
    return tuple(re.sub(r"[^A-Za-z0-9_/-]", "_", tensor._keras_history.operation.name) for tensor in model.inputs)


def output_names(model: keras.Model) -> tuple[str, ...]:
    """What an exported file calls the model's outputs: "output", or "output_0", "output_1", ..."""
    count = len(model.outputs)
    return ("output",) if count == 1 else tuple(f"output_{k}" for k in range(count))


def convert(
    saved_model: Path,
    model: keras.Model,
    precision: Precision,
    calibration: Sequence[np.ndarray] | None = None,
) -> bytes:
    """The TFLite file of a SavedModel that write_saved_model made from `model`.

    calibration: for each input an array (n, ...) as the model takes it, for int8 and int16x8.
    int8 and int16x8 take and put out integers, and refuse an operator that would stay in float.
    Raises RequestError without the images that a precision needs, ExportError if the converter refuses the model. What
    it computes isn't looked at: agreeing.converted does that, for a file that is written as it is.
    """
    converter, graph = _set_up(saved_model, model, precision, calibration)
    return _named(lambda: run_converter(converter, graph), saved_model, model, precision)


def traced_once(model: keras.Model, folder: Path, precision: Precision) -> Path:
    """The SavedModel of a model for a precision, below a folder of its own: one for all, unless it has loops."""
    loops = not needs_images(precision)
    path = folder / ("unrolled" if is_recurrent(model) and not loops else "traced")
    if not path.exists():
        write_saved_model(model, path, loops=loops)
    return path


@dataclass(frozen=True, eq=False)
class Ranged:
    """An int8 file, and the float file with ranges that it was quantized from.

    quantized: the int8 file of such a float file with other numbers in it; nothing is traced or calibrated for it.
    """

    content: bytes
    floats: bytes
    quantized: Callable[[bytes], bytes]


def convert_with_ranges(saved_model: Path, model: keras.Model, calibration: Sequence[np.ndarray]) -> Ranged:
    """The int8 file that `convert` makes, with what it was quantized from. Raises as that does."""
    converter, graph = _set_up(saved_model, model, "int8", calibration)
    content = _named(lambda: run_converter(converter, graph), saved_model, model, "int8")

    def again(floats: bytes) -> bytes:
        return _named(lambda: converter.again(floats), saved_model, model, "int8")

    return Ranged(content, converter.ranged, again)


def _set_up(
    saved_model: Path, model: keras.Model, precision: Precision, calibration: Sequence[np.ndarray] | None
) -> tuple[Converter, tf.compat.v1.GraphDef]:
    """A converter for a precision, and what it converts."""
    graph, samples = read_graph_def(saved_model), dict[str, np.ndarray]()
    if needs_images(precision):
        if calibration is None or not len(calibration) or not len(calibration[0]):
            raise RequestError(f"export: {precision} needs data to calibrate on; set data.train or pass --data")
        _refuse_loops(graph, precision)
        samples = _samples(model, calibration)
    converter = converter_of(saved_model, samples)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if needs_images(precision):
        integers = tf.int8 if precision == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = integers
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            if precision == "int8"
            else tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    return converter, graph


def _named(run: Callable[[], bytes], saved_model: Path, model: keras.Model, precision: Precision) -> bytes:
    """The file that a converter writes, its inputs and outputs named. Raises ExportError where it refuses the model."""
    with caught_output() as noise:
        try:
            content = run()
        except (ConverterError, ValueError, TypeError, RuntimeError, tf.errors.OpError) as exc:
            _raise_if_full(exc, saved_model)
            raise ExportError(f"export: the converter refuses {precision}: {reason_of(exc, noise())}") from exc
    return without_made_biases(name_io(content, input_names(model), output_names(model)))


def without_made_biases(content: bytes) -> bytes:
    """The file with zeros for what traced_for_tflite made the bias of a transposed convolution."""
    graph = parse(content, "model")
    biases = {
        op.inputs[3]: constant(content, op.inputs[3])
        for op in graph.operators
        if op.name == "TRANSPOSE_CONV"
        and len(op.inputs) > 3
        and graph.tensors[op.inputs[3]].is_constant
        and graph.tensors[op.inputs[3]].dtype == "float32"
    }
    made = {index: np.where(bias == NO_BIAS, np.float32(0), bias) for index, bias in biases.items()}
    return patched(content, made, {})


def _samples(model: keras.Model, calibration: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The calibration's arrays, (n, 1, ...), by the inputs' names, in the dtypes that the model declares."""
    pairs = zip(input_names(model), model.inputs, calibration, strict=True)
    return {name: np.asarray(x).astype(tensor.dtype, copy=False)[:, None] for name, tensor, x in pairs}


def _refuse_loops(graph: tf.compat.v1.GraphDef, precision: Precision) -> None:
    """Raise ExportError for a loop, on which the calibrator of TensorFlow 2.21 ends the process with SIGSEGV."""
    nodes = (node for function in graph.library.function for node in function.node_def)
    name = next((node.name for node in nodes if node.op in {"While", "StatelessWhile"}), None)
    if name is not None:
        raise ExportError(
            f"export: {precision} can't be calibrated through the loop {name!r}, since TensorFlow's calibration "
            "crashes there; cut before it, or export float32 or dynamic"
        )


def reason_of(error: Exception, noise: str) -> str:
    """The line of a converter's error, or of what it printed, that says what is wrong."""
    lines = [line.strip() for text in (str(error), noise) for line in text.splitlines() if line.strip()]
    for kind in ("Custom ops:", "Flex ops:"):
        named = next((line.removeprefix(kind).strip() for line in lines if line.startswith(kind)), "")
        if named:
            return f"TFLite has no operator for {named}; cut before it, or replace it"
    strayed = _strayed(str(error))
    if strayed:
        return strayed
    unquantized = re.search(r"Quantization not yet supported for op: '?(\w+)", "\n".join(lines))
    if unquantized is not None:
        return f"TFLite has no integer kernel for {unquantized[1]}; cut before it, or write float32 or dynamic"
    narrow = re.search(r"Quantization to 16x8-bit not yet supported for op: '?(\w+)", "\n".join(lines))
    if narrow is not None:
        return f"TFLite has no 16-bit kernel for {narrow[1]}; cut before it, or write int8, float32 or dynamic"
    rangeless = re.search(r"Max and min for dynamic tensors should be recorded.*Failed for tensor (\S+)", str(error))
    if rangeless is not None:
        return (
            f"its quantizer wants a range for {rangeless[1]!r}, and calibration records none for integers, as an "
            "Embedding's indices are; write int8, float32 or dynamic"
        )
    telling = [
        line
        for line in lines
        if "error:" in line.lower() or "not supported" in line.lower() or "failed" in line.lower()
    ]
    line = (telling or lines or [type(error).__name__])[0]
    # Where in TensorFlow's own graph it is tells nobody anything.
    line = re.sub(r"^(?:\S+: )?(?:error: )?loc\(.*\): ", "", line.removeprefix("<unknown>:0: ").removeprefix("error: "))
    return f"in TensorFlow's words: {line.removeprefix('error: ')[:300].rstrip('.')}"


def _strayed(text: str) -> str:
    """What a converter's error says of an operator of TensorFlow that it left as it was; "" for another error."""
    operator = re.search(r"'tf\.(\w+)' op is neither a custom op nor a flex op", text)
    if operator is None:
        return ""
    half = re.search(rf'"tf\.{operator[1]}"\(.*?x(b?f16)>', text)
    if half is None:
        return f"TFLite has no operator for {operator[1]}; cut before it, or replace it"
    computed_in = {"f16": "float16", "bf16": "bfloat16"}[half[1]]
    return (
        f"TFLite has no {operator[1]} that computes in {computed_in}; give the .keras or .h5 file, which is brought to "
        "float32, or save it with the policy float32"
    )
