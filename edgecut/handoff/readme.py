"""The bundle's README.md, for the people who put the file on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.export.c_source import c_symbol, input_rule
from edgecut.handoff.vectors import Vectors
from edgecut.images.device import COLOURS, DEFAULT_ORDER
from edgecut.images.preprocess import affine
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.records.units import format_bytes, format_seconds

_WHAT = {
    "models/": "the model files; the `.keras` one is the float model that the others were made from",
    "c/": "the model as a C array, headers with shapes, scales, arena and TFLM's operators, and a test (make test)",
    "vectors/": "inputs with the outputs that they must give",
    "labels.txt": "the classes, in the order of the output",
    "report.html, report.json": "how it was made and measured, every step with its proof",
    "MODEL_CARD.md": "where the model comes from, what it was judged on, its limits",
    "sbom.cdx.json": "the bill of materials (CycloneDX): model, data and tools with their hashes and versions",
    "recipe.toml": "the request; `edgecut build recipe.toml --root FOLDER` makes it again with the files in FOLDER",
    "recipe.lock.toml": "the hashes of its files and the versions, which `edgecut build --locked` insists on",
    "manifest.json": "the SHA-256 of every file; its own is in manifest.sha256",
}

_LABELS_SHOWN = 40


def readme(
    report: Report,
    recipe: Recipe,
    artifact: Artifact | None,
    arena_bytes: int | None,
    vectors: Vectors | None,
    labels: Sequence[str],
    *,
    has_lock: bool = False,
) -> str:
    """Markdown: what to flash, what it needs, how a camera byte becomes the input, how to check the port.

    artifact: the one for the device. arena_bytes: the tensor arena to reserve, None if unknown.
    """
    sections = [_head(report, recipe, labels, vectors, has_lock=has_lock)]
    if artifact is not None:
        sections += [
            _flash(recipe, artifact, arena_bytes, report),
            _feed(recipe, artifact),
            _read(recipe, artifact, labels),
        ]
        sections += [_port(recipe, artifact, vectors) if vectors is not None else _port_alone(artifact)]
    sections += [_numbers(report)]
    return "\n\n".join(sections) + "\n"


def _head(report: Report, recipe: Recipe, labels: Sequence[str], vectors: Vectors | None, *, has_lock: bool) -> str:
    absent = {*([] if labels else ["labels.txt"]), *([] if vectors else ["vectors/"])}
    absent |= set() if has_lock else {"recipe.lock.toml"}
    if not any(artifact.format == "tflite" for artifact in report.artifacts):
        absent.add("c/")
    rows = [f"| `{name}` | {what} |" for name, what in _WHAT.items() if name not in absent]
    text = f"Made by edgecut {report.edgecut} from `{report.source.path}`. Budgets: **{report.status}**."
    return "\n".join([f"# {recipe.name}", "", text, "", "| file | what it is |", "|---|---|", *rows])


def _flash(recipe: Recipe, artifact: Artifact, arena_bytes: int | None, report: Report) -> str:
    lines = ["## What to flash", "", f"`{artifact.path}` ({artifact.precision}), or the same bytes in C: add "
             f"`c/{recipe.name}_model.c` to the firmware's sources."]  # fmt: skip
    if artifact.format != "tflite":
        lines = ["## What to run", "", f"`{artifact.path}` ({artifact.precision})."]
    rows = [("flash for the model", f"{artifact.size_bytes} bytes ({format_bytes(artifact.size_bytes)})")]
    if artifact.format == "tflite":
        rows[0] = (rows[0][0], f"{rows[0][1]}; the runtime's code, and the labels and tables of `c/`, come on top")
    if arena_bytes is not None:
        rows.append(("tensor arena (RAM)", f"{arena_bytes} bytes ({format_bytes(arena_bytes)})"))
    rows.append(("operators", ", ".join(f"{name} x{count}" for name, count in artifact.operators.items())))
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    arenas = [m for m in report.measurements if m.metric == "arena" and m.artifact == artifact.name]
    if arena_bytes is not None:
        known = [m for m in arenas if m.value is not None]
        lines += [
            "",
            "That is enough by each of these, an estimate's band included; another version of the runtime may"
            " need more:",
        ]
        lines += dict.fromkeys(f"- {_words(m)}" for m in known)
    return "\n".join(lines)


def _feed(recipe: Recipe, artifact: Artifact) -> str:
    spec = artifact.inputs[0]
    shape = " x ".join(str(size) for size in spec.shape)
    title = "## The input" if spec.expects is None else "## From the camera to the input"
    lines = [title, "", f"Input `{spec.name}`: {shape}, {spec.dtype}."]
    if len(spec.shape) == 4:
        lines[-1] += " NHWC: row by row from the top left, the channels of a pixel next to each other."
    if spec.expects is not None:
        height, width, channels = spec.shape[1:4]
        order = recipe.stem.order or DEFAULT_ORDER.get(channels, "")
        colour = COLOURS.get(order, f"{channels} channels")
        lines += [
            "",
            f"1. Bring the picture to {height} rows of {width} pixels, {colour}, one byte per value.",
        ]
        lines[-1] += " In training and checks pictures were shrunk by a bilinear filter that averages over all"
        lines[-1] += " pixels it covers."
        lines += [f"2. Each byte: {input_rule(spec)}."]
        if spec.expects == "normalized":
            lines += [f"   {line}" for line in _normalization(recipe, channels)]
        if artifact.format == "tflite":
            table = f"`{c_symbol(recipe.name)}_from_byte` in `c/{recipe.name}_io.h`"
            lines += [f"   The table {table} has the result for all 256 bytes."]
    lines += [
        f"\nInput `{other.name}`: {' x '.join(map(str, other.shape))}, {other.dtype}. {input_rule(other)}."
        for other in artifact.inputs[1:]
    ]
    return "\n".join(lines)


def _normalization(recipe: Recipe, channels: int) -> Iterator[str]:
    mapping = affine(recipe.source.preprocess)
    if mapping.treats_channels_alike:
        yield f"r = byte * {mapping.scale[0]:.9g}{_signed(mapping.offset[0])}"
    elif channels == 3:
        for name, scale, offset in zip(mapping.order.upper(), mapping.scale, mapping.offset, strict=True):
            yield f"{name}: r = byte * {scale:.9g}{_signed(offset)}"
    if mapping.order == "bgr" and channels == 3:
        yield "The model takes the channels in the order B, G, R."


def _signed(value: float) -> str:
    return f" {'-' if value < 0 else '+'} {abs(value):.9g}" if value else ""


def _read(recipe: Recipe, artifact: Artifact, labels: Sequence[str]) -> str:
    named = artifact.labelled(labels)
    scores = named if named is not None and len(named.shape) == 2 else None
    is_class = scores is not None and recipe.data.target not in {"values", "tags"}
    lines = ["## From the output to a class" if is_class else "## The output", ""]
    for spec in artifact.outputs:
        text = f"Output `{spec.name}`: {' x '.join(str(size) for size in spec.shape)}, {spec.dtype}."
        if spec.scale is not None:
            text += f" Real value = {spec.scale:.9g} * (q{_signed(-(spec.zero_point or 0))})."
        lines.append(text)
    if scores is not None:
        which = f" of `{scores.name}`" if len(artifact.outputs) > 1 else ""
        names = ", ".join(labels) if len(labels) <= _LABELS_SHOWN else "`labels.txt` has their names, one a line"
        rule = f"The position of the largest value{which} is the class: {names}."
        if not is_class:
            rule = f"The values{which} are in this order: {names}."
        elif scores.shape[-1] != len(labels):
            rule = f"The higher the value{which}, the more is it {labels[1]} rather than {labels[0]}."
        lines += ["", rule]
    return "\n".join(lines)


def _port_alone(artifact: Artifact) -> str:
    runtime = "LiteRT" if artifact.format == "tflite" else "ONNX Runtime"
    reason = f", since the model takes {len(artifact.inputs)} inputs" if len(artifact.inputs) > 1 else ""
    return (
        f"## Checking the port\n\nThere are no golden vectors here{reason}. Compare the port's outputs with those that "
        f"{runtime} gives for `{artifact.path}` on the same values."
    )


def _port(recipe: Recipe, artifact: Artifact, vectors: Vectors) -> str:
    outputs = []
    for output in vectors.outputs:
        allowed = (
            f"{output.tolerance.lsb} LSB" if output.tolerance.lsb is not None else f"{output.tolerance.absolute:.3g}"
        )
        outputs.append(f"`{output.spec.name}` may differ by {allowed} ({output.tolerance.reason})")
    steps = [
        "copy `vectors/input_K.bin` into the input tensor and invoke; the outputs must be `vectors/expected_K.bin`"
    ]
    if vectors.camera is not None:
        made = "turn `vectors/camera_K.bin` into the input with the firmware's own code"
        steps.insert(0, f"{made}; the bytes must be those of `vectors/input_K.bin`")
    lines = [
        "## Checking the port",
        "",
        "For each K:",
        *(f"{k}. {text}." for k, text in enumerate(steps, 1)),
        "",
    ]
    lines += [f"{'; '.join(outputs)}. All files are plain little-endian arrays; `vectors/vectors.json` describes them."]
    checked = f"checks every file and runs `{artifact.path}` on the vectors"
    lines += ["", f"On a computer, `edgecut verify` on this folder {checked}."]
    if artifact.format == "tflite":
        hook = f"`make test RUNTIME=...` runs the vectors by the function that `{recipe.name}_test.c` declares"
        lines[-1] += f" With a C compiler alone, `make -C c test` checks the model and the vectors' files; {hook}."
    return "\n".join(lines)


def _numbers(report: Report) -> str:
    lines = ["## What the numbers rest on", ""]
    for check in report.checks:
        where = f" on {check.profile}" if check.profile else ""
        reason = f": {check.reason}" if check.reason else ""
        found = "unknown" if check.value is None else _number(check.value, check.unit)
        lines.append(f"- {check.artifact}{where}: {check.metric} **{check.state}**, {found} for a limit of "
                     f"{_number(check.limit, check.unit)} ({check.basis}){reason}")  # fmt: skip
    shown = ("latency", "accuracy")
    lines += [f"- {m.artifact}: {m.metric} {_words(m)}" for m in report.measurements
              if m.metric in shown and m.value is not None]  # fmt: skip
    lines.append("- Times and memory that were measured, and the limits on them, are in `report.html`.")
    lines += [f"- {note}" for note in report.notes]
    versions = ", ".join(f"{name} {version}" for name, version in report.environment.get("packages", {}).items())
    lines += ["", f"Versions: Python {report.environment.get('python', '')}; {versions}."]
    return "\n".join(lines)


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
