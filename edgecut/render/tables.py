"""Tables for the terminal. All of them fit in 60 columns, with less in them than in 120."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgecut.records.measurement import Measurement
from edgecut.records.operating import DEFAULT
from edgecut.records.report import Check, Report, Step
from edgecut.records.units import format_seconds
from edgecut.render.decisions import decision_table
from edgecut.render.devices import device_table
from edgecut.render.grid import Cell, Fitted, fitted, remarked
from edgecut.render.lines import Line, line, notes
from edgecut.render.results import (
    COLUMNS,
    MARK,
    figures,
    file_labels,
    has_losses,
    judged_by,
    legend,
    result_rows,
)
from edgecut.render.trials import quantization_parts
from edgecut.render.words import (
    STYLES,
    band_words,
    fact_words,
    how_words,
    limit_words,
    measured_words,
    value_words,
)

_BAR_CELLS = 8


def report_tables(report: Report, *, verbose: bool = False, quiet: bool = False) -> list[RenderableType]:
    """A report as tables: files, devices, checks, notes; the steps with their proofs if verbose."""
    name = str(report.recipe.get("name", "model"))
    parts: list[RenderableType] = [
        Line.assemble(line(name, "bold"), ": ", (report.status, STYLES[report.status]), _why(report))
    ]
    if verbose and report.steps:
        parts.append(step_table(report.steps))
    if report.artifacts:
        parts.append(artifact_table(report))
    if any(decision.rule != DEFAULT for decision in report.decisions):
        parts.append(decision_table(report.decisions, file_labels(report)))
    on_devices = figures(report)
    if on_devices:
        parts.append(device_table(on_devices, file_labels(report)))
    if report.checks:
        parts.append(check_table(report.checks, file_labels(report)))
    parts += quantization_parts(report.trials, report.explanations)
    if report.notes and not quiet:
        parts.append(Group(*notes(report.notes)))
    return [parts[0], *(part for table in parts[1:] for part in ("", table))]


def artifact_table(report: Report) -> Group:
    """One row for each file, and for the float model behind them, with what was measured here."""
    judged = COLUMNS[judged_by(report)]
    found = result_rows(report)
    drops = remarked([(r.drop.removesuffix(MARK), MARK.strip() if r.drop.endswith(MARK) else "") for r in found])
    rows = [
        (r.label, r.size, r.accuracy, drop, r.agree, r.sqnr.removesuffix(" dB"), r.latency, r.latency_p90)
        for r, drop in zip(found, drops, strict=True)
    ]
    columns = ("<file", "size", judged, "drop", "agree", "SQNR dB", "latency", "p90")
    table = fitted(columns, rows, ("p90", "agree", "SQNR dB", "drop", "latency", "size", judged))
    return Group(table, *(line(sentence, "dim") for sentence in legend(report).splitlines()))


def check_table(checks: Sequence[Check], labels: Mapping[str, str]) -> Group:
    """One row for each limit, by device. What is unknown says why underneath."""
    rows: list[Sequence[Cell]] = []
    reasons: list[tuple[str, str]] = []
    for device, of_device in _by_device(checks):
        if device:
            rows.append((line(device, "bold"),))
        for check in of_device:
            rows.append(
                (
                    f"{'  ' if device else ''}{check.metric}",
                    labels.get(check.artifact, check.artifact),
                    limit_words(check),
                    value_words(check.value, check.unit),
                    Text(check.state, STYLES[check.state]),
                    check.basis if check.value is not None else "",
                )
            )
            if check.reason:
                reasons.append((f"{device} {check.metric}".strip(), check.reason))
    of_one = ["file"] if len({check.artifact for check in checks}) == 1 else []
    columns = ("<check", "<file", ">limit", ">value", "<state", "<basis")
    table = fitted(columns, rows, (*of_one, "basis", "limit", "value"))
    return _with_reasons(table, reasons)


def step_table(steps: Iterable[Step]) -> Fitted:
    """One row for each stop of the run, with its proof."""
    rows: list[Sequence[Cell]] = []
    run = tuple(steps)
    longest = max((step.seconds for step in run if not step.cached), default=0.0)
    bars = sum(not step.cached for step in run) > 1
    for step in run:
        # The reason of a tolerance is a sentence of its own, for which report.html has room.
        proof = fact_words({key: value for key, value in step.proof.to_dict().items() if key != "tolerance_reason"})
        rows.append(
            (
                step.name,
                "cached" if step.cached else format_seconds(step.seconds),
                *([_bar(0.0 if step.cached else step.seconds, longest)] if bars else []),
                "; ".join(filter(None, [proof, *step.notes, *step.losses])),
            )
        )
    return fitted(("<step", "time", *(["<"] if bars else []), "~proof and notes"), rows, ("", "time"))


def _bar(seconds: float, longest: float) -> str:
    """How long a step took beside the longest one."""
    return "█" * round(_BAR_CELLS * seconds / longest) if longest > 0 else ""


def measurement_table(measurements: Iterable[Measurement], *, verbose: bool = False) -> Group:
    """One row for each measurement: its value, p10 and p90 where it was taken several times, kind, device and band.

    The device is the one that it is about, else the machine that measured. Of several files a column has each one's
    name. What could not be had says why underneath. verbose: also how each was found, and where.
    """
    found, reasons = list(measurements), list[tuple[str, str]]()
    files = ["<file"] if len({m.artifact for m in found}) > 1 else []
    columns = ("<metric", *files, "value", "p10", "p90", "<kind", "<device", "<band", *(["~how"] if verbose else []))
    rows: list[Sequence[Cell]] = []
    for m in found:
        p10, p90 = (value_words(m.quantile(part), m.unit) if m.values else "" for part in (0.1, 0.9))
        kind, device = m.kind if m.value is not None else "", m.profile or m.where
        own, how = [m.metric, *([m.artifact] if files else [])], [how_words(m)] if verbose else []
        rows.append((*own, measured_words(m), p10, p90, kind, device, band_words(m.error), *how))
        if m.value is None:
            reasons.append((f"{device} {m.metric}", m.reason))
    return _with_reasons(fitted(columns, rows, ("how", "p10", "p90", "kind", "band")), reasons)


def plan_table(steps: Iterable[tuple[str, str]]) -> Fitted:
    """One row for each step that would run."""
    rows = [(str(number), name, what) for number, (name, what) in enumerate(steps, 1)]
    return fitted(("#", "<step", "~what it does"), rows, ("#",))


def _by_device(checks: Iterable[Check]) -> Iterator[tuple[str, list[Check]]]:
    """The checks of each device, "" for what belongs to none, which comes first."""
    devices: dict[str, list[Check]] = {}
    for check in checks:
        devices.setdefault(check.profile or "", []).append(check)
    for device in sorted(devices):
        yield device, devices[device]


def _with_reasons(table: Fitted, reasons: Iterable[tuple[str, str]]) -> Group:
    """The table with sentences underneath that say why something isn't known, each once.

    reasons: (what isn't known, why).
    """
    by_reason: dict[str, list[str]] = {}
    for what, why in reasons:
        by_reason.setdefault(why, []).append(what)
    sentences = (f"{', '.join(dict.fromkeys(what))}: {why}" for why, what in by_reason.items())
    return Group(table, *(line(sentence, "dim") for sentence in sentences))


def _why(report: Report) -> str:
    counts = {state: sum(check.state == state for check in report.checks) for state in STYLES}
    words = [f"{counts[state]} {state}" for state in ("meets", "misses", "unknown") if counts[state]]
    limits = f" ({len(report.checks)} limits: {', '.join(words)})" if words else " (no limits are set)"
    return f"{limits}; something was lost" if has_losses(report) else limits
