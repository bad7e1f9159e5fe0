"""Fine-tuning on labelled images in batches: seeded, told of, stopped early, the best weights kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from edgecut.compress.tfmot import Packages, last_activation
from edgecut.errors import StepError
from edgecut.images.mapped import forget
from edgecut.images.sampling import split
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Compress

if TYPE_CHECKING:
    import tf_keras

# Of each class; they choose the best weights, and never train. The images that judge a build are others.
HELD_OUT = 0.1

ToInput = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What is trained on.

    images: (n, ...), kept as they are (bytes); to_input makes a batch of them what the model takes. labels: (n,).
    """

    images: np.ndarray
    labels: np.ndarray
    to_input: ToInput
    wanted: Compress
    seed: int = 0
    progress: Progress = SILENT

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices that train, and those that choose the best weights."""
        return split(self.labels, HELD_OUT, self.seed, "compress")

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.parts[0]) / self.wanted.batch)


@dataclass(frozen=True)
class Trained:
    """How a training went. best: the epoch whose weights were kept, 0 for those before the first."""

    epochs: int
    best: int
    loss: float
    accuracy: float


@dataclass(eq=False)
class _Best:
    """The weights of the smallest loss so far."""

    model: tf_keras.Model
    epoch: int = -1
    loss: float = math.inf
    accuracy: float = 0.0
    weights: list[np.ndarray] = field(default_factory=list)

    def see(self, epoch: int, loss: float, accuracy: float) -> None:
        if loss < self.loss:
            self.epoch, self.loss, self.accuracy = epoch, loss, accuracy
            self.weights = [weight.numpy() for weight in self.model.weights]

    def restore(self) -> None:
        for weight, value in zip(self.model.weights, self.weights, strict=True):
            weight.assign(value)


def train(
    packages: Packages,
    model: tf_keras.Model,
    lessons: Lessons,
    title: str,
    *,
    first: int = 0,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
) -> Trained:
    """Train a tf_keras model in place, and leave it with its best weights.

    The best are those with the smallest loss on held-out training images, of the states after the epochs `first` and
    later (0: before any training). It ends after the recipe's epochs, or when the loss has stopped falling. Raises
    StepError if none is finite.
    """
    k2, wanted = packages.k2, lessons.wanted
    training, choosing = lessons.parts
    model.compile(optimizer=k2.optimizers.Adam(wanted.learning_rate), loss=_loss(k2, model), metrics=["accuracy"])
    tf.random.set_seed(lessons.seed)
    best = _Best(model)
    held_out = _batches(model, lessons, choosing)
    if first == 0:
        best.see(0, *model.evaluate(held_out, verbose=0))
    with lessons.progress.task(title, wanted.epochs * lessons.steps) as advance, _silent_tensorflow():

        def after_epoch(epoch: int, logs: dict[str, float]) -> None:
            if epoch + 1 >= first:
                best.see(epoch + 1, logs["val_loss"], logs["val_accuracy"])
            model.stop_training = epoch + 1 - max(best.epoch, first) >= wanted.patience

        telling = k2.callbacks.LambdaCallback(
            on_epoch_end=after_epoch, on_train_batch_end=lambda batch, logs: advance(1)
        )
        history = model.fit(
            _batches(model, lessons, training, shuffled=True),
            steps_per_epoch=lessons.steps,
            epochs=wanted.epochs,
            validation_data=held_out,
            callbacks=[*callbacks, telling],
            verbose=0,
        )
    if not best.weights:
        raise StepError(f"compress: {title}: the loss isn't finite; lower compress.learning_rate")
    best.restore()
    return Trained(len(history.epoch), best.epoch, float(best.loss), float(best.accuracy))


@contextmanager
def _silent_tensorflow() -> Iterator[None]:
    """Without TensorFlow's warnings, such as that a clustered kernel has no gradient of its own."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def batches_of(lessons: Lessons, count: int) -> Iterator[np.ndarray]:
    """Batches of at most `count` training images as the model takes them, float32."""
    training, _ = lessons.parts
    chosen = np.sort(np.random.default_rng(lessons.seed).permutation(training)[:count])
    for start in range(0, len(chosen), lessons.wanted.batch):
        yield lessons.to_input(lessons.images[chosen[start : start + lessons.wanted.batch]])
        forget(lessons.images)


def _batches(
    model: tf_keras.Model, lessons: Lessons, indices: np.ndarray, *, shuffled: bool = False
) -> tf.data.Dataset:
    """A tf.data.Dataset of (inputs, labels): once over the indices, or without end and each time in another order."""
    size, shape = lessons.wanted.batch, model.inputs[0].shape[1:]

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.random.default_rng(lessons.seed)
        while True:
            chosen = order.permutation(indices) if shuffled else indices
            for start in range(0, len(chosen), size):
                part = chosen[start : start + size]
                yield lessons.to_input(lessons.images[part]), lessons.labels[part]
                forget(lessons.images)
            if not shuffled:
                return

    signature = (tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(parts, output_signature=signature)


def _loss(k2: ModuleType, model: tf_keras.Model) -> tf_keras.losses.Loss:
    """Cross-entropy of the labels, by what the model's last layer puts out: probabilities or scores."""
    activation = last_activation(model)
    if model.outputs[0].shape[-1] == 1:
        return k2.losses.BinaryCrossentropy(from_logits=activation != "sigmoid")
    return k2.losses.SparseCategoricalCrossentropy(from_logits=activation != "softmax")
