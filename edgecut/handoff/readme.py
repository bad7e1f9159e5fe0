"""The bundle's README.md, for the people who put the file on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgecut.engine import Generated
from edgecut.engine.c_text import c_symbol, signed
from edgecut.export.c_source import input_rule
from edgecut.handoff.plain_c import EQUAL_TO
from edgecut.handoff.vectors import VectorSheet, wide
from edgecut.images.device import COLOURS, DEFAULT_ORDER
from edgecut.images.preprocess import affine
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.legend import NO_LEGEND, Legend
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import CustomPreprocess, Recipe
from edgecut.records.report import Report
from edgecut.records.units import format_exact_bytes, format_seconds
from edgecut.render.decisions import decision_sentences, rule_lines
from edgecut.render.templating import markdown

_LABELS_SHOWN = 40


@dataclass(frozen=True)
class Beside:
    """What else is in the bundle: recipe.lock.toml, and the model as plain C."""

    has_lock: bool = False
    made: Generated | None = None


NOTHING_BESIDE = Beside()


def readme(
    report: Report,
    recipe: Recipe,
    artifact: Artifact | None,
    arena_bytes: int | None,
    vectors: VectorSheet | None,
    legend: Legend = NO_LEGEND,
    *,
    beside: Beside = NOTHING_BESIDE,
) -> str:
    """Markdown: what to flash, what it needs, how a camera byte becomes the input, how to check the port.

    artifact: the one for the device. arena_bytes: the tensor arena to reserve, None if unknown.
    """
    return markdown(
        "readme",
        name=recipe.name,
        symbol=c_symbol(recipe.name),
        edgecut=report.edgecut,
        source=report.source.path,
        imported=import_words(report),
        status=report.status,
        has_c=any(each.format == "tflite" for each in report.artifacts),
        has_labels=bool(legend.labels),
        has_lock=beside.has_lock,
        vectors=None if vectors is None else _vectors(vectors),
        artifact=artifact,
        plain=None if beside.made is None else _plain(beside.made),
        **({} if artifact is None else _device(report, recipe, artifact, arena_bytes, legend)),
        checks=list(_checks(report)),
        figures=[
            (m.artifact, m.metric, _words(m))
            for m in report.measurements
            if m.metric in {"latency", "accuracy"} and m.value is not None
        ],
        notes=report.notes,
        python=report.environment.python,
        versions=", ".join(f"{name} {version}" for name, version in report.environment.packages.items()),
    )


def import_words(report: Report) -> str:
    """How near the model that an .onnx file was imported as is to the file; "" for another source."""
    proof = next((step.proof for step in report.steps if step.name == "load"), None)
    if not report.source.nodes or proof is None or proof.relative_error is None:
        return ""
    images = f" and {proof.images} of the images" if proof.images else ""
    sqnr = "" if proof.sqnr is None else f", an SQNR of {proof.sqnr:.1f} dB, since {proof.reason}"
    return (
        f"imported: its largest difference from {proof.where} on {proof.inputs} seeded inputs{images} is "
        f"{proof.relative_error:.2g} of the largest value{sqnr}"
    )


def _device(
    report: Report, recipe: Recipe, artifact: Artifact, arena_bytes: int | None, legend: Legend
) -> dict[str, object]:
    known = [
        m
        for m in report.measurements
        if (m.metric, m.artifact) == ("arena", artifact.name) and m.value is not None and not m.of_c
    ]
    return {
        "is_tflite": artifact.format == "tflite",
        "flash": format_exact_bytes(artifact.size_bytes),
        "arena": None if arena_bytes is None else format_exact_bytes(arena_bytes),
        "arena_figures": list(dict.fromkeys(_words(m) for m in known)),
        "operators": ", ".join(f"{name} x{count}" for name, count in artifact.operators.items()),
        "inputs": [_tensor(spec) | {"rule": input_rule(spec)} for spec in artifact.inputs],
        "camera": _camera(recipe, artifact.inputs[0]),
        "scaled": _scaling(recipe, artifact.inputs[0]),
        "outputs": [_tensor(spec) | {"real": _real(spec)} for spec in artifact.outputs],
        "classes": _classes(recipe, artifact, legend),
        "units": _unit_words(artifact, legend),
        "decisions": [sentence for d in legend.decisions for sentence in (*decision_sentences(d),)][:_LABELS_SHOWN],
        "rules": rule_lines(legend.decisions),
    }


def _plain(made: Generated) -> dict[str, object]:
    """What the C takes of memory, and what it is equal to."""
    rows = None if made.rows_arena_bytes is None else format_exact_bytes(made.rows_arena_bytes)
    return {"arena": format_exact_bytes(made.arena_bytes), "rows": rows, "equal_to": EQUAL_TO}


def _tensor(spec: TensorSpec) -> dict[str, object]:
    shape = " x ".join(str(size) for size in spec.shape)
    return {"name": spec.name, "shape": shape, "dtype": spec.dtype, "is_nhwc": len(spec.shape) == 4}


def _real(spec: TensorSpec) -> str:
    return "" if spec.scale is None else f"{spec.scale:.9g} * (q{signed(-(spec.zero_point or 0))})"


def _camera(recipe: Recipe, spec: TensorSpec) -> dict[str, object] | None:
    if spec.expects is None:
        return None
    height, width, channels = spec.shape[1:4]
    order = recipe.stem.order or DEFAULT_ORDER.get(channels, "")
    lines = list(_normalization(recipe, channels)) if spec.expects == "normalized" else []
    colour = COLOURS.get(order, f"{channels} channels")
    return {"height": height, "width": width, "colour": colour, "normalization": lines}


def _scaling(recipe: Recipe, spec: TensorSpec) -> CustomPreprocess | None:
    """How arrays become the values of an input that they feed; None where they are these."""
    preprocess = recipe.source.preprocess
    return preprocess if spec.expects is None and isinstance(preprocess, CustomPreprocess) else None


def _normalization(recipe: Recipe, channels: int) -> Iterator[str]:
    mapping = affine(recipe.source.preprocess)
    if mapping.treats_channels_alike:
        yield f"r = byte * {mapping.scale[0]:.9g}{signed(mapping.offset[0])}"
    elif channels == 3:
        for name, scale, offset in zip(mapping.order.upper(), mapping.scale, mapping.offset, strict=True):
            yield f"{name}: r = byte * {scale:.9g}{signed(offset)}"
    if mapping.order == "bgr" and channels == 3:
        yield "The model takes the channels in the order B, G, R."


def _classes(recipe: Recipe, artifact: Artifact, legend: Legend) -> dict[str, object] | None:
    """What the labels name: "one" of the classes by the largest value, one of "two" by a single value, or "values"."""
    labels = legend.labels
    scores = artifact.labelled(labels)
    if scores is None or len(scores.shape) != 2:
        return None
    kind = "one" if scores.shape[-1] == len(labels) else "two"
    held = any(d.column is not None and d.output == scores.name for d in legend.decisions)
    if held or recipe.data.target in {"values", "tags"}:  # a threshold may decide for another than the largest
        kind = "values"
    return {"kind": kind, "output": scores.name, "labels": labels, "are_shown": len(labels) <= _LABELS_SHOWN}


def _unit_words(artifact: Artifact, legend: Legend) -> str:
    """The units of the values of an output; "" without."""
    units = legend.units_of(artifact)
    if not units:
        return ""
    name = artifact.outputs[legend.place(artifact)].name
    if len(set(units)) == 1:
        return f"The values of {name} are in {units[0]}."
    return f"The values of {name} are, in this order, in {', '.join(units)}."


def _vectors(vectors: VectorSheet) -> dict[str, object]:
    rows = [(output.spec.name, output.tolerance) for output in vectors.outputs]
    outputs = [
        {
            "name": name,
            "reason": allowed.reason,
            "allowed": f"{allowed.lsb} LSB" if allowed.lsb is not None else f"{allowed.absolute:.3g}",
        }
        for name, allowed in rows
    ]
    return {"from_camera": vectors.camera_shape is not None, "outputs": outputs, "wide": list(wide(vectors))}


def _checks(report: Report) -> Iterator[dict[str, object]]:
    for check in report.checks:
        value = "unknown" if check.value is None else _number(check.value, check.unit)
        yield check.model_dump() | {"value": value, "limit": _number(check.limit, check.unit)}


def _words(measurement: Measurement) -> str:
    value = _number(measurement.value, measurement.unit)
    least = "at least " if measurement.conditions.get("at_least") else ""
    band = ""
    if measurement.error is not None:
        wide = measurement.error >= 1
        band = f" within a factor of {1 + measurement.error:.1f}" if wide else f" ± {measurement.error:.0%}"
    return f"{least}{value}{band}, {measurement.kind} ({measurement.where}; {measurement.method})"


def _number(value: float | str | None, unit: str) -> str:
    if value is None or isinstance(value, str):
        return str(value)
    if unit == "s":
        return format_seconds(value)
    return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.4g}" + (f" {unit}" if unit == "dB" else "")
