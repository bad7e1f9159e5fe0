"""What kind of answer an output gives, decided once, and how it is judged: by its metric, at its threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgecut.records.measurement import Metric
from edgecut.records.proof import Proof
from edgecut.records.recipe import Recipe, Target
from edgecut.score.intervals import paired_error, paired_interval, resampled_error, unseen
from edgecut.score.metrics import SCORES, MetricName, auc, mae, metric_of, rmse, tag_accuracy

AnswerKind = Literal["classes", "binary", "tags", "pixels", "values"]
# By the activation of an output: where what is likelier than not begins.
_THRESHOLDS = {"sigmoid": 0.5, "hard_sigmoid": 0.5, "linear": 0.0, "tanh": 0.0}
# Of outputs that are scores rather than features.
OF_SCORES = frozenset({"softmax", "log_softmax", "sigmoid", "hard_sigmoid", "linear"})
_AGREEMENTS: dict[AnswerKind, Metric] = {
    "classes": "top1_agreement",
    "binary": "top1_agreement",
    "tags": "tag_agreement",
    "pixels": "pixel_agreement",
}
AGREEMENTS: tuple[Metric, ...] = tuple(dict.fromkeys(_AGREEMENTS.values()))


@dataclass(frozen=True)
class Drop:
    """What a metric lost, and the standard error with which that foretells other images.

    low, high: between what all images lose, with 95 %, of which these are a sample, however few differ in it.
    """

    value: float
    error: float
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Answer:
    """How one output is decided and judged.

    classes: the largest of its scores; binary: one score against the threshold, above it class 1; tags: each score
    against it; pixels: a decision for each place of a map, by the largest of its channels (threshold None) or each
    against the threshold; values: none. metric: what judges it by labels, None where nothing does; `unjudged` says why.
    assumed: what was taken for granted, as a sentence, "" for nothing. threshold: one for each tag where they differ.
    column: of the two scores of a binary answer, the one that is held against it; above it the class is `column`.
    """

    kind: AnswerKind
    threshold: float | tuple[float, ...] | None = None
    metric: MetricName | None = None
    assumed: str = ""
    unjudged: str = ""
    column: int | None = None

    @property
    def agreement_metric(self) -> Metric | None:
        """What its agreement with another is called; None for values, which are never the same."""
        return _AGREEMENTS.get(self.kind)

    def decisions(self, outputs: np.ndarray) -> np.ndarray | None:
        """What outputs (n, ...) decide: whole numbers (n, decisions); None for values."""
        if self.kind == "values":
            return None
        if self.threshold is not None:
            above = (self.held(outputs) > np.asarray(self.threshold, np.float32)).astype(np.int64)
            return 1 - above if self.column == 0 else above
        rows = outputs if self.kind == "pixels" else outputs.reshape(len(outputs), -1)
        return np.asarray(rows.argmax(axis=-1)).reshape(len(outputs), -1)

    def held(self, outputs: np.ndarray) -> np.ndarray:
        """The scores of outputs (n, ...) that are held against the threshold, (n, scores)."""
        rows = outputs.reshape(len(outputs), -1)
        return rows if self.column is None else rows[:, self.column : self.column + 1]

    def agreement(self, reference: np.ndarray, outputs: np.ndarray, by: Answer | None = None) -> float | None:
        """The fraction of decisions that are the reference's; None for values. by: what decides the reference."""
        theirs, ours = (by or self).decisions(reference), self.decisions(outputs)
        return None if theirs is None or ours is None else float(np.mean(theirs == ours))

    def hits(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
        """Whether each image is decided rightly, (n,); None where an image isn't right or wrong."""
        if self.kind not in {"classes", "binary"}:
            return None
        decided = self.decisions(outputs)
        return None if decided is None else np.asarray(decided[:, 0] == np.asarray(labels).reshape(-1))

    def scores(self, outputs: np.ndarray, labels: np.ndarray) -> dict[MetricName, float]:
        """{metric: value}, its own metric first. Raises ValueError for an answer without a metric."""
        if self.metric is None:
            raise ValueError(self.unjudged)
        flat = outputs.reshape(len(outputs), -1)
        found: dict[MetricName, float] = {self.metric: self._figure(self.metric, flat, labels)}
        if self.kind == "binary":
            found["auc"] = self._figure("auc", flat, labels)
        if self.kind == "tags":
            found["tag_accuracy"] = self._figure("tag_accuracy", flat, labels)
        if self.kind == "values":
            targets = _targets(labels)
            found |= {"mae": mae(flat, targets), "rmse": rmse(flat, targets)}
        return found

    def drops(
        self,
        reference: np.ndarray,
        outputs: np.ndarray,
        labels: np.ndarray,
        judged_on: int = 0,
        by: Answer | None = None,
    ) -> dict[MetricName, Drop]:
        """What `outputs` lost against `reference`, by each metric that judges: its own, and auc of a binary answer.

        judged_on: how many other images the drop is to foretell, 0 if there is no end of them. {} without a metric.
        by: what decides the reference, this by default.
        """
        metrics: tuple[MetricName, ...] = () if self.metric is None else (self.metric,)
        metrics += ("auc",) if self.kind == "binary" and self.metric == "accuracy" else ()
        a, b = (x.reshape(len(x), -1) for x in (reference, outputs))
        return {metric: self._drop(metric, (a, by or self), b, np.asarray(labels), judged_on) for metric in metrics}

    def _drop(
        self, metric: MetricName, before: tuple[np.ndarray, Answer], b: np.ndarray, labels: np.ndarray, judged_on: int
    ) -> Drop:
        a, by = before
        theirs, ours = by.hits(a, labels), self.hits(b, labels)
        if metric == "accuracy" and theirs is not None and ours is not None:
            lost = theirs.astype(np.float64) - ours
            return Drop(float(lost.mean()), paired_error(lost, judged_on), *paired_interval(lost))

        def drop(rows: np.ndarray | slice) -> float:
            return by._figure(metric, a[rows], labels[rows]) - self._figure(metric, b[rows], labels[rows])

        value, band = drop(slice(None)), max(2 * resampled_error(drop, len(a)), unseen(len(a)))
        return Drop(value, resampled_error(drop, len(a), judged_on), value - band, value + band)

    def _figure(self, metric: MetricName, outputs: np.ndarray, labels: np.ndarray) -> float:
        if metric == "accuracy":
            hits = self.hits(outputs, labels)
            return 0.0 if hits is None else float(np.mean(hits))
        if metric == "tag_accuracy":
            decided = self.decisions(outputs)
            return 0.0 if decided is None else tag_accuracy(decided, labels)
        if metric == "auc":
            return auc(-self.held(outputs) if self.column == 0 else self.held(outputs), labels)
        return SCORES[metric](outputs, _targets(labels))


def answer_of(
    target: Target,
    shape: tuple[int, ...],
    activation: str,
    labels: np.ndarray | None = None,
    *,
    is_fitted: bool = False,
) -> Answer:
    """What one output answers.

    target: what the labels say (data.target). shape: of the output without the batch axis. activation: of its last
    layer, in lower case: "linear" for none, "features" for those of a cut model, "" where it isn't known.
    labels: (n,) classes, or (n, outputs); None without. is_fitted: whether a head was fitted to the targets 0 and 1
    themselves, so that a half of them is where they part.
    """
    if activation == "features":
        return Answer("values", unjudged="the outputs are features of a cut model, and labels aren't of features")
    width, places = (int(shape[-1]) if shape else 1), int(np.prod(shape[:-1], dtype=np.int64)) if shape else 1
    if target in {"values", "features", "input"}:
        return _judged(Answer("values", metric=metric_of(target)), labels, places * width)
    if target == "tags":
        threshold = 0.5 if is_fitted else _THRESHOLDS.get(activation, 0.5)
        is_known = is_fitted or activation == "sigmoid"
        said = "" if is_known else f"tags are decided at {threshold:g}, since {_why(activation)}"
        return _judged(Answer("tags", threshold, "map", said), labels, places * width)
    if places > 1:
        return _map(width, activation, labels)
    return _one_score(activation, labels) if width == 1 else _scores(width, activation, labels)


def thresholded(answer: Answer, shape: tuple[int, ...], activation: str, column: int) -> Answer | None:
    """The answer where a threshold decides it, as that of one score, of tags, or of a softmax over two classes.

    shape, activation: as answer_of has them. column: the class of a softmax whose score is held against it, at a half.
    None where no threshold decides it.
    """
    if answer.kind in {"binary", "tags"}:
        return answer
    if answer.kind == "classes" and shape == (2,) and activation == "softmax":
        return replace(answer, kind="binary", threshold=0.5, column=column)
    return None


def one_judged(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """The answers of a model's outputs, of which labels judge one at most: the first that needs no assumption."""
    fitting = [k for k, answer in enumerate(answers) if answer.metric is not None]
    if len(answers) == 1 or not fitting:
        return tuple(answers)
    judged = min(fitting, key=lambda k: (bool(answers[k].assumed), k))
    said = f"the labels are taken to be of output {judged}" if len(fitting) > 1 else ""
    found = []
    for k, answer in enumerate(answers):
        if k == judged:
            assumed = "; ".join(filter(None, (answer.assumed, said)))
            found.append(replace(answer, assumed=assumed))
        else:
            reason = answer.unjudged or f"the labels are taken to be of output {judged}"
            found.append(replace(answer, metric=None, unjudged=reason))
    return tuple(found)


def agreement_in(proof: Proof) -> float | None:
    """The agreement that a proof holds, whichever kind of answer it is of; None without."""
    held = (proof.top1_agreement, proof.tag_agreement, proof.pixel_agreement)
    return next((agreement for agreement in held if agreement is not None), None)


def answer_for(
    recipe: Recipe | None, shape: tuple[int, ...], activation: str, labels: np.ndarray | None = None
) -> Answer:
    """What an output answers of the model that a recipe makes (None: a file of any origin), as answer_of has it.

    A model that is cut and gets no head puts out features, but for the scores of a layer of weights.
    """
    if recipe is None:
        return answer_of("classes", shape, activation, labels)
    is_cut = recipe.cut.to is not None and recipe.head is None
    if is_cut and (activation not in OF_SCORES or len(shape) > 1):
        activation = "features"
    return answer_of(recipe.data.target, shape, activation, labels, is_fitted=recipe.head is not None)


def is_binary_label(labels: np.ndarray) -> bool:
    """Whether labels (n,) are classes 0 and 1."""
    return labels.ndim == 1 and bool(np.isin(labels, (0, 1)).all())


def _scores(width: int, activation: str, labels: np.ndarray | None) -> Answer:
    if labels is None and activation in {"sigmoid", "hard_sigmoid"}:
        said = f"{width} sigmoids are taken for tags, since no labels say otherwise; each is decided at 0.5"
        return _judged(Answer("tags", 0.5, "map", said), None, width)
    if labels is None and activation not in OF_SCORES:
        return Answer("values", unjudged=_UNLABELLED)
    return _judged(Answer("classes", metric="accuracy"), labels, width)


def _one_score(activation: str, labels: np.ndarray | None) -> Answer:
    if activation in {"softmax", "log_softmax"}:
        return Answer("values", unjudged="a softmax over one output is the same for every image, so it decides nothing")
    if activation in {"sigmoid", "hard_sigmoid"}:
        return _judged(Answer("binary", 0.5, "accuracy"), labels, 2)
    if labels is None:
        return Answer("values", unjudged=_UNLABELLED)
    if labels.ndim == 1 and not is_binary_label(labels):
        low, high = labels.min(), labels.max()
        said = f"one output and labels from {low:g} to {high:g} are taken for a value, not for classes"
        return Answer("values", metric="r2", assumed=said)
    threshold = _THRESHOLDS.get(activation, 0.5)
    said = (
        f"one output and labels 0 and 1 are taken for two classes, decided at {threshold:g}, since {_why(activation)}"
    )
    return _judged(Answer("binary", threshold, "accuracy", said), labels, 2)


def _map(width: int, activation: str, labels: np.ndarray | None) -> Answer:
    reason = _UNLABELLED if labels is None else "the output is a map, and labels say one thing of a whole picture"
    if activation in {"sigmoid", "hard_sigmoid"}:
        return Answer("pixels", 0.5, unjudged=reason)
    if width > 1 and activation in OF_SCORES:
        said = "" if activation.endswith("softmax") else "the largest channel is taken for the class of each place"
        return Answer("pixels", assumed=said, unjudged=reason)
    return Answer("values", unjudged=reason)


_UNLABELLED = "no labels say what is right"


def _judged(answer: Answer, labels: np.ndarray | None, outputs: int) -> Answer:
    """The answer as these labels can judge it: without its metric where they can't. outputs: scores or values."""
    reason = next(_misfits(answer.kind, labels, outputs), "")
    if not reason:
        return answer
    return replace(answer, metric=None, unjudged=reason)


def _misfits(kind: AnswerKind, labels: np.ndarray | None, outputs: int) -> Iterator[str]:
    if labels is None:
        yield _UNLABELLED
    elif kind in {"classes", "binary"}:
        if labels.ndim != 1:
            yield f"labels of shape {labels.shape} are no classes"
        elif len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= outputs):
            yield f"labels are {int(labels.min())} to {int(labels.max())}, and the output tells {outputs} classes apart"
    elif _targets(labels).shape[1] != outputs:
        yield f"targets have {_targets(labels).shape[1]} values, and the output has {outputs}"


def _targets(labels: np.ndarray) -> np.ndarray:
    """Labels (n,) or (n, outputs) as (n, outputs)."""
    return np.asarray(labels).reshape(len(labels), -1)


def _why(activation: str) -> str:
    if activation == "linear":
        return "an output without an activation is taken for logits"
    return f"that is the middle of {activation!r}" if activation in _THRESHOLDS else "its scores are taken to be 0 to 1"
