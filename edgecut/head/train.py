"""Heads that are trained: on cached features, from a teacher's answers, or with the last layers of the body.

Adam (Kingma and Ba, 2015); a part of the training images is held out, its loss stops the training early, and the
weights with the smallest such loss are kept. Images that judge a build are never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from edgecut.errors import HeadError
from edgecut.graph.calls import calls
from edgecut.graph.rebuild import rebuild
from edgecut.images.sampling import sampled
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Target, Training

HELD_OUT = 0.2
# Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015: soft answers count for most of the loss.
_SOFT = 0.7

ToInput = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """How a training went. best: the epoch whose weights were kept, from 1; 0: those before the first.

    loss: of the held-out part with these weights; first_loss: with those before.
    """

    epochs: int
    best: int
    loss: float
    first_loss: float


def fit(
    features: np.ndarray, targets: np.ndarray, outputs: int, target: Target, *, hidden: Sequence[int] = (),
    settings: Training, seed: int = 0, soft: np.ndarray | None = None, progress: Progress = SILENT,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], Trained]:  # fmt: skip
    """Kernel and bias of each Dense layer of a head, ReLU between them, and how their training went.

    features: (n, d). targets: classes (n,), or values or tags (n, outputs). soft: a teacher's probabilities of the
    classes, or its values, (n, outputs), which then count for 0.7 of the loss. The last layer's scores are logits for
    classes and values themselves for values and tags. The standardisation of the features is folded into the first
    layer. Raises HeadError for features or targets that can't be trained on.
    """
    _check(features, targets, soft, outputs)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    alive = deviation > 1e-5 * np.abs(features).max(axis=0)
    inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0).astype(np.float32)
    wanted = np.eye(outputs, dtype=np.float32)[targets] if targets.ndim == 1 else targets.astype(np.float32)
    if soft is not None:
        wanted = (1 - _SOFT) * wanted + _SOFT * soft.astype(np.float32)
    sizes = [*hidden, outputs]
    model = keras.Sequential([
        keras.Input((features.shape[1],)),
        *(
            keras.layers.Dense(
                units, activation="relu" if k < len(hidden) else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed + k),
            )
            for k, units in enumerate(sizes)
        ),
    ])  # fmt: skip
    standard = ((features - mean) * inverse).astype(np.float32)
    classes = targets if targets.ndim == 1 else None
    trained = _train(
        model, standard, wanted, classes, loss_of(target), lambda x: x, settings, seed, progress, "training the head"
    )
    layers = [(np.asarray(layer.kernel), np.asarray(layer.bias)) for layer in model.layers]
    first = layers[0][0] * inverse[:, None]
    layers[0] = (first, layers[0][1] - mean.astype(np.float32) @ first)
    return layers, trained


def finetune(
    model: keras.Model, images: np.ndarray, targets: np.ndarray, target: Target, to_input: ToInput, *, unfreeze: str,
    settings: Training, seed: int = 0, progress: Progress = SILENT,
) -> tuple[keras.Model, Trained]:  # fmt: skip
    """A copy of a model with a head, trained from the layer `unfreeze` on, and how that went.

    images: (n, ...), kept as they are; to_input makes a batch of them what the model takes. targets: as in fit. Every
    BatchNormalization stays frozen by trainable = False: `training=False` in the call alone doesn't keep Keras 3's fit
    from moving its statistics. The trainable flags of the result are those of `model`.
    Raises HeadError where no layer has that name, or nothing behind it can be trained.
    """
    result = rebuild(calls(model))
    names = [layer.name for layer in result.layers]
    if unfreeze not in names:
        raise HeadError(f"head.unfreeze: no layer {unfreeze!r}; {', '.join(names[-5:])} are the last ones")
    flags = [layer.trainable for layer in result.layers]
    start = names.index(unfreeze)
    for place, layer in enumerate(result.layers):
        layer.trainable = place >= start and not isinstance(layer, keras.layers.BatchNormalization)
    if not result.trainable_weights:
        raise HeadError(f"head.unfreeze: nothing from {unfreeze!r} on has weights to train; name an earlier layer")
    outputs = int(result.outputs[0].shape[-1])
    wanted = np.eye(outputs, dtype=np.float32)[targets] if targets.ndim == 1 else targets.astype(np.float32)
    ends_in_softmax = isinstance(result.layers[-1], keras.layers.Softmax)
    loss = keras.losses.CategoricalCrossentropy() if ends_in_softmax else loss_of(target)
    classes = targets if targets.ndim == 1 else None
    trained = _train(
        result, images, wanted, classes, loss, to_input, settings, seed, progress, f"fine-tuning from {unfreeze}"
    )
    for layer, flag in zip(result.layers, flags, strict=True):
        layer.trainable = flag
    return result, trained


def loss_of(target: Target) -> keras.losses.Loss:
    """What a head's last scores are trained by: logits for classes, values for the others."""
    if target == "classes":
        return keras.losses.CategoricalCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()


class _Batches(keras.utils.PyDataset):
    """Batches of rows in an order that each epoch shuffles anew, seeded."""

    def __init__(
        self, inputs: np.ndarray, wanted: np.ndarray, rows: np.ndarray, to_input: ToInput, batch: int, seed: int | None
    ) -> None:
        """seed: None: always in the order of `rows`."""
        super().__init__()
        self._inputs, self._wanted, self._rows, self._to_input, self._batch = inputs, wanted, rows, to_input, batch
        self._random = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self._rows) // self._batch)

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch: what the model takes, and what it should say."""
        rows = self._order[place * self._batch : (place + 1) * self._batch]
        return self._to_input(self._inputs[rows]), self._wanted[rows]

    def on_epoch_end(self) -> None:
        """Shuffle."""
        self._order = self._rows if self._random is None else self._random.permutation(self._rows)


class _Best(keras.callbacks.Callback):
    """Keeps the weights with the smallest held-out loss, and ends a training that hasn't got better for a while."""

    def __init__(self, first_loss: float, patience: int, advance: Callable[[int], None]) -> None:
        super().__init__()
        self.loss, self.epoch, self.epochs = first_loss, 0, 0
        self._patience, self._advance, self._weights = patience, advance, None

    def on_train_begin(self, logs: object = None) -> None:
        """Those before the first epoch are the best so far."""
        self._weights = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the held-out loss."""
        self.epochs = epoch + 1
        loss = (logs or {})["val_loss"]
        if loss < self.loss:
            self.loss, self.epoch, self._weights = float(loss), self.epochs, self.model.get_weights()
        self._advance(1)
        if self.epochs - self.epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: object = None) -> None:
        """The best weights again."""
        self.model.set_weights(self._weights)


def _train(
    model: keras.Model, inputs: np.ndarray, wanted: np.ndarray, classes: np.ndarray | None, loss: keras.losses.Loss,
    to_input: ToInput, settings: Training, seed: int, progress: Progress, title: str,
) -> Trained:  # fmt: skip
    held_out = sampled(classes, len(inputs), max(1, round(HELD_OUT * len(inputs))), seed)
    rows = np.setdiff1d(np.arange(len(inputs)), held_out)
    batches = _Batches(inputs, wanted, rows, to_input, settings.batch, seed)
    judges = _Batches(inputs, wanted, held_out, to_input, settings.batch, None)
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=loss)
    first_loss = float(model.evaluate(judges, verbose=0))
    with progress.task(title, settings.epochs) as advance:
        best = _Best(first_loss, settings.patience, advance)
        model.fit(batches, validation_data=judges, epochs=settings.epochs, callbacks=[best], verbose=0, shuffle=False)
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
