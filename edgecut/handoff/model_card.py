"""MODEL_CARD.md: where a model comes from, what it was judged on, and what nobody has judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.handoff.readme import import_words
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.render.decisions import decision_sentences, rule_lines
from edgecut.render.templating import markdown
from edgecut.score.intervals import wilson

_SHOWN = 40  # thresholds of a file


def model_card(report: Report, recipe: Recipe, labels: Sequence[str]) -> str:
    """Markdown: source, licence, data, the edits, accuracy with its 95 % interval, limits."""
    counts = next((step.after.to_dict() for step in report.steps if step.name == "data"), {})
    macs = "unknown" if report.source.macs is None else f"{report.source.macs:,}"
    return markdown(
        "model_card",
        name=recipe.name,
        source=report.source,
        size=f"{report.source.params:,} parameters, {macs} multiply-accumulates",
        preprocess=str(recipe.source.to_dict()["preprocess"]),
        source_licence=recipe.source.licence,
        data=recipe.data,
        counts={part: counts.get(part, "unknown") for part in ("train", "val")},
        labels=labels,
        edits=list(_edits(report)),
        accuracies=list(_accuracies(report)),
        decisions=[
            f"{d.artifact}: {sentence}" for d in report.decisions for sentence in (*decision_sentences(d),)[:_SHOWN]
        ],
        rules=rule_lines(report.decisions),
        has_head=recipe.head is not None,
        limits=list(limits(report)),
    )


def accuracy_interval(row: Measurement) -> tuple[float, float] | None:
    """The 95 % interval of a measured accuracy; None where the number of images isn't known."""
    images = row.conditions.get("images")
    if row.metric != "accuracy" or row.value is None or not isinstance(images, int) or images < 1:
        return None
    return wilson(round(row.value * images), images)


def _edits(report: Report) -> Iterator[str]:
    yield from filter(None, [import_words(report)])
    for step in report.steps:
        if step.name not in {"cut", "stem", "head", "compress", "export"}:
            continue
        off = step.proof.max_abs_error
        proof = "" if off is None else f": largest difference to the original {off:.3g}"
        on = f" on {step.proof.inputs} inputs" if proof and step.proof.inputs else ""
        said = (*step.notes, *step.losses)
        notes = f" ({'; '.join(said)})" if said else ""
        yield f"{step.name}{proof}{on}{notes}"


def _accuracies(report: Report) -> Iterator[dict[str, object]]:
    for row in report.measurements:
        if row.metric == "accuracy" and row.value is not None:
            ends = accuracy_interval(row)
            interval = "unknown" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
            images = row.conditions.get("images", "unknown")
            yield {
                "file": row.artifact,
                "value": f"{row.value:.4f}",
                "interval": interval,
                "images": images,
                "by": row.method,
            }


def limits(report: Report) -> Iterator[str]:
    """What a model isn't known to do, or is known not to do, a sentence each."""
    missing = [m for m in report.measurements if m.value is None]
    yield from dict.fromkeys(
        f"{m.artifact}{f' on {m.profile}' if m.profile else ''}: {m.metric} isn't known: {m.reason}" for m in missing
    )
    for check in report.checks:
        if check.state == "misses":
            yield f"{check.metric} of {check.artifact} {check.state} its limit."
    yield from report.notes
