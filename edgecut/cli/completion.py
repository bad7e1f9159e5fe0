"""What a shell offers for a value: files, profiles, and the words that a recipe key takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args, get_origin

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_FILE_KEYS = frozenset({"data.train", "data.val", "data.labels"})


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The files and folders that begin so: the shell itself looks for them."""
    return [CompletionItem(incomplete, type="file")]


def profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids that begin so, the last one of a list with commas; files if there is none."""
    from edgecut.records.profile_files import known_profiles

    return _beginning([profile.id for profile in known_profiles()[0]], incomplete) or files(ctx, param, incomplete)


def values_of(key: str) -> Complete:
    """What completes the values of a recipe key: the words of its type, or files for a key that names some."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if key in _FILE_KEYS:
            return files(ctx, param, incomplete)
        return _beginning(list(_words(key)), incomplete)

    return complete


def _beginning(words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(last)]


def _words(key: str) -> Iterator[str]:
    """The words that the type of a recipe key allows, none for a key with other values."""
    from edgecut.records.recipe import Recipe

    kind: object = Recipe
    for part in key.split("."):
        # A table that may be left out is `Table | None`.
        table = next(part for part in (kind, *get_args(kind)) if hasattr(part, "model_fields"))
        kind = {field.alias or name: field for name, field in table.model_fields.items()}[part].annotation
    yield from _literals(kind)


def _literals(kind: object) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from (word for word in get_args(kind) if isinstance(word, str))
    else:
        for part in get_args(kind):
            yield from _literals(part)
