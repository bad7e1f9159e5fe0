"""What a step loses by more than chance: said with the step and in the report, whatever the budgets are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from edgecut.graph.predict import predict_outputs
from edgecut.pipeline.answers import answers_of, judged_output
from edgecut.pipeline.fitting import FittedModel, to_input
from edgecut.score.answers import Answer, Drop

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

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


def lost(answer: Answer, before: np.ndarray, after: np.ndarray, labels: np.ndarray, words: str) -> tuple[str, ...]:
    """That sentence where `after` is worse than `before` by more than chance; () where it isn't.

    before, after: outputs (n, ...) for the same images, which the labels (n, ...) are of.
    """
    if answer.metric is None:
        return ()
    drop = answer.drops(before, after, labels)[answer.metric]
    if not is_loss(drop, len(labels)):
        return ()
    old, new = (answer.scores(outputs, labels)[answer.metric] for outputs in (before, after))
    return (sentence(words, answer.metric, (old, new), drop, len(labels)),)


def validation_outputs(state: Run, model: keras.Model, title: str) -> tuple[np.ndarray, ...]:
    """What a float model puts out for the validation images; () without images."""
    if state.dataset is None:
        return ()
    pixels = state.dataset.val.pixels
    return predict_outputs(model, pixels, lambda x: to_input(state, x), title=title, progress=state.progress)


def say_lost_by_head(state: Run, fitted: FittedModel) -> None:
    """Add to the head's step what training it lost against the fitted head that it started from."""
    if fitted.start is None or state.dataset is None or state.dataset.val.labels is None:
        return
    answers = answers_of(state, fitted.model)
    place = judged_output(answers)
    if place is None:
        return
    old, new = (validation_outputs(state, model, "head")[place] for model in (fitted.start, fitted.model))
    labels = np.asarray(state.dataset.val.labels)
    losses = lost(answers[place], old, new, labels, "the trained head, against the one fitted in closed form")
    state.steps[-1] = state.steps[-1].model_copy(update={"losses": losses})
