"""A build for a pull request: what it gave, and which limits it keeps."""

from __future__ import annotations

from edgecut.records.report import Report
from edgecut.render.results import COLUMNS, file_labels, judged_by, result_rows
from edgecut.render.templating import markdown
from edgecut.render.words import NOTHING, band_words, limit_words, measured_words, value_words


def build_markdown(report: Report) -> str:
    """The report as Markdown: limits first, then devices and files."""
    labels = file_labels(report)
    limits = [
        (
            check.metric,
            labels.get(check.artifact, check.artifact) or NOTHING,
            check.profile or NOTHING,
            limit_words(check),
            value_words(check.value, check.unit),
            check.state,
            check.basis if check.value is not None else check.reason,
        )
        for check in report.checks
    ]
    devices = [
        (
            str(m.profile),
            labels.get(m.artifact, m.artifact),
            m.metric,
            measured_words(m),
            m.kind if m.value is not None else m.reason,
            band_words(m.error),
        )
        for m in report.measurements
        if m.profile not in {None, "host"}
    ]
    judged = COLUMNS[judged_by(report)]
    files = [(r.label, r.size, r.accuracy, r.drop, r.agree, r.sqnr) for r in result_rows(report)]
    tables = (
        (("limit on", "file", "device", "limit", "value", "state", "rests on"), limits),
        (("device", "file", "metric", "value", "kind", "band"), devices),
        (("file", "size", judged, "drop", "agree", "SQNR"), files),
    )
    name = str(report.recipe.get("name", "model"))
    text = markdown("build", headline=f"{name}: {report.status}", tables=tables, notes=report.notes)
    return text.rstrip() + "\n"
