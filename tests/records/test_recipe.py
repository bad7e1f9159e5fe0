"""Recipes: what is accepted, and how each mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.errors import DocumentError, RequestError
from edgecut.records.recipe import Recipe, make_recipe, read_recipe

SOURCE = {"source": {"model": "m.keras"}}

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
layer_refs = st.one_of(names, st.integers(-200, 200))
numbers = st.floats(-1e6, 1e6)
scales = numbers.filter(bool)  # under 0 every pixel is the same
preprocesses = st.one_of(
    st.sampled_from(["tf", "torch", "caffe", "raw", "none"]),
    st.fixed_dictionaries(
        {},
        optional={
            "scale": st.one_of(scales, st.lists(scales, min_size=1, max_size=12)),
            "offset": st.one_of(numbers, st.lists(numbers, min_size=1, max_size=12)),
            "order": st.sampled_from(["rgb", "bgr"]),
        },
    ),
)
counts = st.integers(1, 10_000)
documents = st.fixed_dictionaries(
    {"source": st.fixed_dictionaries({"model": names}, optional={"preprocess": preprocesses})},
    optional={
        "name": names,
        "cut": st.fixed_dictionaries(
            {},
            optional={
                "to": st.one_of(layer_refs, st.lists(layer_refs, min_size=1)),
                "from": st.one_of(layer_refs, st.lists(layer_refs, min_size=1)),
                "drop": st.lists(names),
                "replace": st.lists(st.fixed_dictionaries({"range": names, "with": names}), max_size=2),
            },
        ),
        "stem": st.fixed_dictionaries(
            {},
            optional={
                "channels": st.sampled_from([1, 3]),
                "size": st.lists(counts, min_size=2, max_size=2),
                "pixels": st.sampled_from(["raw", "normalized"]),
            },
        ),
        "head": st.fixed_dictionaries({"classes": st.integers(2, 1000)}),
        "data": st.fixed_dictionaries(
            {}, optional={"limit": st.one_of(counts, st.lists(counts, min_size=2, max_size=2))}
        ),
        "budget": st.fixed_dictionaries(
            {},
            optional={
                "size_bytes": st.sampled_from(["300 KiB", "1 MB", 77]),
                "latency_s": st.sampled_from(["50 ms", 0.25, 1]),
            },
        ),
    },
)


def faults_of(tables: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        make_recipe({**SOURCE, **tables}, {}, where="r.toml")
    return caught.value.faults


@given(documents)
def test_a_recipe_is_the_same_after_writing_and_reading(document: dict[str, Any]) -> None:
    """parse(to_dict(recipe)) == recipe."""
    recipe = make_recipe(document, {}, where="r.toml")
    assert make_recipe(recipe.to_dict(), {}, where="r.toml") == recipe


@given(documents, names)
def test_an_unknown_table_is_always_a_fault(document: dict[str, Any], name: str) -> None:
    """No key that the record doesn't have is ever accepted."""
    if name in {field.alias or key for key, field in Recipe.model_fields.items()}:
        return
    with pytest.raises(DocumentError) as caught:
        make_recipe({**document, name: 1}, {}, where="r.toml")
    assert [fault.split(" (closest")[0] for fault in caught.value.faults] == [f"r.toml: {name}: unknown key"]


def test_a_head_of_logits_may_have_one_output() -> None:
    head = {"classes": 1, "activation": "logits"}
    made = make_recipe({"source": {"model": "m"}, "head": head, "data": {"target": "values"}}, {}, where="test")
    assert made.head is not None
    assert made.head.classes == 1


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        (
            {"cut": {"to": ["a", 1.5]}},
            "cut.to: expected text, a whole number or a list of those, found ['a', 1.5]",
        ),
        ({"cut": {"to": True}}, "cut.to: expected text, a whole number or a list of those, found True"),
        ({"cut": {"start": "x"}}, "cut.start: unknown key"),
        ({"compress": {"learning_rate": float("inf")}}, "compress.learning_rate: expected a finite number, found inf"),
        (
            {"source": {"model": "m.keras", "preprocess": {"offset": float("nan")}}},
            "source.preprocess.offset: expected a number or a list of numbers, found nan",
        ),
        (
            {"source": {"model": "m.keras", "preprocess": {"scale": [1, 0, 1]}}},
            "source.preprocess.scale: expected numbers other than 0, under which every pixel is the same, found "
            "[1.0, 0.0, 1.0]",
        ),
        ({"cut": {"drop": "a..b"}}, "cut.drop: expected a list of texts, found 'a..b'"),
        ({"cut": {"replace": [{"range": "a..b"}]}}, "cut.replace.0.with: is missing"),
        (
            {"cut": {"replace": [{"range": "a..b", "with": "f.keras", "rnge": 1}]}},
            "cut.replace.0.rnge: unknown key (closest: 'range')",
        ),
        ({"head": {"classes": "a"}}, "head.classes: expected a whole number, found 'a'"),
        ({"head": {"classes": "10"}}, "head.classes: expected a whole number, found '10'"),
        ({"head": {"classes": True}}, "head.classes: expected a whole number, found True"),
        (
            {"head": {"classes": 1}},
            "head.activation: softmax tells at least 2 classes apart, and classes is 1; set 'logits'",
        ),
        (
            {"head": {"classes": 3, "train": "rige"}},
            "head.train: expected one of 'ridge', 'fit', 'distil', 'finetune', 'none', found 'rige' (closest: 'ridge')",
        ),
        (
            {"head": {"classes": 3, "hidden": [64]}},
            "head: hidden layers can't be fitted by ridge; set train = 'fit' or leave hidden out",
        ),
        (
            {"head": 5},
            "head: expected a table with classes, activation, pool, hidden, train, training, unfreeze, found 5",
        ),
        ({"haed": {}}, "haed: unknown key (closest: 'head')"),
        ({"Stem": {}}, "Stem: unknown key (closest: 'stem')"),
        ({"stem": {"chanels": 1}}, "stem.chanels: unknown key (closest: 'channels')"),
        ({"stem": {"channels": True}}, "stem.channels: expected one of 1, 3, 4, found True"),
        ({"stem": {"channels": 2}}, "stem.channels: expected one of 1, 3, 4, found 2"),
        ({"stem": {"size": [96]}}, "stem.size: expected a list of 2 whole numbers, found [96]"),
        ({"stem": {"size": ["a", 3]}}, "stem.size: expected a list of 2 whole numbers, found ['a', 3]"),
        (
            {"source": {"model": "m.onnx", "shape": [3, -6]}},
            "source.shape: expected a list of whole numbers of at least 1 or a table, found [3, -6]",
        ),
        ({"stem": {"size": [0, 3]}}, "stem.size: height and width are at least 1, found [0, 3]"),
        ({"data": {"limit": 0}}, "data.limit: at least 1 image is needed, found 0"),
        (
            {"data": {"limit": "a"}},
            "data.limit: expected a whole number or a list of 2 whole numbers, found 'a'",
        ),
        ({"data": {"val_fraction": 1.0}}, "data.val_fraction: expected a number of less than 1.0, found 1.0"),
        (
            {"export": {"formats": ["tflte"]}},
            "export.formats.0: expected one of 'tflite', 'onnx', 'c', found 'tflte' (closest: 'tflite')",
        ),
        ({"export": {"formats": []}}, "export.formats: expected a list of at least 1, found []"),
        ({"budget": {"latency_s": "50 mm"}}, "budget.latency_s: '50 mm' is not a time such as '50 ms'"),
        ({"budget": {"size_bytes": -1}}, "budget.size_bytes: -1 is not a size such as '256 KiB'"),
        (
            {"source": {"model": "m", "preprocess": "tff"}},
            "source.preprocess: expected one of 'tf', 'torch', 'caffe', 'raw', 'none' or a table with scale, "
            "offset, order, found 'tff' (closest: 'tf')",
        ),
        (
            {"source": {"model": "m", "preprocess": {"scal": 2.0}}},
            "source.preprocess.scal: unknown key (closest: 'scale')",
        ),
        (
            {"source": {"model": "m", "preprocess": {"scale": ["a"]}}},
            "source.preprocess.scale: expected a number or a list of numbers, found ['a']",
        ),
        (
            {"source": {"model": "m", "preprocess": {"order": "rbg"}}},
            "source.preprocess.order: expected one of 'rgb', 'bgr', found 'rbg' (closest: 'rgb')",
        ),
        ({"name": "a b"}, "name: expected text that matches ^[A-Za-z_][A-Za-z0-9_-]*$, found 'a b'"),
        ({"schema": "edgecut.recipe/2"}, "schema: expected 'edgecut.recipe/1', found 'edgecut.recipe/2'"),
        ({"name": 1}, "name: expected text, found 1"),
        (
            {"name": ["x" * 80]},
            f"name: expected text, found {repr(['x' * 80])[:57]}...",
        ),
    ],
)
def test_a_mistake_is_one_fault_with_its_path(tables: dict[str, Any], fault: str) -> None:
    assert faults_of(tables) == (f"r.toml: {fault}",)


def test_all_faults_are_named_at_once() -> None:
    assert faults_of({"source": {"modl": "x"}, "stem": {"size": 3}, "bench": {"runs": 0}}) == (
        "r.toml: source.model: is missing",
        "r.toml: source.modl: unknown key (closest: 'model')",
        "r.toml: stem.size: expected a list of 2 whole numbers, found 3",
        "r.toml: bench.runs: expected a whole number of at least 1, found 0",
    )


def test_an_empty_recipe_lacks_its_source() -> None:
    with pytest.raises(DocumentError) as caught:
        make_recipe({}, {}, where="r.toml")
    assert caught.value.faults == ("r.toml: source: is missing",)


def test_overrides_reach_tables_that_the_file_has_not() -> None:
    recipe = make_recipe(SOURCE, {"head.classes": 4, "cut.to": ["a", -1]}, where="r.toml")
    assert recipe.head is not None
    assert (recipe.head.classes, recipe.cut.to) == (4, ("a", -1))


def test_file_names_are_relative_to_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        '[source]\nmodel = "m.keras"\n[data]\ntrain = "t"\nval = "/v"\n'
        '[cut]\nreplace = [{range = "a..b", with = "f.keras"}]\n'
    )
    recipe = read_recipe(path)
    assert recipe.source.model == str(tmp_path / "m.keras")
    assert (recipe.data.train, recipe.data.val) == (str(tmp_path / "t"), "/v")
    assert recipe.cut.replace[0].with_ == str(tmp_path / "f.keras")


def test_a_keras_name_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[source]\nmodel = "keras:MobileNetV2"\n')
    assert read_recipe(path).source.model == "keras:MobileNetV2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "{path}: is no valid TOML: Invalid value (at end of document)"),
        (b"\xff\xfe", "{path}: is no TOML text (not UTF-8)"),
        (None, "{path}: no such file"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_recipe(path)
    assert str(caught.value) == message.format(path=path)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        read_recipe(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; a TOML file is expected"
