"""What each output of a model answers, and how right the float model is."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.graph.calls import calls
from edgecut.graph.predict import predict_outputs
from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.lowering.activation import last_activation
from edgecut.pipeline.images import class_names
from edgecut.records.progress import Progress
from edgecut.records.recipe import Recipe
from edgecut.score.answer import Answer, answer_for, one_judged
from edgecut.score.metrics import MetricName
from edgecut.score.threshold import judged_output, with_threshold


def answers_of(model: keras.Model, recipe: Recipe, images: Dataset | None) -> tuple[Answer, ...]:
    """How each output of a model is decided and judged; at most one of several by the labels of the images.

    Raises RequestError for a threshold that none of them has.
    """
    graph, labels = calls(model), _labels(images)
    outputs = [
        (tuple(2 if size is None else int(size) for size in tensor.shape[1:]), last_activation(graph, k))
        for k, tensor in enumerate(model.outputs)
    ]
    answers = one_judged([answer_for(recipe, shape, activation, labels) for shape, activation in outputs])
    if recipe.data.threshold is None and recipe.data.positive is None:
        return answers
    return with_threshold(answers, outputs, recipe.data, class_names(recipe, images))


def validation_outputs(
    model: keras.Model, feed: Feed, images: Dataset, *, title: str, progress: Progress
) -> tuple[np.ndarray, ...]:
    """What a float model puts out for the validation images, (n, ...) each."""
    return predict_outputs(model, images.val.pixels, feed.values, title=title, progress=progress)


def validation_scores(
    model: keras.Model, feed: Feed, images: Dataset | None, recipe: Recipe, progress: Progress
) -> dict[MetricName, float]:
    """{metric: value} of a float model on the validation images, its own metric first; {} where none judges it."""
    if images is None or images.val.labels is None:
        return {}
    answers = answers_of(model, recipe, images)
    place = judged_output(answers)
    if place is None:
        return {}
    outputs = validation_outputs(model, feed, images, title="validation", progress=progress)
    return answers[place].scores(outputs[place], np.asarray(images.val.labels))


def _labels(images: Dataset | None) -> np.ndarray | None:
    """All labels of the images: what one part lacks the other may show."""
    if images is None:
        return None
    parts = [part.labels for part in (images.train, images.val) if part.labels is not None]
    return np.concatenate(parts) if parts else None
