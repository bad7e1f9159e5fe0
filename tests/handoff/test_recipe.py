"""A recipe written into a bundle means what it meant."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.handoff.recipe_text import recipe_toml, resolved
from edgecut.records.recipe import Recipe, make_recipe

text = st.text(st.characters(exclude_categories=["Cs"]))
number = st.floats(-1e6, 1e6)
layer = text | st.integers(-99, 99)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    factor = number.filter(lambda value: value != 0)
    scale, offset = (kind | st.tuples(kind, kind, kind) for kind in (factor, number))
    custom = st.fixed_dictionaries({"scale": scale, "offset": offset, "order": st.sampled_from(["rgb", "bgr"])})
    tables: dict[str, Any] = {
        "name": draw(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)),
        "source": {"model": draw(text), "preprocess": draw(st.sampled_from(["tf", "none"]) | custom),
                   "unsafe": draw(st.booleans())},
        "cut": {"to": draw(st.none() | layer | st.lists(layer, min_size=1)), "drop": draw(st.lists(text)),
                "replace": [{"range": draw(text), "with": draw(text)} for _ in range(draw(st.integers(0, 2)))]},
        "stem": {"size": draw(st.none() | st.tuples(st.integers(1, 500), st.integers(1, 500)))},
        "data": {"limit": draw(st.none() | st.integers(1, 9) | st.tuples(st.integers(1, 9), st.integers(1, 9))),
                 "train": draw(st.none() | text), "val_fraction": draw(st.floats(0.001, 0.999))},
        "budget": {"latency_s": draw(st.none() | st.floats(0, 1e3)),
                   "size_bytes": draw(st.none() | st.integers(0, 2**40))},
    }  # fmt: skip
    if draw(st.booleans()):
        tables["head"] = {"classes": draw(st.integers(2, 999))}
    return make_recipe(tables, {}, where="test")


@given(recipes())
def test_every_recipe_reads_back_equal(recipe: Recipe) -> None:
    """make_recipe(toml(recipe)) == recipe."""
    assert make_recipe(tomllib.loads(recipe_toml(recipe)), {}, where="bundle") == recipe


def test_file_names_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = {"source": {"model": "m.keras"}, "data": {"train": "/data", "labels": "l.txt"},
              "cut": {"replace": [{"range": "a..b", "with": "r.keras"}]}}  # fmt: skip
    whole = resolved(make_recipe(tables, {}, where="test"))
    assert whole.source.model == str(tmp_path / "m.keras")
    assert (whole.data.train, whole.data.val, whole.data.labels) == ("/data", None, str(tmp_path / "l.txt"))
    assert whole.cut.replace[0].with_ == str(tmp_path / "r.keras")


def test_a_named_model_stays_a_name() -> None:
    recipe = make_recipe({"source": {"model": "keras:MobileNetV2?alpha=0.35"}}, {}, where="test")
    assert resolved(recipe) == recipe
