"""A layer's copy: its configuration, its weights, and the state that is neither."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from edgecut.errors import GraphError
from edgecut.graph.keras_private import Operation, SafeModeScope
from edgecut.graph.keras_types import S
from edgecut.graph.sentences import telling_line
from edgecut.whole import scratch_folder


def clone_operation(
    operation: keras.Operation, name: str, known: Mapping[str, object] | None = None
) -> keras.Operation:
    """A layer or operator of the same configuration, without its weights and without its place in a graph.

    known: classes that the configuration may name, by name, besides Keras's own and registered ones.
    Raises GraphError, which names the layer, if it can't be made from its configuration.
    """
    if isinstance(operation, keras.layers.Lambda):
        return _clone_lambda(operation, name)
    if not isinstance(operation, keras.Layer):
        # Operators carry no weights, and some can't be serialized: a copy with empty node lists is the same operator.
        clone = copy.copy(operation)
        clone._inbound_nodes, clone._outbound_nodes = [], []
        clone.name = name
        return clone
    try:
        return _from_config(operation, name, known or {})
    except (TypeError, ValueError, NotImplementedError, KeyError, AttributeError) as exc:
        raise GraphError(
            f"layer {name!r} ({type(operation).__name__}) can't be copied from its configuration: "
            f"{telling_line(exc)}; give the class a get_config() that its __init__ takes back"
        ) from exc


def copy_layer_state(source: keras.Layer, clone: keras.Layer, name: str) -> None:
    """Give a clone its source's weights, vocabularies and trainable flags.

    Raises GraphError, which names the layer, if the clone has other weights than its source.
    """
    _copy_assets(source, clone)
    if len(source.variables) != len(clone.variables):
        raise GraphError(
            f"layer {name!r} ({type(source).__name__}) has {len(source.variables)} weights, and its copy from its "
            f"configuration {len(clone.variables)}; let its build() make them all"
        )
    for old, new in zip(source.variables, clone.variables, strict=True):
        if tuple(old.shape) != tuple(new.shape):
            raise GraphError(
                f"layer {name!r} ({type(source).__name__}) has a {old.name} of shape {tuple(old.shape)}, and its new "
                f"input asks for {tuple(new.shape)}; cut before it, or keep the shape that it was trained on"
            )
        new.assign(old)
    for old_layer, new_layer in _layer_pairs(source, clone, name):
        if old_layer.trainable != new_layer.trainable:
            new_layer.trainable = old_layer.trainable
        if isinstance(old_layer, keras.layers.Normalization):
            # Its set weights have no effect until this is called.
            new_layer.finalize_state()
        for old, new in zip(states_of(old_layer), states_of(new_layer), strict=False):
            new.assign(old)
    for old, new in zip(source.variables, clone.variables, strict=True):
        new.trainable = old.trainable


def classes_of(layers: Iterable[keras.Operation]) -> dict[str, type]:
    """The classes of these layers that aren't Keras's own, by name."""
    parts = [part for x in layers for part in (x._flatten_layers() if isinstance(x, keras.Layer) else [x])]
    found = {type(part).__name__: type(part) for part in parts}
    return {name: kind for name, kind in found.items() if not kind.__module__.startswith("keras.")}


def states_of(layer: keras.Layer) -> list[keras.Variable]:
    """What a stateful recurrent layer remembers; Keras doesn't count it among the variables."""
    states = getattr(layer, "states", None) if isinstance(layer, keras.layers.RNN) else None
    return [state for state in tree.flatten(states) if isinstance(state, keras.Variable)]


def functions_of(layers: Iterable[keras.Operation]) -> dict[str, Callable[..., object]]:
    """The named functions that these layers call, by name: of a Lambda, or an activation."""
    values = [value for layer in layers for value in vars(layer).values() if inspect.isfunction(value)]
    return {value.__name__: value for value in values if not value.__module__.startswith("keras.")}


def own_constants(structure: S) -> S:
    """Call arguments with copies of the arrays among them; a variable becomes the constant that it holds."""
    return tree.map_structure(_own_constant, structure)


def _own_constant(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, keras.Variable):
        return keras.ops.convert_to_numpy(value)
    return value.numpy() if isinstance(value, tf.Variable) else value


def _clone_lambda(operation: keras.layers.Lambda, name: str) -> keras.layers.Lambda:
    held = [
        value for value in _closure(operation.function) if isinstance(value, Operation | keras.Variable | tf.Variable)
    ]
    if held:
        raise GraphError(
            f"layer {name!r} (Lambda) runs a function that holds {type(held[0]).__name__} "
            f"{getattr(held[0], 'name', '')!r}, which a copy would share; make it a layer of its own"
        )
    return keras.layers.Lambda(
        operation.function,
        output_shape=operation._output_shape,
        mask=operation.mask,
        arguments=copy.deepcopy(operation.arguments),
        name=name,
        dtype=operation.dtype_policy,
    )


def _closure(function: Callable[..., object]) -> Iterator[object]:
    for cell in getattr(function, "__closure__", None) or ():
        try:
            value = cell.cell_contents
        except ValueError:  # an empty cell
            continue
        yield from tree.flatten(value)


def _from_config(layer: keras.Layer, name: str, known: Mapping[str, object]) -> keras.Layer:
    kind = type(layer)
    config = {**layer.get_config(), "name": name}
    # A function among the settings is passed on as it is: by its name it may not be found again.
    own = {key: value for key in config if inspect.isfunction(value := getattr(layer, key, None))}
    config.update({key: value for key, value in own.items() if not value.__module__.startswith("keras.")})
    taken = inspect.signature(kind.__init__).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    # The layer is in memory already, so its code may run.
    with SafeModeScope(False), keras.saving.custom_object_scope(dict(known)):
        if takes_any or "name" in taken or kind.from_config.__func__ is not keras.Layer.from_config.__func__:
            return kind.from_config(config)
        # An __init__ without **kwargs can't take the name, dtype and trainable flag that Keras adds to its settings.
        clone = kind(**{key: value for key, value in config.items() if key in taken})
    clone.name = name
    clone.dtype_policy = layer.dtype_policy
    return clone


def _copy_assets(source: keras.Layer, clone: keras.Layer) -> None:
    """Copy what a layer keeps in files besides its variables: the vocabulary of a lookup."""
    for old, new in zip(source._flatten_layers(), clone._flatten_layers(), strict=False):
        if hasattr(old, "save_assets") and hasattr(new, "load_assets"):
            with scratch_folder() as folder:
                old.save_assets(folder)
                if any(folder.iterdir()):
                    store: dict[str, np.ndarray] = {}
                    old.save_own_variables(store)
                    new.load_own_variables(store)
                    new.load_assets(folder)


def _layer_pairs(source: keras.Layer, clone: keras.Layer, name: str) -> Iterator[tuple[keras.Layer, keras.Layer]]:
    old, new = source._flatten_layers(), clone._flatten_layers()
    if len(old) != len(new):
        raise GraphError(
            f"layer {name!r} ({type(source).__name__}) holds {len(old) - 1} layers, and its copy from its "
            f"configuration {len(new) - 1}; let its __init__() make them all"
        )
    return zip(old, new, strict=True)
