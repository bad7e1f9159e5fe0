"""What each output of a run's model answers, and how right the float model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from edgecut.graph.activation import last_activation
from edgecut.graph.calls import calls
from edgecut.graph.predict import predict_outputs
from edgecut.pipeline.fitting import to_input
from edgecut.score.answers import Answer, answer_for, one_judged
from edgecut.score.metrics import MetricName

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run


def answers_of(state: Run, model: keras.Model) -> tuple[Answer, ...]:
    """How each output of a model is decided and judged; at most one of several by the labels of the run's images."""
    graph, labels = calls(model), _labels(state)
    answers = []
    for k, tensor in enumerate(model.outputs):
        shape = tuple(2 if size is None else int(size) for size in tensor.shape[1:])
        answers.append(answer_for(state.recipe, shape, last_activation(graph, k), labels))
    return one_judged(answers)


def judged_output(answers: tuple[Answer, ...]) -> int | None:
    """The place of the output that labels judge; None where they judge none."""
    return next((k for k, answer in enumerate(answers) if answer.metric is not None), None)


def validation_scores(state: Run, model: keras.Model, title: str) -> dict[MetricName, float]:
    """{metric: value} of a float model on the validation images, its own metric first; {} where none judges it."""
    if state.dataset is None or state.dataset.val.labels is None:
        return {}
    answers = answers_of(state, model)
    place = judged_output(answers)
    if place is None:
        return {}
    val = state.dataset.val
    outputs = predict_outputs(model, val.pixels, lambda x: to_input(state, x), title=title, progress=state.progress)
    return answers[place].scores(outputs[place], np.asarray(val.labels))


def _labels(state: Run) -> np.ndarray | None:
    """All labels of the run's images: what one part lacks the other may show."""
    if state.dataset is None:
        return None
    parts = [part.labels for part in (state.dataset.train, state.dataset.val) if part.labels is not None]
    return np.concatenate(parts) if parts else None
