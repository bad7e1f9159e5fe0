"""A recipe as TOML text that reads back equal."""

from __future__ import annotations

from pathlib import Path

from edgecut.records.recipe import Recipe
from edgecut.records.toml_text import toml_text

_PATHS = (("source", "model"), ("data", "train"), ("data", "val"), ("data", "labels"))


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with every file name absolute, so that it means the same from any folder."""
    tables = recipe.to_dict()
    for table, key in _PATHS:
        tables[table][key] = _absolute(tables[table][key])
    for row in tables["cut"]["replace"]:
        row["with"] = _absolute(row["with"])
    return Recipe.model_validate(tables)


def recipe_toml(recipe: Recipe) -> str:
    """The TOML text of every key that is set, defaults included; `read_recipe` gives the same recipe back."""
    return toml_text(recipe.to_dict())


def _absolute(name: str | None) -> str | None:
    return name if not name or name.startswith("keras:") else str(Path(name).absolute())
