"""manifest.json: every file of a bundle with its hash, and which of them any build of the same inputs gives again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecut.graph.threads import THREADS
from edgecut.handoff.filling import IN_PLACE
from edgecut.handoff.plain_c import EQUAL_TO
from edgecut.handoff.provenance import git_state
from edgecut.records.artifact import sha256_of
from edgecut.records.document import Record
from edgecut.records.environment import Environment
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
SIGNATURES = tuple(f"{MANIFEST}.{end}" for end in ("sig", "minisig", "sigstore.json"))
"""Where signatures of the manifest lie, which it can't list; handoff/signatures.py makes them."""

VARIES = {
    "report.json": "times and memory measured on this machine, the checks that rest on them, what came from the cache",
    "report.html": "the same",
    MANIFEST: "the hashes of these two, the status, and the state of git in the recipe's folder",
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

    "*" among them: what the others depend on beside inputs and versions.
    """

    sha256: str
    varies: dict[str, str]


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

    page_html: the report as a page. recipe_folder: where the recipe was read from, whose git state the manifest holds;
    None: the current folder, since a request by flags has no file.
    """

    report: Report
    recipe: Recipe
    profiles: Sequence[Profile]
    page_html: str
    recipe_folder: Path | None = None


def finish(folder: Path, release: Release) -> None:
    """Write the files that tell of this very run, report.json and report.html, and seal the folder."""
    (folder / "report.json").write_text(json_text(release.report.to_dict()), encoding="utf-8")
    (folder / "report.html").write_text(release.page_html, encoding="utf-8")
    base = release.recipe_folder or Path.cwd()
    beside = folder.parent if folder.name == IN_PLACE else folder.with_name(folder.name.removesuffix(".partial"))
    ignored = [folder, beside, *base.glob("*.lock.toml")]  # no change in git
    seal(folder, release.report, release.recipe, release.profiles, git_state(base, ignored))


def seal(
    folder: Path,
    report: Report,
    recipe: Recipe,
    profiles: Sequence[Profile],
    git: dict[str, str | bool] | None,
) -> None:
    """Write manifest.json over every file in the folder, and its own hash beside it."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = [
        BundleFile(path=path, sha256=sha256_of(folder / path), size_bytes=(folder / path).stat().st_size)
        for path in paths
        if path not in {MANIFEST, SEAL, *SIGNATURES}
    ]
    manifest = Manifest(
        name=recipe.name,
        edgecut=report.edgecut,
        status=report.status,
        environment=report.environment,
        recipe=recipe.to_dict(),
        profiles=tuple(profile.id for profile in profiles),
        git=git,
        files=tuple(files),
        plain_c=_plain_c(paths),
        reproducible=Reproducible(sha256=reproducible_hash(files), varies=VARIES | _varies_with(report)),
    )
    (folder / MANIFEST).write_text(json_text(manifest.to_dict()), encoding="utf-8")
    (folder / SEAL).write_text(f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n", encoding="utf-8")


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
