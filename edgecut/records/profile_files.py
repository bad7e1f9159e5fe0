"""Profiles by path or id: where they are looked for, what they extend, and which hide others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgecut.errors import DocumentError, RequestError, faults_of
from edgecut.records.document import closest, parse, read_toml
from edgecut.records.plausible import implausible
from edgecut.records.profile import Profile, Runtime, fields_of
from edgecut.records.profile_names import of_chip, offered

PACKAGED = Path(__file__).parents[1] / "profiles"
CHECKOUT = Path(__file__).parents[2] / "profiles"
AS_C = "-c"
"""What the id of a microcontroller ends in where generated C takes the place of its interpreter."""
_INTERPRETER_S = frozenset({"runtime", "latency", "arena"})


def profile_folders() -> tuple[Path, ...]:
    """Where profiles are looked for by id, first hit wins: ./profiles, the user's folder, the shipped ones."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    shipped = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    return (Path("profiles"), config / "edgecut" / "profiles", shipped)


def find_profile(name: str) -> Profile:
    """The profile at a path ("board.toml"), or with an id in one of profile_folders(); each one also with AS_C.

    A chip's name is an id, too, where one profile alone has that chip. Raises RequestError if there is none (those of
    the same chip offered first, then the closest ids), DocumentError with every fault of the file, a number
    that no such device has among them.
    """
    path = _path_of(name)
    base = _without_c(path)
    profile = read_profile(path) if base is None else as_c(read_profile(base))
    faults = implausible(profile)
    if faults:
        raise DocumentError([f"{path}: {fault}" for fault in faults])
    return profile


def _path_of(name: str) -> Path:
    if name.endswith(".toml") or os.sep in name:
        return Path(name)
    for folder in profile_folders():
        path = folder / f"{name}.toml"
        if path.is_file() or _without_c(path) is not None:
            return path
    known = [p for p in known_profiles()[0] if name.endswith(AS_C) or not is_twin(p)]
    chips = of_chip(name.removesuffix(AS_C) if name.endswith(AS_C) else name, known)
    boards = [p for p in chips if is_twin(p) == name.endswith(AS_C)]
    if len(boards) == 1:
        return _path_of(boards[0].id)
    files = [path.stem for path in profile_paths()]
    raise RequestError(f"no profile {name!r}{offered(name, known, files)}; `edgecut profile list` shows all")


def is_twin(profile: Profile) -> bool:
    """Whether a profile is one of generated C, named after the one whose place it takes."""
    return profile.runtime.name == "c" and profile.id.endswith(AS_C)


def as_c(profile: Profile) -> Profile:
    """The same board with generated C in the place of its interpreter; no latency is known of it.

    Raises RequestError for what is no microcontroller.
    """
    if profile.class_ != "microcontroller":
        raise RequestError(
            f"profile {profile.id + AS_C!r}: generated C is for microcontrollers, and {profile.id} is of class "
            f"{profile.class_!r}"
        )
    sources = tuple(row for row in profile.sources if row.field.partition(".")[0] not in _INTERPRETER_S)
    own = {
        "id": profile.id + AS_C,
        "title": f"{profile.title}, generated C",
        "extends": "",
        "runtime": Runtime(name="c", precisions=("int8",)),
        "latency": None,
        "arena": None,
        "sources": sources,
    }
    return profile.model_copy(update=own)


def known_profiles() -> tuple[tuple[Profile, ...], tuple[str, ...]]:
    """(the profiles that can be found by id, a sentence for each file that isn't one); sorted by id."""
    profiles: dict[str, Profile] = {}
    faults: list[str] = []
    for path in profile_paths():
        try:
            profile = read_profile(path)
        except RequestError as exc:
            faults += faults_of(exc)
            continue
        profiles[profile.id] = profile
        if profile.class_ == "microcontroller" and profile.runtime.name != "c":
            profiles.setdefault(profile.id + AS_C, as_c(profile))
    return tuple(profiles[name] for name in sorted(profiles)), tuple(faults)


def _without_c(path: Path) -> Path | None:
    """The file of the profile that a path without a file is the twin of, if it is one."""
    if not path.stem.endswith(AS_C) or path.is_file():
        return None
    base = path.with_name(f"{path.stem.removesuffix(AS_C)}.toml")
    return base if base.is_file() else None


def shadow_notes(profiles: Iterable[Profile]) -> tuple[str, ...]:
    """A sentence for each profile with a shipped one's id and other values, and for each base of that kind."""
    *own, shipped = profile_folders()
    notes: list[str] = []
    for profile in profiles:
        hidden = shipped / f"{profile.id}.toml"
        if hidden.is_file() and read_profile(hidden) != profile:
            paths = (folder / hidden.name for folder in own)
            place = next(
                (str(path) for path in paths if path.is_file() and read_profile(path) == profile), "another file"
            )
            notes.append(
                f"profile {profile.id}: is {place}, which has other values than the shipped profile of that id"
            )
        base = f"{profile.extends}.toml"
        above = next((folder / base for folder in own if (folder / base).is_file()), None)
        if profile.extends == profile.id or above is None:
            continue
        if (shipped / base).is_file() and read_profile(above) != read_profile(shipped / base):
            notes.append(
                f"profile {profile.id}: extends {profile.extends}, and {above} hides the shipped one of that id"
            )
    return tuple(dict.fromkeys(notes))


def profile_paths() -> Iterable[Path]:
    """The profile files that can be found by id, sorted by id."""
    found: dict[str, Path] = {}
    for folder in profile_folders():
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def read_profile(path: Path) -> Profile:
    """The profile in a TOML file, on top of the one it extends. Raises RequestError or DocumentError."""
    profile = parse(Profile, _tables(path, ()), str(path))
    if profile.id != path.stem:
        raise RequestError(f"{path}: id: is {profile.id!r}, and the file's name says {path.stem!r}; make them equal")
    return profile


def _tables(path: Path, seen: tuple[Path, ...]) -> dict[str, object]:
    """The tables of a file, those of the profile that it extends beneath them."""
    tables = read_toml(path)
    base = tables.get("extends", "")
    if not isinstance(base, str) or not base:
        return tables
    if path.resolve() in seen:
        raise RequestError(
            f"{path}: extends: comes back to itself by way of {base!r}; a profile without it ends the row"
        )
    below = _tables_of_base(_base_path(path, base), (*seen, path.resolve()))
    own = _sources(tables)
    replaced = {row.get("field") for row in own} | {*_fields(tables)}
    kept = [row for row in _sources(below) if row.get("field") not in replaced]
    return {**_laid_over(below, tables), "sources": [*kept, *own]}


def _tables_of_base(path: Path, seen: tuple[Path, ...]) -> dict[str, object]:
    base = _without_c(path)
    if base is None:
        return _tables(path, seen)
    return as_c(parse(Profile, _tables(base, seen), str(base))).to_dict()


def _sources(tables: Mapping[str, object]) -> list[dict[str, object]]:
    rows = tables.get("sources")
    named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list | tuple) else []
    return [{**row, "field": field} for row in named for field in _named(row)]


def _named(row: Mapping[str, object]) -> list[object]:
    field = row.get("field")
    return [*fields_of(field)] if isinstance(field, str) else [field]


def _base_path(path: Path, base: str) -> Path:
    """The file of a base: a path relative to the file that names it, a neighbour, or an id of profile_folders()."""
    if base.endswith(".toml") or os.sep in base:
        return path.parent / base
    known = {found.stem: found for found in profile_paths()} | {p.stem: p for p in path.parent.glob("*.toml")}
    # A variant may carry its base's id in a folder that hides it: then the next folder's is meant.
    if base == path.stem or base not in known:
        others = [folder / f"{base}.toml" for folder in profile_folders()]
        found = next(
            (p for p in others if p.resolve() != path.resolve() and (p.is_file() or _without_c(p) is not None)), None
        )
        if found is None:
            raise RequestError(f"{path}: extends: no profile {base!r}{closest(base, sorted(set(known) - {path.stem}))}")
        return found
    return known[base]


def _laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result


def _fields(tables: Mapping[str, object], before: str = "") -> Iterable[str]:
    """The dotted path of every value in the tables."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"
