"""Weights of a layer brought to a few values while a model is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecut.compress import support
from edgecut.compress.crossing import fresh_copy
from edgecut.compress.tfmot import Packages
from edgecut.compress.train import Lessons, Trained, train
from edgecut.errors import RequestError, StepError
from edgecut.records.recipe import Cluster

if TYPE_CHECKING:
    import tf_keras


def cluster(
    packages: Packages, model: tf_keras.Model, lessons: Lessons, wanted: Cluster, *, keep_zeros: bool
) -> tuple[Trained, support.Reasons]:
    """Cluster a tf_keras model in place. Result: how the training went, and what TFMOT left out.

    keep_zeros: weights that are zero stay so, and zero is one of the values. Raises RequestError if there is nothing
    that can be clustered, StepError if a layer has more values in the end.
    """
    # The public function doesn't have preserve_sparsity.
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    reasons = support.clusterable(model, wanted.clusters, lessons.wanted.skip)
    names = support.taken(model, reasons)
    if not names:
        raise RequestError(
            f"compress.cluster: nothing can be clustered: {'; '.join(support.sentences(model, reasons))}"
        )

    def wrapped(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if layer.name not in names:
            return layer
        return cluster_weights(layer, wanted.clusters, preserve_sparsity=keep_zeros)

    wrapper = packages.k2.models.clone_model(fresh_copy(packages, model), clone_function=wrapped)
    trained = train(packages, wrapper, lessons, f"clustering to {wanted.clusters} values")
    stripped = packages.tfmot.clustering.keras.strip_clustering(wrapper)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(stripped.get_layer(layer.name).get_weights())
    found = most_values(model, names)
    if found > wanted.clusters:
        raise StepError(f"compress.cluster: a layer has {found} values, and {wanted.clusters} were asked for")
    return trained, reasons


def most_values(model: tf_keras.Model, names: tuple[str, ...]) -> int:
    """The most different values that a kernel of these layers of a tf_keras model has."""
    return max(len(np.unique(np.asarray(k))) for name in names for k in support.kernels(model.get_layer(name)))
