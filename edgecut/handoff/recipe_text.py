"""A recipe as TOML text that reads back equal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecut.records.recipe import Recipe

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
    tables = recipe.to_dict()
    top = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in top.items() if value is not None]
    for name, table in tables.items():
        if isinstance(table, Mapping):
            rows = [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
            lines += ["", f"[{name}]", *rows]
    return "\n".join(lines) + "\n"


def _absolute(name: str | None) -> str | None:
    return name if not name or name.startswith("keras:") else str(Path(name).absolute())


def _value(value: Any) -> str:
    if isinstance(value, str):
        # TOML's basic strings take JSON's escapes; it wants DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(v)}" for key, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value)
