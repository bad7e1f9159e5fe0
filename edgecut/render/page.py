"""A report as one self-contained HTML file: no request goes out, light and dark, prints well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.report import Check, Report, Step
from edgecut.records.toml_text import toml_text
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.explained import headline
from edgecut.render.explained_plot import svg
from edgecut.render.page_style import STYLE
from edgecut.render.results import file_labels, result_rows
from edgecut.render.trials import HEADINGS, trial_rows
from edgecut.render.words import (
    NOTHING,
    artifact_words,
    band_words,
    count_words,
    fact_words,
    limit_words,
    measured_words,
    shape_words,
    value_words,
)

_TAKES = {"raw": "bytes as they are", "normalized": "normalized pixels"}


class Html(str):
    """Text that is HTML already."""


class Column(NamedTuple):
    """A table's column. number: right-aligned."""

    title: str
    number: bool = False


def render_page(report: Report) -> str:
    """The page of a report: summary, files, steps with proofs, checks, measurements, tensors, recipe."""
    name = str(report.recipe.get("name", "model"))
    sections = (
        ("Files", _files(report)),
        ("Checks", _checks(report)),
        ("Cures tried for int8", _trials(report)),
        ("Quantization error by layer", _explained(report)),
        ("Steps", _steps(report.steps)),
        ("Measurements", _measurements(report)),
        ("Inputs and outputs", _tensors(report.artifacts)),
        ("Operators", _operators(report.artifacts)),
        ("Notes", _list(report.notes)),
        ("Recipe", Html(f"<pre>{escape(toml_text(report.recipe))}</pre>")),
        ("Devices", _devices(report)),
        ("Environment", _facts(report.environment)),
    )
    body = "".join(f"<section><h2>{title}</h2>{content}</section>\n" for title, content in sections if content)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(name)}: {report.status}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{_summary(report, name)}\n{body}</main>\n</body>\n</html>\n"
    )


def _summary(report: Report, name: str) -> Html:
    source = report.source
    macs = count_words(source.macs)
    facts = (
        f"From <code>{escape(source.path)}</code>: {source.layers} layers, {count_words(source.params)} "
        f"parameters, {escape(macs)} multiply-accumulates"
    )
    devices = ", ".join(str(profile.get("id", "")) for profile in report.profiles)
    return Html(
        f"<header><h1>{escape(name)} {_state(report.status)}</h1>\n<p>{facts}.</p>\n"
        f"<p>For {escape(devices or 'no device')}; edgecut {escape(report.edgecut)}.</p></header>"
    )


def _files(report: Report) -> Html:
    columns = [Column("file"), *(Column(t, True) for t in ("size", "accuracy", "drop", "same top-1"))]
    columns += [Column(t, True) for t in ("SQNR", "max. error", "latency here", "p90")]
    rows = [
        (r.label, r.size, r.accuracy, r.drop, r.same_top1, r.sqnr, r.max_error, r.latency, r.latency_p90)
        for r in result_rows(report)
    ]
    return _table(columns, rows)


def _checks(report: Report) -> Html:
    labels = file_labels(report)
    columns = (
        Column("limit on"), Column("file"), Column("device"), Column("limit", True), Column("value", True),
        Column("state"), Column("rests on"), Column("why"),
    )  # fmt: skip
    return _table(columns, [_check_row(check, labels) for check in report.checks])


def _check_row(check: Check, labels: Mapping[str, str]) -> tuple[str, ...]:
    return (
        check.metric, labels.get(check.artifact, check.artifact), check.profile or "", limit_words(check),
        value_words(check.value, check.unit), _state(check.state), check.basis, check.reason,
    )  # fmt: skip


def _trials(report: Report) -> Html:
    columns = [Column(title, 0 < place < len(HEADINGS) - 1) for place, title in enumerate(HEADINGS)]
    return _table(columns, trial_rows(report.trials))


def _explained(report: Report) -> Html:
    """A picture for each quantized file, and what is suspected."""
    parts = [
        f"<details open><summary>{escape(headline(found))}</summary>"
        f'<div class="wide">{svg(found).decode()}</div></details>'
        for found in report.explanations
    ]
    return Html("".join(parts))


def _steps(steps: Iterable[Step]) -> Html:
    columns = (
        Column("step"),
        Column("time", True),
        Column("proof"),
        Column("before → after"),
        Column("notes"),
    )
    rows = [
        (
            step.name, "cached" if step.cached else format_seconds(step.seconds), fact_words(step.proof),
            _change(step), "; ".join(step.notes),
        )
        for step in steps
    ]  # fmt: skip
    return _table(columns, rows)


def _change(step: Step) -> str:
    sides = [fact_words(side) for side in (step.before, step.after)]
    return " → ".join(side for side in sides if side)


def _measurements(report: Report) -> Html:
    columns = (
        Column("metric"), Column("file"), Column("value", True), Column("p90", True), Column("kind"),
        Column("where"), Column("band"), Column("how"),
    )  # fmt: skip
    labels = file_labels(report)
    return _table(columns, [_measurement_row(m, labels) for m in report.measurements])


def _measurement_row(m: Measurement, labels: Mapping[str, str]) -> tuple[str, ...]:
    p90 = value_words(m.quantile(0.9), m.unit) if m.values else ""
    return (
        m.metric, labels.get(m.artifact, m.artifact), measured_words(m), p90,
        m.kind if m.value is not None else "", m.where, band_words(m.error), m.reason or m.method,
    )  # fmt: skip


def _tensors(artifacts: Iterable[Artifact]) -> Html:
    columns = (
        Column("file"), Column("tensor"), Column("shape"), Column("type"), Column("scale", True),
        Column("zero point", True), Column("takes"),
    )  # fmt: skip
    rows = []
    for artifact in artifacts:
        for role, specs in (("in", artifact.inputs), ("out", artifact.outputs)):
            for spec in specs:
                scale = NOTHING if spec.scale is None else f"{spec.scale:.8g}"
                zero = NOTHING if spec.zero_point is None else str(spec.zero_point)
                rows.append(
                    (
                        artifact_words(artifact), f"{role}: {spec.name}", shape_words(spec.shape), spec.dtype,
                        scale, zero, _TAKES.get(spec.expects or "", ""),
                    )
                )  # fmt: skip
    return _table(columns, rows)


def _operators(artifacts: Iterable[Artifact]) -> Html:
    columns = (
        Column("file"),
        Column("bytes", True),
        Column("MACs", True),
        Column("operators"),
        Column("SHA-256"),
    )
    rows = [
        (
            artifact_words(a), format_bytes(a.size_bytes), count_words(a.macs),
            ", ".join(f"{name} {count}" for name, count in a.operators.items()),
            Html(f'<code class="hash">{escape(a.sha256)}</code>'),
        )
        for a in artifacts
    ]  # fmt: skip
    return _table(columns, rows)


def _devices(report: Report) -> Html:
    parts = [
        f"<details><summary>{escape(str(p.get('title') or p.get('id')))}</summary>"
        f"<pre>{escape(toml_text(p))}</pre></details>"
        for p in report.profiles
    ]
    return Html("".join(parts))


def _facts(facts: Mapping[str, Any]) -> Html:
    rows = [(key, fact_words(value) if isinstance(value, Mapping) else str(value)) for key, value in facts.items()]
    return _table((Column("fact"), Column("value")), rows)


def _list(sentences: Sequence[str]) -> Html:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return Html(f"<ul>{items}</ul>" if items else "")


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Html:
    """A table without the columns that have nothing to say; nothing at all without rows."""
    if not rows:
        return Html("")
    kept = [k for k in range(len(columns)) if any(row[k] not in {"", NOTHING} for row in rows)]
    head = "".join(f"<th{_class(columns[k])}>{escape(columns[k].title)}</th>" for k in kept)
    lines = "".join(f"<tr>{''.join(_cell(columns[k], row[k]) for k in kept)}</tr>\n" for row in rows)
    return Html(f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>')


def _cell(column: Column, text: str) -> str:
    return f"<td{_class(column)}>{text if isinstance(text, Html) else escape(text)}</td>"


def _class(column: Column) -> str:
    return ' class="number"' if column.number else ""


def _state(state: str) -> Html:
    return Html(f'<span class="state {escape(state)}">{escape(state)}</span>')
