"""What pydantic finds wrong with a document, in the words of the person who wrote it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgecut.records.nearest import closest

_WORDS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "nothing",
}
_PLURALS = {"text": "texts", "a whole number": "whole numbers", "a number": "numbers"}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def describe_faults(record: type[BaseModel], error: ValidationError, data: Mapping[str, object]) -> list[str]:
    """One sentence for each fault, "dotted.path: what is wrong", in the order in which pydantic found them.

    data: the document as it was read; what is found is quoted from it. Where a value could have been one of
    several types, pydantic tells what is wrong by each of them; here that is one fault.
    """
    faults: dict[tuple[int | str, ...], str] = {}
    for detail in error.errors():
        place = _place(record, detail["loc"], data)
        if place is None:
            continue
        path, annotation, by_type = place
        faults.setdefault(path, _sentence(record, path, annotation, by_type, detail, data))
    deepest = [path for path in faults if not any(other[: len(path)] == path and other != path for other in faults)]
    return [f"{'.'.join(map(str, path))}: {faults[path]}" if path else faults[path] for path in deepest]


def keys_of(record: type[BaseModel]) -> list[str]:
    """The keys of a record as documents write them."""
    return [field.alias or name for name, field in record.model_fields.items()]


def record_in(annotation: object) -> type[BaseModel] | None:
    """The record that an annotation allows, also as one of several types; None if it allows none."""
    for member in _members(_bare(annotation)):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return member
    return None


def tuples(annotation: object, value: object) -> object:
    """The value with lists as tuples where the annotation has tuples, which is what strict records take."""
    annotation = _bare(annotation)
    if isinstance(value, Mapping):
        inner = record_in(annotation)
        if inner is None:
            table = next((get_args(m) for m in _members(annotation) if get_origin(m) is dict), None)
            return value if table is None else {k: tuples(table[1], v) for k, v in value.items()}
        fields = _fields(inner)
        return {k: tuples(fields[k], v) if k in fields else v for k, v in value.items()}
    if not isinstance(value, list):
        return value
    for member in _members(annotation):
        if get_origin(member) is tuple:
            arguments = [a for a in get_args(member) if a is not Ellipsis]
            return tuple(tuples(arguments[min(i, len(arguments) - 1)], v) for i, v in enumerate(value))
    return value


def _place(
    record: type[BaseModel], loc: Sequence[int | str], data: Mapping[str, object]
) -> tuple[tuple[int | str, ...], object, bool] | None:
    """The path that a fault is about, the annotation there, and whether the value's type is the fault.

    None for a fault that only says that a table isn't one of the other things that might stand in its place.
    """
    path: list[int | str] = []
    annotation: object = record
    for part in loc:
        annotation = _bare(annotation)
        members = _members(annotation)
        if len(members) > 1:
            inner = record_in(annotation)
            if inner is None or not isinstance(_value_at(data, path), Mapping):
                return tuple(path), annotation, True
            if inner.__name__ != part:
                return None
            annotation = inner
        elif get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
            return tuple(path), annotation, True
        else:
            annotation = _member_at(annotation, part)
            path.append(part)
    return tuple(path), _bare(annotation), False


def _sentence(
    record: type[BaseModel],
    path: tuple[int | str, ...],
    annotation: object,
    by_type: bool,
    detail: ErrorDetails,
    data: Mapping[str, object],
) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    found = _value_at(data, path)
    if kind == "value_error":
        return str(context["error"])
    if not by_type:
        if kind == "extra_forbidden":
            return f"unknown key{closest(str(path[-1]), _keys_beside(record, path), count=1)}"
        if kind == "missing":
            return "is missing"
        if kind in _LIMITS:
            words, key = _LIMITS[kind]
            return f"expected {_expected(annotation)} of {words} {context[key]}, found {_shown(found)}"
        if kind == "finite_number":
            return f"expected a finite number, found {_shown(found)}"
        if kind == "too_short":
            return f"expected a list of at least {context['min_length']}, found {_shown(found)}"
        if kind == "string_pattern_mismatch":
            return f"expected text that matches {context['pattern']}, found {_shown(found)}"
    choices = [str(c) for m in _members(annotation) if get_origin(m) is Literal for c in get_args(m)]
    offer = closest(found, choices, count=1) if isinstance(found, str) and len(choices) > 1 else ""
    return f"expected {_expected(annotation)}, found {_shown(found)}{offer}"


def _expected(annotation: object) -> str:
    """What may stand at a place, in words."""
    words: list[str] = []
    for member in _members(_bare(annotation)):
        phrase = _one_expected(member)
        if len(words) > 1 and phrase == f"a list of ({' or '.join(words)})":
            phrase = "a list of those"
        words.append(phrase)
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _one_expected(annotation: object) -> str:
    annotation = _bare(annotation)
    if get_origin(annotation) is Literal:
        choices = [repr(c) for c in get_args(annotation)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if get_origin(annotation) is tuple:
        arguments = [a for a in get_args(annotation) if a is not Ellipsis]
        inner = _expected(arguments[0])
        count = "" if Ellipsis in get_args(annotation) else f"{len(arguments)} "
        return f"a list of {count}{_PLURALS.get(inner, f'({inner})')}{_limits(arguments[0])}"
    record = record_in(annotation)
    if record is not None:
        return f"a table with {', '.join(keys_of(record))}"
    return _WORDS.get(annotation, "a table" if get_origin(annotation) is dict else "another value")


def _limits(annotation: object) -> str:
    """What each value of a list keeps to, such as " of at least 1"; "" for what has no limits."""
    fields = get_args(annotation)[1:] if get_origin(annotation) is typing.Annotated else ()
    limits = [limit for field in fields for limit in getattr(field, "metadata", ())]
    said = [
        f"{words} {getattr(limit, key)}" for limit in limits for words, key in _LIMITS.values() if hasattr(limit, key)
    ]
    return f" of {' and '.join(said)}" if said else ""


def _shown(value: object, width: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _value_at(data: object, path: Iterable[int | str]) -> object:
    """What the document has at a path; None where it has nothing."""
    for part in path:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _keys_beside(record: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    annotation: object = record
    for part in path[:-1]:
        annotation = _bare(_member_at(record_in(annotation) or annotation, part))
    beside = record_in(annotation)
    return keys_of(beside) if beside else []


def _member_at(annotation: object, part: int | str) -> object:
    """The annotation one step further down: a record's field, a list's element, or a table's value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _fields(annotation).get(str(part), object)
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0]
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return object


def _fields(record: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in record.model_fields.items()}


def _bare(annotation: object) -> object:
    """The annotation without Annotated, and without a None that only says that the key may be left out."""
    while get_origin(annotation) is typing.Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, types.UnionType}:
        members = tuple(a for a in get_args(annotation) if a is not type(None))
        return _bare(members[0]) if len(members) == 1 else Union[members]  # noqa: UP007 - built at run time
    return annotation


def _members(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)
