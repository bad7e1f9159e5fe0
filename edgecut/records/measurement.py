"""A number with its unit, its kind, its place and its method; raw values kept, statistics derived."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, Unpack

from pydantic import Field

from edgecut.errors import RefusedError
from edgecut.records.document import Record

Metric = Literal[
    "latency",
    "cpu_time",
    "arena",
    "memory",
    "size",
    "gzip",
    "flash",
    "stack",
    "instructions",
    "accuracy",
    "accuracy_drop",
    "auc",
    "map",
    "tag_accuracy",
    "r2",
    "mae",
    "rmse",
    "max_abs_error",
    "sqnr",
    "cosine",
    "top1_agreement",
    "tag_agreement",
    "pixel_agreement",
]
Kind = Literal["measured", "simulated", "emulated", "estimated", "unknown"]
"""How a value was had; "unknown" of one that couldn't be."""

AS_C = "generated C"
"""What conditions["runtime"] of the C's measurements is."""

UNITS: dict[str, str] = {
    "latency": "s",
    "cpu_time": "s",
    "arena": "bytes",
    "memory": "bytes",
    "size": "bytes",
    "flash": "bytes",
    "stack": "bytes",
    "instructions": "1",
    "accuracy": "fraction",
    "accuracy_drop": "fraction",
    "max_abs_error": "1",
    "sqnr": "dB",
    "cosine": "1",
    "top1_agreement": "fraction",
    "auc": "fraction",
    "map": "fraction",
    "r2": "1",
    "gzip": "bytes",
    "tag_accuracy": "fraction",
    "mae": "1",
    "rmse": "1",
    "tag_agreement": "fraction",
    "pixel_agreement": "fraction",
}


class Measurement(Record):
    """One metric of one artifact.

    value: the figure to quote (the median of `values` where there are several), None if it could not be had; then
    `reason` says why. error: the relative band around an estimate that holds in 9 of 10 cases (0.28 means +-28 %).
    where: the machine ("host", a profile's id). method: how, in a few words.
    """

    metric: Metric
    artifact: str
    profile: str | None = None
    unit: str
    value: float | None
    values: tuple[float, ...] = ()
    kind: Kind
    where: str
    method: str
    error: float | None = None
    reason: str = ""
    conditions: dict[str, object] = Field(default_factory=dict)

    @property
    def of_c(self) -> bool:
        """Whether it is of the C that is generated from the file, not of the file in an interpreter."""
        return self.conditions.get("runtime") == AS_C

    @property
    def band(self) -> tuple[float, float] | None:
        """Where the band of the value ends: ± error below 1, a factor of 1 + error from there on; None without one."""
        if self.value is None or self.error is None:
            return None
        least = self.value * (1 - self.error) if self.error < 1 else self.value / (1 + self.error)
        return least, self.value * (1 + self.error)

    @property
    def spread(self) -> tuple[float | None, float | None, float | None, float | None]:
        """(least, p10, p90, most) of the raw values; the ends alone of a runner that tells no others."""
        if self.values:
            return min(self.values), self.quantile(0.1), self.quantile(0.9), max(self.values)
        of_time = self.metric == "latency"
        least, most = (number_in(self.conditions, key) if of_time else None for key in ("min_s", "max_s"))
        return least, None, None, most

    def quantile(self, fraction: float) -> float | None:
        """The value below which `fraction` of the raw values lie (nearest rank); None without raw values."""
        if not self.values:
            return None
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


class Place(TypedDict):
    """Where a number is from, and of whose device it is."""

    where: str
    profile: NotRequired[str | None]
    kind: NotRequired[Kind]


class Origin(Place):
    """How a number came about. kind: measured where nothing else is said; error: the band of an estimate."""

    method: str
    error: NotRequired[float | None]
    conditions: NotRequired[Mapping[str, object]]


def measured(metric: Metric, artifact: str, values: Sequence[float], **origin: Unpack[Origin]) -> Measurement:
    """A measurement whose value is the median of `values`; a missing one where they aren't finite, as JSON has none."""
    if not all(map(math.isfinite, values)):
        conditions = {key: value for key, value in origin.get("conditions", {}).items() if _is_json(value)}
        finite: Origin = {**origin, "conditions": conditions}
        return missing(metric, artifact, "what it is computed from isn't finite (nan or infinity)", **finite)
    raw = tuple(values) if len(values) > 1 else ()
    return Measurement(
        metric=metric, artifact=artifact, value=statistics.median(values), values=raw, **_told(metric, origin)
    )


def missing(metric: Metric, artifact: str, reason: str, **origin: Unpack[Origin]) -> Measurement:
    """A measurement that could not be had, and why."""
    told = _told(metric, {**origin, "kind": "unknown"})
    return Measurement(metric=metric, artifact=artifact, value=None, reason=reason, **told)


def _is_json(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


class Told(TypedDict):
    """What a measurement has of its origin, and its unit."""

    unit: str
    profile: str | None
    kind: Kind
    where: str
    method: str
    error: float | None
    conditions: dict[str, object]


def _told(metric: Metric, origin: Origin) -> Told:
    return {
        "unit": UNITS[metric],
        "profile": origin.get("profile"),
        "kind": origin.get("kind", "measured"),
        "where": origin["where"],
        "method": origin["method"],
        "error": origin.get("error"),
        "conditions": dict(origin.get("conditions", {})),
    }


def number_in(conditions: Mapping[str, object], key: str) -> float | None:
    """The number that a measurement's conditions have at a key; None where they have none."""
    value = conditions.get(key)
    return value if isinstance(value, int | float) else None


def refused_by(error: Exception) -> dict[str, bool]:
    """The conditions of a measurement that an error kept from being had: {"refused": True} where a runtime refused."""
    return {"refused": True} if isinstance(error, RefusedError) else {}
