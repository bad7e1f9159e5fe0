"""Two builds side by side: what differs, by how much, and whether that is more than chance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.document import Record

ComparedMetric = Literal[
    "size", "flash", "arena", "accuracy", "latency", "top1_changes", "tag_changes", "pixel_changes"
]


class Change(Record):
    """One metric of A and of B; None where it could not be had, then `reason` says why.

    file: the pair's formats and precisions, and which output where there are several. top1_changes: the fraction of
    images that get another class, tag_changes of their tags, pixel_changes of the places of a map.

    flash: of the model's array, which starts at a multiple of 16 bytes; kernels of new operators come on top.
    change: (b - a) / a for size, flash, arena and latency, b - a for fractions. low, high: the 95 % interval of a
    change of latency. p: of McNemar's exact test for accuracy. real: whether the change is more than chance; always
    so for bytes.
    """

    metric: ComparedMetric
    file: str
    a: float | None
    b: float | None
    unit: str
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    real: bool = False
    reason: str = ""


class OutputChange(Record):
    """The outputs of one pair of files on the same inputs.

    histogram: {difference in steps of A's output: values}, up to 16 steps, "more" behind; empty for float outputs.
    """

    file: str
    inputs: int
    of: str
    max_abs_error: float
    top1_changes: int | None
    histogram: dict[str, int] = Field(default_factory=dict)


Subject = Literal["file", "operator", "tensor", "recipe", "input", "label", "profile", "toolchain"]


class Difference(Record):
    """A setting, input, device, version, label, operator count or tensor that isn't the same.

    a, b: None: absent on that side. Of a tensor, the first values that differ; of an input, its hash.
    """

    what: Subject
    name: str
    a: str | None
    b: str | None


class Verdict(Record):
    """A limit of --fail-on on one file. unknown: the metric could not be had on both sides."""

    limit: str
    file: str
    state: Literal["meets", "misses", "unknown"]
    found: str


class Comparison(Record):
    """compare --json. equal: nothing that was compared differs by more than chance."""

    schema_: Literal["edgecut.compare/1"] = Field(default="edgecut.compare/1", alias="schema")
    a: str
    b: str
    equal: bool
    changes: tuple[Change, ...]
    outputs: tuple[OutputChange, ...]
    differences: tuple[Difference, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


def comparison_code(comparison: Comparison, *, strict: bool) -> int:
    """1 if a limit is missed (or, if `strict`, can't be judged), else 0."""
    states = {verdict.state for verdict in comparison.verdicts}
    return 1 if "misses" in states or (strict and "unknown" in states) else 0
