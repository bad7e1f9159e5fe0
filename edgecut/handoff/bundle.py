"""The folder for the embedded team: models, C source, vectors, report, and a manifest over all of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecut.export.c_ops import operators_of, ops_header
from edgecut.export.c_source import Camera, c_files
from edgecut.export.c_test import VectorFiles, c_test_files
from edgecut.export.tflm_main import tflm_main
from edgecut.handoff.model_card import model_card
from edgecut.handoff.plain_c import plain_c
from edgecut.handoff.readme import Beside, readme
from edgecut.handoff.recipe_text import recipe_toml
from edgecut.handoff.reproducible import lasting
from edgecut.handoff.sbom import sbom
from edgecut.handoff.seal import LOCK, Release, finish, json_text, lock_in
from edgecut.handoff.vectors import (
    GoldenFiles,
    Vectors,
    VectorSheet,
    agreements,
    tried_in_tflm,
    write_vectors,
)
from edgecut.images.device import model_input
from edgecut.images.preprocess import affine
from edgecut.records.artifact import Artifact
from edgecut.records.legend import Legend
from edgecut.records.lock import lock_text
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.runtime.files import quantize

LABELS = "labels.txt"
_SMALLEST_FIRST = ("int8", "int16x8", "dynamic", "float16", "float32")


def device_artifact(artifacts: Sequence[Artifact]) -> Artifact | None:
    """The artifact that a device runs: the TFLite file of the smallest precision, else the ONNX one."""
    ranked = sorted(artifacts, key=lambda a: (a.format != "tflite", _SMALLEST_FIRST.index(a.precision)))
    return ranked[0] if ranked else None


def write_bundle(
    folder: Path, release: Release, *, vectors: Vectors | None, labels: Sequence[str], lock: str = ""
) -> None:
    """Complete a bundle in `folder`, where the model files of the report's artifacts are already.

    vectors: of one artifact, None without. labels: class names in the outputs' order, left out if they are as many as
    no output has values. lock: the text of recipe.lock.toml, "" for none. The same arguments give the same bytes, and
    but for the files that the manifest names so do other measured times.
    """
    report = release.report
    artifact = _of_vectors(folder, report, vectors) or device_artifact(report.artifacts)
    sheet = None
    if artifact is not None and vectors is not None:
        sheet = _written_vectors(folder, report, artifact, vectors)
    if lock:
        (folder / LOCK).write_text(lock, encoding="utf-8")
    if any(artifact.labelled(labels) for artifact in report.artifacts):
        (folder / LABELS).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    for name, text in documents(folder, report, release.notes, sheet).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    finish(folder, release)


def documents(folder: Path, report: Report, notes: int | None, sheet: VectorSheet | None) -> dict[str, str]:
    """{path: text} of each document that follows from the report and the other files of the bundle in `folder`.

    Those are the models, labels.txt, recipe.lock.toml, and the vectors, whose `sheet` is None without any. notes: as in
    Release.
    """
    recipe, lock = Recipe.model_validate(report.recipe), lock_in(folder)
    labels = labels_in(folder)
    told = lasting(report, report.notes[:notes])
    artifact = next((a for a in report.artifacts if sheet is not None and a.path == sheet.artifact), None)
    artifact = artifact or device_artifact(report.artifacts)
    arena_bytes, made, texts = None, None, {}
    if artifact is not None:
        arena_bytes = arena_of(report, artifact)
        made, _ = plain_c((folder / artifact.path).read_bytes(), report, recipe, artifact)
    legend = legend_of(report, recipe, artifact, labels)
    if artifact is not None and artifact.format == "tflite":
        own = c_texts(folder, report, recipe, artifact, legend, sheet)
        texts = {f"c/{name}": text for name, text in own.items()}
    beside = Beside(lock is not None, made)
    return {
        **texts,
        "recipe.toml": recipe_toml(recipe),
        "README.md": readme(told, recipe, artifact, arena_bytes, sheet, legend, beside=beside),
        "MODEL_CARD.md": model_card(told, recipe, labels),
        "sbom.cdx.json": json_text(sbom(told, recipe, {} if lock is None else lock.inputs)),
        **({} if lock is None else {LOCK: lock_text(lock)}),
    }


def legend_of(report: Report, recipe: Recipe, artifact: Artifact | None, labels: Sequence[str]) -> Legend:
    """What the outputs of a file mean. labels: the classes in their order."""
    own = tuple(d for d in report.decisions if artifact is not None and d.artifact == artifact.name)
    return Legend(labels, recipe.data.unit_names, own)


def labels_in(folder: Path) -> tuple[str, ...]:
    """The classes in the outputs' order, none without labels.txt. Raises UnicodeDecodeError for one that is no text."""
    path = folder / LABELS
    return tuple(path.read_bytes().decode().split("\n")[:-1]) if path.is_file() else ()


def arena_of(report: Report, artifact: Artifact) -> int | None:
    """The tensor arena in bytes that is enough by every row of the report, a multiple of 16; None without one.

    An estimate counts with its error band.
    """
    sizes = [m.value * (1 + (m.error or 0.0)) for m in arena_rows(report, artifact) if m.value is not None]
    return 16 * math.ceil(max(sizes) / 16) if sizes else None


def arena_rows(report: Report, artifact: Artifact) -> list[Measurement]:
    """What is known of the tensor arena that an interpreter needs for a file; the C's work buffer is another."""
    return [m for m in report.measurements if (m.metric, m.artifact) == ("arena", artifact.name) and not m.of_c]


def byte_table(recipe: Recipe, artifact: Artifact) -> np.ndarray | None:
    """What each camera byte becomes in the artifact's input: (channels, 256) in its dtype.

    (1, 256) if the channels are alike; None if no camera feeds the artifact.
    """
    spec = artifact.inputs[0]
    if len(artifact.inputs) != 1 or spec.expects is None or len(spec.shape) != 4:
        return None
    channels = spec.shape[3]
    if channels != 3 and spec.expects == "normalized" and not affine(recipe.source.preprocess).treats_channels_alike:
        return None
    grays = np.repeat(np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1), channels, axis=3)
    values = quantize(model_input(grays, recipe.source.preprocess, spec.expects), spec)
    table = values.reshape(256, channels).T
    return table[:1] if (table == table[0]).all() else np.ascontiguousarray(table)


def c_texts(
    folder: Path, report: Report, recipe: Recipe, artifact: Artifact, legend: Legend, sheet: VectorSheet | None
) -> dict[str, str]:
    """{file name: text} of all that belongs into the bundle's folder c, from the other files of the bundle.

    sheet: of the vectors that are in `folder` already, None without vectors.
    """
    name, content, table = recipe.name, (folder / artifact.path).read_bytes(), byte_table(recipe, artifact)
    camera = Camera(table, recipe.stem.order, _takes_bgr(recipe, artifact))
    texts = c_files(content, name, artifact, arena_of(report, artifact), legend, camera)
    texts[f"{name}_ops.h"] = ops_header(name, operators_of(content))
    texts |= tflm_main(name, artifact, has_table=table is not None)
    made, _ = plain_c(content, report, recipe, artifact)
    texts |= {} if made is None else made.files
    vectors = [] if sheet is None else [_vector_files(folder / "vectors", row) for row in sheet.vectors]
    limits = [] if sheet is None else [output.tolerance for output in sheet.outputs]
    tolerances = [float(t.lsb) if t.lsb is not None else t.absolute or 0.0 for t in limits]
    test = c_test_files(name, artifact, vectors, tolerances, has_table=table is not None, has_run=made is not None)
    return texts | test


def _of_vectors(folder: Path, report: Report, vectors: Vectors | None) -> Artifact | None:
    if vectors is None:
        return None
    return next((a for a in report.artifacts if (folder / a.path).resolve() == vectors.path.resolve()), None)


def _written_vectors(folder: Path, report: Report, artifact: Artifact, vectors: Vectors) -> VectorSheet:
    measured = [m.value for m in arena_rows(report, artifact) if m.kind == "measured"]
    arena_bytes = max((int(value) for value in measured if value is not None), default=None)
    if arena_bytes is not None:
        vectors = tried_in_tflm(vectors, arena_bytes, artifact.macs or 0)
    vectors = replace(vectors, specs=artifact.inputs)
    found = agreements(folder, report.artifacts, vectors)
    return write_vectors(vectors, folder / "vectors", artifact.path, found)


def _takes_bgr(recipe: Recipe, artifact: Artifact) -> bool:
    spec = artifact.inputs[0]
    normalized = spec.expects == "normalized" and len(spec.shape) == 4 and spec.shape[3] == 3
    return normalized and affine(recipe.source.preprocess).order == "bgr"


def _vector_files(folder: Path, row: GoldenFiles) -> VectorFiles:
    camera = None if row.camera is None else (folder / row.camera).read_bytes()
    return VectorFiles(camera, (folder / row.input).read_bytes(), (folder / row.expected).read_bytes())
