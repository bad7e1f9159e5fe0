"""The threshold that a rule chooses on labelled scores, and what it gives on others."""

from __future__ import annotations

import numpy as np

from edgecut.records.artifact import TensorSpec
from edgecut.records.operating import OperatingPoint
from edgecut.score.intervals import wilson


def best_threshold(scores: np.ndarray, positive: np.ndarray, fpr: float | None) -> float:
    """The threshold with the best F1; with `fpr`, that of the highest recall whose false-positive rate is no more.

    scores: (n,); positive: (n,), bool, of which some are and some aren't. It lies midway between two scores, or at the
    highest, above which nothing is. Of equally good ones it is the highest: the one with the fewest false alarms.
    """
    order = np.argsort(-scores, kind="stable")
    values, hits = scores[order].astype(np.float64), positive[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # of each value that occurs
    true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    if fpr is None:
        worth = 2 * true / (true + false + hits.sum())
    else:
        worth = np.where(false <= fpr * (~hits).sum(), true / hits.sum(), -1.0)
    best = int(np.argmax(worth[:-1])) if len(last) > 1 else -1  # the lowest value itself: a yes to everything
    if best < 0 or worth[best] <= 0:
        return float(values[0])
    above, below = np.float32(values[last[best]]), np.float32(values[last[best] + 1])
    between = np.float32((values[last[best]] + values[last[best] + 1]) / 2)
    return float(between if between < above else below)  # of neighbouring float32 there is none between


def least_code(threshold: float, spec: TensorSpec) -> int | None:
    """The least integer of a quantized output whose real value is above the threshold; one too many if none is.

    None for an output that isn't quantized.
    """
    if spec.scale is None:
        return None
    limits = np.iinfo(spec.dtype)
    codes = np.arange(limits.min, limits.max + 1, dtype=np.int64)
    return int(limits.min + np.count_nonzero(_real(codes, spec) <= threshold))


def one_sided_code(code: int | None, spec: TensorSpec) -> str:
    """That a quantized output can't part what is above a threshold from what isn't, in words; "" where it can.

    code: of least_code.
    """
    if code is None:
        return ""
    limits = np.iinfo(spec.dtype)
    if code > limits.max:
        return f"no {spec.dtype} value of {spec.name!r} is above it"
    return f"every {spec.dtype} value of {spec.name!r} is above it" if code == limits.min else ""


def between_codes(threshold: float, spec: TensorSpec) -> float:
    """The same decision for a quantized output, said by the number midway between two of its values."""
    code = least_code(threshold, spec)
    if code is None or spec.scale is None:
        return threshold
    return spec.scale * (code - 0.5 - (spec.zero_point or 0))


def operating_point(scores: np.ndarray, positive: np.ndarray, threshold: float) -> OperatingPoint:
    """What a threshold gives on scores (n,) of which `positive` (n,) says what they are."""
    yes = scores > threshold
    true, false = int((yes & positive).sum()), int((yes & ~positive).sum())
    positives = int(positive.sum())
    negatives = len(positive) - positives
    return OperatingPoint(
        threshold=threshold,
        positives=positives,
        negatives=negatives,
        precision=_share(true, true + false),
        recall=_share(true, positives),
        fpr=_share(false, negatives),
        f1=_share(2 * true, true + false + positives),
        precision_interval=_interval(true, true + false),
        recall_interval=_interval(true, positives),
        fpr_interval=_interval(false, negatives),
    )


def _real(codes: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """As FileRunner dequantizes, in float32."""
    return (codes - (spec.zero_point or 0)).astype(np.float32) * np.float32(spec.scale or 1.0)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _interval(part: int, whole: int) -> tuple[float, float] | None:
    return wilson(part, whole) if whole else None
