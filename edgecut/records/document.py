"""Documents (recipes, profiles) checked against their records: every fault at once, in plain words."""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from edgecut.errors import DocumentError, RequestError
from edgecut.records.units import parse_bytes, parse_seconds

SizeBytes = Annotated[int, BeforeValidator(parse_bytes)]
Seconds = Annotated[float, BeforeValidator(parse_seconds)]


class Record(BaseModel):
    """A frozen record in which an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready data, keys as in the documents."""
        return self.model_dump(mode="json", by_alias=True)


R = TypeVar("R", bound=Record)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises RequestError if it is missing or is no TOML."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as exc:
        raise RequestError(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        raise RequestError(f"{path}: is a folder; a TOML file is expected") from exc
    except PermissionError as exc:
        raise RequestError(f"{path}: can't be read (permission denied)") from exc
    except UnicodeDecodeError as exc:
        raise RequestError(f"{path}: is no TOML text (not UTF-8)") from exc
    except tomllib.TOMLDecodeError as exc:
        raise RequestError(f"{path}: is no valid TOML: {exc}") from exc


def parse(record: type[R], data: Mapping[str, Any], where: str) -> R:
    """The record that `data` describes.

    where: the document's name, put in front of each fault.
    Raises DocumentError with all faults, each "where: dotted.path: what is wrong".
    """
    try:
        return record.model_validate(dict(data))
    except ValidationError as exc:
        raise DocumentError(_faults(record, exc, where)) from exc


def closest(name: str, known: Iterable[str], count: int = 3) -> str:
    """" (closest: 'a', 'b')" for the known names most like `name`; "" if none is like it."""
    lower = {k.lower(): k for k in known}
    hits = difflib.get_close_matches(name.lower(), list(lower), n=count, cutoff=0.5)
    return f" (closest: {', '.join(repr(lower[h]) for h in hits)})" if hits else ""


def _faults(record: type[Record], error: ValidationError, where: str) -> list[str]:
    faults: dict[str, str] = {}
    for detail in error.errors():
        path = [p for p in detail["loc"] if not _is_union_branch(p)]
        dotted = ".".join(str(p) for p in path)
        head = f"{where}: {dotted}: " if dotted else f"{where}: "
        kind = detail["type"]
        if kind == "extra_forbidden":
            known = _known_keys(record, path[:-1])
            text = f"{head}unknown key{closest(str(path[-1]), known)}"
        elif kind == "missing":
            text = f"{head}is missing"
        elif kind == "value_error":
            text = head + str(detail["ctx"]["error"])
        else:
            text = f"{head}{detail['msg'][0].lower()}{detail['msg'][1:]}, found {detail['input']!r}"
        # A union reports one fault per branch; the first says it.
        faults.setdefault(dotted or text, text)
    return list(faults.values())


def _is_union_branch(part: int | str) -> bool:
    """Pydantic adds the tried branch of a union ("str", "tuple[...]", a class name) to a fault's path."""
    return isinstance(part, str) and (part in {"str", "int", "float", "bool"} or "[" in part or part[:1].isupper())


def _known_keys(record: type[Record], path: Iterable[int | str]) -> list[str]:
    current: Any = record
    for part in path:
        if isinstance(part, int):
            continue
        fields = {f.alias or name: f.annotation for name, f in current.model_fields.items()}
        current = _inner_record(fields.get(str(part)))
        if current is None:
            return []
    return [f.alias or name for name, f in current.model_fields.items()]


def _inner_record(annotation: Any) -> type[Record] | None:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType, tuple, list, typing.Annotated}:
        for argument in get_args(annotation):
            found = _inner_record(argument)
            if found is not None:
                return found
    return None
