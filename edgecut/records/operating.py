"""Where a score becomes a decision, and how right that is."""

from __future__ import annotations

from edgecut.records.document import Record

DEFAULT, GIVEN = "default", "given"


class OperatingPoint(Record):
    """One threshold: a score above it is a yes. The figures are of the images that it was measured on.

    label: what a yes says: a class, or a tag; "" where nothing names it. code: of a quantized output, the least integer
    above the threshold. positives, negatives: images that are it, and that aren't. precision, recall, fpr (the
    false-positive rate): None where no image tells; their intervals hold in 95 of 100 cases (Wilson). reason: why the
    rule could not choose it, or that all values of a quantized output lie on one side of it; "" otherwise.
    """

    label: str = ""
    threshold: float
    code: int | None = None
    positives: int = 0
    negatives: int = 0
    precision: float | None = None
    recall: float | None = None
    fpr: float | None = None
    f1: float | None = None
    precision_interval: tuple[float, float] | None = None
    recall_interval: tuple[float, float] | None = None
    fpr_interval: tuple[float, float] | None = None
    reason: str = ""


class Decision(Record):
    """How an output of a file becomes a decision, on the values that this file puts out, dequantized.

    output, place: its name, and which of the outputs it is. column: of the two scores of a softmax, the one that is
    held against the threshold; None where each score has a threshold of its own. otherwise: what a score that isn't
    above it says, "" of tags and where nothing names it. rule: "f1", "fpr=0.01", "given" or "default". chosen_on,
    measured_on: images, none of which is both; 0 where nothing was chosen, or measured.
    """

    artifact: str
    output: str
    place: int = 0
    column: int | None = None
    otherwise: str = ""
    rule: str
    chosen_on: int = 0
    measured_on: int = 0
    points: tuple[OperatingPoint, ...]

    @property
    def thresholds(self) -> float | tuple[float, ...]:
        """What the scores are held against: one number where there is one score, or all have the same."""
        values = tuple(point.threshold for point in self.points)
        return values[0] if len(set(values)) == 1 else values
