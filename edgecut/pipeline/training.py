"""A head that is trained rather than fitted in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgecut.errors import HeadError
from edgecut.graph.predict import predict
from edgecut.head.attach import attach_head
from edgecut.head.probe import fit_ridge, fit_values
from edgecut.head.train import Trained, finetune, fit
from edgecut.images.device import model_input
from edgecut.pipeline.reference import seen_by_source, with_features
from edgecut.records.recipe import Head

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run


def trained_head(state: Run, body: keras.Model, features: np.ndarray) -> tuple[keras.Model, dict[str, Any]]:
    """A pooled body with the recipe's head, trained on its features (n, d) by "fit" or "distil"; what the step says."""
    head, recipe = _head(state), state.recipe
    soft, notes = None, tuple[str, ...]()
    if head.train == "distil":
        soft, teacher = _teacher(state, head)
        notes = (f"taught by {teacher}",)
    layers, trained = fit(
        features, state.labels, head.classes, recipe.data.target, hidden=head.hidden, settings=head.training,
        seed=recipe.data.seed, soft=soft, progress=state.progress,
    )  # fmt: skip
    model = attach_head(body, head.classes, head.pool, head.hidden, head.activation)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][-len(layers) :]
    for layer, weights in zip(dense, layers, strict=True):
        layer.set_weights(weights)
    return model, {"proof": _proof(trained, len(features)), "notes": notes}


def finetuned(state: Run, model_of: Callable[[np.ndarray], keras.Model]) -> tuple[keras.Model, dict[str, Any]]:
    """A model with a fitted head, trained from the recipe's head.unfreeze on; what the step says.

    model_of: the model with its head fitted on these rows of the training images.
    """
    head, recipe = _head(state), state.recipe
    if state.dataset is None or head.unfreeze is None:
        raise HeadError("head.unfreeze: finetune needs labelled images and a layer to train from")
    pixels = state.dataset.train.pixels
    result, trained = finetune(
        model_of, pixels, state.labels, recipe.data.target,
        lambda x: model_input(x, recipe.source.preprocess, recipe.stem.pixels), unfreeze=head.unfreeze,
        settings=head.training, seed=recipe.data.seed, progress=state.progress,
    )  # fmt: skip
    return result, {"proof": _proof(trained, len(pixels)), "notes": (f"trained from {head.unfreeze} on",)}


def _teacher(state: Run, head: Head) -> tuple[np.ndarray, str]:
    """What the source says of the training images, (n, outputs), and how it was asked."""
    if state.dataset is None or state.device_shape is None:
        raise HeadError("head.train: distil needs images that the source can be asked about (--data)")
    source, recipe, size = state.source, state.recipe, state.device_shape[:2]
    shape = tuple(source.outputs[0].shape) if len(source.outputs) == 1 else ()
    if recipe.data.target == "classes" and shape[1:] == (head.classes,):
        pixels = seen_by_source(recipe, source, size, state.progress).train.pixels
        answers = predict(
            source, pixels, lambda x: model_input(x, recipe.source.preprocess, "normalized"),
            title="the source's answers", progress=state.progress,
        )  # fmt: skip
        return _probabilities(answers), "the source's outputs"
    features = with_features(state.dataset, recipe, source, size, state.progress).train.labels
    if features is None:
        raise HeadError("head.train: the source has no features to teach with; set train = 'fit'")
    if recipe.data.target == "classes":
        probe = fit_ridge(features, state.labels, head.classes)
        return _softmax(probe.scores(features) * probe.temperature), "a linear head on the source's final features"
    return fit_values(features, state.labels).scores(features), "a linear head on the source's final features"


def _probabilities(answers: np.ndarray) -> np.ndarray:
    """Answers that are probabilities as they are, others by softmax."""
    are = bool(np.all(answers >= 0) and np.allclose(answers.sum(axis=1), 1, atol=1e-3))
    return answers if are else _softmax(answers)


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _head(state: Run) -> Head:
    if state.recipe.head is None:
        raise HeadError("head: the recipe has none to train")
    return state.recipe.head


def _proof(trained: Trained, inputs: int) -> dict[str, Any]:
    return {
        "inputs": inputs, "epochs": trained.epochs, "best_epoch": trained.best,
        "held_out_loss": trained.loss, "first_held_out_loss": trained.first_loss,
    }  # fmt: skip
