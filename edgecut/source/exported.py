"""A SavedModel's serving function as a Keras model of one layer: it can be run and exported, and has nothing to cut."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import tensorflow as tf

from edgecut.errors import SourceError
from edgecut.graph.bounded import bounded
from edgecut.graph.saved_functions import operator_fault
from edgecut.streams import caught_output


class ServingFunction(keras.layers.Layer):
    """A layer that calls a SavedModel's function, whose variables stay its own. A call is limited in time."""

    def __init__(self, folder: str, signature: str, **options: object) -> None:
        """signature: the name of the function in the SavedModel."""
        super().__init__(trainable=False, **options)
        self._folder = folder
        self._loaded = tf.saved_model.load(folder)
        self._function = self._loaded.signatures[signature]

    @property
    def specs(self) -> dict[str, tf.TensorSpec]:
        """The TensorSpec of each argument by its name, in the order of the names."""
        return dict(sorted(self._function.structured_input_signature[1].items()))

    def call(self, *inputs: tf.Tensor) -> tf.Tensor:
        """The function's outputs: one tensor, or a dict of them by name."""
        with bounded(self._folder):
            results = self._function(**dict(zip(self.specs, inputs, strict=True)))
        return next(iter(results.values())) if len(results) == 1 else results


def load_exported(source: str, *, unsafe: bool = False) -> keras.Model:
    """A model that runs the serving function of a SavedModel folder, for one image at a time.

    What was exported from Keras 2 or 3, or written by TensorFlow alone, loads alike. TensorFlow runs what makes a
    SavedModel's resources when it loads it. unsafe: allow operators that may reach something outside of the model.
    Raises SourceError if the folder has such and needn't be trusted, can't be read, runs longer than the limits let it,
    or has no serving function.
    """
    folder = Path(source)
    fault = None if unsafe else operator_fault(folder)
    if fault:
        raise SourceError(f"{source}: {fault}; pass --unsafe (unsafe=True) if you trust it")
    try:
        with caught_output(), bounded(source):
            names = tf.saved_model.load(source).signatures.keys()
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as exc:
        raise SourceError(f"{source}: can't be loaded as a SavedModel: {str(exc).splitlines()[0][:200]}") from exc
    signature = next((name for name in ("serving_default", "serve", *names) if name in names), None)
    if signature is None:
        raise SourceError(f"{source}: has no serving function; save it with model.export()")
    with caught_output(), bounded(source):
        layer = ServingFunction(source, signature, name=f"{_identifier(folder.name)}_function")
        inputs = [
            keras.Input(batch_shape=(1, *spec.shape[1:]), dtype=spec.dtype.name, name=name)
            for name, spec in layer.specs.items()
        ]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], layer(*inputs), name=_identifier(folder.name))


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name) or "model"
