"""Results of a build's stages, kept by everything that they read, and used again while nothing of it has changed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypedDict, TypeVar, cast

from edgecut.cache.facts import PACKAGE, code_hash, machine, versions
from edgecut.cache.place import cache_folder, cache_limit
from edgecut.cache.store import Store
from edgecut.errors import OutputError, StepError
from edgecut.graph.threads import threads
from edgecut.handoff.recipe_text import portable, renamed
from edgecut.pipeline.onnx_source import is_onnx
from edgecut.pipeline.plan import Plan
from edgecut.pipeline.values import Done
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step

T = TypeVar("T")
Document = dict[str, object]
Stage = Literal["edited", "made", "benched", "bundle"]

WORK = ".work"
"""The folder in a bundle that is being made for what stages hand on; it isn't part of the bundle."""

# The recipe's tables that a stage doesn't read; a table that isn't named here counts for every stage.
_UNREAD: dict[Stage, frozenset[str]] = {
    "edited": frozenset({"name", "data", "head", "compress", "export", "bench", "budget"}),
    "made": frozenset({"bench", "budget"}),
    "benched": frozenset({"budget"}),
    "bundle": frozenset(),
}


class Entry(TypedDict):
    """A stage's result: its value as a codec wrote it, and Steps."""

    value: Document
    steps: list[dict[str, object]]
    notes: list[str]


class Codec(Protocol[T]):
    """How a stage's value lies in the cache."""

    def encode(self, value: T, folder: Path) -> tuple[Document, Mapping[str, Path]]:
        """A JSON-ready document, and files by their names in the bundle's folder.

        Raises StepError for a value that can't be kept.
        """

    def decode(self, document: Document, folder: Path) -> T:
        """The value again; its files are in the folder under their names."""


@dataclass(frozen=True)
class Cache:
    """Where the stages of one build are kept. store: None to run every step.

    folder: of the bundle that is being made. inputs: {recipe key: SHA-256} of what is read. pictures: where pictures
    are kept as the device gives them, None for nowhere.
    """

    store: Store | None
    plan: Plan
    inputs: Mapping[str, str]
    folder: Path
    pictures: Store | None = None

    def get(self, stage: Stage) -> Document | None:
        """What was kept for these facts, its files put into the folder; None if nothing was."""
        return None if self.store is None else self.store.get(stage, self.folder, **self._facts(stage))

    def put(self, stage: Stage, document: Mapping[str, object], files: Mapping[str, Path]) -> str:
        """Keep a result. Why it couldn't be, which costs later builds time alone; "" if it was."""
        if self.store is None:
            return ""
        try:
            self.store.put(stage, document, files, **self._facts(stage))
        except OSError as exc:
            reason = os.strerror(exc.errno) if exc.errno else str(exc)
            place = self.store.folder
            return f"{place}: can't keep results for later builds ({reason}); EDGECUT_CACHE names another folder"
        return ""

    def _facts(self, stage: Stage) -> Document:
        return facts_of(self.plan, self.inputs, stage)


def cached(cache: Cache, stage: Stage, codec: Codec[T], make: Callable[[], Done[T]]) -> Done[T]:
    """What `make` gives, or what it gave when everything that the stage reads was the same.

    Steps that come from the cache say so, and took no time. What isn't repeatable, and what can't be kept, is made anew
    the next time.
    """
    found = _kept(cache, stage, codec)
    if found is not None:
        return found
    done = make()
    if cache.store is None or not done.repeatable:
        return done
    try:
        value, files = codec.encode(done.value, cache.folder)
    except StepError:
        return replace(done, repeatable=False)
    document: Entry = {"value": value, "steps": [step.to_dict() for step in done.steps], "notes": list(done.notes)}
    why_not = cache.put(stage, document, files)
    return replace(done, notes=(*done.notes, why_not), repeatable=False) if why_not else done


def _kept(cache: Cache, stage: Stage, codec: Codec[T]) -> Done[T] | None:
    """What was kept; None also for an entry of another form, as another program that shares the folder may write."""
    entry = cast("Entry | None", cache.get(stage))
    if entry is None:
        return None
    try:
        steps = tuple(from_cache(Step.model_validate(row)) for row in entry["steps"])
        return Done(codec.decode(entry["value"], cache.folder), steps, tuple(map(str, entry["notes"])))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def from_cache(step: Step) -> Step:
    """The record of a step that wasn't run."""
    return step.model_copy(update={"cached": True, "seconds": 0.0})


def build_store(plan: Plan) -> Store:
    """The results of all builds, as far as this code, these libraries and this machine make them.

    Raises OutputError where there is no place for them.
    """
    facts = {
        "code": code_hash(PACKAGE),
        "python": platform.python_version(),
        "versions": versions(),
        "machine": machine(),
    }
    return Store(cache_folder(), facts, title=plan.recipe.name, limit_bytes=cache_limit())


def file_store(title: str) -> Store | None:
    """What depends on files alone: their hashes, and pictures as devices give them; None where there is no place."""
    try:
        return Store(cache_folder(), {}, title=title, limit_bytes=cache_limit())
    except OutputError:
        return None


def named(plan: Plan) -> Recipe:
    """The request with file names as they were given: relative to the recipe's folder, or to the current one."""
    return portable(plan.recipe, plan.base or Path.cwd())


def facts_of(plan: Plan, inputs: Mapping[str, str], stage: Stage) -> Document:
    """What a stage reads: the recipe but for the tables that it doesn't, files by their hashes, devices.

    inputs: {recipe key: SHA-256}.
    """
    recipe, request = plan.recipe, named(plan)
    # Only a bundle tells how the files are called, and their licences; other stages read what is in them, which the
    # hashes say.
    told = request if stage == "bundle" else renamed(request, lambda name: "")
    whole = told.to_dict()
    if stage != "bundle":
        for table, record in (("source", told.source), ("data", told.data)):
            whole[table] = {key: value for key, value in record.to_dict().items() if key != "licence"}
    unread = _unread(stage, recipe)
    facts: Document = {"recipe": {key: value for key, value in whole.items() if key not in unread}}
    facts["inputs"] = {key: value for key, value in inputs.items() if key.partition(".")[0] not in unread}
    if stage == "edited":
        facts["pads_with_values"] = recipe.export.pads_with_values
        facts["fed"] = recipe.data.kind
    if stage in {"made", "benched"} and "auto" in recipe.export.precisions:  # which files are corrected, and how
        facts["accuracy_drop"] = recipe.budget.accuracy_drop
    if stage == "made":  # files are tried by the kernels of these devices
        facts["kernels"] = [[p.id, p.runtime.name, p.runtime.kernels] for p in plan.profiles]
    if stage != "edited" and recipe.trains:
        facts["threads"] = threads()
    if stage == "bundle":
        facts["writers"] = code_hash(PACKAGE, ("cli/",))
    if "bench" not in unread:
        facts["profiles"] = [profile.to_dict() for profile in plan.profiles]
    return facts


def _unread(stage: Stage, recipe: Recipe) -> frozenset[str]:
    if stage == "made" and recipe.compress.is_asked:
        return frozenset()  # the files are measured beside those of the uncompressed model
    # An imported model is proven on images, too.
    sees_images = recipe.stem.uses_images or is_onnx(recipe.source)
    return _UNREAD[stage] - ({"data"} if stage == "edited" and sees_images else frozenset())
