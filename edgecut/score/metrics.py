"""How well outputs say what the images are: one number each, the greater the better but for the errors of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

MetricName = Literal["accuracy", "auc", "map", "tag_accuracy", "r2", "mae", "rmse"]
Score = Callable[[np.ndarray, np.ndarray], float]


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of rows whose largest score is at the label; of equal scores the first counts.

    scores: (n, classes); labels: (n,). For one score, which a threshold decides, see answer.py.
    """
    return float(np.mean(np.argmax(scores, axis=1) == np.asarray(labels).reshape(-1)))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The area under the ROC curve, each class against the others, averaged over the classes that have both.

    scores: (n, classes), or (n, 1): of class 1 against class 0; labels: (n,), whole numbers. The rank statistic of
    Hanley and McNeil, 1982; equal scores count half. 0.5 where no class has both.
    """
    labels = np.asarray(labels).reshape(-1)
    if scores.shape[1] == 1:
        scores = np.concatenate([-scores, scores], axis=1)
    areas = []
    for number in range(scores.shape[1]):
        own = labels == number
        positives, negatives = int(own.sum()), int((~own).sum())
        if positives and negatives:
            above = _ranks(scores[:, number])[own].sum() - positives * (positives - 1) / 2
            areas.append(above / (positives * negatives))
    return float(np.mean(areas)) if areas else 0.5


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """The mean over the tags of the average precision; tags that no image has are left out, 0 if none has any.

    scores, targets: (n, tags), targets 0 or 1. Precision at each image with the tag, the images sorted by score;
    equal scores are taken together, so that their order doesn't matter.
    """
    found = []
    for score, own in zip(np.asarray(scores).T, np.asarray(targets).T > 0.5, strict=True):
        if not own.any():
            continue
        order = np.argsort(-score, kind="stable")
        hits = np.cumsum(own[order])
        # Of equal scores the last place counts for all: the precision when all of them are taken.
        last = np.searchsorted(-score[order], -score[order], side="right") - 1
        found.append(float(np.mean((hits[last] / (last + 1))[own[order]])))
    return float(np.mean(found)) if found else 0.0


def r2(values: np.ndarray, targets: np.ndarray) -> float:
    """1 - mean squared error / variance of the targets, over all outputs together; 1 is perfect, 0 is their mean.

    values, targets: (n, outputs). Targets that don't vary give 0.
    """
    wanted = np.asarray(targets, np.float64)
    total = float(np.sum((wanted - wanted.mean(axis=0)) ** 2))
    return 1 - float(np.sum((np.asarray(values, np.float64) - wanted) ** 2)) / total if total > 0 else 0.0


def tag_accuracy(decided: np.ndarray, targets: np.ndarray) -> float:
    """The fraction of tags, over all images, that were decided rightly. decided, targets: (n, tags), 0 or 1."""
    return float(np.mean((np.asarray(decided) > 0.5) == (np.asarray(targets) > 0.5)))


def mae(values: np.ndarray, targets: np.ndarray) -> float:
    """The mean absolute error, over images and outputs, in the targets' own unit; both (n, outputs)."""
    return float(np.mean(np.abs(np.asarray(values, np.float64) - np.asarray(targets, np.float64))))


def rmse(values: np.ndarray, targets: np.ndarray) -> float:
    """The root of the mean squared error, over images and outputs, in the targets' own unit; both (n, outputs)."""
    return float(np.mean((np.asarray(values, np.float64) - np.asarray(targets, np.float64)) ** 2)) ** 0.5


SCORES: dict[MetricName, Score] = {
    "accuracy": accuracy,
    "auc": auc,
    "map": mean_average_precision,
    "r2": r2,
    "mae": mae,
    "rmse": rmse,
}
"""What can be had of scores alone; tag_accuracy needs decisions first."""


def metric_of(target: str) -> MetricName:
    """What answers for targets of a kind (data.target of a recipe)."""
    return "accuracy" if target == "classes" else "map" if target == "tags" else "r2"


def _ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value from 0; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + ends - 1) / 2)[inverse])
