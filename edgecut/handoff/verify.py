"""A bundle checked against its manifest, and its golden vectors run again, without TensorFlow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from edgecut.errors import DocumentError, EdgecutError, RequestError
from edgecut.handoff.seal import MANIFEST, SEAL, BundleFile, Manifest, reproducible_hash
from edgecut.handoff.vectors import Tolerance, VectorSheet, distance
from edgecut.records.artifact import sha256_of
from edgecut.records.document import Record, parse
from edgecut.records.progress import SILENT, Advance, Progress
from edgecut.records.recipe import read_recipe
from edgecut.records.report import Report
from edgecut.runtime.files import FileRunner, dequantize

R = TypeVar("R", bound=Record)
VECTORS = "vectors/vectors.json"
_NEEDED = ("report.json", "report.html", "recipe.toml", "README.md", "MODEL_CARD.md", "sbom.cdx.json")


@dataclass(frozen=True)
class VerifyResult:
    """How many files and vectors were checked, what differs (one sentence each), and remarks."""

    files: int
    vectors: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def verify(folder: Path, progress: Progress = SILENT) -> VerifyResult:
    """Whether a bundle is what its manifest says, and does what its vectors say.

    Raises RequestError if the folder is no bundle, or one of another schema.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: is no folder; the folder of a bundle is expected")
    if not (folder / MANIFEST).is_file():
        raise RequestError(f"{folder}: is no bundle: it has no {MANIFEST}")
    faults = list(_seal_faults(folder))
    manifest = _manifest(folder, sealed=not faults)
    if manifest is None:
        return VerifyResult(0, 0, (*faults, f"{MANIFEST}: is damaged, so nothing else could be checked"), ())
    with progress.task("checking files", len(manifest.files)) as advance:
        changed: set[str] = set()
        for fault_path, fault in _file_faults(folder, manifest, advance):
            changed.add(fault_path)
            faults.append(fault)
    faults += _document_faults(folder, manifest, changed)
    vectors, found, notes = _vector_faults(folder, manifest, changed, progress)
    faults += found
    if not faults:
        with progress.task("compiling the C test, trying the arena"):
            faults, more = _native_faults(folder)
        notes += more
    return VerifyResult(len(manifest.files), vectors, tuple(faults), tuple(notes))


def _seal_faults(folder: Path) -> Iterator[str]:
    path = folder / SEAL
    if not path.is_file():
        yield f"{SEAL}: is missing"
    elif path.read_bytes() != f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n".encode():
        yield f"{MANIFEST}: is not the file whose hash {SEAL} holds"


def _manifest(folder: Path, *, sealed: bool) -> Manifest | None:
    """The manifest; None if it can't be read and its seal is broken, too."""
    try:
        tables = json.loads((folder / MANIFEST).read_bytes())
        if sealed and isinstance(tables, dict) and tables.get("schema") != "edgecut.bundle/1":
            found = tables.get("schema")
            raise RequestError(f"{folder}: is of schema {found!r}, and this edgecut reads 'edgecut.bundle/1'")
        return parse(Manifest, tables, MANIFEST)
    except (ValueError, TypeError, RecursionError, DocumentError) as exc:
        if sealed:
            raise RequestError(f"{folder}: {MANIFEST} is no manifest of edgecut") from exc
        return None


def _file_faults(folder: Path, manifest: Manifest, advance: Advance) -> Iterator[tuple[str, str]]:
    listed = {entry.path for entry in manifest.files}
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
        elif sha256_of(path) != entry.sha256:
            yield entry.path, f"{entry.path}: is not the file that the manifest lists (its SHA-256 differs)"
        advance(1)
    known = {*listed, MANIFEST, SEAL}
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and name in known | folders:
            yield name, f"{name}: is a link, and what it leads to isn't part of the bundle; put the file itself there"
        elif name not in known and (path.is_symlink() or not path.is_dir() or not any(path.iterdir())):
            yield name, f"{name}: isn't in the manifest"


def _has_other_line_ends(path: Path, entry: BundleFile) -> bool:
    """Whether a file is the listed one but for carriage returns, as git and editors put them in on Windows."""
    if path.stat().st_size > 2 * entry.size_bytes:
        return False
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() == entry.sha256


def _native_faults(folder: Path) -> tuple[list[str], list[str]]:
    """(faults, notes) of the C source and the arena, in a bundle whose files are sound."""
    from edgecut.handoff.native import arena_faults, c_faults

    report = parse(Report, json.loads((folder / "report.json").read_bytes()), "report.json")
    sheet = _document(folder, VECTORS, VectorSheet) if (folder / VECTORS).is_file() else None
    faults, notes = c_faults(folder, report, read_recipe(folder / "recipe.toml"), sheet)
    if sheet is not None:
        more, said = arena_faults(folder, report, sheet, _inputs(folder, sheet))
        faults, notes = [*faults, *more], [*notes, *said]
    return faults, notes


def _document_faults(folder: Path, manifest: Manifest, changed: set[str]) -> Iterator[str]:
    """What report.json and recipe.toml say against the manifest; changed files were named already."""
    listed = {entry.path: entry for entry in manifest.files}
    yield from (f"{name}: isn't in the manifest" for name in _NEEDED if name not in listed)
    if manifest.reproducible is not None and manifest.reproducible.sha256 != reproducible_hash(manifest.files):
        yield f"{MANIFEST}: reproducible.sha256 isn't the hash of the files that it lists"
    if "report.json" in listed and "report.json" not in changed:
        report = _document(folder, "report.json", Report)
        if report is None:
            yield "report.json: is no report of schema 'edgecut.report/1'"
        else:
            told = {"status": report.status, "recipe": report.recipe, "edgecut": report.edgecut}
            for key in (key for key, value in told.items() if getattr(manifest, key) != value):
                yield f"{MANIFEST}: has another {key} than report.json"
            for artifact in report.artifacts:
                entry = listed.get(artifact.path)
                if entry is None:
                    yield f"{artifact.path}: is in report.json, and not in the manifest"
                elif entry.sha256 != artifact.sha256:
                    yield f"{artifact.path}: is not the file that report.json describes"
    if "recipe.toml" in listed and "recipe.toml" not in changed:
        try:
            read_recipe(folder / "recipe.toml")
        except RequestError as exc:
            yield f"recipe.toml: can't be read as a recipe: {exc}"


def _document(folder: Path, name: str, record: type[R]) -> R | None:
    try:
        return parse(record, json.loads((folder / name).read_bytes()), name)
    except (ValueError, TypeError, RecursionError, DocumentError):
        return None


def _vector_faults(
    folder: Path, manifest: Manifest, changed: set[str], progress: Progress
) -> tuple[int, list[str], list[str]]:
    """(vectors run again, faults, notes)."""
    listed = {entry.path for entry in manifest.files}
    if VECTORS not in listed:
        return 0, [], ["the bundle has no golden vectors"]
    if VECTORS in changed:
        return 0, [], ["the golden vectors were not run, since vectors.json is damaged"]
    sheet = _document(folder, VECTORS, VectorSheet)
    if sheet is None:
        return 0, [f"{VECTORS}: is no sheet of schema 'edgecut.vectors/1'"], []
    needed = {sheet.artifact, *(f"vectors/{name}" for row in sheet.vectors for name in (row.input, row.expected))}
    named = needed | {f"vectors/{row.camera}" for row in sheet.vectors if row.camera is not None}
    named |= {path for row in sheet.agreements for path in (row.artifact, row.reference)}
    if named - listed:
        return 0, [f"{VECTORS}: names {path!r}, which isn't in the manifest" for path in sorted(named - listed)], []
    damaged = sorted(needed & changed)
    if damaged:
        return 0, [], [f"the golden vectors were not run, since {', '.join(damaged)} differ from the manifest"]
    try:
        with progress.task("re-running vectors", len(sheet.vectors)) as advance:
            faults, inputs = _rerun(folder, sheet)
            advance(len(sheet.vectors))
        more, notes = _agreement_faults(folder, sheet, inputs, changed) if len(inputs) else ([], [])
    except EdgecutError as exc:
        return 0, [f"{sheet.artifact}: the golden vectors can't be run: {exc}"], []
    return len(sheet.vectors), [*faults, *more], notes


def _rerun(folder: Path, sheet: VectorSheet) -> tuple[list[str], np.ndarray]:
    """(faults, the inputs (k, ...) in the file's dtype)."""
    runner = FileRunner(folder / sheet.artifact)
    own = runner.inputs[0].model_copy(update={"expects": sheet.input.expects})
    if sheet.input != own:
        return [f"{VECTORS}: describes another input than {sheet.artifact} takes"], np.empty(0)
    inputs = _inputs(folder, sheet)
    if not len(inputs):
        return [f"{VECTORS}: says another input shape than the files have"], inputs
    outputs = runner.predict_raw_each(inputs)
    if len(outputs) != len(sheet.outputs):
        return [f"{VECTORS}: describes {len(sheet.outputs)} outputs, and {sheet.artifact} has {len(outputs)}"], inputs
    faults = []
    for k, row in enumerate(sheet.vectors):
        found = b"".join(np.ascontiguousarray(y[k], y.dtype.newbyteorder("<")).tobytes() for y in outputs)
        expected = (folder / "vectors" / row.expected).read_bytes()
        if len(found) != len(expected):
            faults.append(f"vectors/{row.expected}: holds {len(expected)} bytes, and the file puts out {len(found)}")
        else:
            faults += _output_faults(row.expected, expected, [y[k] for y in outputs], sheet)
    return faults, inputs


def _inputs(folder: Path, sheet: VectorSheet) -> np.ndarray:
    """All inputs (k, ...) in the file's dtype; none of them if the files don't fit the shape."""
    shape = (len(sheet.vectors), *sheet.input.shape[1:])
    content = b"".join((folder / "vectors" / row.input).read_bytes() for row in sheet.vectors)
    size = np.dtype(sheet.input.dtype).itemsize
    if len(content) != np.prod(shape) * size:
        return np.empty((0, *shape[1:]), sheet.input.dtype)
    inputs = np.frombuffer(content, np.dtype(sheet.input.dtype).newbyteorder("<"))
    return inputs.astype(sheet.input.dtype).reshape(shape)


def _output_faults(name: str, expected: bytes, outputs: list[np.ndarray], sheet: VectorSheet) -> Iterator[str]:
    start = 0
    for output, golden in zip(outputs, sheet.outputs, strict=True):
        dtype = output.dtype.newbyteorder("<")
        wanted = np.frombuffer(expected, dtype, output.size, start).reshape(output.shape)
        start += output.nbytes
        off = float(np.abs(output.astype(np.float64) - wanted.astype(np.float64)).max(initial=0.0))
        if not off <= _limit(golden.tolerance):
            unit = " LSB" if golden.tolerance.lsb is not None else ""
            yield (
                f"vectors/{name}: {sheet.artifact} puts out {golden.spec.name!r} off by {off:g}{unit}, "
                f"and {_limit(golden.tolerance):g}{unit} is allowed"
            )


def _agreement_faults(
    folder: Path, sheet: VectorSheet, inputs: np.ndarray, changed: set[str]
) -> tuple[list[str], list[str]]:
    """(faults, notes) of the ONNX files against the TFLite ones on the same inputs."""
    faults, notes = [], []
    x = dequantize(inputs, sheet.input)
    for row in sheet.agreements:
        if row.artifact in changed or row.reference in changed:
            notes.append(f"{row.artifact}: not compared with {row.reference}, since one of them was changed")
            continue
        if not row.agrees:
            notes.append(f"{row.artifact}: differed from {row.reference} by {row.found:g} when the bundle was made")
            continue
        reference = FileRunner(folder / row.reference)
        spec = reference.outputs[0]
        outputs = FileRunner(folder / row.artifact).predict(x)
        off = distance(reference.predict(x), outputs, row.tolerance, spec)
        if not off <= _limit(row.tolerance):
            unit = " LSB" if row.tolerance.lsb is not None else ""
            faults.append(
                f"{row.artifact}: differs from {row.reference} by {off:g}{unit}, "
                f"and {_limit(row.tolerance):g}{unit} is allowed"
            )
    return faults, notes


def _limit(tolerance: Tolerance) -> float:
    return float(tolerance.lsb) if tolerance.lsb is not None else tolerance.absolute or 0.0
