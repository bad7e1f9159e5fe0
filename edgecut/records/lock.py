"""NAME.lock.toml: everything that a build read, by its hash, and the versions that it ran with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgecut.records.document import Record
from edgecut.records.toml_text import toml_text


class Lock(Record):
    """NAME.lock.toml. inputs: {recipe key: SHA-256}; a model that is fetched by name has none.

    recipe: {table: SHA-256 of its values, as flags and defaults leave them}. profiles: {id: SHA-256 of its values, with
    those that it extends}. code: SHA-256 of edgecut's own, which tells states of one version apart. A lock of an
    earlier edgecut has none of these.
    """

    schema_: Literal["edgecut.lock/1"] = Field(default="edgecut.lock/1", alias="schema")
    edgecut: str
    python: str
    code: str = ""
    inputs: dict[str, str]
    recipe: dict[str, str] = Field(default_factory=dict)
    profiles: dict[str, str] = Field(default_factory=dict)
    packages: dict[str, str]


def value_hashes(tables: Mapping[str, object]) -> dict[str, str]:
    """{name: SHA-256 of its value}, for values that JSON holds."""
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest() for name, value in tables.items()
    }


def lock_text(lock: Lock) -> str:
    """recipe.lock.toml: the same inputs and versions give the same bytes."""
    return "# Written by edgecut build; `edgecut build --locked` refuses what differs.\n" + toml_text(lock.to_dict())
