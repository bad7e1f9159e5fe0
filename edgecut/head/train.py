"""Heads that are trained: on cached features, from a teacher's answers, or with the last layers of the body.

Each starts from the ridge head. Adam (Kingma and Ba, 2015) trains it on a part of the training images; the loss on the
others, which the start hasn't seen either, says after how many epochs to stop, 0 where none brings it lower. As many
then train the ridge head of all images. Images that judge a build are never seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from edgecut.errors import HeadError
from edgecut.graph.first_kernels import IMAGES, first_units, folded, holds_stem_constants, unfolded
from edgecut.head.probe import fit_ridge, fit_values
from edgecut.images.mapped import forget
from edgecut.images.sampling import sampled
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Target, Training

HELD_OUT = 0.2
# Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015: soft answers count for most of the loss.
_SOFT = 0.7

ToInput = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """How a training went. epochs: with images held out. best: of them the one with the smallest loss, 0: the start.

    loss: of the held-out part after the best; first_loss: at the start. The result is that of all images after `best`
    epochs.
    """

    epochs: int
    best: int
    loss: float
    first_loss: float


@dataclass(frozen=True)
class TrainingPlan:
    """What is learnt, and how. target: what the labels are."""

    target: Target
    settings: Training
    seed: int = 0


@dataclass(frozen=True)
class HeadShape:
    """The units of a head's layers: hidden ones, and outputs."""

    outputs: int
    hidden: Sequence[int] = ()


def fit(
    features: np.ndarray,
    targets: np.ndarray,
    shape: HeadShape,
    plan: TrainingPlan,
    *,
    soft: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], Trained]:
    """Kernel and bias of each Dense layer of a head, ReLU between them, and how their training went.

    features: (n, d). targets: classes (n,), or values or tags (n, outputs). soft: a teacher's probabilities of the
    classes, or its values, (n, outputs), which then count for 0.7 of the loss. The last layer's scores are logits for
    classes and values themselves for values and tags. The standardisation of the features is folded into the first
    layer. Raises HeadError for features or targets that can't be trained on.
    """
    outputs, hidden = shape.outputs, shape.hidden
    _check(features, targets, soft, outputs)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    alive = deviation > 1e-5 * np.abs(features).max(axis=0)
    inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0).astype(np.float32)
    standard = ((features - mean) * inverse).astype(np.float32)
    wanted = np.eye(outputs, dtype=np.float32)[targets] if targets.ndim == 1 else targets.astype(np.float32)
    if soft is not None:
        wanted = (1 - _SOFT) * wanted + _SOFT * soft.astype(np.float32)
    sizes = [*hidden, outputs]
    model = keras.Sequential(
        [
            keras.Input((features.shape[1],)),
            *(
                keras.layers.Dense(units, activation="relu" if k < len(hidden) else None)
                for k, units in enumerate(sizes)
            ),
        ]
    )

    def started(rows: np.ndarray) -> keras.Model:
        start = _ridge_layers(standard[rows], targets[rows], outputs, hidden, plan.seed)
        model.set_weights([array for layer in start for array in layer])
        return model

    lessons = _Lessons(standard, wanted, targets if targets.ndim == 1 else None, lambda x: x, plan.settings, plan.seed)
    trained = _train(started, lessons, loss_of(plan.target), progress, "training the head")
    layers = [(np.asarray(layer.kernel), np.asarray(layer.bias)) for layer in model.layers]
    first = layers[0][0] * inverse[:, None]
    layers[0] = (first, layers[0][1] - mean.astype(np.float32) @ first)
    return layers, trained


def _ridge_layers(
    features: np.ndarray, targets: np.ndarray, outputs: int, hidden: Sequence[int], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each layer of the head that a training starts from: what ridge says, as logits for classes.

    A hidden layer has ridge's scores in both signs, whose ReLUs hold them all, beside units with random weights as
    Glorot and Bengio, 2010, draw them. With 8 to 64 units on twelve sets of features, 40 to 2,000 images, training
    ended between .001 below and .27 above one from random weights with ridge behind them.
    """
    random, layers, values = np.random.default_rng(seed), list[tuple[np.ndarray, np.ndarray]](), features
    for units in hidden:
        kernel, bias = _ridge(values, targets, outputs)
        limit = math.sqrt(6 / (len(kernel) + units))
        kernel = np.concatenate([kernel, -kernel, random.uniform(-limit, limit, (len(kernel), units))], axis=1)
        bias = np.concatenate([bias, -bias, np.zeros(units)])
        layers.append((kernel[:, :units].astype(np.float32), bias[:units].astype(np.float32)))
        values = np.maximum(values @ layers[-1][0] + layers[-1][1], 0)
    return [*layers, _ridge(values, targets, outputs)]


def _ridge(features: np.ndarray, targets: np.ndarray, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    probe = fit_ridge(features, targets, outputs) if targets.ndim == 1 else fit_values(features, targets)
    return probe.scaled()


def finetune(
    model_of: Callable[[np.ndarray], keras.Model],
    images: np.ndarray,
    targets: np.ndarray,
    to_input: ToInput,
    plan: TrainingPlan,
    *,
    unfreeze: str,
    progress: Progress = SILENT,
) -> tuple[keras.Model, Trained]:
    """A model with a head, trained from the layer `unfreeze` on, and how that went.

    model_of: the model to start from, its head fitted on these rows of the images; it is left as it is. images:
    (n, ...), kept as they are; to_input makes a batch of them what the model takes. targets: as in fit. Every
    BatchNormalization stays frozen by trainable = False: `training=False` in the call alone doesn't keep Keras 3's fit
    from moving its statistics. First kernels are trained on inputs of about one, as graph/first_kernels.py says. The
    trainable flags of the result are those of the model.
    Raises HeadError where no layer has that name, or nothing behind it can be trained.
    """
    model = unfolded(model_of(np.arange(len(images))), ())
    names = [layer.name for layer in model.layers]
    if unfreeze not in names:
        raise HeadError(f"head.unfreeze: no layer {unfreeze!r}; {', '.join(names[-5:])} are the last ones")
    flags = {layer.name: layer.trainable for layer in model.layers}
    learning = {layer.name for layer in model.layers[names.index(unfreeze) :] if _learns(layer)}
    units = [u for u in first_units(model, to_input(images[:IMAGES])) if learning.issuperset(u.layers)]
    result = unfolded(model, units)
    for layer in result.layers:
        layer.trainable = layer.name in learning
    if not result.trainable_weights:
        raise HeadError(f"head.unfreeze: nothing from {unfreeze!r} on has weights to train; name an earlier layer")
    outputs = int(result.outputs[0].shape[-1])
    wanted = np.eye(outputs, dtype=np.float32)[targets] if targets.ndim == 1 else targets.astype(np.float32)
    ends_in_softmax = isinstance(result.layers[-1], keras.layers.Softmax)
    loss = keras.losses.CategoricalCrossentropy() if ends_in_softmax else loss_of(plan.target)

    def started(rows: np.ndarray) -> keras.Model:
        result.set_weights(unfolded(model_of(rows), units).get_weights())
        return result

    lessons = _Lessons(images, wanted, targets if targets.ndim == 1 else None, to_input, plan.settings, plan.seed)
    trained = _train(started, lessons, loss, progress, f"fine-tuning from {unfreeze}")
    result = folded(result, units, model)  # a copy: a compiled model has its optimizer saved with it
    for layer in result.layers:
        layer.trainable = flags[layer.name]
    return result, trained


def _learns(layer: keras.Layer) -> bool:
    return not isinstance(layer, keras.layers.BatchNormalization) and not holds_stem_constants(layer.name)


def loss_of(target: Target) -> keras.losses.Loss:
    """What a head's last scores are trained by: logits for classes, values for the others."""
    if target == "classes":
        return keras.losses.CategoricalCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()


@dataclass(frozen=True, eq=False)
class _Lessons:
    """What is trained on. classes: (n,), to hold out evenly; None: values or tags."""

    inputs: np.ndarray
    wanted: np.ndarray
    classes: np.ndarray | None
    to_input: ToInput
    settings: Training
    seed: int


class _Batches(keras.utils.PyDataset):
    """Batches of rows in an order that each epoch shuffles anew, seeded."""

    def __init__(self, lessons: _Lessons, rows: np.ndarray, *, shuffled: bool) -> None:
        super().__init__()
        self._lessons, self._rows, self._batch = lessons, rows, lessons.settings.batch
        self._random = np.random.default_rng(lessons.seed) if shuffled else None
        self.on_epoch_end()

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self._rows) // self._batch)

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch: what the model takes, and what it should say."""
        rows, inputs = self._order[place * self._batch : (place + 1) * self._batch], self._lessons.inputs
        batch = self._lessons.to_input(inputs[rows])
        forget(inputs)
        return batch, self._lessons.wanted[rows]

    def on_epoch_end(self) -> None:
        """Shuffle."""
        self._order = self._rows if self._random is None else self._random.permutation(self._rows)


class _Best(keras.callbacks.Callback):
    """Which epoch has the smallest held-out loss; ends a training that hasn't got better for a while."""

    def __init__(self, first_loss: float, patience: int, advance: Callable[[int], None]) -> None:
        super().__init__()
        self.loss, self.epoch, self.epochs = first_loss, 0, 0
        self._patience, self._advance = patience, advance

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the held-out loss."""
        self.epochs = epoch + 1
        loss = (logs or {})["val_loss"]
        if loss < self.loss:
            self.loss, self.epoch = float(loss), self.epochs
        self._advance(1)
        if self.epochs - self.epoch >= self._patience:
            self.model.stop_training = True


def _train(
    started: Callable[[np.ndarray], keras.Model],
    lessons: _Lessons,
    loss: keras.losses.Loss,
    progress: Progress,
    title: str,
) -> Trained:
    """Train the model, and leave it as all rows make it. started: the one model, as it starts with these rows."""
    settings, every = lessons.settings, np.arange(len(lessons.inputs))
    held_out = sampled(lessons.classes, len(every), max(1, round(HELD_OUT * len(every))), lessons.seed)
    rows = np.setdiff1d(every, held_out)
    judges = _Batches(lessons, held_out, shuffled=False)
    model = started(rows)
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=loss)
    first_loss = float(model.evaluate(judges, verbose=0))
    with progress.task(title, settings.epochs) as advance:
        best = _Best(first_loss, settings.patience, advance)
        model.fit(
            _Batches(lessons, rows, shuffled=True),
            validation_data=judges,
            epochs=settings.epochs,
            callbacks=[best],
            verbose=0,
            shuffle=False,
        )
    model = started(every)
    if best.epoch:
        told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: advance(1))
        with progress.task(f"{title}, all images", best.epoch) as advance:
            model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=loss)
            model.fit(
                _Batches(lessons, every, shuffled=True), epochs=best.epoch, callbacks=[told], verbose=0, shuffle=False
            )
    return Trained(epochs=best.epochs, best=best.epoch, loss=best.loss, first_loss=first_loss)


def _check(features: np.ndarray, targets: np.ndarray, soft: np.ndarray | None, outputs: int) -> None:
    if features.ndim != 2 or len(features) < 5:
        raise HeadError(
            f"head: features of shape {features.shape} can't be trained on; (5 or more, channels) is expected"
        )
    if not np.all(np.isfinite(features)):
        raise HeadError("head: the features hold NaN or infinity; check source.preprocess and the model's weights")
    shapes = [targets.shape if targets.ndim == 2 else (len(targets), outputs), *([] if soft is None else [soft.shape])]
    if any(shape != (len(features), outputs) for shape in shapes):
        raise HeadError(
            f"head: targets of shape {targets.shape} don't fit {len(features)} images and {outputs} outputs"
        )
