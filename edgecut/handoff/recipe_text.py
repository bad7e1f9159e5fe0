"""A recipe as TOML text that reads back equal, and its file names as another folder needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgecut.records.document import Record
from edgecut.records.recipe import Recipe
from edgecut.records.toml_text import toml_text

_PATHS = (("source", "model"), ("data", "train"), ("data", "val"), ("data", "labels"))


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with every file name absolute, so that it means the same from any folder."""
    return renamed(recipe, lambda name: str(Path(name).absolute()))


def portable(recipe: Recipe, base: Path) -> Recipe:
    """The recipe with its file names as they were given, from the folder that it was read from.

    base: that folder. The same checkout elsewhere gives the same text; only a file outside of it keeps a whole path.
    """
    return renamed(recipe, lambda name: _from(base, name))


def recipe_toml(recipe: Recipe) -> str:
    """The TOML text of every key that is set, defaults included; `read_recipe` gives the same recipe back."""
    return toml_text(recipe.to_dict())


def renamed(recipe: Recipe, rename: Callable[[str], str]) -> Recipe:
    """The recipe with every file name replaced; names of published models stay."""

    def name_of(name: str | None) -> str | None:
        return name if not name or name.startswith("keras:") else rename(name)

    rows = tuple(row.model_copy(update={"with_": name_of(row.with_)}) for row in recipe.cut.replace)
    tables: dict[str, Record] = {"cut": recipe.cut.model_copy(update={"replace": rows})}
    for table, key in _PATHS:
        record: Record = tables.get(table) or getattr(recipe, table)
        name = getattr(record, key)
        if not isinstance(name, tuple):  # data.labels may list the names themselves
            tables[table] = record.model_copy(update={key: name_of(name)})
    return recipe.model_copy(update=tables)


def _from(base: Path, name: str) -> str:
    # "../images" in the recipe of BASE was read as BASE/../images: by the text it is "../images" again.
    for path, start in ((Path(name), base), (Path.cwd() / name, Path.cwd() / base)):
        if path.is_relative_to(start):
            return path.relative_to(start).as_posix()
    return Path(name).absolute().as_posix()
