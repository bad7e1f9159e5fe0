"""A model that computes in 16 or 64 bits, brought to float32: the same weights, computed with as TFLite does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import tree

from edgecut.errors import GraphError, SourceError
from edgecut.graph.callgraph import flat
from edgecut.graph.calls import calls
from edgecut.graph.clones import classes_of, copy_layer_state, functions_of
from edgecut.graph.keras_private import SafeModeScope
from edgecut.graph.proof import INPUTS, call_flat, parts, seeded_inputs, to_array, to_tensor, undisturbed
from edgecut.graph.sentences import telling_line
from edgecut.graph.trace import all_operations
from edgecut.keras2.agreement import INPUTS as KERAS_2_INPUTS
from edgecut.keras2.agreement import seeded_values
from edgecut.keras2.functions import outputs_of
from edgecut.records.json_value import Json
from edgecut.records.proof import OutputProof, Proof

if TYPE_CHECKING:
    import tf_keras

# Spacing of the numbers that a policy computes in, where it is coarser than float32's.
_SPACING = {
    "mixed_float16": 2.0**-10,
    "float16": 2.0**-10,
    "mixed_bfloat16": 2.0**-7,
    "bfloat16": 2.0**-7,
    "float64": 2.0**-23,
}
# Rounding adds up over layers: of the largest output, this many spacings are let pass.
_ROUNDINGS = 64


@dataclass(frozen=True)
class InFloat32:
    """A model in float32. policies: what its source computes in; () where that is float32, and the model the source.

    proof: against the source on seeded inputs; else empty.
    """

    model: keras.Model
    policies: tuple[str, ...]
    proof: Proof

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for whoever reads the result; () where nothing was done."""
        if not self.policies:
            return ()
        names = ", ".join(self.policies)
        return (
            f"computes in {names}; brought to float32 with the same weights, its outputs differ by up to "
            f"{self.proof.max_abs_error:.2g} on {self.proof.inputs} seeded inputs",
        )


def in_float32(model: keras.Model, where: str = "model") -> InFloat32:
    """The model with every layer of it, nested, wrapped or private, computing and holding its weights in float32.

    Raises SourceError, beginning with `where`, if it can't be made anew from its configuration, if a layer computes in
    another precision all the same, or if the outputs differ by more than the source's own rounding.
    """
    policies = _policies(model)
    if not policies:
        return InFloat32(model, (), Proof())
    operations = all_operations(model)
    policy = keras.config.dtype_policy()
    known = {**classes_of(operations), **functions_of(operations)}
    try:
        keras.config.set_dtype_policy("float32")
        # The model is in memory already, so its code may run.
        with SafeModeScope(False), keras.saving.custom_object_scope(known):
            result = type(model).from_config(_float32(model.get_config()))
            _build(model, result)
        copy_layer_state(model, result, model.name)
    except (GraphError, TypeError, ValueError, NotImplementedError, KeyError, AttributeError) as exc:
        raise _not_anew(where, policies, exc) from exc
    finally:
        keras.config.set_dtype_policy(policy)
    left = next((layer for layer in result._flatten_layers() if layer.compute_dtype in _SPACING), None)
    if left is not None:
        raise SourceError(
            f"{where}: layer {left.name!r} ({type(left).__name__}) computes in {left.compute_dtype} whatever its "
            "configuration says; let its __init__ pass dtype on"
        )
    return InFloat32(result, policies, _proof(model, result, policies, where))


def keras_2_in_float32(model: tf_keras.Model, where: str = "model") -> InFloat32:
    """The same as `in_float32` of a tf_keras model, which stays one.

    Its policy would otherwise tell layers apart that Keras 3 computes alike. Raises SourceError as in_float32 does.
    """
    policies = _policies(model)
    if not policies:
        return InFloat32(model, (), Proof())
    try:
        result = type(model).from_config(_float32(model.get_config()))
        result.set_weights(
            [np.asarray(old).astype(new.dtype) for old, new in zip(model.weights, result.get_weights(), strict=True)]
        )
    except (TypeError, ValueError, NotImplementedError, KeyError, AttributeError) as exc:
        raise _not_anew(where, policies, exc) from exc
    values = seeded_values(result.inputs)
    return InFloat32(
        result,
        policies,
        _rounding(outputs_of(model, values), outputs_of(result, values), policies, KERAS_2_INPUTS, where),
    )


def _not_anew(where: str, policies: tuple[str, ...], error: Exception) -> SourceError:
    return SourceError(
        f"{where}: computes in {', '.join(policies)}, and can't be made anew in float32: {telling_line(error)}; save "
        "it with the policy float32"
    )


def _policies(model: keras.Model) -> tuple[str, ...]:
    """The names of the policies other than float32 under which a model's layers compute, sorted."""
    names = {layer.dtype_policy.name for layer in model._flatten_layers()}
    names |= {
        str(getattr(tensor.dtype, "name", tensor.dtype))
        for tensor in tree.flatten(getattr(model, "inputs", None) or [])
    }
    return tuple(sorted(names & set(_SPACING)))


def _float32(config: Json, key: str = "") -> Json:
    """A configuration, or the value of a key of it, with float32 for each dtype and policy of another float."""
    if isinstance(config, Mapping):
        is_policy = set(config) == {"name"}
        return {k: _float32(value, "policy" if is_policy else k) for k, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_float32(value, key) for value in config)
    if key.endswith(("dtype", "policy")) and getattr(config, "name", config) in _SPACING:
        return "float32"
    return config


def _build(model: keras.Model, result: keras.Model) -> None:
    """Make the weights of a model that has none before it is called."""
    if not result.built and getattr(model, "inputs", None):
        result.build([tensor.shape for tensor in model.inputs] if len(model.inputs) > 1 else model.inputs[0].shape)


def _proof(model: keras.Model, result: keras.Model, policies: tuple[str, ...], where: str) -> OutputProof:
    graph = calls(model)
    pairs = ((model, flat(graph.inputs)), (result, flat(calls(result).inputs)))
    outputs: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    with undisturbed(model, result):
        for part in parts(graph, seeded_inputs(flat(graph.inputs))):
            for arrays, (each, tensors) in zip(outputs, pairs, strict=True):
                arrays += [to_array(y) for y in tree.flatten(call_flat(each, list(map(to_tensor, part, tensors))))]
    source, own = outputs
    return _rounding(source, own, policies, INPUTS, where)


def _rounding(
    source: Sequence[np.ndarray], own: Sequence[np.ndarray], policies: tuple[str, ...], inputs: int, where: str
) -> OutputProof:
    """The proof that the outputs of a model and of its form in float32 are a rounding apart. Raises SourceError."""
    errors, scales = [0.0], [0.0]
    for a, b in zip(source, own, strict=True):
        finite = np.isfinite(a.astype("float64"))  # 16 bits may overflow where 32 don't
        errors.append(float(np.abs(a.astype("float64") - b.astype("float64"))[finite].max(initial=0.0)))
        scales.append(float(np.abs(a.astype("float64"))[finite].max(initial=0.0)))
    tolerance = _ROUNDINGS * max(_SPACING[name] for name in policies) * max(scales)
    if not max(errors) <= tolerance:
        raise SourceError(
            f"{where}: computes in {', '.join(policies)}, and in float32 its outputs differ by {max(errors):.3g} on "
            f"{inputs} seeded inputs, where {tolerance:.3g} is let pass for rounding; save it with the policy float32"
        )
    return OutputProof(
        inputs=inputs,
        max_abs_error=max(errors),
        exact=max(errors) == 0,
        tolerance=tolerance,
        reason=f"the source rounds to {', '.join(policies)}",
    )
