"""Tables written as TOML read back as the same tables."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgecut.records.toml_text import toml_text

text = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.one_of(text, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(text, values, max_size=4))
def test_tables_are_the_same_after_writing_and_reading(tables: dict[str, Any]) -> None:
    """tomllib.loads(toml_text(tables)) == tables."""
    assert tomllib.loads(toml_text(tables)) == tables


def test_the_layout_has_keys_before_tables() -> None:
    tables = {"cpu": {"clock_hz": 5, "note": None}, "id": "a", "sources": [{"field": "x"}, {"field": "y"}]}
    assert toml_text(tables) == (
        'id = "a"\n\n[cpu]\nclock_hz = 5\n\n[[sources]]\nfield = "x"\n\n[[sources]]\nfield = "y"\n'
    )


def test_signs_that_nobody_sees_are_escaped() -> None:
    tables = {"a\u202e": "\x9b2J\x7f\u2066\u2028 é"}
    assert toml_text(tables) == '"a\\u202e" = "\\u009b2J\\u007f\\u2066\\u2028 é"\n'
    assert tomllib.loads(toml_text(tables)) == tables


def test_a_remark_stands_behind_its_value_in_one_line() -> None:
    text = toml_text({"a": {"b": 1, "c": 2}, "b": 3}, {"a.b": "counted\nx = 1", "b": ""})
    assert text == "b = 3\n\n[a]\nb = 1  # counted\\nx = 1\nc = 2\n"
    assert tomllib.loads(text) == {"b": 3, "a": {"b": 1, "c": 2}}
