"""MODEL_CARD.md: where a model comes from, what it was judged on, and what nobody has judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.score.intervals import wilson

_STATED = "not stated; whoever releases the model sets `licence` in the recipe"


def model_card(report: Report, recipe: Recipe, labels: Sequence[str]) -> str:
    """Markdown: source, licence, data, the edits, accuracy with its 95 % interval, limits."""
    sections = [
        f"# Model card: {recipe.name}",
        "\n".join(["## Source", "", *_rows(_source(report, recipe))]),
        "\n".join(["## Data", "", *_rows(_data(report, recipe, labels))]),
        "\n".join(["## What was done to it", "", *_edits(report)]),
        "\n".join(["## Accuracy", "", *_accuracies(report)]),
        "\n".join(["## Limits", "", *_limits(report, recipe)]),
    ]
    return "\n\n".join(sections) + "\n"


def accuracy_interval(row: Measurement) -> tuple[float, float] | None:
    """The 95 % interval of a measured accuracy; None where the number of images isn't known."""
    images = row.conditions.get("images")
    if row.metric != "accuracy" or row.value is None or not isinstance(images, int) or images < 1:
        return None
    return wilson(round(row.value * images), images)


def _source(report: Report, recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "model", f"`{report.source.path}`"
    yield "SHA-256", report.source.sha256 or "none: the weights were fetched by name"
    macs = "unknown" if report.source.macs is None else f"{report.source.macs:,}"
    yield "size", f"{report.source.params:,} parameters, {macs} multiply-accumulates"
    yield "preprocessing", f"`{recipe.source.to_dict()['preprocess']}`"
    yield "licence", recipe.source.licence or _STATED


def _data(report: Report, recipe: Recipe, labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    if recipe.data.train is None:
        yield "images", "none were given: no head was fitted and no accuracy measured"
        return
    counts = next((step.after for step in report.steps if step.name == "data"), {})
    yield "training", f"`{recipe.data.train}`, {counts.get('train', 'unknown')} images"
    held_out = f"`{recipe.data.val}`" if recipe.data.val else "held out of the training images or their file"
    yield "validation", f"{held_out}, {counts.get('val', 'unknown')} images"
    if labels:
        yield "classes", ", ".join(labels)
    yield "licence", recipe.data.licence or _STATED


def _edits(report: Report) -> Iterator[str]:
    edits = [step for step in report.steps if step.name in {"cut", "stem", "head", "compress", "export"}]
    for step in edits:
        off = step.proof.get("max_abs_error")
        proof = "" if off is None else f": largest difference to the original {off:.3g}"
        inputs = step.proof.get("inputs")
        on = f" on {inputs} inputs" if proof and inputs else ""
        said = (*step.notes, *step.losses)
        notes = f" ({'; '.join(said)})" if said else ""
        yield f"- {step.name}{proof}{on}{notes}"
    if not edits:
        yield "Nothing: the source model itself."


def _accuracies(report: Report) -> Iterator[str]:
    rows = [m for m in report.measurements if m.metric == "accuracy" and m.value is not None]
    if not rows:
        yield "Not measured: there were no labelled images."
        return
    yield "| file | accuracy | 95 % interval (Wilson) | images |"
    yield "|---|---|---|---|"
    for row in rows:
        ends = accuracy_interval(row)
        interval = "unknown" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
        yield f"| {row.artifact} | {row.value:.4f} | {interval} | {row.conditions.get('images', 'unknown')} |"
    yield ""
    yield "The interval covers other images of the same kind; it doesn't cover other cameras, light or places."


def _limits(report: Report, recipe: Recipe) -> Iterator[str]:
    yield "- Nothing is known about pictures that differ from the data above."
    if recipe.head is not None:
        yield "- A picture of none of the classes gets one of them all the same."
    missing = [m for m in report.measurements if m.value is None]
    yield from dict.fromkeys(f"- {m.artifact}: {m.metric} isn't known: {m.reason}" for m in missing)
    yield from (f"- {check.metric} of {check.artifact} {check.state} its limit." for check in report.checks
                if check.state == "misses")  # fmt: skip
    yield from (f"- {note}" for note in report.notes)


def _rows(rows: Iterator[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows)]
