"""Whether each file fits each device: its figures with their bands and limits, and why no more can be said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from edgecut.records.device_figures import HOST, DeviceFigures, in_order
from edgecut.records.measurement import Measurement, Metric, number_in
from edgecut.records.report import Check, Report, overall
from edgecut.render.devices import remarks
from edgecut.render.page_parts import Column, joined, sentences, state_html, table
from edgecut.render.results import figures, file_labels, judged_by
from edgecut.render.templating import part
from edgecut.render.words import (
    NOTHING,
    band_words,
    check_words,
    limit_words,
    measured_words,
    rests_on,
    value_words,
)

_COLUMNS = (Column("figure"), Column("value", True), Column("band"), Column("rests on"), Column("limit", True),
            Column("state"))  # fmt: skip
_CALLED: dict[str, str] = {
    "arena": "memory",
    "size": "flash",
    "accuracy_drop": "accuracy lost",
    "map": "mAP",
    "r2": "R²",
}
# By a state, before the file's name, between it and the device's, and behind.
_TITLES = {
    "meets": ("", " fits ", ""),
    "misses": ("", " doesn't fit ", ""),
    "unknown": ("Whether ", " fits ", " isn't known"),
    "": ("", " on ", ": no limit is set"),
}


class Card(NamedTuple):
    """What a page says of a file on a device. state: of all limits, "" without any."""

    title: str
    state: str
    table: Markup
    why: Markup


def verdicts_html(report: Report) -> Markup:
    """A card for each file on each device, the worst first, and which other limits aren't met.

    Of this machine only where no other device is asked for.
    """
    labels, pairs = file_labels(report), _pairs(report)
    order = ("misses", "unknown", "meets", "")
    cards = [_card(row, _checks_of(report, row), report, labels) for row in pairs]
    nothing = [_left_out(name) for name in _devices(report) if name not in {row.profile for row in pairs}]
    shown = [check for row in pairs for check in _checks_of(report, row)]
    others = [check for check in report.checks if check.state != "meets" and check not in shown]
    return joined(
        [
            part("verdicts", [*sorted(cards, key=lambda card: order.index(card.state)), *nothing]),
            sentences([_other(check, labels) for check in others]),
        ]
    )


def _devices(report: Report) -> list[str]:
    """The ids of the devices that were asked for: this machine only if there is no other."""
    names = [str(profile.get("id")) for profile in report.profiles]
    return [name for name in names if name != HOST] or names


def _pairs(report: Report) -> list[DeviceFigures]:
    """The figures of each file on each device, also of those of which there are limits alone."""
    known = {(row.profile, row.artifact): row for row in figures(report)}
    limited = [(check.profile or "", check.artifact) for check in report.checks]
    here = [(HOST, m.artifact) for m in report.measurements if m.profile == HOST]
    pairs = dict.fromkeys([*known, *limited, *here])
    return [
        known.get((device, name)) or DeviceFigures(device, name, None, None, _host_latency(report, name))
        for device in _devices(report)
        for profile, name in pairs
        if device == profile and name
    ]


def _host_latency(report: Report, name: str) -> Measurement | None:
    rows = [m for m in report.measurements if (m.metric, m.artifact, m.profile) == ("latency", name, HOST)]
    return next(iter(in_order(rows)), None)


def _checks_of(report: Report, row: DeviceFigures) -> list[Check]:
    return [c for c in report.checks if c.artifact in {row.artifact, ""} and c.profile in {row.profile, None}]


def _other(check: Check, labels: Mapping[str, str]) -> str:
    """A limit of what is on no card."""
    device = f" on {check.profile}" if check.profile else ""
    return f"{labels.get(check.artifact, check.artifact)} {check.state} {check.metric}{device}: {check_words(check)}"


def _card(row: DeviceFigures, checks: Sequence[Check], report: Report, labels: Mapping[str, str]) -> Card:
    state = overall(tuple(checks)) if checks else ""
    before, between, behind = _TITLES[state]
    device = "this machine" if row.profile == HOST else row.profile
    title = f"{before}{labels.get(row.artifact, row.artifact)}{between}{device}{behind}"
    why = [f"{_called(check.metric)}: {check_words(check)}" for check in checks if check.state != "meets"]
    known = {check.reason for check in checks}
    why += [sentence for sentence in remarks([row]) if sentence.partition(": ")[2] not in known]
    return Card(title, state, table(_COLUMNS, list(_lines(report, row, checks))), sentences(why))


def _left_out(device: str) -> Card:
    return Card(f"{device}: no file of this build is for it", "", Markup(), Markup())


def _lines(report: Report, row: DeviceFigures, checks: Sequence[Check]) -> Iterator[tuple[str, ...]]:
    """The rows of a card's table: latency, memory, flash, the score, and then what else has a limit."""
    judge = judged_by(report)
    own: dict[str, Measurement | None] = {
        "latency": row.latency,
        "arena": row.arena,
        "size": row.flash or _measured(report, "size", row.artifact),
        judge: _measured(report, judge, row.artifact),
        "accuracy_drop": _drop(report, row),
    }
    limits = {check.metric: check for check in sorted(checks, key=lambda check: check.profile is not None)}
    for metric in dict.fromkeys([*own, *limits]):
        m, check = own.get(metric), limits.get(metric)
        if m is not None or check is not None:
            called = "size" if metric == "size" and row.flash is None else _called(metric)
            yield _line(called, m, check)


def _line(called: str, m: Measurement | None, check: Check | None) -> tuple[str, ...]:
    limit, state = (limit_words(check), state_html(check.state)) if check else (NOTHING, "")
    if m is None or m.value is None:
        value = value_words(check.value, check.unit) if check and check.value is not None else "unknown"
        return called, value, "", check.basis if check and check.value is not None else "", limit, state
    return called, measured_words(m), _band(m), _basis(m), limit, state


def _band(m: Measurement) -> str:
    """The band of an estimate, or of a figure of a sample: 95 % of such samples, or two standard errors."""
    low, high, error = (number_in(m.conditions, key) for key in ("low", "high", "standard_error"))
    if low is not None and high is not None:
        return f"{value_words(low, m.unit)} to {value_words(high, m.unit)}"
    return f"± {value_words(2 * error, m.unit)}" if error else band_words(m.error)


def _basis(m: Measurement) -> str:
    """The kind of a figure and on what it rests."""
    seen = m.conditions.get("inputs")
    if isinstance(seen, str) and (count := number_in(m.conditions, "images")):
        return f"{m.kind} on {count:.0f} {seen} by {m.method}"
    if isinstance(kernels := m.conditions.get("kernels"), str):
        return f"{m.kind} on {m.conditions.get('images')} of {m.conditions.get('of_images')} images by {kernels}"
    rests = rests_on(m)
    return rests if m.kind in rests or rests == "" else f"{m.kind}, {rests}"


def _measured(report: Report, metric: Metric, name: str) -> Measurement | None:
    return next((m for m in report.measurements if (m.metric, m.artifact) == (metric, name)), None)


def _drop(report: Report, row: DeviceFigures) -> Measurement | None:
    """What is lost by the device's own kernels where it was tried, else by this host's."""
    rows = [m for m in report.measurements if (m.metric, m.artifact) == ("accuracy_drop", row.artifact)]
    return next((m for m in rows if m.profile == row.profile), next((m for m in rows if m.profile is None), None))


def _called(metric: str) -> str:
    return _CALLED.get(metric, metric.replace("_", " "))
