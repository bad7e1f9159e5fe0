"""A report as one self-contained HTML file: no request goes out, light and dark, prints well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.report import Check, Report, Step
from edgecut.records.toml_text import toml_text
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.decisions import COLUMNS as DECISION_COLUMNS
from edgecut.render.decisions import decision_rows, rule_lines
from edgecut.render.explained import explained_html
from edgecut.render.page_parts import (
    Column,
    folded,
    joined,
    memory_html,
    operators_html,
    remark,
    sentences,
    state_html,
    table,
)
from edgecut.render.results import COLUMNS, file_labels, has_losses, judged_by, legend, result_rows
from edgecut.render.steps import step_sentences
from edgecut.render.templating import html, part
from edgecut.render.trials import HEADINGS, trial_rows
from edgecut.render.verdict import verdicts_html
from edgecut.render.words import (
    NOTHING,
    artifact_words,
    band_words,
    count_words,
    fact_words,
    how_words,
    limit_words,
    measured_words,
    shape_words,
    value_words,
)

_TAKES = {"raw": "bytes as they are", "normalized": "normalized pixels"}


def render_page(report: Report) -> str:
    """The page of a report: summary, devices, files, steps with proofs, checks, measurements, tensors, recipe."""
    name, titles = str(report.recipe.get("name", "model")), file_labels(report)
    sections = (
        ("Does it fit?", verdicts_html(report)),
        ("Files, and their times on this machine", _files(report)),
        ("Decisions", _decisions(report)),
        ("Checks", checks_html(report.checks, titles)),
        ("Cures tried for int8", _trials(report)),
        ("Quantization error by layer", explained_html(report.explanations)),
        ("Memory over the run", memory_html(report.uses, titles, report.checks)),
        ("Time by operator", operators_html(report.uses, titles)),
        ("Steps", _steps(report.steps)),
        ("Measurements", folded(f"{len(report.measurements)} rows", measurements_html(report.measurements, titles))),
        ("Inputs and outputs", _tensors(report.artifacts)),
        ("Operators", _operators(report.artifacts)),
        ("Notes", sentences(report.notes)),
        ("Recipe", folded("recipe.toml", part("code_block", toml_text(report.recipe)))),
        ("Devices", _devices(report)),
        ("Environment", _facts(report.environment.to_dict())),
    )
    return html(
        "report",
        title=f"{name}: {report.status}",
        sections=sections,
        style="",
        script="",
        report=report,
        name=name,
        params=count_words(report.source.params),
        macs=count_words(report.source.macs),
        devices=", ".join(str(profile.get("id", "")) for profile in report.profiles),
        has_losses=has_losses(report),
    )


def _files(report: Report) -> Markup:
    metric = COLUMNS[judged_by(report)]
    columns = [Column("file"), *(Column(t, True) for t in ("size", metric, "drop", "agree"))]
    columns += [Column(t, True) for t in ("SQNR", "max. error", "latency here", "p90")]
    rows = [
        (r.label, r.size, r.accuracy, r.drop, r.agree, r.sqnr, r.max_error, r.latency, r.latency_p90)
        for r in result_rows(report)
    ]
    return joined([table(columns, rows), *map(remark, legend(report).splitlines())]) if rows else Markup()


def _decisions(report: Report) -> Markup:
    columns = [Column(title, place > 1) for place, title in enumerate(DECISION_COLUMNS)]
    rows = [row for decision in report.decisions for row in decision_rows(decision, file_labels(report))]
    return joined([table(columns, rows), *map(remark, rule_lines(report.decisions))]) if rows else Markup()


def checks_html(checks: Iterable[Check], labels: Mapping[str, str]) -> Markup:
    """A row for each limit: what was found, and whether that meets it. labels: what a file is called."""
    columns = (
        Column("limit on"),
        Column("file"),
        Column("device"),
        Column("limit", True),
        Column("value", True),
        Column("state"),
        Column("rests on"),
        Column("why"),
    )
    return table(columns, [_check_row(check, labels) for check in checks])


def _check_row(check: Check, labels: Mapping[str, str]) -> tuple[str, ...]:
    return (
        check.metric,
        labels.get(check.artifact, check.artifact),
        check.profile or "",
        limit_words(check),
        value_words(check.value, check.unit),
        state_html(check.state),
        check.basis,
        check.reason,
    )


def _trials(report: Report) -> Markup:
    columns = [Column(title, 0 < place < len(HEADINGS) - 1) for place, title in enumerate(HEADINGS)]
    return table(columns, trial_rows(report.trials))


def _steps(steps: Iterable[Step]) -> Markup:
    rows = [(s.name, "from the cache" if s.cached else format_seconds(s.seconds), step_sentences(s)) for s in steps]
    return part("told_steps", rows) if rows else Markup()


def measurements_html(measurements: Iterable[Measurement], labels: Mapping[str, str]) -> Markup:
    """A row for each measurement, by the device that it is about, else the machine that measured."""
    columns = (
        Column("metric"),
        Column("file"),
        Column("device"),
        Column("value", True),
        Column("p90", True),
        Column("kind"),
        Column("band"),
        Column("how"),
    )
    return table(columns, [_measurement_row(m, labels) for m in measurements])


def _measurement_row(m: Measurement, labels: Mapping[str, str]) -> tuple[str, ...]:
    p90 = value_words(m.quantile(0.9), m.unit) if m.values else ""
    return (
        m.metric,
        labels.get(m.artifact, m.artifact),
        m.profile or m.where,
        measured_words(m),
        p90,
        m.kind if m.value is not None else "",
        band_words(m.error),
        m.reason or how_words(m),
    )


def _tensors(artifacts: Iterable[Artifact]) -> Markup:
    columns = (
        Column("file"),
        Column("tensor"),
        Column("shape"),
        Column("type"),
        Column("scale", True),
        Column("zero point", True),
        Column("takes"),
    )
    rows = []
    for artifact in artifacts:
        for role, specs in (("in", artifact.inputs), ("out", artifact.outputs)):
            for spec in specs:
                scale = NOTHING if spec.scale is None else f"{spec.scale:.8g}"
                zero = NOTHING if spec.zero_point is None else str(spec.zero_point)
                rows.append(
                    (
                        artifact_words(artifact),
                        f"{role}: {spec.name}",
                        shape_words(spec.shape),
                        spec.dtype,
                        scale,
                        zero,
                        _TAKES.get(spec.expects or "", ""),
                    )
                )
    return table(columns, rows)


def _operators(artifacts: Iterable[Artifact]) -> Markup:
    columns = (
        Column("file"),
        Column("bytes", True),
        Column("MACs", True),
        Column("operators"),
        Column("SHA-256"),
    )
    rows = [
        (
            artifact_words(a),
            format_bytes(a.size_bytes),
            count_words(a.macs),
            ", ".join(f"{name} {count}" for name, count in a.operators.items()),
            part("hash", a.sha256),
        )
        for a in artifacts
    ]
    return table(columns, rows)


def _devices(report: Report) -> Markup:
    parts = [folded(str(p.get("title") or p.get("id")), part("code_block", toml_text(p))) for p in report.profiles]
    return joined(parts)


def _facts(facts: Mapping[str, object]) -> Markup:
    rows = [(key, fact_words(value) if isinstance(value, Mapping) else str(value)) for key, value in facts.items()]
    return table((Column("fact"), Column("value")), rows)
