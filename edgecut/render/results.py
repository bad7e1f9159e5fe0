"""The rows of a report's result table, shared by the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edgecut.records.device_figures import DeviceFigures, device_figures
from edgecut.records.measurement import Measurement, Metric
from edgecut.records.report import Report
from edgecut.records.units import format_bytes
from edgecut.render.words import NOTHING, artifact_words, value_words

# In the names of what a compressed model was before.
UNCOMPRESSED = ".uncompressed."
AGREEMENTS: tuple[Metric, ...] = ("top1_agreement", "tag_agreement", "pixel_agreement")
COLUMNS: dict[Metric, str] = {"accuracy": "accuracy", "map": "mAP", "r2": "R²"}
"""What judges, and the heading of its column."""
JUDGES = tuple(COLUMNS)
_ALIKE = {
    "top1_agreement": "samples with its class",
    "tag_agreement": "tags as it has them",
    "pixel_agreement": "places with its class",
}
_DEFINED: dict[Metric, tuple[str, ...]] = {
    "accuracy": (),
    "map": ("mAP: average precision of each tag over the images by score, averaged over tags.",),
    "r2": ("R²: 1 - squared error / variance of the targets.",),
}
MARK = " *"
"""Behind what was lost beyond chance."""
_MARKED = "*: more than chance, by two standard errors of the paired difference."
_SQNR = "SQNR dB: the float model's outputs over the error, both squared and summed."
_LATENCY = "latency, p90: one inference on this machine, median and 90th percentile."


class ResultRow(NamedTuple):
    """What was found of one file, or of the float model behind them, in words; a dash where nothing was."""

    label: str
    size: str
    accuracy: str
    drop: str
    agree: str
    sqnr: str
    max_error: str
    latency: str
    latency_p90: str


def result_rows(report: Report) -> list[ResultRow]:
    """One row for what accuracy was measured of besides the files, then one for each file."""
    labels = file_labels(report)
    sizes = {artifact.name: format_bytes(artifact.size_bytes) for artifact in report.artifacts}
    metric = judged_by(report)
    others = [m.artifact for m in report.measurements if m.metric == metric and m.artifact not in sizes]
    rows = []
    for name in dict.fromkeys([*others, *sizes]):
        latency = _host_latency(report, name)
        rows.append(
            ResultRow(
                label=labels.get(name, name),
                size=sizes.get(name) or _value(report, ("size",), name),
                accuracy=_value(report, (metric,), name),
                drop=_drop(report, name),
                agree=_value(report, AGREEMENTS, name, min),
                sqnr=_value(report, ("sqnr",), name, min),
                max_error=_value(report, ("max_abs_error",), name, max),
                latency=value_words(latency.value, "s") if latency else NOTHING,
                latency_p90=value_words(latency.quantile(0.9), "s") if latency else NOTHING,
            )
        )
    return rows


def figures(report: Report) -> tuple[DeviceFigures, ...]:
    """What is known of each file on each of the report's devices."""
    kept = (str(p.get("id")) for p in report.profiles if p.get("class") == "microcontroller" or _has_flash(p))
    sizes = {artifact.name: artifact.size_bytes for artifact in report.artifacts}
    return device_figures(report.measurements, sizes, flashed=kept)


def _has_flash(profile: Mapping[str, object]) -> bool:
    memory = profile.get("memory")
    return isinstance(memory, Mapping) and bool(memory.get("flash_bytes") or memory.get("external_flash_bytes"))


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


def judged_by(report: Report) -> Metric:
    """The metric that the files' answers are judged by: the first that was measured of any."""
    measured = {m.metric for m in report.measurements if m.value is not None}
    return next((metric for metric in JUDGES if metric in measured), "accuracy")


def legend(report: Report) -> str:
    """What the columns of a report's result table mean, a line each."""
    measured = {m.metric for m in report.measurements if m.value is not None}
    agreement = next((metric for metric in AGREEMENTS if metric in measured), "top1_agreement")
    name = COLUMNS[judged_by(report)]
    lines = [f"drop: {name} lost against the float model; agree: {_ALIKE[agreement]}.", *_DEFINED[judged_by(report)]]
    marked = any(m.conditions.get("beyond_chance") for m in report.measurements)
    return "\n".join([*lines, *([_MARKED] if marked else []), _SQNR, _LATENCY])


def has_losses(report: Report) -> bool:
    """Whether a step made something worse by more than chance."""
    return any(step.losses for step in report.steps)


def _drop(report: Report, name: str) -> str:
    """What a file lost, marked where that is more than chance."""
    marked = any(
        m.conditions.get("beyond_chance")
        for m in report.measurements
        if (m.artifact, m.metric) == (name, "accuracy_drop")
    )
    return _value(report, ("accuracy_drop",), name) + (MARK if marked else "")


def _value(report: Report, metrics: Sequence[Metric], name: str, worst: Callable[..., float] | None = None) -> str:
    """The figure of a file in words; of several outputs the worst, else the first."""
    rows = [m for m in report.measurements if m.artifact == name and m.metric in metrics]
    values = [m.value for m in rows if m.value is not None]
    if worst is not None and values:
        return value_words(worst(values), rows[0].unit)
    return value_words(rows[0].value, rows[0].unit) if rows else NOTHING


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
