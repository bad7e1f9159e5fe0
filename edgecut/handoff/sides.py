"""One side of a comparison: a bundle, or a single model file, as the same record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecut.errors import DocumentError, RequestError
from edgecut.export.readback import guess_precision, read_artifact
from edgecut.handoff.seal import MANIFEST, Manifest
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Difference
from edgecut.records.document import parse
from edgecut.records.recipe import Preprocess, Recipe
from edgecut.records.report import Report

_PATHS = {"source.model", "data.train", "data.val", "data.labels"}


@dataclass(frozen=True)
class Side:
    """A build. folder: what the artifacts' paths are relative to. recipe and report are None for a single file."""

    path: Path
    folder: Path
    artifacts: tuple[Artifact, ...]
    preprocess: Preprocess
    recipe: Recipe | None = None
    report: Report | None = None


def read_side(path: Path, preprocess: Preprocess) -> Side:
    """The build at a path. preprocess: of a single file, which can't say it.

    Raises RequestError or SourceError if it is neither a bundle nor a model file.
    """
    if not path.is_dir():
        artifact = read_artifact(path, name=path.name, precision=guess_precision(path), expects="normalized")
        return Side(path, Path(), (artifact,), preprocess)
    if not (path / MANIFEST).is_file():
        raise RequestError(f"{path}: is no bundle: it has no {MANIFEST}")
    try:
        manifest = parse(Manifest, json.loads((path / MANIFEST).read_bytes()), MANIFEST)
        report = parse(Report, json.loads((path / "report.json").read_bytes()), "report.json")
        recipe = Recipe.model_validate(manifest.recipe)
    except (OSError, ValueError, TypeError, DocumentError) as exc:
        raise RequestError(f"{path}: is a damaged bundle; `edgecut verify {path}` says where") from exc
    return Side(path, path, report.artifacts, recipe.source.preprocess, recipe, report)


def paired(a: Side, b: Side) -> list[tuple[Artifact, Artifact]]:
    """The files that answer each other: of equal format and precision; the only ones where each side has one."""
    if len(a.artifacts) == len(b.artifacts) == 1:
        return [(a.artifacts[0], b.artifacts[0])]
    there = {(artifact.format, artifact.precision): artifact for artifact in b.artifacts}
    keys = [((artifact.format, artifact.precision), artifact) for artifact in a.artifacts]
    return [(artifact, there[key]) for key, artifact in keys if key in there]


def label(artifact: Artifact) -> str:
    """What a pair of files is called."""
    return f"{artifact.format} {artifact.precision}"


def pair_label(a: Artifact, b: Artifact) -> str:
    """What a pair of files is called; both names where they aren't alike."""
    return label(a) if label(a) == label(b) else f"{label(a)} / {label(b)}"


def differences(a: Side, b: Side) -> tuple[Difference, ...]:
    """Files, operators, settings and versions that aren't the same on both sides."""
    found = list(_different("file", {label(x): "here" for x in a.artifacts}, {label(x): "here" for x in b.artifacts}))
    if len(a.artifacts) == len(b.artifacts) == 1:
        found = []
    for one, other in paired(a, b):
        counts = (
            {f"{pair_label(one, other)} {op}": str(n) for op, n in side.operators.items()} for side in (one, other)
        )
        found += _different("operator", *counts)
    if a.recipe is not None and b.recipe is not None:
        found += _different("recipe", _settings(a.recipe), _settings(b.recipe))
    if a.report is not None and b.report is not None:
        if a.report.source.sha256 != b.report.source.sha256:
            hashes = a.report.source.sha256, b.report.source.sha256
            found.append(Difference(what="recipe", name="source.model (SHA-256)", a=hashes[0], b=hashes[1]))
        found += _different("toolchain", _tools(a.report), _tools(b.report))
    return tuple(found)


def _different(what: Any, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            yield Difference(what=what, name=name, a=a.get(name), b=b.get(name))


def _settings(recipe: Recipe) -> dict[str, str]:
    """{dotted key: value}; of files only the name, since the same request may lie in another folder."""
    flat = dict(_flat("", recipe.to_dict()))
    return {key: json.dumps(Path(value).name if key in _PATHS and value else value) for key, value in flat.items()}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, part)
    else:
        yield prefix, value


def _tools(report: Report) -> dict[str, str]:
    packages = report.environment.get("packages", {})
    alone = {key: str(value) for key, value in report.environment.items() if key != "packages"}
    return {"edgecut": report.edgecut, **alone, **{name: str(version) for name, version in packages.items()}}
