"""What a bundle's documents say, held against what this edgecut makes of its report, its models and its recipe."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgecut.errors import EdgecutError
from edgecut.handoff.bundle import LABELS, documents
from edgecut.handoff.checked import document, holds
from edgecut.handoff.figures import figure_faults
from edgecut.handoff.seal import LOCK, MANIFEST, PROVENANCE, Manifest, json_text, lock_in, manifest_of, run_texts
from edgecut.handoff.statement import provenance
from edgecut.handoff.vectors import VECTORS, VectorSheet
from edgecut.records.document import parse, read_json
from edgecut.records.lock import Lock, value_hashes
from edgecut.records.report import Report
from edgecut.version import __version__

_ONLY_MEASURED = "report.json: {metrics}, which only the build could measure"
_TOLD = "report.json: the source, the machine and the versions, and git's state, as the builder tells them"


@dataclass(frozen=True)
class Rederived:
    """faults: a sentence each. not_verified: what nothing here proves beyond its hash: a file, or a sentence on one."""

    faults: tuple[str, ...]
    not_verified: tuple[str, ...] = ()


def rederived(folder: Path, manifest: Manifest) -> Rederived:
    """Every document that follows from the rest of the bundle, made anew and compared.

    In a bundle of another version of edgecut, whose words, pages and C may be others, what isn't equal is named as not
    verified. Its files must be those that the manifest lists.
    """
    report = parse(Report, read_json(folder / "report.json"), "report.json")
    sheet = document(folder, VECTORS, VectorSheet) if (folder / VECTORS).is_file() else None
    texts = _texts(folder, report, manifest, sheet)
    if isinstance(texts, str):
        return Rederived((texts,))
    others = tuple(path for path, text in texts.items() if _differs(folder, path, text))
    unknown = _unknown(manifest, report, sheet, texts)
    never = tuple(_never_verified(manifest, report))
    if report.edgecut != __version__:
        why = f"(edgecut {report.edgecut} wrote it, and this one, {__version__}, writes another)"
        strange = f"(no file that this edgecut, {__version__}, knows)"
        named = (*(f"{path} {why}" for path in others), *(f"{path} {strange}" for path in unknown))
        return Rederived((*_told_faults(manifest, report, lock_in(folder)),), (*named, *never))
    faults = [f"{path}: isn't what edgecut writes for {_from_what(path)}" for path in others]
    faults += [f"{path}: is no file of a bundle; nothing in it names it" for path in unknown]
    faults += [*_told_faults(manifest, report, lock_in(folder)), *_manifest_faults(manifest, report)]
    faults += figure_faults(folder, report)
    return Rederived(tuple(faults), never)


def _texts(folder: Path, report: Report, manifest: Manifest, sheet: VectorSheet | None) -> dict[str, str] | str:
    """{path: text} of every document; a sentence where they can't be made of this bundle."""
    notes = None if manifest.reproducible is None else manifest.reproducible.notes
    lock, files = lock_in(folder), {row.path: row.sha256 for row in manifest.files}
    try:
        statement = provenance(report, manifest.git, {} if lock is None else lock.inputs, files)
        texts = {**run_texts(report), **documents(folder, report, notes, sheet)}
    except UnicodeDecodeError:
        return f"{LABELS}: is no UTF-8 text"
    except (EdgecutError, ValidationError, ValueError, KeyError, OSError) as exc:
        return f"report.json: no document can be made of it: {str(exc).splitlines()[0]}"
    return {**texts, PROVENANCE: json_text(statement)}


def _differs(folder: Path, path: str, text: str) -> bool:
    return not (folder / path).is_file() or not holds(folder / path, text.encode())


def _from_what(path: str) -> str:
    if path.startswith("c/"):
        return "this bundle's model, recipe and vectors"
    return "this report" if path in {"report.json", "report.html"} else "this bundle's report, models and lock"


def _unknown(manifest: Manifest, report: Report, sheet: VectorSheet | None, texts: dict[str, str]) -> tuple[str, ...]:
    """The listed files that no document names."""
    named = {*texts, LABELS, LOCK, f"models/{manifest.name}.keras", *(artifact.path for artifact in report.artifacts)}
    if sheet is not None:
        rows = [name for row in sheet.vectors for name in (row.camera, row.input, row.expected) if name is not None]
        named |= {VECTORS, *(f"vectors/{name}" for name in rows)}
    return tuple(row.path for row in manifest.files if row.path not in named)


def _told_faults(manifest: Manifest, report: Report, lock: Lock | None) -> Iterator[str]:
    """What the lock says against the report."""
    if lock is None:
        if LOCK in {row.path for row in manifest.files}:
            yield f"{LOCK}: is no lock of schema 'edgecut.lock/1'"
        return
    profiles = {str(profile.get("id")): profile for profile in report.profiles}
    told: dict[str, tuple[object, object]] = {
        "edgecut": (lock.edgecut, report.edgecut),
        "python": (lock.python, report.environment.python),
        "packages": (lock.packages, report.environment.packages),
        "recipe": (lock.recipe, value_hashes(report.recipe)),
        "profiles": (lock.profiles, value_hashes(profiles)),
        "source.model": (lock.inputs.get("source.model", report.source.sha256), report.source.sha256),
    }
    for key, (locked, reported) in told.items():
        if locked != reported:
            yield f"{LOCK}: has another {key} than report.json"


def _manifest_faults(manifest: Manifest, report: Report) -> Iterator[str]:
    """What the manifest says against what is made of the report; checked.py has what every version says alike."""
    notes = None if manifest.reproducible is None else manifest.reproducible.notes
    made = manifest_of(report, manifest.git, manifest.files, notes)
    for key in ("profiles", "plain_c", "reproducible"):
        if getattr(made, key) != getattr(manifest, key):
            yield f"{MANIFEST}: has another {key} than edgecut writes for this report and these files"


def _never_verified(manifest: Manifest, report: Report) -> Iterator[str]:
    if f"models/{manifest.name}.keras" in {row.path for row in manifest.files}:
        yield f"models/{manifest.name}.keras: the float model, which nothing here runs"
    rerun: Set[str] = {"size", "arena"}
    metrics: dict[str, None] = dict.fromkeys(
        m.metric for m in report.measurements if m.kind == "measured" and m.metric not in rerun
    )
    if any(decision.measured_on for decision in report.decisions):
        metrics |= dict.fromkeys(("thresholds", "precision", "recall", "false-positive rate"))
    if metrics:
        yield _ONLY_MEASURED.format(metrics=", ".join(metrics))
    yield _TOLD
