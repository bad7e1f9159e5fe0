"""A bundle held against its own documents, without running anything: hashes, and what a file tells of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from edgecut.errors import DocumentError, EdgecutError, RequestError
from edgecut.export.readback import read_artifact
from edgecut.handoff.leftovers import is_leftover
from edgecut.handoff.seal import MANIFEST, SEAL, SIGNATURES, BundleFile, Manifest, reproducible_hash
from edgecut.records.artifact import Artifact, sha256_of
from edgecut.records.document import MOST_JSON_BYTES, Record, parse, read_json
from edgecut.records.progress import SILENT, Advance, Progress
from edgecut.records.recipe import read_recipe
from edgecut.records.report import Report
from edgecut.sandbox.limits import over_limits
from edgecut.whole import PARTIAL

R = TypeVar("R", bound=Record)
_NEEDED = ("report.json", "report.html", "recipe.toml", "README.md", "MODEL_CARD.md", "sbom.cdx.json")


@dataclass(frozen=True)
class Checked:
    """manifest: None if it can't be read. faults: one sentence each. changed: the paths that aren't as listed.

    ignored: paths that it doesn't list, left there by a file manager or an archiver.
    """

    manifest: Manifest | None
    faults: tuple[str, ...]
    changed: Set[str]
    ignored: tuple[str, ...] = ()


def check(folder: Path, progress: Progress = SILENT) -> Checked:
    """What a bundle isn't that its seal, its manifest and its report say.

    Raises RequestError if its manifest is sealed, and of another schema.
    """
    faults = list(_seal_faults(folder))
    manifest = _manifest(folder, sealed=not faults)
    if manifest is None:
        return Checked(None, tuple(faults), frozenset())
    changed: set[str] = set()
    with progress.task("checking files", len(manifest.files)) as advance:
        for path, fault in _file_faults(folder, manifest, advance):
            changed.add(path)
            faults.append(fault)
    others, ignored = _others(folder, manifest)
    changed |= others.keys()
    faults += others.values()
    faults += _document_faults(folder, manifest, changed)
    return Checked(manifest, tuple(faults), changed, ignored)


def over_room(path: Path) -> str:
    """Why a bundle's file isn't read, the end of a sentence; "" for one that is. A document unpacks to many objects."""
    size = path.stat().st_size
    if path.suffix == ".json" and size > MOST_JSON_BYTES:
        return f"has {size:,} bytes, and at most {MOST_JSON_BYTES:,} are read of a document"
    return over_limits(size)


def check_manifest(folder: Path) -> None:
    """Nothing for a bundle whose manifest and report may be read. Raises RequestError for no bundle, and for others."""
    if not (folder / MANIFEST).is_file():
        raise RequestError(f"{folder}: is no bundle: it has no {MANIFEST}")
    for path in (folder / name for name in (MANIFEST, "report.json")):
        if path.is_file() and (over := over_room(path)):
            raise RequestError(f"{path}: {over}")


def reread(folder: Path, artifact: Artifact) -> Artifact:
    """What a bundle's model file is today: everything that a file says of itself, read and hashed anew.

    Its name, its precision and what its inputs expect aren't written in it, and are the report's.
    Raises SourceError if it can't be read.
    """
    expects = artifact.inputs[0].expects if artifact.inputs else None
    return read_artifact(
        folder / artifact.path, name=artifact.name, precision=artifact.precision, expects=expects, relative_to=folder
    )


def holds(path: Path, content: bytes) -> bool:
    """Whether a file has this content and no more; one of another size isn't read."""
    return path.stat().st_size == len(content) and path.read_bytes() == content


def _seal_faults(folder: Path) -> Iterator[str]:
    path = folder / SEAL
    if not path.is_file():
        yield f"{SEAL}: is missing"
    elif not holds(path, f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n".encode()):
        yield f"{MANIFEST}: is not the file whose hash {SEAL} holds"


def _manifest(folder: Path, *, sealed: bool) -> Manifest | None:
    """The manifest; None if it can't be read and its seal is broken, too."""
    try:
        tables = read_json(folder / MANIFEST)
        if sealed and tables.get("schema") != "edgecut.bundle/1":
            found = tables.get("schema")
            raise RequestError(f"{folder}: is of schema {found!r}, and this edgecut reads 'edgecut.bundle/1'")
        return parse(Manifest, tables, MANIFEST)
    except (ValueError, TypeError, RecursionError, DocumentError) as exc:
        if sealed:
            raise RequestError(f"{folder}: {MANIFEST} is no manifest of edgecut") from exc
        return None


def _file_faults(folder: Path, manifest: Manifest, advance: Advance) -> Iterator[tuple[str, str]]:
    """(path, sentence) of each listed file that isn't as the manifest says."""
    for entry in manifest.files:
        path = folder / entry.path
        parts = PurePosixPath(entry.path)
        if parts.is_absolute() or ".." in parts.parts:
            yield entry.path, f"{entry.path}: lies outside the bundle"
        elif not path.is_file():
            yield entry.path, f"{entry.path}: is missing"
        elif path.stat().st_size != entry.size_bytes:
            size = path.stat().st_size
            lines = ", since its line ends are CRLF now; copy the folder as it is (git: `* -text`)"
            why = lines if _has_other_line_ends(path, entry) else ""
            yield entry.path, f"{entry.path}: has {size} bytes, and the manifest says {entry.size_bytes}{why}"
        elif over := over_room(path):
            yield entry.path, f"{entry.path}: {over}"
        elif sha256_of(path) != entry.sha256:
            yield entry.path, f"{entry.path}: is not the file that the manifest lists (its SHA-256 differs)"
        advance(1)


def _others(folder: Path, manifest: Manifest) -> tuple[dict[str, str], tuple[str, ...]]:
    """({path: sentence} of links and of what isn't listed, the paths that are ignored)."""
    faults: dict[str, str] = {}
    ignored: list[str] = []
    known = {*(entry.path for entry in manifest.files), MANIFEST, SEAL, *SIGNATURES}
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and name in known | folders:
            faults[name] = (
                f"{name}: is a link, and what it leads to isn't part of the bundle; put the file itself there"
            )
        elif name in SIGNATURES and not path.is_file():
            faults[name] = f"{name}: is no file, and a signature is expected there"
        elif name not in known and (path.is_symlink() or not path.is_dir() or not any(path.iterdir())):
            if is_leftover(path):
                ignored.append(name)
                continue
            left = "; a signing that was killed has left it, remove it" if PARTIAL.fullmatch(name) else ""
            faults[name] = f"{name}: isn't in the manifest{left}"
    return faults, tuple(ignored)


def _has_other_line_ends(path: Path, entry: BundleFile) -> bool:
    """Whether a file is the listed one but for carriage returns, as git and editors put them in on Windows."""
    if path.stat().st_size > 2 * entry.size_bytes:
        return False
    content = path.read_bytes().replace(b"\r\n", b"\n")
    return len(content) == entry.size_bytes and hashlib.sha256(content).hexdigest() == entry.sha256


def _document_faults(folder: Path, manifest: Manifest, changed: Set[str]) -> Iterator[str]:
    """What report.json and recipe.toml say against the manifest; changed files were named already."""
    listed = {entry.path: entry for entry in manifest.files}
    yield from (f"{name}: isn't in the manifest" for name in _NEEDED if name not in listed)
    if manifest.reproducible is not None and manifest.reproducible.sha256 != reproducible_hash(manifest.files):
        yield f"{MANIFEST}: reproducible.sha256 isn't the hash of the files that it lists"
    if "report.json" in listed and "report.json" not in changed:
        report = document(folder, "report.json", Report)
        if report is None:
            yield "report.json: is no report of schema 'edgecut.report/1'"
        else:
            told = {key: getattr(report, key) for key in ("status", "recipe", "edgecut", "environment")}
            told["name"] = report.recipe.get("name")
            for key in (key for key, value in told.items() if getattr(manifest, key) != value):
                yield f"{MANIFEST}: has another {key} than report.json"
            for artifact in report.artifacts:
                entry = listed.get(artifact.path)
                if entry is None:
                    yield f"{artifact.path}: is in report.json, and not in the manifest"
                elif entry.sha256 != artifact.sha256:
                    yield f"{artifact.path}: is not the file that report.json describes"
                elif artifact.path not in changed:
                    yield from _figure_faults(folder, report, artifact)
    if "recipe.toml" in listed and "recipe.toml" not in changed:
        try:
            read_recipe(folder / "recipe.toml")
        except RequestError as exc:
            yield f"recipe.toml: can't be read as a recipe: {exc}"


def _figure_faults(folder: Path, report: Report, artifact: Artifact) -> Iterator[str]:
    """What report.json says of a model file and the file doesn't."""
    try:
        there = reread(folder, artifact)
    except EdgecutError as exc:
        yield f"{artifact.path}: can't be read: {exc}"
        return
    told, found = artifact.to_dict(), there.to_dict()
    others = [key for key in found if told.get(key) != found[key]]
    sizes = {m.value for m in report.measurements if (m.metric, m.artifact) == ("size", artifact.name)}
    if sizes - {float(there.size_bytes), None}:
        others.append("measured size")
    if others:
        yield f"report.json: has another {', '.join(others)} of {artifact.path} than the file itself"


def document(folder: Path, name: str, record: type[R]) -> R | None:
    """A bundle's JSON document; None if it is no such record."""
    try:
        return parse(record, read_json(folder / name), name)
    except (ValueError, TypeError, RecursionError, DocumentError):
        return None
