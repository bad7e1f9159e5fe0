"""Quantization-aware training: the model learns with int8's rounding, and the int8 file carries the trained ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgecut.compress import support
from edgecut.compress.crossing import fresh_copy
from edgecut.compress.ranges import check_parity, set_input_range, set_ranges
from edgecut.compress.tfmot import Packages, own_name
from edgecut.compress.train import Lessons, Trained, batches_of, train
from edgecut.errors import RequestError, StepError
from edgecut.graph.first_kernels import holds_stem_constants
from edgecut.graph.traced import traced_for_tflite
from edgecut.records.facts import TrainingFacts
from edgecut.streams import caught_output

if TYPE_CHECKING:
    import tf_keras

# Training images from which the ranges start.
RANGE_IMAGES = 256


@dataclass(frozen=True, eq=False)
class Aware:
    """A trained quantization-aware tf_keras model. parity: before training, against the float model."""

    model: tf_keras.Model
    trained: Trained
    left_out: support.Reasons
    parity: TrainingFacts


def quantize_aware(
    packages: Packages,
    model: tf_keras.Model,
    lessons: Lessons,
    calibration: np.ndarray,
    *,
    keep_zeros: bool,
    keep_values: bool,
) -> Aware:
    """Train a tf_keras model quantization-aware; its float weights are the trained ones afterwards.

    calibration: images as the model takes them; their extremes are the input's range. keep_zeros: of a pruned model;
    keep_values: of a clustered one. Raises RequestError if TFMOT takes no layer with weights, StepError if the
    quantization-aware model doesn't compute what the float one does.
    """
    left_out = support.quantizable(packages, model, lessons.wanted.skip)
    if not support.taken(model, left_out):
        reasons = "; ".join(support.sentences(model, left_out))
        raise RequestError(f"compress.qat: nothing can be trained quantization-aware: {reasons}")
    for layer in model.layers:
        # In the file they are folded into the kernels, whose ranges are learned.
        layer.trainable = type(layer).__name__ != "BatchNormalization" and not holds_stem_constants(layer.name)
    masks = _zeros(model) if keep_zeros else {}
    aware = annotated(packages, model, left_out, keep_zeros=keep_zeros, keep_values=keep_values)
    set_ranges(packages, aware, model, batches_of(lessons, RANGE_IMAGES), calibration)
    parity = check_parity(model, aware, calibration[:64])
    callbacks = [_keeper(packages, aware)] if keep_values else []
    trained = train(packages, aware, lessons, "quantization-aware training", callbacks=callbacks)
    if keep_values:
        aware = packages.tfmot.experimental.combine.strip_clustering_cqat(aware)
    _take_over(model, aware, masks)
    return Aware(aware, trained, left_out, parity)


def annotated(
    packages: Packages,
    model: tf_keras.Model,
    left_out: support.Reasons,
    *,
    keep_zeros: bool = False,
    keep_values: bool = False,
) -> tf_keras.Model:
    """The quantization-aware model of a tf_keras model, with the same weights; layers in `left_out` stay in float.

    Raises StepError, with TFMOT's reason, if TFMOT refuses it all the same.
    """
    quantization = packages.tfmot.quantization.keras

    def marked(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        plain = layer.name in left_out or type(layer).__name__ == "InputLayer"
        return layer if plain else quantization.quantize_annotate_layer(layer)

    scheme = _scheme(packages, keep_zeros=keep_zeros, keep_values=keep_values)
    try:
        with quantization.quantize_scope(), caught_output():
            marked_model = packages.k2.models.clone_model(fresh_copy(packages, model), clone_function=marked)
            # Without a prefix, the file's tensors have the source's layer names.
            return quantization.quantize_apply(marked_model, scheme, quantized_layer_name_prefix="")
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError) as exc:
        raise StepError(f"compress.qat: TFMOT refuses {_culprit(packages, model) or 'the model'}: {exc}") from exc


def with_ranges(
    packages: Packages,
    model: tf_keras.Model,
    aware: Aware,
    scales: Mapping[str, float],
    skip: Sequence[str],
    pixels: np.ndarray,
) -> tf_keras.Model:
    """The quantization-aware model of `model`, with the ranges that `aware` learned.

    model: a tf_keras model with the trained weights, that computes what aware's does. scales: layer -> what its kernel
    was multiplied by while it was trained. pixels: the calibration images, whose extremes are the input's range; TFMOT
    gives aware's own input none where the layer behind it isn't quantized.
    """
    result = annotated(packages, model, support.quantizable(packages, model, skip))
    trained = {layer.name: {own_name(weight): weight for weight in layer.weights} for layer in aware.model.layers}
    for layer in result.layers:
        for weight in layer.weights:
            name = own_name(weight)
            if name.endswith(("_min", "_max")) and name in trained.get(layer.name, {}):
                is_kernel = name.rpartition("_")[0].endswith("kernel")
                weight.assign(trained[layer.name][name] / (scales.get(layer.name, 1.0) if is_kernel else 1.0))
    set_input_range(result, pixels)
    return result


def write_saved_model(aware: tf_keras.Model, folder: Path) -> None:
    """Write a quantization-aware model as the SavedModel that the TFLite converter takes: batch 1, "input", "output".

    Its variables are frozen first: with TFMOT's wrappers in it, saving and converting took 30 times as long (93 s
    against 5 s for MobileNetV2 0.35 at 96), for a file of the same size.
    """
    spec = tf.TensorSpec((1, *aware.inputs[0].shape[1:]), tf.float32, name="input")
    function = tf.function(lambda input: aware(input, training=False), input_signature=[spec])
    with caught_output(), traced_for_tflite():
        frozen = convert_variables_to_constants_v2(function.get_concrete_function())
        module = tf.Module()
        module.serve = tf.function(lambda input: {"output": frozen(input)[0]}, input_signature=[spec])
        tf.saved_model.save(module, str(folder), signatures=module.serve.get_concrete_function())


def _culprit(packages: Packages, model: tf_keras.Model) -> str:
    """The first layer that can't be made anew from the configuration that TFMOT writes of it; "" if all can."""
    layers = packages.k2.layers
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer" or len(layer._inbound_nodes) != 1:
            continue
        node = layer._inbound_nodes[0]
        try:
            again = layers.deserialize(layers.serialize(layer, use_legacy_format=True), use_legacy_format=True)
            again(*node.call_args, **node.call_kwargs)
        except (ValueError, RuntimeError, TypeError, KeyError, AttributeError):
            return f"layer {layer.name!r} ({type(layer).__name__})"
    return ""


def _scheme(packages: Packages, *, keep_zeros: bool, keep_values: bool) -> SimpleNamespace:
    """TFMOT's scheme, two faults of it mended.

    The schemes that keep zeros or values ask their registry about layers that it can't describe. And a convolution or
    Dense before a ReLU gets a configuration that quantizes nothing of it, its kernel neither.
    """
    combine, default = packages.tfmot.experimental.combine, packages.tfmot.quantization.keras.default_8bit
    if keep_values:
        scheme = combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=keep_zeros)
    elif keep_zeros:
        scheme = combine.Default8BitPrunePreserveQuantizeScheme()
    else:
        scheme = default.Default8BitQuantizeScheme()
    registry, known = scheme.get_quantize_registry(), default.Default8BitQuantizeRegistry()

    def apply(
        model: tf_keras.Model, described: dict[str, dict[str, object]]
    ) -> tuple[tf_keras.Model, dict[str, dict[str, object]]]:
        model, described = scheme.get_layout_transformer().apply(model, described)
        for layer in model.layers:
            config = described.get(layer.name, {}).get("quantize_config")
            if type(config).__name__ == "NoOpQuantizeConfig" and support.kernels(layer):
                # Of the kernel alone: the range is that of the ReLU's output.
                described[layer.name]["quantize_config"] = kernel_only = registry.get_quantize_config(layer)
                kernel_only.activation_attrs = []
        return model, described

    careful = SimpleNamespace(supports=known.supports, get_quantize_config=registry.get_quantize_config)
    layout = SimpleNamespace(apply=apply)
    return SimpleNamespace(get_layout_transformer=lambda: layout, get_quantize_registry=lambda: careful)


def _keeper(packages: Packages, aware: tf_keras.Model) -> tf_keras.callbacks.Callback:
    """A callback that brings clustered kernels back to their values before each evaluation.

    TFMOT does so when a step begins, and what the optimizer then does to a kernel would stay in the best weights.
    """

    def on_test_begin(self: tf_keras.callbacks.Callback, logs: object = None) -> None:
        for layer in aware.layers:
            for kernel, _, weights in getattr(layer, "_weight_vars", ()):
                if "clst_impl" in weights:
                    _snap(kernel, weights)

    return type("KeepValues", (packages.k2.callbacks.Callback,), {"on_test_begin": on_test_begin})()


def _snap(kernel: tf.Variable, weights: Mapping[str, tf.Variable]) -> None:
    """Set a kernel to its clusters' values; `weights` are those that TFMOT's quantizer keeps for it."""
    rule, original = weights["clst_impl"], weights["ori_weights_vars_tf"]
    if weights.get("sparsity_mask") is not None and weights.get("centroids_mask") is not None:
        original.assign(original * weights["sparsity_mask"])
        rule.cluster_centroids.assign(rule.cluster_centroids * weights["centroids_mask"])
    kernel.assign(rule.get_clustered_weight(rule.get_pulling_indices(original), original))


def _zeros(model: tf_keras.Model) -> dict[str, np.ndarray]:
    """layer -> where its kernel isn't zero."""
    held = {layer.name: support.kernels(layer) for layer in model.layers}
    return {name: np.asarray(kernels[0]) != 0 for name, kernels in held.items() if kernels}


def _take_over(model: tf_keras.Model, aware: tf_keras.Model, masks: Mapping[str, np.ndarray]) -> None:
    """Give the float model the trained weights; what was pruned is zero again, as in the file."""
    for layer in model.layers:
        if not layer.weights:
            continue
        trained = {own_name(weight): weight for weight in aware.get_layer(layer.name).weights}
        for weight in layer.weights:
            weight.assign(trained[own_name(weight)])
        if layer.name in masks:
            kernel = support.kernels(layer)[0]
            kernel.assign(kernel * masks[layer.name])
