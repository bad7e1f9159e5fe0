"""A model's outputs over many images, in batches, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from edgecut.graph.proof import call_flat
from edgecut.records.progress import SILENT, Progress

BATCH = 32


def predict(
    model: keras.Model,
    images: np.ndarray,
    to_input: Callable[[np.ndarray], np.ndarray],
    *,
    title: str = "forward pass",
    progress: Progress = SILENT,
) -> np.ndarray:
    """The first output of a model with one input, float32 (n, ...).

    images: (n, ...), kept as they are (bytes); to_input makes a batch of them what the model takes.
    """
    forward = tf.function(lambda x: keras.tree.flatten(call_flat(model, [x]))[0], reduce_retracing=True)
    outputs = []
    with progress.task(title, len(images)) as advance:
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH]
            outputs.append(forward(tf.constant(to_input(batch))).numpy())
            advance(len(batch))
    return np.concatenate(outputs)
