"""The rows of a report's result table, shared by the terminal and the page."""

from __future__ import annotations

from typing import NamedTuple

from edgecut.records.measurement import Measurement
from edgecut.records.report import Report
from edgecut.records.units import format_bytes
from edgecut.render.words import NOTHING, artifact_words, value_words

# In the names of what a compressed model was before.
UNCOMPRESSED = ".uncompressed."


class ResultRow(NamedTuple):
    """What was found of one file, or of the float model behind them, in words; a dash where nothing was."""

    label: str
    size: str
    accuracy: str
    drop: str
    same_top1: str
    sqnr: str
    max_error: str
    latency: str
    latency_p90: str


def result_rows(report: Report) -> list[ResultRow]:
    """One row for what accuracy was measured of besides the files, then one for each file."""
    labels = file_labels(report)
    sizes = {artifact.name: format_bytes(artifact.size_bytes) for artifact in report.artifacts}
    others = [m.artifact for m in report.measurements if m.metric == "accuracy" and m.artifact not in sizes]
    rows = []
    for name in dict.fromkeys([*others, *sizes]):
        latency = _host_latency(report, name)
        rows.append(
            ResultRow(
                label=labels.get(name, name),
                size=sizes.get(name) or _value(report, "size", name),
                accuracy=_value(report, "accuracy", name),
                drop=_value(report, "accuracy_drop", name),
                same_top1=_value(report, "top1_agreement", name),
                sqnr=_value(report, "sqnr", name),
                max_error=_value(report, "max_abs_error", name),
                latency=value_words(latency.value, "s") if latency else NOTHING,
                latency_p90=value_words(latency.quantile(0.9), "s") if latency else NOTHING,
            )
        )  # fmt: skip
    return rows


def file_labels(report: Report) -> dict[str, str]:
    """What each file is called in tables: "tflite int8"; its own name if two would be called the same."""
    words = [artifact_words(artifact) for artifact in report.artifacts]
    labels = {a.name: words[k] if words.count(words[k]) == 1 else a.name for k, a in enumerate(report.artifacts)}
    models = {m.artifact for m in report.measurements if m.artifact.endswith(".keras")}
    others = {m.artifact: _uncompressed(m.artifact) for m in report.measurements if UNCOMPRESSED in m.artifact}
    return {**dict.fromkeys(models, "keras float32"), **others, **labels}


def _uncompressed(name: str) -> str:
    """ "tflite int8 before" for "model.uncompressed.int8.tflite"."""
    *_, precision, kind = name.split(".")
    return "keras before" if kind == "keras" else f"{kind} {precision} before"


def _value(report: Report, metric: str, name: str) -> str:
    return next(
        (value_words(m.value, m.unit) for m in report.measurements if (m.metric, m.artifact) == (metric, name)),
        NOTHING,
    )


def _host_latency(report: Report, name: str) -> Measurement | None:
    """The latency that was measured on the machine that wrote the report."""
    return next(
        (
            m
            for m in report.measurements
            if (m.metric, m.artifact, m.where, m.kind) == ("latency", name, "host", "measured") and m.value is not None
        ),
        None,
    )
