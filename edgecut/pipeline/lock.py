"""The files that a build reads, by their hashes, and the lock that holds them with the versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgecut.cache.facts import PACKAGE, code_hash, versions
from edgecut.cache.hashes import remembered_hash
from edgecut.cache.store import Store
from edgecut.errors import DataError, RequestError, SourceError
from edgecut.graph.saved import PREFIX, application_arguments
from edgecut.pipeline.onnx_source import weight_files
from edgecut.records.artifact import sha256_of
from edgecut.records.document import parse, read_toml
from edgecut.records.lock import Lock, value_hashes
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.version import __version__

_SHOWN = 12  # digits of a hash in a sentence


def input_hashes(recipe: Recipe, store: Store | None = None) -> dict[str, str]:
    """{recipe key: SHA-256} of every file and folder that a build of the recipe reads.

    store: of earlier hashes, which count where nothing has changed since; None to read everything.
    Raises DataError for a file that can't be read.
    """
    paths = [(key, path) for key, path in _paths(recipe) if path.exists()]
    try:
        return {key: sha256_of(path) if store is None else remembered_hash(path, store) for key, path in paths}
    except PermissionError as exc:
        raise DataError(f"{exc.filename}: can't be read (permission denied); ask for permission, or remove it") from exc


def lock_of(inputs: Mapping[str, str], recipe: Recipe, profiles: Sequence[Profile]) -> Lock:
    """What these inputs, this request and the versions that are here lock.

    recipe: with file names relative to its folder, so that it is the same in another checkout.
    """
    return Lock(
        edgecut=__version__,
        python=platform.python_version(),
        code=code_hash(PACKAGE, ("cli/",)),
        inputs=dict(inputs),
        packages=versions(),
        recipe=value_hashes(recipe.to_dict()),
        profiles=value_hashes({profile.id: profile.to_dict() for profile in profiles}),
    )


def lock_path(recipe_file: Path) -> Path:
    """Where the lock of a recipe lies: recipe.lock.toml beside recipe.toml."""
    return recipe_file.with_name(f"{recipe_file.stem}.lock.toml")


def changed_tables(path: Path, now: Lock) -> tuple[str, ...]:
    """The tables of the recipe that a lock at `path` holds otherwise, () where there is none that could be read.

    What flags change for one build is no reason to lock the recipe anew.
    """
    try:
        locked = parse(Lock, read_toml(path), str(path)).recipe if path.is_file() else {}
    except RequestError:
        return ()
    names = dict.fromkeys((*locked, *now.recipe)) if locked else ()
    return tuple(name for name in names if locked.get(name) != now.recipe.get(name))


def check_lock(path: Path, now: Lock, *, by_flags: bool = False) -> None:
    """Nothing if the lock at `path` holds what is here now. by_flags: whether flags changed what the recipe says.

    Raises RequestError that names all that drifted.
    """
    if not path.is_file():
        raise RequestError(f"{path}: there is no such lock; build once without --locked, which writes it")
    locked = parse(Lock, read_toml(path), str(path))
    drifted = [*_drift("", _flat(locked), _flat(now)), *_drift("", locked.packages, now.packages)]
    if locked.code:
        drifted += _drift("SHA-256 ", {"edgecut's code": locked.code}, {"edgecut's code": now.code})
    drifted += _drift("SHA-256 ", locked.inputs, now.inputs)
    for what, before, after in (("recipe", locked.recipe, now.recipe), ("profile", locked.profiles, now.profiles)):
        drifted += _drift("SHA-256 ", _under(what, before), _under(what, after))
    if drifted:
        remedy = "build without --locked to lock it anew"
        if by_flags:
            remedy = f"leave the flags out, or remove {path} and {remedy.replace('it anew', 'them')}"
        raise RequestError(f"{path}: {'; '.join(drifted)}; restore that, or {remedy}")


def _drift(what: str, locked: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*locked, *now)):
        a, b = (value[:_SHOWN] if what and value else value for value in (locked.get(name), now.get(name)))
        if locked.get(name) != now.get(name):
            found = f"is {what}{b}" if b else "isn't here"
            yield f"{name} {found}, and {what + a if a else 'none'} is locked"


def _under(what: str, hashes: Mapping[str, str]) -> dict[str, str]:
    """The hashes by a name that says what they are of."""
    return {f"{what} {name}": value for name, value in hashes.items()}


def _flat(lock: Lock) -> dict[str, str]:
    return {"edgecut": lock.edgecut, "Python": lock.python}


def _paths(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    model = recipe.source.model
    if not model.startswith(PREFIX):
        yield "source.model", Path(model)
        yield from ((f"source.model:{name}", path) for name, path in weight_files(recipe.source).items())
    elif (weights := _weights(model)) is not None:
        yield "source.model", weights
    data = recipe.data
    for key, name in (("train", data.train), ("val", data.val), ("labels", data.labels_file)):
        if name:
            yield f"data.{key}", Path(name)
    for k, row in enumerate(recipe.cut.replace):
        if not row.with_.startswith(PREFIX):
            yield f"cut.replace.{k}", Path(row.with_)


def _weights(source: str) -> Path | None:
    """The file of weights that keras:NAME?weights=FILE names."""
    try:
        weights = application_arguments(source)[1].get("weights")
    except SourceError:
        return None
    return Path(weights) if isinstance(weights, str) and Path(weights).is_file() else None
