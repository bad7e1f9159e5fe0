"""What a search found: the choices that no other beats, and one for each device."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.document import Record
from edgecut.records.environment import Environment
from edgecut.records.explanation import Explanation
from edgecut.records.measurement import Kind, Measurement
from edgecut.records.recipe import Precision
from edgecut.records.report import Check, State
from edgecut.records.usage import FileUse


class CutScore(Record):
    """What one tensor says about the images, at one size and number of channels, which are None for arrays.

    width: features after pooling. probe: leave-one-out score of a linear probe on at most 256 projected features.
    score: the same, on all features where `exact`. cka: how alike the features are to the final ones, 0 to 1.
    gradient_x_activation: how much the source's own output hangs on it. Both are information, and rank nothing.
    """

    cut: str
    position: int
    size: tuple[int, int] | None
    channels: int | None
    width: int
    probe: float
    score: float
    exact: bool
    cka: float | None = None
    gradient_x_activation: float | None = None
    macs: int | None = None
    params: int = 0


class DeviceCost(Record):
    """What a choice costs on one device, and whether that fits. latency in seconds, arena in bytes; None: unknown.

    reason: why the latency isn't known.
    """

    profile: str
    state: State
    latency: float | None = None
    latency_kind: Kind | Literal[""] = ""
    latency_error: float | None = None
    arena: float | None = None
    arena_kind: str = ""
    arena_error: float | None = None
    reason: str = ""
    checks: tuple[Check, ...] = ()


LatencyBasis = Kind | Literal["unknown"]


class Basis(Record):
    """Where a point's accuracy and latency come from."""

    accuracy: Literal["probe", "measured"]
    latency: LatencyBasis


class FrontPoint(Record):
    """One choice: where to cut, what to feed, in which precision, and what that gives and costs.

    accuracy: the front's metric, of images that chose nothing where basis.accuracy is "measured", else the probe's.
    chosen_by: the same of the images that choose, which is not the one to quote; chosen_error: its standard error.
    latency, arena: of the first device that takes the precision; all devices are in `devices`.
    """

    cut: str
    size: tuple[int, int] | None
    channels: int | None
    precision: Precision
    accuracy: float
    chosen_by: float
    chosen_error: float | None = None
    latency: float | None
    arena: float | None
    size_bytes: int
    macs: int | None
    basis: Basis
    recommended_for: tuple[str, ...] = ()
    why: str = ""
    on_front: bool = True
    artifact: str = ""
    devices: tuple[DeviceCost, ...] = ()


class LimitCost(Record):
    """What one limit of a device costs: the probe's accuracy with all limits, and with all but this one."""

    metric: str
    limit: float
    accuracy: float | None
    accuracy_without: float
    cut_without: str


class Recommendation(Record):
    """The point for one device. state "misses": nothing fits, and `give` says what would have to.

    recipe: the file in OUT whose build is this point; recipe_text: what is in it.
    """

    profile: str
    state: State
    cut: str
    size: tuple[int, int] | None
    channels: int | None
    precision: Precision
    accuracy: float
    why: str
    give: tuple[str, ...] = ()
    limits: tuple[LimitCost, ...] = ()
    recipe: str = ""
    recipe_text: str = ""


class Front(Record):
    """A whole search, as front.json holds it.

    metric: what every accuracy is: accuracy, auc (one class against the others), map (mean average precision of tags)
    or r2 (1 - mean squared error / variance). finished: False where it was stopped, by a limit or by hand.
    explanations, uses: of the recommended points' files.
    """

    schema_: Literal["edgecut.front/1"] = Field(default="edgecut.front/1", alias="schema")
    edgecut: str
    source: str
    sha256: str
    metric: str
    profiles: tuple[str, ...]
    finished: bool
    images: dict[str, int]
    front: tuple[FrontPoint, ...]
    cuts: tuple[CutScore, ...]
    recommendations: tuple[Recommendation, ...]
    measurements: tuple[Measurement, ...]
    explanations: tuple[Explanation, ...] = ()
    uses: tuple[FileUse, ...] = ()
    environment: Environment = Field(default_factory=Environment)
    notes: tuple[str, ...] = ()
