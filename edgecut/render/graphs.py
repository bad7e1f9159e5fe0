"""Tables of a model's calls and of a file's operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.units import format_bytes
from edgecut.render.grid import Cell, Fitted, fitted
from edgecut.render.lines import line
from edgecut.render.words import (
    NOTHING,
    STYLES,
    UNKNOWN,
    artifact_words,
    band_words,
    count_words,
    measured_words,
    shape_words,
)


class Point(Protocol):
    """A tensor at which a model can be cut, as graph/cuts.py describes it."""

    @property
    def name(self) -> str:
        """The tensor's name."""

    @property
    def position(self) -> int:
        """The place of its call in the list."""

    @property
    def type(self) -> str:
        """What the layer is."""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, batch first."""

    @property
    def legal_start(self) -> bool:
        """Whether it alone determines everything behind it."""

    @property
    def bypass(self) -> tuple[str, ...]:
        """What is needed besides it."""

    @property
    def macs(self) -> int | None:
        """The multiply-accumulates up to here."""

    @property
    def params(self) -> int:
        """The weights up to here."""

    @property
    def activation_bytes(self) -> int | None:
        """The tensor's size for one image."""


class Cost(Protocol):
    """The estimates of a cut, as bench/at_cut.py makes them."""

    @property
    def name(self) -> str:
        """The tensor's name."""

    @property
    def latency(self) -> Measurement:
        """One inference."""

    @property
    def arena(self) -> Measurement:
        """The memory for activations."""


@dataclass(frozen=True)
class OperatorRow:
    """One operator of a file. macs: None where it isn't modelled."""

    index: int
    name: str
    output: str
    shape: tuple[int | None, ...] | None
    dtype: str
    macs: int | None


def artifact_parts(artifact: Artifact) -> list[RenderableType]:
    """What a file is: size, cost, inputs and outputs with their scales, operators by count."""
    operators = ", ".join(f"{name} {count}" for name, count in artifact.operators.items())
    rows = []
    for role, specs in (("in", artifact.inputs), ("out", artifact.outputs)):
        for spec in specs:
            scale = NOTHING if spec.scale is None else f"{spec.scale:.6g}"
            zero = NOTHING if spec.zero_point is None else str(spec.zero_point)
            rows.append((f"{role} {spec.name}", shape_words(spec.shape), spec.dtype, scale, zero))
    macs = "MACs not modelled" if artifact.macs is None else f"{count_words(artifact.macs)} MACs"
    head = f"{artifact.path}: {artifact_words(artifact)}, {format_bytes(artifact.size_bytes)}, {macs}"
    table = fitted(
        ("<tensor", "<shape", "<type", "scale", "zero point"), rows, ("zero point", "scale", "type", "shape")
    )
    return [head, table, line(f"operators: {operators}")]


def point_table(points: Iterable[Point], *, bypass: bool = False, wide: bool = False) -> Fitted:
    """One row for each tensor: what the model up to it costs, and whether a model can start there.

    bypass: name the tensors that are needed besides where it can't; below the tensor's name in a narrow terminal, in a
    column of their own if wide.
    """
    rows: list[Sequence[Cell]] = []
    for p in points:
        needs = f"needs {', '.join(p.bypass)}" if bypass and p.bypass else ""
        rows.append(
            (
                str(p.position),
                p.name,
                p.type,
                shape_words(p.shape[1:]),
                _macs(p.macs),
                count_words(p.params),
                "?" if p.activation_bytes is None else format_bytes(p.activation_bytes),
                "yes" if p.legal_start else (needs if wide else "") or "no",
            )
        )
        if needs and not wide:
            rows.append((line(f"     {needs}", "dim"),))
    columns = ("#", "<name", "<type", "<shape", "MACs", "params", "bytes", "~start")
    return fitted(columns, rows, ("type", "#", "params", "bytes", "shape", "MACs", "start"))


def cost_table(
    profile: str, costs: Sequence[Cost], limit: int | None = None, states: Mapping[str, str] = MappingProxyType({})
) -> list[RenderableType]:
    """What a cut at each tensor takes on a device: kinds and bands above the rows, why any is missing below.

    limit: what an arena may take there, None where nothing limits it; states: whether each cut's does, by its name.
    """
    rows: list[Sequence[Cell]] = []
    for cost in costs:
        state = [Text(states[cost.name], STYLES[states[cost.name]])] if states else []
        rows.append((cost.name, measured_words(cost.latency), measured_words(cost.arena), *state))
    columns = ("<tensor", "latency", "arena", *(["<arena fits"] if states else []))
    table = fitted(columns, rows, ("latency", "arena", "arena fits"))
    figures = [m for cost in costs for m in (cost.latency, cost.arena)]
    kinds = {m.metric: m.kind for m in figures if m.value}
    known = {metric: f"{metric} {kind}, {_bands(figures, metric)}" for metric, kind in kinds.items()}
    reasons = dict.fromkeys(f"{m.metric} {UNKNOWN}: {m.reason}" for m in figures if m.value is None)
    room = [] if limit is None else [f"an arena may take {format_bytes(limit)}"]
    told = "; ".join([*known.values(), *room]) or "nothing known"
    return ["", line(f"{profile}, a model that ends there: {told}"), table, *map(line, reasons)]


def _bands(figures: Iterable[Measurement], metric: str) -> str:
    """The bands of a metric's figures: one, or the narrowest and the widest."""
    found = [m.error for m in figures if m.metric == metric and m.value]
    bands = [error for error in found if error is not None]
    if len(bands) < len(found):
        return "some bands unknown" if bands else "band unknown"
    return " to ".join(dict.fromkeys(band_words(error) for error in (min(bands), max(bands))))


def operator_table(rows: Iterable[OperatorRow]) -> Fitted:
    """One row for each operator of a file, in execution order.

    TFLite names a fused operator's tensor after all that was fused, with semicolons; the first name is shown.
    """
    found = [
        (
            str(row.index),
            row.name,
            row.output.partition(";")[0],
            shape_words(row.shape) if row.shape is not None else "?",
            row.dtype,
            _macs(row.macs),
        )
        for row in rows
    ]
    columns = ("#", "<operator", "<output", "<shape", "<type", "MACs")
    return fitted(columns, found, ("type", "MACs", "shape", "output", "#"))


def _macs(macs: int | None) -> str:
    return "?" if macs is None else count_words(macs)
