"""manifest.json: every file of a bundle with its hash, and which of them any build of the same inputs gives again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecut.errors import RequestError
from edgecut.graph.threads import THREADS
from edgecut.handoff.filling import IN_PLACE
from edgecut.handoff.plain_c import EQUAL_TO
from edgecut.handoff.provenance import git_state
from edgecut.handoff.statement import provenance
from edgecut.records.artifact import sha256_of
from edgecut.records.document import Record, parse, read_toml
from edgecut.records.environment import Environment
from edgecut.records.lock import Lock
from edgecut.records.report import Report
from edgecut.render.page import render_page

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
SIGNATURES = tuple(f"{MANIFEST}.{end}" for end in ("sig", "minisig", "sigstore.json"))
"""Where signatures of the manifest lie, which it can't list; handoff/signatures.py makes them."""

PROVENANCE, LOCK = "provenance.json", "recipe.lock.toml"
VARIES = {
    "report.json": "times and memory measured on this machine, the checks that rest on them, what came from the cache",
    "report.html": "the same",
    PROVENANCE: "the hashes of these two, and the state of git in the recipe's folder",
    MANIFEST: "the hashes of these three, the status, and the state of git in the recipe's folder",
    SEAL: "the hash of manifest.json",
}
"""The files that differ between two builds of the same inputs by the same versions, and why."""


class BundleFile(Record):
    """A file of the bundle; path: relative to it, with forward slashes."""

    path: str
    sha256: str
    size_bytes: int


class Reproducible(Record):
    """sha256: one hash of all files but those in `varies`, which says why each of them differs from build to build.

    "*" among them: what the others depend on beside inputs and versions. notes: how many of report.json's notes, from
    the first on, tell of no measured time, and are in README.md and MODEL_CARD.md too.
    """

    sha256: str
    varies: dict[str, str]
    notes: int | None = None


class PlainC(Record):
    """The model as plain C. equal_to: whose outputs it gives."""

    files: tuple[str, ...]
    equal_to: str


class Manifest(Record):
    """manifest.json. git: {"commit", "dirty"} of the recipe's folder, None outside git."""

    schema_: Literal["edgecut.bundle/1"] = Field(default="edgecut.bundle/1", alias="schema")
    name: str
    edgecut: str
    status: str
    environment: Environment
    recipe: dict[str, object]
    profiles: tuple[str, ...]
    git: dict[str, str | bool] | None
    files: tuple[BundleFile, ...]
    reproducible: Reproducible | None = None
    plain_c: PlainC | None = None


@dataclass(frozen=True)
class Release:
    """What a bundle tells of.

    recipe_folder: where the recipe was read from, whose git state the manifest holds; None: the current folder, since a
    request by flags has no file. notes: how many of the report's, from the first on, tell of no measured time; None:
    all.
    """

    report: Report
    recipe_folder: Path | None = None
    notes: int | None = None


def finish(folder: Path, release: Release) -> None:
    """Write the documents that tell of this very run, and seal the folder, in which everything else is already."""
    report = release.report
    for name, text in run_texts(report).items():
        (folder / name).write_text(text, encoding="utf-8")
    base = release.recipe_folder or Path.cwd()
    beside = folder.parent if folder.name == IN_PLACE else folder.with_name(folder.name.removesuffix(".partial"))
    ignored = [folder, beside, *base.glob("*.lock.toml")]  # no change in git
    git, lock = git_state(base, ignored), lock_in(folder)
    files = files_in(folder)
    statement = provenance(report, git, {} if lock is None else lock.inputs, {row.path: row.sha256 for row in files})
    (folder / PROVENANCE).write_text(json_text(statement), encoding="utf-8")
    manifest = manifest_of(report, git, files_in(folder), release.notes)
    (folder / MANIFEST).write_text(json_text(manifest.to_dict()), encoding="utf-8")
    (folder / SEAL).write_text(f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n", encoding="utf-8")


def run_texts(report: Report) -> dict[str, str]:
    """{file: text} of the report and its page.

    The report's keys stay in their order: pages tell operators in the order that a file has them in.
    """
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return {"report.json": text, "report.html": render_page(report)}


def files_in(folder: Path) -> list[BundleFile]:
    """Every file of a bundle that a manifest can list, sorted by path."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [
        BundleFile(path=path, sha256=sha256_of(folder / path), size_bytes=(folder / path).stat().st_size)
        for path in paths
        if path not in {MANIFEST, SEAL, *SIGNATURES}
    ]


def manifest_of(
    report: Report, git: dict[str, str | bool] | None, files: Sequence[BundleFile], notes: int | None
) -> Manifest:
    """The manifest over these files. notes: as in Reproducible."""
    return Manifest(
        name=str(report.recipe["name"]),
        edgecut=report.edgecut,
        status=report.status,
        environment=report.environment,
        recipe=report.recipe,
        profiles=tuple(str(profile["id"]) for profile in report.profiles),
        git=git,
        files=tuple(files),
        plain_c=_plain_c([file.path for file in files]),
        reproducible=Reproducible(sha256=reproducible_hash(files), varies=VARIES | _varies_with(report), notes=notes),
    )


def lock_in(folder: Path) -> Lock | None:
    """The lock in a bundle; None if it has none, or one that can't be read."""
    try:
        return parse(Lock, read_toml(folder / LOCK), LOCK) if (folder / LOCK).is_file() else None
    except RequestError:
        return None


def _plain_c(paths: Sequence[str]) -> PlainC | None:
    own = tuple(path for path in paths if path.startswith("c/") and path.endswith(("_run.c", "_run.h")))
    return PlainC(files=own, equal_to=EQUAL_TO) if own else None


def _varies_with(report: Report) -> dict[str, str]:
    """{"*": why} for weights that were trained by another number of threads than the commands use, and for loops."""
    reasons = []
    count = report.environment.threads or THREADS
    if count != THREADS:
        reasons.append(
            f"TensorFlow trained with {count} threads, and each number of them rounds the sums of a gradient in "
            f"its own way; the command uses {THREADS} on any machine, "
            f"a Python program with TF_NUM_INTRAOP_THREADS={THREADS}"
        )
    loops = [a.path for a in report.artifacts if a.format == "onnx" and {"Loop", "If", "Scan"} & set(a.operators)]
    if loops:
        reasons.append(f"the names inside the loops of {', '.join(loops)}, which tf2onnx counts over the whole process")
    return {"*": "; ".join(reasons)} if reasons else {}


def reproducible_hash(files: Sequence[BundleFile]) -> str:
    """The SHA-256 of the lines "HASH  PATH" of all files that don't vary, sorted by path."""
    rows = sorted((file.path, file.sha256) for file in files if file.path not in VARIES)
    return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in rows).encode()).hexdigest()


def json_text(data: object) -> str:
    """JSON that is the same text for the same data: sorted, indented, with a last newline."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
