"""One side of a comparison: a bundle, or a single model file, as the same record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecut.errors import DocumentError, RequestError, SourceError
from edgecut.export.readback import guess_precision, read_artifact
from edgecut.handoff.checked import check, check_manifest, reread
from edgecut.handoff.seal import MANIFEST, Manifest
from edgecut.records.artifact import Artifact
from edgecut.records.document import parse, read_json
from edgecut.records.recipe import Preprocess, Recipe
from edgecut.records.report import Report
from edgecut.runtime.class_names import class_names


@dataclass(frozen=True)
class Side:
    """A build. folder: what the artifacts' paths are relative to. recipe and report are None for a single file.

    artifacts: as the files themselves are today. faults: what a bundle isn't that its own documents say.
    """

    path: Path
    folder: Path
    artifacts: tuple[Artifact, ...]
    preprocess: Preprocess
    recipe: Recipe | None = None
    report: Report | None = None
    faults: tuple[str, ...] = ()


def read_side(path: Path, preprocess: Preprocess) -> Side:
    """The build at a path. preprocess: of a single file, which can't say it.

    Raises RequestError or SourceError if it is neither a bundle nor a model file.
    """
    if not path.exists():
        raise RequestError(f"{path}: no such file or folder; a bundle, or a .tflite or .onnx file is expected")
    if not path.is_dir():
        artifact = read_artifact(path, name=path.name, precision=guess_precision(path), expects="normalized")
        return Side(path, Path(), (artifact,), preprocess)
    check_manifest(path)
    try:
        manifest = parse(Manifest, read_json(path / MANIFEST), MANIFEST)
        report = parse(Report, read_json(path / "report.json"), "report.json")
        recipe = Recipe.model_validate(manifest.recipe)
        artifacts = tuple(_there(path, artifact) for artifact in report.artifacts)
    except (OSError, ValueError, TypeError, RecursionError, DocumentError, SourceError) as exc:
        raise RequestError(f"{path}: is a damaged bundle; `edgecut verify {path}` says where") from exc
    return Side(path, path, artifacts, recipe.source.preprocess, recipe, report, check(path).faults)


def _there(folder: Path, artifact: Artifact) -> Artifact:
    """A bundle's model file as it is; one that isn't the report's has the precision that it is seen to have."""
    there = reread(folder, artifact)
    if there.sha256 == artifact.sha256:
        return there
    return there.model_copy(update={"precision": guess_precision(folder / artifact.path)})


def fault_notes(side: Side, done: str) -> list[str]:
    """That a bundle isn't what it says of itself, and that what was `done` was done with what is there."""
    if not side.faults:
        return []
    more = f", and {len(side.faults) - 1} more" if len(side.faults) > 1 else ""
    return [
        f"{side.path}: isn't as it was built ({side.faults[0]}{more}; `edgecut verify {side.path}` names all); "
        f"{done} is what is there now"
    ]


def label_names(side: Side) -> tuple[str, ...]:
    """The classes in the order of the outputs: a bundle's labels.txt, or what a single file says itself."""
    if side.report is None:
        if not side.artifacts:
            return ()
        artifact = side.artifacts[0]
        counts = frozenset(spec.shape[-1] for spec in artifact.outputs if spec.shape)
        return class_names(side.folder / artifact.path, counts)
    path = side.folder / "labels.txt"
    if not path.is_file():  # whoever opened a pipe would wait
        return ()
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(text.split("\n")[:-1])


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
