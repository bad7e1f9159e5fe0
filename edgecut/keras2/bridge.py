"""Keras 3 models to tf_keras (Keras 2) and back, proven equal; the only module that knows tf_keras."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from edgecut.errors import GraphError, SourceError
from edgecut.graph.bounded import bounded
from edgecut.graph.callgraph import data_calls
from edgecut.graph.calls import Call, Calls, Tensor, calls, flat
from edgecut.graph.keras_types import Structure, TensorFunction
from edgecut.graph.proof import call_flat
from edgecut.graph.rebuild import run
from edgecut.graph.sentences import LOADING_FAULTS
from edgecut.keras2.agreement import compare, proof_of, seeded_values
from edgecut.keras2.functions import Pairs, outputs_of, recomputed
from edgecut.keras2.rules import (
    ENDS_IN_ACTIVATION,
    SAME_ACTIVATIONS,
    activation_body,
    activation_name,
    policy_name,
    to_keras_operators,
    to_tf_operators,
    translated,
)
from edgecut.keras2.trust import Known, carried_fault
from edgecut.records.json_value import JsonObject
from edgecut.records.proof import OutputProof
from edgecut.streams import caught_output

if TYPE_CHECKING:
    import tf_keras

# Functions beside activations and the like that look others up by what a file says.
_LOOK_UPS = frozenset({"deserialize", "get", "serialize"})


LayerOfEither: TypeAlias = "keras.Layer | tf_keras.layers.Layer"


@dataclass(frozen=True)
class Crossing:
    """A model on the other side, and the proof that it computes what its source does.

    proof: the error is that of the
    outputs; `tensors` counts what was compared inside as well. Weights are bit-equal.
    """

    model: keras.Model | tf_keras.Model
    proof: OutputProof


def read_keras_2(path: str, *, unsafe: bool = False) -> tf_keras.Model:
    """The tf_keras model in a Keras 2 file: .keras, .h5 or a SavedModel with its layers.

    unsafe: allow what runs or reads something of the file's choice. Raises GraphError where the file has such, or a
    function of TensorFlow without a counterpart; SourceError if tf_keras can't read it.
    """
    k2 = _tf_keras()
    fault = None if unsafe else carried_fault(path, _known(k2))
    if fault:
        raise GraphError(fault)
    is_folder = Path(path).is_dir()
    options = {} if is_folder else {"safe_mode": not unsafe}
    try:
        with caught_output(), bounded(path) if is_folder else nullcontext():
            return k2.models.load_model(path, compile=False, **options)
    except LOADING_FAULTS as exc:
        raise SourceError(f"{path}: can't be loaded by tf_keras: {_first_line(exc)}") from exc


def from_tf_keras(model: tf_keras.Model) -> keras.Model:
    """The Keras 3 model of a tf_keras model, nested models kept; see cross_to_keras."""
    result: keras.Model = cross_to_keras(model).model
    return result


def to_tf_keras(model: keras.Model) -> tf_keras.Model:
    """The tf_keras model of a Keras 3 model, nested models opened ("outer.inner"); see cross_to_tf_keras."""
    return cross_to_tf_keras(model).model


def cross_to_keras(model: tf_keras.Model) -> Crossing:
    """A tf_keras model, layer by layer, as a Keras 3 model with bit-equal weights that shares nothing with it.

    Raises GraphError with the layer's name if a layer has no counterpart or doesn't compute the same.
    """
    k2 = _tf_keras()
    builder = _ToKeras(k2)
    result = builder.model(model)
    names, old, new = zip(*builder.pairs, strict=True)
    values = seeded_values(model.inputs)
    before, after = k2.Model(model.inputs, list(old)), keras.Model(result.inputs, list(new))
    compare(names, outputs_of(before, values), _predict_3(after, values))
    return Crossing(result, proof_of(outputs_of(model, values), _predict_3(result, values), len(names)))


def cross_to_tf_keras(model: keras.Model) -> Crossing:
    """A Keras 3 model, call by call, as a tf_keras model with bit-equal weights that shares nothing with it.

    Raises GraphError with the layer's name if a layer has no counterpart or doesn't compute the same.
    """
    k2, graph = _tf_keras(), calls(model)
    builder = _ToTfKeras(k2)
    result = builder.model(graph)
    names, old, new = zip(*builder.pairs, strict=True)
    values = seeded_values(model.inputs)
    given = dict(zip(flat(graph.inputs), values, strict=True))
    compare(names, [np.asarray(x) for x in run(graph, given, old)], outputs_of(k2.Model(result.inputs, new), values))
    return Crossing(result, proof_of(_predict_3(model, values), outputs_of(result, values), len(names)))


def _tf_keras() -> ModuleType:
    """The tf_keras package. Importing TFMOT can set TF_USE_LEGACY_KERAS; tf.keras stays Keras 3 all the same."""
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    with caught_output():
        import tf_keras
    if before is None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return tf_keras


def _known(k2: ModuleType) -> Known:
    """What a file of Keras 2 may name without being trusted."""
    homes = (k2.layers, k2.models, k2.mixed_precision, k2.src.engine.functional, k2.src.applications.convnext)
    makers = (k2.activations, k2.constraints, k2.initializers, k2.losses, k2.metrics, k2.optimizers, k2.regularizers)
    public = {name: value for home in (*homes, *makers) for name, value in vars(home).items()}
    return Known(
        classes={name for name, value in public.items() if isinstance(value, type)},
        functions={name for home in makers for name, value in vars(home).items() if isfunction(value)} - _LOOK_UPS,
        registered=k2.saving.get_custom_objects(),
        operators=to_keras_operators(),
    )


class _ToKeras:
    """The Keras 3 counterparts of tf_keras layers, each made once."""

    def __init__(self, k2: ModuleType) -> None:
        self.k2 = k2
        self.layers: dict[int, TensorFunction] = {}
        self.pairs: Pairs = []
        self.operators = to_keras_operators()

    def model(self, model: tf_keras.Model, *, nested: bool = False) -> keras.Model:
        """The counterpart of a Functional or built Sequential model."""
        if not getattr(model, "_is_graph_network", False):
            raise GraphError(f"model {model.name!r} ({type(model).__name__}) has no graph of layers, only functions")
        inputs, outputs, pairs = recomputed(model, _keras_input, self.call)
        if not nested:
            self.pairs = pairs
        return keras.Model(inputs, outputs, name=model.name)

    def call(self, layer: tf_keras.layers.Layer, args: Sequence[object], kwargs: Mapping[str, object]) -> Structure:
        """What the counterpart of a layer puts out."""
        known = self.layers.get(id(layer))
        if known is None:
            known = self.layers[id(layer)] = self.counterpart(layer, args)
        try:
            return known(*args, **kwargs)
        except (ValueError, TypeError, AttributeError, NotImplementedError) as exc:
            raise GraphError(f"layer {layer.name!r} ({type(layer).__name__}): {_first_line(exc)}") from exc

    def counterpart(self, layer: tf_keras.layers.Layer, args: Sequence[object]) -> TensorFunction:
        """A Keras 3 layer with the same weights, or a function of Keras 3 tensors."""
        kind = type(layer).__name__
        if hasattr(layer, "_is_graph_network"):
            return self.model(layer, nested=True)
        if kind == "TFOpLambda":
            symbol = layer.get_config()["function"]
            function = self.operators.get(symbol.removeprefix("compat.v1."))
            if function is None:
                raise GraphError(f"layer {layer.name!r}: the function tf.{symbol} has no counterpart in Keras 3")
            return function
        if kind == "SlicingOpLambda":
            return _sliced
        if kind == "Lambda":
            return keras.layers.Lambda(layer.function, arguments=layer.arguments, name=layer.name)
        config = layer.get_config()
        class_ = _class_of(kind, config, layer.name)
        return _made(layer, config, class_, (self.k2.layers, keras.layers), keras_2=True)


class _ToTfKeras:
    """The tf_keras counterparts of Keras 3 layers, each made once."""

    def __init__(self, k2: ModuleType) -> None:
        self.k2 = k2
        self.layers: dict[int, TensorFunction] = {}
        self.pairs: Pairs = []
        self.operators = to_tf_operators()

    def model(self, graph: Calls) -> tf_keras.Model:
        """The counterpart of a model, flat."""
        tensors: dict[Tensor, tf.Tensor] = {}

        def of(value: object) -> object:
            # Keras 2 fills a layer's masks in by itself, as Keras 3 did.
            if isinstance(value, Tensor):
                return None if value in graph.mask_tensors else tensors[value]
            return value

        computed = data_calls(graph)
        for call in graph:
            if call.is_input:
                (tensor,) = call.outputs
                tensors[tensor] = self.k2.Input(
                    batch_shape=tensor.shape, dtype=tensor.dtype, name=call.name.replace("@", "_")
                )
            elif call in computed:
                args, kwargs = (keras.tree.map_structure(of, x) for x in (call.args, call.kwargs))
                results = tf.nest.flatten(self.call(call, args, kwargs))
                tensors.update(zip(call.outputs, results, strict=True))
        inputs, outputs = (keras.tree.map_structure(of, x) for x in (graph.inputs, graph.outputs))
        self.pairs = [(graph.tensor_name[tensor], tensor, value) for tensor, value in tensors.items()]
        return self.k2.Model(inputs, outputs, name=graph.name)

    def call(self, call: Call, args: Sequence[object], kwargs: Mapping[str, object]) -> Structure:
        """What the counterpart of a call's layer or operator puts out."""
        operation = call.operation
        known = self.layers.get(id(operation))
        if known is None:
            known = self.layers[id(operation)] = self.counterpart(call)
        given = {key: value for key, value in kwargs.items() if value is not None}
        try:
            return known(*args, **given)
        except (ValueError, TypeError, AttributeError, NotImplementedError) as exc:
            raise GraphError(f"layer {call.name!r} ({call.type}): {_first_line(exc)}") from exc

    def counterpart(self, call: Call) -> TensorFunction:
        """A tf_keras layer with the same weights, or a function of tf_keras tensors."""
        operation = call.operation
        if not isinstance(operation, keras.Layer):
            function = self.operators.get(call.type)
            if function is None:
                raise GraphError(f"layer {call.name!r}: the operator {call.type} has no counterpart in Keras 2")
            return lambda *args, **kwargs: function(tf, operation, *args, **kwargs)
        if isinstance(operation, keras.layers.Lambda):
            return self.k2.layers.Lambda(operation.function, arguments=operation.arguments, name=call.layer)
        config = {**operation.get_config(), "name": call.layer}
        if "int8" in policy_name(config.get("dtype", "")) or "int4" in policy_name(config.get("dtype", "")):
            raise GraphError(f"layer {call.name!r} ({call.type}): quantized weights have no counterpart in Keras 2")
        class_ = getattr(self.k2.layers, call.type, None) or _of_application(self.k2, call.type)
        if class_ is None:
            raise GraphError(f"layer {call.name!r}: the class {call.type} has no counterpart in Keras 2")
        return _made(operation, config, class_, (keras.layers, self.k2.layers), keras_2=False)


def _made(
    layer: LayerOfEither, config: JsonObject, class_: type, layers: tuple[ModuleType, ModuleType], *, keras_2: bool
) -> TensorFunction:
    """The counterpart of a layer in the other generation, weights included; its activation split off where it differs.

    layers: the `layers` modules of both sides. keras_2: whether `layer` is Keras 2's.
    """
    name, where = str(config["name"]), f"layer {config['name']!r} ({type(layer).__name__})"
    settings = translated(config, type(layer), class_, layers, where)
    for key, value in settings.items():
        if key.endswith("activation") and activation_name(value) not in SAME_ACTIVATIONS:
            split = key == "activation" and type(layer).__name__ in ENDS_IN_ACTIVATION
            body = activation_body(layers[1], activation_name(value), keras_2, name) if split else None
            if body is None:
                raise GraphError(f"{where}: {key} {activation_name(value)!r} isn't the same in the other generation")
            if type(layer).__name__ == "Activation":
                return body
            settings = {**settings, "activation": "linear", "name": f"{name}_linear"}
            inner = _with_weights(layer, class_, settings, where)
            return lambda *args, **kwargs: body(inner(*args, **kwargs))
    return _with_weights(layer, class_, settings, where)


def _with_weights(
    layer: LayerOfEither, class_: type[keras.Layer], settings: Mapping[str, object], where: str
) -> TensorFunction:
    """A new layer that takes over the weights when it is first called, which builds it."""
    try:
        made = class_.from_config(dict(settings))
    except (ValueError, TypeError, KeyError) as exc:
        raise GraphError(f"{where}: {_first_line(exc)}") from exc
    done: list[bool] = []

    def call(*args: object, **kwargs: object) -> Structure:
        result = made(*args, **kwargs)
        if not done:
            done.append(True)
            _copy_weights(layer, made, where)
        return result

    return call


def _copy_weights(source: LayerOfEither, target: LayerOfEither, where: str) -> None:
    old, new = source.weights, target.weights
    names = [[_weight_name(w) for w in side] for side in (old, new)]
    unlike = [a != b and not (a + b).count("variable") for a, b in zip(*names, strict=False)]
    if (
        len(old) != len(new)
        or any(unlike)
        or any(tuple(a.shape) != tuple(b.shape) for a, b in zip(old, new, strict=True))
    ):
        raise GraphError(f"{where}: has the weights {names[0]}, and its counterpart {names[1]}, or of other shapes")
    for a, b in zip(old, new, strict=True):
        b.assign(np.asarray(a))
    if hasattr(target, "finalize_state"):
        target.finalize_state()


def _weight_name(weight: keras.Variable | tf.Variable) -> str:
    """A weight's own name, which Keras 2 puts behind the layer's; Keras 3 calls one without a name "variable_k"."""
    # Keras 2 alone calls a DepthwiseConv2D's kernel otherwise.
    name = str(weight.name).partition(":")[0].rpartition("/")[2]
    return "kernel" if name == "depthwise_kernel" else name


def _class_of(kind: str, config: JsonObject, name: str) -> type:
    """The Keras 3 class of a name: a built-in layer, a registered one, or one of keras.applications."""
    known = {key.rpartition(">")[2]: value for key, value in keras.saving.get_custom_objects().items()}
    class_ = getattr(keras.layers, kind, None) or known.get(kind) or _of_application(keras.src, kind)
    if class_ is None:
        raise GraphError(
            f"layer {name!r}: the class {kind} has no counterpart in Keras 3; register one of that name with "
            "keras.saving.register_keras_serializable"
        )
    return class_


def _of_application(package: ModuleType, kind: str) -> type | None:
    """A layer class that keras.applications.convnext keeps to itself."""
    source = package if package is keras.src else package.src
    return getattr(source.applications.convnext, kind, None)


def _keras_input(layer: tf_keras.layers.Layer) -> keras.KerasTensor:
    config = layer.get_config()
    if config.get("ragged") or config.get("sparse"):
        raise GraphError(f"layer {layer.name!r}: a sparse or ragged input has no counterpart")
    return keras.Input(batch_shape=config["batch_input_shape"], dtype=policy_name(config["dtype"]), name=layer.name)


def _sliced(tensor: keras.KerasTensor, slice_spec: object) -> keras.KerasTensor:
    parts = slice_spec if isinstance(slice_spec, tuple | list) else (slice_spec,)
    return tensor[tuple(slice(p["start"], p["stop"], p["step"]) if isinstance(p, Mapping) else p for p in parts)]


def _predict_3(model: keras.Model, values: Sequence[tf.Tensor]) -> list[np.ndarray]:
    return [np.asarray(x) for x in keras.tree.flatten(call_flat(model, values))]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception encountered")]
    return (telling or lines or [type(error).__name__])[0][:200].rstrip(".")
