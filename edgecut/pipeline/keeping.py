"""Stages of a run kept by everything that they read, and taken from there while nothing of that has changed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgecut
from edgecut.cache.facts import code_hash, machine, versions
from edgecut.cache.place import cache_folder, cache_limit
from edgecut.cache.store import Store
from edgecut.errors import OutputError
from edgecut.graph.threads import threads
from edgecut.handoff.recipe_text import portable, renamed
from edgecut.pipeline.planning import Plan
from edgecut.records.artifact import Artifact
from edgecut.records.document import Record
from edgecut.records.explanation import Explanation
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import SourceFacts, Step
from edgecut.records.trial import Trial

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

WORK = ".work"
"""The folder in a bundle that is being made for what stages hand on; it isn't part of the bundle."""

_LISTS: dict[str, type[Record]] = {
    "steps": Step, "trials": Trial, "explanations": Explanation, "artifacts": Artifact, "measurements": Measurement,
}  # fmt: skip
# What a stage doesn't read; a table that isn't named here counts for every stage.
_UNREAD = {
    "edited": {"name", "data", "head", "compress", "export", "bench", "budget"},
    "made": {"bench", "budget"},
    "benched": {"budget"},
    "bundle": set[str](),
}


def build_store(plan: Plan) -> Store:
    """The results of all builds, as far as this code, these libraries and this machine make them.

    Raises OutputError where there is no place for them.
    """
    facts = {
        "code": code_hash(Path(edgecut.__file__).parent),
        "python": platform.python_version(),
        "versions": versions(),
        "machine": machine(),
    }
    return Store(cache_folder(), facts, title=plan.recipe.name, limit_bytes=cache_limit())


def hash_store(plan: Plan) -> Store | None:
    """The hashes of what builds read, which depend on nothing else; None where there is no place for them."""
    try:
        return Store(cache_folder(), {}, title=plan.recipe.name, limit_bytes=cache_limit())
    except OutputError:
        return None


def named(plan: Plan) -> Recipe:
    """The request with file names as they were given: relative to the recipe's folder, or to the current one."""
    return portable(plan.recipe, plan.base or Path.cwd())


def facts_of(plan: Plan, inputs: Mapping[str, str], kind: str) -> dict[str, Any]:
    """What a stage reads: the recipe but for the tables that it doesn't, files by their hashes, devices.

    inputs: {recipe key: SHA-256}.
    """
    recipe, request = plan.recipe, named(plan)
    # Only a bundle tells how the files are called, and their licences; other stages read what is in them, which the
    # hashes say.
    whole = (request if kind == "bundle" else renamed(request, lambda name: "")).to_dict()
    if kind != "bundle":
        for table in ("source", "data"):
            del whole[table]["licence"]
    unread = set(_UNREAD[kind])
    if kind == "edited" and recipe.stem.uses_images:
        unread.discard("data")
    if kind == "made" and recipe.compress.is_asked:
        unread.clear()  # the files are measured beside those of the uncompressed model
    facts: dict[str, Any] = {"recipe": {key: value for key, value in whole.items() if key not in unread}}
    facts["inputs"] = {key: value for key, value in inputs.items() if key.partition(".")[0] not in unread}
    if kind == "edited":
        facts["pads_with_values"] = recipe.export.pads_with_values
    if kind in {"made", "benched"} and "auto" in recipe.export.precisions:  # which files are mended, and how
        facts["accuracy_drop"] = recipe.budget.accuracy_drop
    if kind != "edited" and recipe.trains:
        facts["threads"] = threads()
    if kind == "bundle":
        facts["writers"] = code_hash(Path(edgecut.__file__).parent, ("cli/",))
    if "bench" not in unread:
        facts["profiles"] = [profile.to_dict() for profile in plan.profiles]
    return facts


def stage(state: Run, kind: str, make: Callable[[], None]) -> bool:
    """Whether what `make` would add to the run and its folder was kept; else `make` is called, and that is kept.

    Steps that come from the cache say so, and took no time.
    """
    facts = facts_of(state.plan, state.inputs, kind)
    found = state.store.get(kind, state.folder, **facts) if state.store is not None else None
    if found is not None:
        _restore(state, found)
        return True
    counts = {name: len(getattr(state, name)) for name in _LISTS}
    before = set(_files(state.folder))
    from edgecut.graph.naming import counted_anew

    with counted_anew():
        make()
    if state.store is not None and state.is_whole:
        document = {
            **{name: [row.to_dict() for row in getattr(state, name)[count:]] for name, count in counts.items()},
            "device_shape": state.device_shape, "names": state.names,
            "source": state.facts.to_dict() if state.facts is not None else None,
        }  # fmt: skip
        files = {name: path for name, path in _files(state.folder).items() if name not in before}
        keep(state, kind, document, files, facts)
    return False


def keep(state: Run, kind: str, document: dict[str, Any], files: Mapping[str, Path], facts: dict[str, Any]) -> None:
    """Put a result into the run's cache, if it has one. A place that can't be written is said, and costs time alone."""
    if state.store is None:
        return
    try:
        state.store.put(kind, document, files, **facts)
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        state.unkept = (
            f"{state.store.folder}: can't keep results for later builds ({reason}); EDGECUT_CACHE names another folder"
        )


def from_cache(step: Step) -> Step:
    """The record of a step that wasn't run."""
    return step.model_copy(update={"cached": True, "seconds": 0.0})


def _restore(state: Run, found: Mapping[str, Any]) -> None:
    for name, record in _LISTS.items():
        rows = [record.model_validate(row) for row in found[name]]
        getattr(state, name).extend([from_cache(row) if isinstance(row, Step) else row for row in rows])
    shape = found["device_shape"]
    state.device_shape = None if shape is None else (shape[0], shape[1], shape[2])
    state.names = tuple(found["names"])
    state.facts = SourceFacts.model_validate(found["source"]) if found["source"] else None


def _files(folder: Path) -> dict[str, Path]:
    """{path in the folder: path} of all files."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
