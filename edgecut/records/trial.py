"""One attempt at a quantized file that keeps the float model's accuracy."""

from __future__ import annotations

from edgecut.records.document import Record


class Trial(Record):
    """What a set of cures came to, on images that neither set the ranges nor judge the result.

    cures: in the order in which they are applied, () for the converter's own file. accuracy, drop: None without
    labels; drop_error: the standard error with which it foretells that on the judging images. agreement: the fraction
    of decisions that are the float model's, None for values; sqnr, sqnr_varying: of the outputs, dB, as in
    score/distance.py: the latter decides which trial is kept. drop_by_scores: in auc, of a binary answer. gained: how
    much less the drop is than in the best trial before it (of the disagreement where there are no labels). kept:
    whether later trials build on it; chosen: whether its file is the result. in_float: operators that compute in
    float. note: why it wasn't tried or kept.
    """

    cures: tuple[str, ...]
    accuracy: float | None = None
    drop: float | None = None
    drop_error: float | None = None
    agreement: float | None = None
    sqnr: float | None = None
    sqnr_varying: float | None = None
    drop_by_scores: float | None = None
    gained: float | None = None
    size_bytes: int | None = None
    in_float: int = 0
    images: int = 0
    seconds: float = 0.0
    kept: bool = False
    chosen: bool = False
    note: str = ""
