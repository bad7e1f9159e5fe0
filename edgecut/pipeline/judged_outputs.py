"""What each output of a model answers, and how right the float model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from edgecut.errors import RequestError
from edgecut.graph.calls import calls
from edgecut.graph.predict import predict_outputs
from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.lowering.activation import last_activation
from edgecut.pipeline.images import class_names
from edgecut.records.document import closest
from edgecut.records.progress import Progress
from edgecut.records.recipe import Data, Recipe
from edgecut.score.answer import Answer, answer_for, one_judged, thresholded
from edgecut.score.metrics import MetricName


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
    return _with_threshold(answers, outputs, recipe.data, class_names(recipe, images))


def _with_threshold(
    answers: tuple[Answer, ...], outputs: Sequence[tuple[tuple[int, ...], str]], data: Data, names: Sequence[str]
) -> tuple[Answer, ...]:
    """The answers, of which one is decided by the recipe's threshold: the judged one, or the first that can be."""
    judged, column = judged_output(answers), _column(data, names)
    for k in range(len(answers)) if judged is None else (judged,):
        answer = thresholded(answers[k], *outputs[k], column)
        if answer is None:
            continue
        if data.positive is not None and answer.column is None and (answer.kind == "tags" or column == 0):
            raise RequestError(
                f"data.positive: is of a softmax over two classes, and a score of this model rises with "
                f"{names[1] if answer.kind == 'binary' else 'its own tag'!r}; leave it out"
            )
        if isinstance(data.threshold, float):
            answer = replace(answer, threshold=data.threshold)
        return (*answers[:k], answer, *answers[k + 1 :])
    shown = ", ".join(f"{shape} by {activation or 'no activation'}" for shape, activation in outputs)
    raise RequestError(
        "data.threshold: is of one score for two classes, of tags, or of a softmax over two classes, and the model "
        f"puts out {shown}; leave it out"
    )


def _column(data: Data, names: Sequence[str]) -> int:
    """The place of the class that a score above the threshold says."""
    if data.positive is None:
        return 1
    if data.positive not in names:
        raise RequestError(f"data.positive: no class {data.positive!r}{closest(data.positive, names)}")
    return list(names).index(data.positive)


def judged_output(answers: tuple[Answer, ...]) -> int | None:
    """The place of the output that labels judge; None where they judge none."""
    return next((k for k, answer in enumerate(answers) if answer.metric is not None), None)


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
