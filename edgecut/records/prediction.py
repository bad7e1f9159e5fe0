"""What a model file answers for pictures or arrays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.document import Record

PredictionKind = Literal["classes", "binary", "tags", "pixels", "values"]


class Score(Record):
    """One value of an output. index: its place in the output. label: its name, "" where none is known."""

    index: int
    label: str
    value: float


class PredictedOutput(Record):
    """One output for one input.

    kind: what it answers. scores: of classes the largest first, of a binary output the decided class, of tags those
    above the threshold, of pixels the share of the map that each class takes, of values the first ones.
    shape: of the output without the batch axis. threshold: what decides a binary output or tags, one for each tag where
    they differ, None otherwise.
    """

    output: str
    kind: PredictionKind
    shape: tuple[int, ...]
    scores: tuple[Score, ...]
    threshold: float | tuple[float, ...] | None = None


class Prediction(Record):
    """What a file answers for one input. input: the picture's file, or the place in the arrays or in the stream."""

    input: str
    outputs: tuple[PredictedOutput, ...]


class Predictions(Record):
    """The document of `edgecut run`.

    file, sha256: what was run. takes: its inputs in words. labels_from: where the names of the outputs are from, "" for
    no names.
    """

    schema_: Literal["edgecut.predictions/1"] = Field(default="edgecut.predictions/1", alias="schema")
    file: str
    sha256: str
    takes: str
    labels_from: str = ""
    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
