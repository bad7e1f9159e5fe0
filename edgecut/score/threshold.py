"""The threshold that a request gives to one of a model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgecut.errors import RequestError
from edgecut.records.nearest import closest
from edgecut.records.recipe import Data
from edgecut.score.answer import Answer, thresholded

_FROM_0_TO_1 = frozenset({"softmax", "sigmoid", "hard_sigmoid"})


def judged_output(answers: Sequence[Answer]) -> int | None:
    """The place of the output that labels judge; None where they judge none."""
    return next((k for k, answer in enumerate(answers) if answer.metric is not None), None)


def with_threshold(
    answers: tuple[Answer, ...], outputs: Sequence[tuple[tuple[int, ...], str]], data: Data, names: Sequence[str]
) -> tuple[Answer, ...]:
    """The answers, of which one is decided by data.threshold and data.positive: the judged one, or the first possible.

    outputs: (shape without the batch, last activation) of each. names: of the classes. Raises RequestError where none
    can be, for a threshold that decides all alike, and for a class that there isn't.
    """
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
            fault = one_sided(data, outputs[k][1])
            if fault:
                raise RequestError(fault)
            answer = replace(answer, threshold=data.threshold)
        return (*answers[:k], answer, *answers[k + 1 :])
    shown = ", ".join(f"{shape} by {activation or 'no activation'}" for shape, activation in outputs)
    key = "data.positive" if data.threshold is None else "data.threshold"
    raise RequestError(
        f"{key}: is of one score for two classes, of tags, or of a softmax over two classes, and the model "
        f"puts out {shown}; leave it out"
    )


def one_sided(data: Data, activation: str) -> str:
    """That a threshold decides all alike, as a sentence; "" of one that parts the scores of the activation."""
    if not isinstance(data.threshold, float) or activation not in _FROM_0_TO_1 or 0 < data.threshold < 1:
        return ""
    return (
        f"data.threshold: is {data.threshold:g}, and a {activation}'s scores lie between 0 and 1; give a number between"
    )


def _column(data: Data, names: Sequence[str]) -> int:
    """The place of the class that a score above the threshold says."""
    if data.positive is None:
        return 1
    if data.positive not in names:
        raise RequestError(f"data.positive: no class {data.positive!r}{closest(data.positive, names)}")
    return list(names).index(data.positive)
