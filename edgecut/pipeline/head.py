"""The head, fitted on the features of the body as it will run, or trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

import keras
import numpy as np

from edgecut.errors import HeadError
from edgecut.export.refitted import head_input, takes_head, with_head
from edgecut.export.tflite import convert, convert_with_ranges, traced_once
from edgecut.graph.predict import predict
from edgecut.graph.traced import is_recurrent
from edgecut.head.attach import attach_head, attach_pool, head_behind
from edgecut.head.probe import Probe, fit_ridge, fit_values
from edgecut.head.train import HeadShape, Trained, TrainingPlan, finetune, fit
from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.images.rows import columns
from edgecut.pipeline.features import features_of, float_file, head_weights, runner_of, with_weights
from edgecut.pipeline.images import source_images, with_features
from edgecut.pipeline.losses import lost_by_head
from edgecut.pipeline.run_file import predict_file
from edgecut.pipeline.values import Body, Done, Fitted, timed, training_labels
from edgecut.records.facts import StepFacts
from edgecut.records.progress import Progress
from edgecut.records.proof import Proof
from edgecut.records.recipe import Data, Head, Recipe
from edgecut.score.metrics import metric_of
from edgecut.stem.camera import for_bytes
from edgecut.tflite.cut import cut_tensors


def fit_head(body: Body, images: Dataset | None, recipe: Recipe, scratch: Path, progress: Progress) -> Done[Fitted]:
    """The model with the recipe's head, fitted on the float body's features; the model itself without a head.

    scratch: an empty folder, which outlives the files that are written of the result.
    """
    model, head = body.model.value, recipe.head
    if head is None:
        return Done(Fitted(model, body.feed))
    with timed("head", progress) as clock:
        before = _output_shapes(model)
        if head.train == "none" or images is None:
            start = attach_head(model, head.classes, head.pool, head.hidden, head.activation)
            result = Fitted(start, body.feed)
            lesson = _Lesson(notes=("the head starts from seeded random weights",))
        else:
            result, lesson = _learned(body, images, recipe, scratch=scratch, progress=progress)
        step = clock.step(
            before=before,
            after=_output_shapes(result.model),
            proof=lesson.proof,
            notes=lesson.notes,
            losses=lesson.losses,
        )
    return Done(result, (step,))


@dataclass(frozen=True)
class _Lesson:
    """What the step says of how a head was made."""

    proof: Proof = field(default_factory=Proof)
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


def _output_shapes(model: keras.Model) -> StepFacts:
    return StepFacts(outputs=tuple(tuple(tensor.shape) for tensor in model.outputs))


def refit_on_int8(
    fitted: Fitted, images: Dataset | None, recipe: Recipe, scratch: Path, progress: Progress
) -> tuple[keras.Model, bytes | None]:
    """The model to quantize, and its int8 file where that is made already.

    The head is refitted on the features of the int8 body, which are not the float body's. Without a fitted head it is
    the float model itself, and no file.
    """
    if recipe.head is None or images is None or fitted.body is None:
        return int8_model(fitted.model, fitted.feed), None
    model, calibration = int8_model(fitted.model, fitted.feed), fitted.feed.calibration(images.train, recipe.data)
    start = fitted.float_file
    if start is not None and model is fitted.model and not is_recurrent(model):
        saved_model, weights = start.saved_model, (start.kernel, start.bias)
    else:
        own = scratch / ("float" if model is fitted.model else "bytes")
        saved_model, weights = traced_once(model, own, "int8"), head_weights(model)
    ranged = convert_with_ranges(saved_model, model, columns(calibration))
    taken, float_taken = head_input(ranged.content), head_input(ranged.floats)
    if taken is None or float_taken is None or not takes_head(ranged.floats, *weights):
        return _refitted_apart(fitted, images, recipe.head, recipe.data, scratch=scratch, progress=progress), None
    body = runner_of(cut_tensors(ranged.content, [taken]), scratch / "body.tflite")
    features = predict_file(body, images.train.pixels, fitted.feed, title="int8 features", progress=progress)
    refitted = _refitted(fitted, features, images, recipe.head, recipe.data)
    # Its output's range is of the float body's features, as the converter's calibration has it.
    floats = runner_of(cut_tensors(ranged.floats, [float_taken]), scratch / "floats.tflite").predict(calibration)
    return refitted, ranged.quantized(with_head(ranged.floats, *head_weights(refitted), floats))


def _refitted_apart(
    fitted: Fitted, images: Dataset, head: Head, data: Data, *, scratch: Path, progress: Progress
) -> keras.Model:
    """The refitted model where the head isn't the end of its file as a Dense layer is: by a file of the body alone."""
    if fitted.body is None:
        raise HeadError("head: no body was kept to fit it on")
    body = int8_model(fitted.body, fitted.feed)
    calibration = columns(fitted.feed.calibration(images.train, data))
    content = convert(traced_once(body, scratch / "body", "int8"), body, "int8", calibration)
    runner = runner_of(content, scratch / "apart.tflite")
    features = predict_file(runner, images.train.pixels, fitted.feed, title="int8 features", progress=progress)
    return _refitted(fitted, features, images, head, data)


def _refitted(fitted: Fitted, features: np.ndarray, images: Dataset, head: Head, data: Data) -> keras.Model:
    """The int8 body with the head that its features give."""
    if fitted.body is None:
        raise HeadError("head: no body was kept to fit it on")
    # Rounded to the int8 grid with the bias corrected, the weights pass the converter as they are.
    probe = fit_probe(features, training_labels(images), head, data).rounded()
    body = int8_model(fitted.body, fitted.feed)
    return head_behind(body, head.classes, (), head.activation, **_weights(head, probe))


def int8_model(model: keras.Model, feed: Feed) -> keras.Model:
    """The model as it is written in int8: one that takes raw pixels takes the camera's bytes."""
    return for_bytes(model) if feed.is_raw_camera else model


def fit_probe(features: np.ndarray, labels: np.ndarray, head: Head, data: Data) -> Probe:
    """The ridge head on features (n, d) for what the labels say, classes (n,) or values (n, outputs)."""
    return fit_ridge(features, labels, head.classes) if data.target == "classes" else fit_values(features, labels)


def _learned(
    body: Body, images: Dataset, recipe: Recipe, *, scratch: Path, progress: Progress
) -> tuple[Fitted, _Lesson]:
    """A head that images taught, and what the step says of it."""
    head, labels = recipe.head, training_labels(images)
    if head is None:
        raise HeadError("head: the recipe has none to learn")
    pooled = attach_pool(body.model.value, head.pool)
    file = float_file(pooled, head, scratch / "float_file")
    features = features_of(pooled, file, images.train.pixels, body.feed, scratch, progress)
    probe = fit_probe(features, labels, head, recipe.data)
    model = head_behind(pooled, head.classes, (), head.activation, **_weights(head, probe))
    fitted = Fitted(model, body.feed, pooled, probe, features, None if file is None else with_weights(file, model))
    if head.train == "ridge":
        score = f"leave_one_out_{metric_of(recipe.data.target)}"
        told = {"inputs": len(features), score: probe.loo_accuracy, "penalty": probe.penalty}
        return fitted, _Lesson(Proof.model_validate(told))
    if head.train == "finetune":
        model, lesson = _finetuned(pooled, features, body, images, recipe, progress)
    else:
        model, lesson = _trained(pooled, features, body, images, recipe, progress)
    losses = lost_by_head(fitted.model, model, body.feed, images, recipe=recipe, progress=progress)
    return Fitted(model, body.feed), replace(lesson, losses=losses)


def _finetuned(
    pooled: keras.Model, features: np.ndarray, body: Body, images: Dataset, recipe: Recipe, progress: Progress
) -> tuple[keras.Model, _Lesson]:
    """The model trained from head.unfreeze on, its head fitted on the pooled body's features; what the step says."""
    head, labels = recipe.head, training_labels(images)
    if head is None or head.unfreeze is None:
        raise HeadError("head.unfreeze: finetune needs labelled images and a layer to train from")

    def start(rows: np.ndarray) -> keras.Model:
        probe = fit_probe(features[rows], labels[rows], head, recipe.data)
        return attach_head(pooled, head.classes, head.pool, (), head.activation, **_weights(head, probe))

    model, trained = finetune(
        start,
        images.train.pixels,
        labels,
        body.feed.values,
        TrainingPlan(recipe.data.target, head.training, recipe.data.seed),
        unfreeze=head.unfreeze,
        progress=progress,
    )
    return model, _Lesson(_proof(trained, len(features)), (f"trained from {head.unfreeze} on",))


def _trained(
    pooled: keras.Model, features: np.ndarray, body: Body, images: Dataset, recipe: Recipe, progress: Progress
) -> tuple[keras.Model, _Lesson]:
    """A pooled body with the recipe's head, trained on its features (n, d) by "fit" or "distil"; what the step says."""
    head, labels = recipe.head, training_labels(images)
    if head is None:
        raise HeadError("head: the recipe has none to train")
    soft, notes = None, tuple[str, ...]()
    if head.train == "distil":
        soft, teacher = _teacher(body, images, recipe, head, progress)
        notes = (f"taught by {teacher}",)
    layers, trained = fit(
        features,
        labels,
        HeadShape(head.classes, head.hidden),
        TrainingPlan(recipe.data.target, head.training, recipe.data.seed),
        soft=soft,
        progress=progress,
    )
    model = attach_head(pooled, head.classes, head.pool, head.hidden, head.activation)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][-len(layers) :]
    for layer, weights in zip(dense, layers, strict=True):
        layer.set_weights(weights)
    return model, _Lesson(_proof(trained, len(features)), notes)


def _teacher(body: Body, images: Dataset, recipe: Recipe, head: Head, progress: Progress) -> tuple[np.ndarray, str]:
    """What the source says of the training images, (n, outputs), and how it was asked."""
    source, labels = body.source.model.value, training_labels(images)
    shape = tuple(source.outputs[0].shape) if len(source.outputs) == 1 else ()
    if recipe.data.target == "classes" and shape[1:] == (head.classes,):
        originals, feed = source_images(recipe, source, body.feed, progress)
        answers = predict(source, originals.train.pixels, feed.values, title="the source's answers", progress=progress)
        return _probabilities(answers), "the source's outputs"
    features = with_features(images, recipe, source, body.feed, progress).train.labels
    if features is None:
        raise HeadError("head.train: the source has no features to teach with; set train = 'fit'")
    if recipe.data.target == "classes":
        probe = fit_ridge(features, labels, head.classes)
        return _softmax(probe.scores(features) * probe.temperature), "a linear head on the source's final features"
    return fit_values(features, labels).scores(features), "a linear head on the source's final features"


def _probabilities(answers: np.ndarray) -> np.ndarray:
    """Answers that are probabilities as they are, others by softmax."""
    are = bool(np.all(answers >= 0) and np.allclose(answers.sum(axis=1), 1, atol=1e-3))
    return answers if are else _softmax(answers)


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


class _Weights(TypedDict):
    kernel: np.ndarray
    bias: np.ndarray


def _weights(head: Head, probe: Probe) -> _Weights:
    # Softmax of ridge scores would be nearly uniform, and tie in int8: the temperature spreads them.
    factor = probe.temperature if head.activation == "softmax" else 1.0
    return {"kernel": (probe.kernel * factor).astype("float32"), "bias": (probe.bias * factor).astype("float32")}


def _proof(trained: Trained, inputs: int) -> Proof:
    return Proof(
        inputs=inputs,
        epochs=trained.epochs,
        best_epoch=trained.best,
        held_out_loss=trained.loss,
        first_held_out_loss=trained.first_loss,
    )
