"""SOURCE, flags and profile names as a checked request."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.flags import Overrides, flag_of
from edgecut.cli.groups import WORDS
from edgecut.errors import DocumentError, RequestError, faults_of
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import LONGEST_NAME, Recipe, check_consent, is_reserved, make_recipe, read_recipe

FLAGS_PLACE = "command line"


class Request(NamedTuple):
    """What a command was asked to make, before it is read."""

    source: str
    profile_names: tuple[str, ...]
    overrides: Overrides
    root: Path | None = None

    @property
    def recipe_file(self) -> Path | None:
        """The recipe; None for a model with flags."""
        return Path(self.source) if self.source.endswith(".toml") else None

    def read(self) -> tuple[Recipe, tuple[Profile, ...]]:
        """The recipe and the profiles; raises as read_request does."""
        return read_request(self.source, self.overrides, self.profile_names, self.root)


class BuildFlags(NamedTuple):
    """How a bundle is built. strict: exit code 1 also for a limit that can't be judged. sign: a key."""

    force: bool = False
    strict: bool = False
    no_cache: bool = False
    locked: bool = False
    sign: str | None = None


class View(NamedTuple):
    """What is shown of a model. cuts: what bypasses each tensor, and each profile's estimates. legal: only starts."""

    cuts: bool
    legal: bool
    picture: Path | None


def read_request(
    source: str, overrides: Overrides, profile_names: Sequence[str], root: Path | None = None
) -> tuple[Recipe, tuple[Profile, ...]]:
    """The recipe that a source and flags say, and the profiles of these names.

    source: a recipe (ends in .toml) or a model. root: what the recipe's file names start from, by default its folder.
    Raises DocumentError with the faults of the recipe and of the profile names together.
    """
    faults: list[str] = []
    recipe: Recipe | None = None
    profiles: list[Profile] = []
    try:
        recipe = read_source(source, overrides, root)
    except RequestError as exc:
        faults += faults_of(exc)
    for name in profile_names:
        try:
            profiles.append(find_profile(name))
        except RequestError as exc:
            faults += faults_of(exc)
    if recipe is None or faults:
        raise DocumentError(faults)
    return recipe, tuple(profiles)


def read_source(source: str, overrides: Overrides, root: Path | None = None) -> Recipe:
    """The recipe in a TOML file with overrides, or the one that a model and overrides make.

    A recipe may ask for its model's code to be run, and the command line must agree.
    Raises RequestError or DocumentError; a fault of a value that a flag gave begins with the flag.
    """
    is_file = source.endswith(".toml")
    where = str(Path(source)) if is_file else FLAGS_PLACE
    try:
        if is_file:
            recipe = read_recipe(Path(source), overrides, root)
            if not overrides.get("source.unsafe"):
                check_consent(recipe, where, f"run `{_with_unsafe()}`")
            return recipe
        named = {"source.model": source, **overrides}
        if "name" not in named and (name := name_of(source)):
            named["name"] = name
        return make_recipe({}, named, where=where)
    except DocumentError as exc:
        raise DocumentError([_by_flag(fault, where, overrides) for fault in exc.faults]) from exc


def _with_unsafe() -> str:
    """This command's line, with the flag that lets a recipe run code of its model."""
    context = click.get_current_context(silent=True)
    words: Sequence[str] = ("build", "...") if context is None else context.meta[WORDS]
    return shlex.join(["edgecut", *words[:1], "--unsafe", *words[1:]])


def name_of(model: str) -> str:
    """A name for the files that are made out of a model; "" where its own name can't be one."""
    stem = model.removeprefix("keras:").partition("?")[0] if model.startswith("keras:") else Path(model).stem
    name = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in stem)
    name = f"_{name}" if name[:1].isdigit() or name[:1] == "-" or is_reserved(name) else name
    return name[:LONGEST_NAME]


def _by_flag(fault: str, where: str, overrides: Overrides) -> str:
    """The fault with the flag in front if a flag gave the value."""
    rest = fault.removeprefix(f"{where}: ")
    for key in overrides:
        if rest.startswith((f"{key}:", f"{key}.")):
            return f"{flag_of(key)}: {rest}"
    missing = rest.removesuffix(": is missing")
    if missing != rest and flag_of(missing) != "--set":
        return f"{fault}; pass {flag_of(missing)}"
    return fault
