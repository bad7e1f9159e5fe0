"""What a step loses by more than chance: said with the step and in the report, whatever the budgets are."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.pipeline.judged_outputs import answers_of, validation_outputs
from edgecut.records.progress import Progress
from edgecut.records.recipe import Recipe
from edgecut.score.answer import Answer, Drop
from edgecut.score.threshold import judged_output

ERRORS = 2
"""So many standard errors of the paired difference are chance, and so many images."""


def is_loss(drop: Drop, images: int) -> bool:
    """Whether a metric fell by more than chance on so many images."""
    return drop.value > ERRORS * max(drop.error, 1 / images)


def sentence(words: str, metric: str, figures: tuple[float, float], drop: Drop, images: int) -> str:
    """What was lost. words: what, and against what; figures: of the metric, before and after."""
    before, after = figures
    return (
        f"{words}: {metric} {after:.3f} where it was {before:.3f}, on {images} held-out images, which is more than "
        f"chance: it fell by {drop.value:.3f}, and two standard errors of the paired difference are "
        f"{ERRORS * drop.error:.3f}"
    )


def lost(
    answer: Answer, before: np.ndarray, after: np.ndarray, labels: np.ndarray, words: str, by: Answer | None = None
) -> tuple[str, ...]:
    """That sentence where `after` is worse than `before` by more than chance; () where it isn't.

    before, after: outputs (n, ...) for the same images, which the labels (n, ...) are of. by: what decides `before`,
    the answer by default.
    """
    if answer.metric is None:
        return ()
    drop = answer.drops(before, after, labels, by=by)[answer.metric]
    if not is_loss(drop, len(labels)):
        return ()
    old, new = ((by or answer).scores(before, labels)[answer.metric], answer.scores(after, labels)[answer.metric])
    return (sentence(words, answer.metric, (old, new), drop, len(labels)),)


def lost_by_head(
    start: keras.Model, trained: keras.Model, feed: Feed, images: Dataset, *, recipe: Recipe, progress: Progress
) -> tuple[str, ...]:
    """What training a head lost against the fitted head that it started from."""
    answers = answers_of(trained, recipe, images)
    place = judged_output(answers)
    if images.val.labels is None or place is None:
        return ()
    old, new = (
        validation_outputs(model, feed, images, title="head", progress=progress)[place] for model in (start, trained)
    )
    labels = np.asarray(images.val.labels)
    return lost(answers[place], old, new, labels, "the trained head, against the one fitted in closed form")
