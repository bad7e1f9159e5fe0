"""A bundle checked against its manifest, and its golden vectors run again, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import EdgecutError, RequestError
from edgecut.handoff.checked import Checked, check, check_manifest, document
from edgecut.handoff.rederived import rederived
from edgecut.handoff.seal import MANIFEST, Manifest
from edgecut.handoff.signature import NOBODY, Signature, Trust
from edgecut.handoff.signatures import shown, signatures
from edgecut.handoff.vectors import VECTORS, Tolerance, VectorSheet, distance, wide
from edgecut.images.rows import columns, packed
from edgecut.records.document import parse, read_json
from edgecut.records.progress import SILENT, Progress
from edgecut.records.report import Report
from edgecut.runtime.files import FileRunner, dequantize_rows
from edgecut.sandbox.limits import read_limits

if TYPE_CHECKING:
    from edgecut.handoff.native import CheckedC


@dataclass(frozen=True)
class VerifyResult:
    """How many files and vectors were checked, what differs (one sentence each), and remarks.

    not_verified: what nothing proves but its hash. plain_c: whether the vectors ran in the bundle's plain C, too.
    ignored: what a file manager or an archiver left in the folder.
    signatures: those that are there, or one that isn't and was expected; a refused one's fault is among the faults.
    """

    files: int
    vectors: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    not_verified: tuple[str, ...] = ()
    plain_c: bool = False
    signatures: tuple[Signature, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What was shown of where the bundle comes from, in one line."""
        return "differs from what it says of itself" if self.faults else shown(self.signatures)


def verify(folder: Path, progress: Progress = SILENT, *, run_c: bool = False, trust: Trust = NOBODY) -> VerifyResult:
    """Whether a bundle is what its manifest says, does what its vectors say, and has the documents that follow from it.

    run_c: also run the vectors in the bundle's plain C, which this edgecut writes anew and compiles in a folder of its
    own; the bundle's text must be equal to it. trust: whose signature the bundle must have; nothing is run of one that
    hasn't.

    Raises RequestError if the folder is no bundle, or one of another schema, and for what is no key;
    MissingRuntimeError where the program that checks a signature is absent.
    """
    read_limits()  # a fault of EDGECUT_LIMITS is the caller's, not the bundle's
    if not folder.is_dir():
        raise RequestError(f"{folder}: is no folder; the folder of a bundle is expected")
    check_manifest(folder)
    signed = signatures(folder, trust)
    checked = check(folder, progress)
    result = _verified(folder, [each.fault for each in signed if each.fault], checked, progress, run_c)
    return replace(result, signatures=signed, ignored=checked.ignored)


def _verified(folder: Path, faults: list[str], checked: Checked, progress: Progress, run_c: bool) -> VerifyResult:
    """faults: of the signatures."""
    is_refused = bool(faults)
    manifest, changed = checked.manifest, checked.changed
    faults += checked.faults
    if manifest is None:
        return VerifyResult(0, 0, (*faults, f"{MANIFEST}: is damaged, so nothing else could be checked"), ())
    if is_refused:
        return VerifyResult(len(manifest.files), 0, tuple(faults), ("nothing was run, since the signature is refused",))
    vectors, found, notes = _vector_faults(folder, manifest, changed, progress)
    faults, files = [*faults, *found], len(manifest.files)
    if faults:
        return VerifyResult(files, vectors, tuple(faults), tuple(notes))
    with progress.task("making the documents anew"):
        made = rederived(folder, manifest)
    if made.faults:
        return VerifyResult(files, vectors, made.faults, tuple(notes), made.not_verified)
    with progress.task("trying the arena"):
        native = _native(folder, run_c)
    return VerifyResult(files, vectors, tuple(native.faults), (*notes, *native.notes), made.not_verified, native.ran)


def _native(folder: Path, run_c: bool) -> CheckedC:
    """The plain C where it is asked for, and the arena, in a bundle whose files are sound."""
    from edgecut.handoff.native import CheckedC, arena_faults, c_faults

    report = parse(Report, read_json(folder / "report.json"), "report.json")
    sheet = document(folder, VECTORS, VectorSheet) if (folder / VECTORS).is_file() else None
    checked = c_faults(folder, report, sheet) if run_c else CheckedC([], [])
    if sheet is None:
        return checked
    faults, notes = arena_faults(folder, report, sheet, _inputs(folder, sheet))
    return CheckedC([*checked.faults, *faults], [*checked.notes, *notes], checked.ran)


def _vector_faults(
    folder: Path, manifest: Manifest, changed: Set[str], progress: Progress
) -> tuple[int, list[str], list[str]]:
    """(vectors run again, faults, notes)."""
    listed = {entry.path for entry in manifest.files}
    if VECTORS not in listed:
        return 0, [], ["the bundle has no golden vectors"]
    if VECTORS in changed:
        return 0, [], ["the golden vectors were not run, since vectors.json is damaged"]
    sheet = document(folder, VECTORS, VectorSheet)
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
    return len(sheet.vectors), [*faults, *more], [*notes, *wide(sheet)]


def _rerun(folder: Path, sheet: VectorSheet) -> tuple[list[str], np.ndarray]:
    """(faults, the inputs (k, ...) in the file's dtype)."""
    runner = FileRunner(folder / sheet.artifact)
    own = tuple(spec.model_copy(update={"expects": sheet.input.expects}) for spec in runner.inputs)
    if sheet.inputs != own:
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
    """All inputs as rows (k, ...) in the file's dtypes; none of them if the files don't fit the shapes."""
    fields = [
        (f"input_{k}", np.dtype(spec.dtype).newbyteorder("<"), spec.shape[1:]) for k, spec in enumerate(sheet.inputs)
    ]
    content = b"".join((folder / "vectors" / row.input).read_bytes() for row in sheet.vectors)
    whole = len(content) == len(sheet.vectors) * np.dtype(fields).itemsize
    inputs = np.frombuffer(content if whole else b"", fields)
    return packed([x.astype(spec.dtype) for x, spec in zip(columns(inputs), sheet.inputs, strict=True)])


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
    folder: Path, sheet: VectorSheet, inputs: np.ndarray, changed: Set[str]
) -> tuple[list[str], list[str]]:
    """(faults, notes) of the ONNX files against the TFLite ones on the same inputs."""
    faults, notes = [], []
    x = dequantize_rows(inputs, sheet.inputs)
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
