"""A device's profile out of its owner's measurements, by the fit that the shipped profiles are made by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.bench.fits import has_arena
from edgecut.bench.predict import predict_latency, usual_arena_bytes
from edgecut.bench.priced import LEAST_FAMILIES
from edgecut.calibrate.board import fit_measured
from edgecut.calibrate.measured import Measured
from edgecut.errors import DocumentError, RequestError, SourceError
from edgecut.export.readback import tflite_precision
from edgecut.records.figure_file import Figure
from edgecut.records.plausible import implausible
from edgecut.records.profile import ArenaFacts, Profile, Reference
from edgecut.records.units import format_seconds
from edgecut.tflite.arena import CORTEX_M_ERROR
from edgecut.tflite.flatbuffer import TfliteGraph, read
from edgecut.tflite.ops import weight_scheme

FAR_OFF = 30.0  # times an estimate, from which on a unit is doubted; kernels of one device differ by less
SHOWN = 6  # measured files that a source names; it tells how many more there are


@dataclass(frozen=True)
class Fit:
    """What the measurements say of one file. before, after: what the base and the fitted profile estimate; None where
    they have none. line: of the file of measurements.
    """

    line: int
    file: str
    family: str
    measured_s: float
    before_s: float | None
    after_s: float | None


@dataclass(frozen=True)
class Fitted:
    """A profile, what it and its base say of the files that it was fitted to, and what there is to say of the fit."""

    profile: Profile
    rows: tuple[Fit, ...]
    notes: tuple[str, ...] = ()


def fit_profile(figures: Sequence[Figure], table: Path, base: Profile, profile_id: str) -> Fitted:
    """The profile of a device whose latencies are the figures', with a band that they earn, and so for its arenas.

    table: the file that the figures are from, which the sources name. base: the device, and the prices that few
    measurements are pulled towards. Raises DocumentError with a sentence for each file that can't be of that device,
    RequestError where no latency was measured.
    """
    timed = [figure for figure in figures if figure.latency_s is not None]
    if not timed:
        raise RequestError(f"{table}: has no latency; expected at least one time in the column 'latency'")
    graphs = _graphs(figures, table, base)
    rows = [_measured(figure, graphs[figure.line]) for figure in timed]
    facts = fit_measured(rows, base, f"own measurements, {table.name}").model_copy(update={"kind": "measured"})
    arena, notes = _arena(figures, graphs, base)
    told = {"latency": _source(table, [f"{f.file.name} {format_seconds(f.latency_s or 0.0)}" for f in timed])}
    if arena is not None:
        told["arena"] = _source(table, [f"{f.file.name} {f.arena_bytes} bytes" for f in figures if f.arena_bytes])
    kept = (row for row in base.sources if row.field.partition(".")[0] not in told)
    profile = base.model_copy(
        update={
            "id": profile_id,
            "title": f"{base.title}, fitted to own measurements",
            "extends": "",
            "latency": facts,
            "arena": arena or base.arena,
            "sources": (*kept, *(Reference(field=field, what=what) for field, what in told.items())),
        }
    )
    if (facts.families or 0) < LEAST_FAMILIES:
        notes = (*notes, f"of fewer than {LEAST_FAMILIES} families the band is mostly what other devices give")
    wrong = implausible(profile)
    if wrong:
        raise DocumentError([f"{table}: what comes of it is no device: {fault}" for fault in wrong])
    fits = tuple(_fit(figure, row, base, profile) for figure, row in zip(timed, rows, strict=True))
    return Fitted(profile, fits, (*notes, *_far_off(fits, table)))


def _far_off(fits: Sequence[Fit], table: Path) -> Iterator[str]:
    """A sentence for each file whose time is so far from the estimate that its unit may be another."""
    for fit in fits:
        times = fit.measured_s / fit.before_s if fit.before_s else 1.0
        if not 1 / FAR_OFF <= times <= FAR_OFF:
            much = f"{times:.0f} times" if times > 1 else f"one {1 / times:.0f}th of"
            took = format_seconds(fit.measured_s)
            yield f"{table}: line {fit.line}: {took} is {much} what the base estimates; is the unit right?"


def _measured(figure: Figure, graph: TfliteGraph) -> Measured:
    return Measured(
        net=str(figure.file.resolve()),
        # The files of a net in other precisions are one family; a name tells no more.
        family=figure.family or figure.file.name.partition(".")[0],
        graph=graph,
        seconds=figure.latency_s or 0.0,
        version=figure.version,
    )


def _fit(figure: Figure, row: Measured, base: Profile, profile: Profile) -> Fit:
    return Fit(
        line=figure.line,
        file=str(figure.file),
        family=row.family,
        measured_s=row.seconds,
        before_s=predict_latency(row.graph, base, row.net).value,
        after_s=predict_latency(row.graph, profile, row.net).value,
    )


def _source(table: Path, named: Sequence[str]) -> str:
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"own measurements, {table.name}: {', '.join(named[:SHOWN])}{more}; fitted by edgecut profile fit"


def _arena(
    figures: Sequence[Figure], graphs: Mapping[int, TfliteGraph], base: Profile
) -> tuple[ArenaFacts | None, tuple[str, ...]]:
    """(what measured arenas are beside the rule's, notes); None without any, or where no arena is estimated."""
    told = [figure for figure in figures if figure.arena_bytes]
    if not told:
        return None, ()
    if base.runtime.name == "c" or base.class_ == "npu" or not has_arena(base):
        return None, (f"arenas are left out: none is estimated of {base.id}, which runs {base.runtime.name}",)
    ratios = [(f.arena_bytes or 0) / usual_arena_bytes(graphs[f.line], base) for f in told]
    errors = [abs(own / (statistics.median(ratios[:k] + ratios[k + 1 :] or [1.0])) - 1) for k, own in enumerate(ratios)]
    # Two files that agree tell little: no band is narrower than the rule's own.
    error = math.ceil(max(CORTEX_M_ERROR, *errors) * 100) / 100
    return ArenaFacts(ratio=round(statistics.median(ratios), 4), error=error, files=len(told)), ()


def _graphs(figures: Sequence[Figure], table: Path, base: Profile) -> dict[int, TfliteGraph]:
    """The graph of each file by the line that it is in."""
    graphs: dict[int, TfliteGraph] = {}
    faults: list[str] = []
    for figure in figures:
        place = f"{table}: line {figure.line}, column 'file'"
        try:
            graph = read(figure.file)
        except SourceError as exc:
            faults.append(f"{place}: {exc}")
            continue
        precision = tflite_precision(graph)
        scheme, takes = weight_scheme(graph), base.runtime.weights
        if takes and scheme not in {takes, ""}:
            faults.append(
                f"{place}: {figure.file} has weights quantized {scheme}; expected those of {base.id}: {takes}"
            )
        if precision not in base.runtime.precisions:
            runs = ", ".join(base.runtime.precisions)
            faults.append(f"{place}: {figure.file} computes in {precision}; expected what {base.id} runs: {runs}")
        graphs[figure.line] = graph
    if faults:
        raise DocumentError(faults)
    return graphs
