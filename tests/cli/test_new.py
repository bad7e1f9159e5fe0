"""`edgecut new` writes a recipe that has every key and parses again."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgecut.cli.new import recipe_text
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe, make_recipe, read_recipe
from tests.command_line import run

MODEL = Path(__file__).parents[2] / "edgecut" / "demo_data" / "cifar10_backbone.keras"
LEAST = {"source.model": "m.keras", "head.classes": 10}


def keys(record: Any, prefix: str = "") -> list[str]:
    """All dotted keys of a record, tables inside it opened."""
    names = []
    for name, field in record.model_fields.items():
        members = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((m for m in members if hasattr(m, "model_fields") and not prefix), None)
        key = f"{prefix}{field.alias or name}"
        names += keys(inner, f"{key}.") if inner else [key]
    return names


def commented_keys(text: str) -> dict[str, str]:
    """{"table.key": the line without its comment sign} of all lines that look like a key."""
    names, table = {}, ""
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        if bare.startswith("[") and bare.rstrip().endswith("]"):
            table = f"{bare.strip('[]')}."
        name, equals, _ = bare.partition(" = ")
        if equals and name.isidentifier():
            names[f"{table}{name}"] = bare
    return names


def test_every_key_of_a_recipe_is_there() -> None:
    assert list(commented_keys(recipe_text(LEAST))) == keys(Recipe)


# What a key makes sense with alone.
NEEDS = {"head.unfreeze": {"head.train": "finetune"}}


@pytest.mark.parametrize("key", [key for key in keys(Recipe) if key not in LEAST])
def test_a_commented_key_is_accepted_as_it_stands(key: str) -> None:
    line = commented_keys(recipe_text(LEAST))[key]
    value = tomllib.loads(line)[key.rpartition(".")[2]]
    recipe = make_recipe({}, {**LEAST, **NEEDS.get(key, {}), key: value}, where="new")
    assert make_recipe(recipe.to_dict(), {}, where="new") == recipe


def test_a_commented_default_is_the_default() -> None:
    values = {k: tomllib.loads(v)[k.rpartition(".")[2]] for k, v in commented_keys(recipe_text(LEAST)).items()}
    assert (values["data.calibration"], values["bench.runs"]) == (200, 50)


def test_a_table_that_may_be_missing_is_a_comment_until_it_is_set() -> None:
    assert "\n# [head]\n" in recipe_text({"source.model": "m.keras"})
    assert "\n[head]\nclasses = 10" in recipe_text(LEAST)


def test_new_takes_the_device_and_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("profiles").mkdir()
    Path("profiles/board.toml").write_text(
        'id = "board"\ntitle = "A board"\nclass = "microcontroller"\n'
        '[runtime]\nname = "tflm"\nprecisions = ["int8"]\n'
        "[sensor]\nheight = 48\nwidth = 64\nchannels = 1\n[budget]\nlatency_s = 0.5\n"
    )
    answer = run(capsys, "new", str(MODEL), "--profile", "board", "--to", "stem_relu", "--classes", "5", "-o", "r.toml")
    recipe = read_recipe(Path("r.toml"))
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "wrote r.toml; edit it, then: edgecut build r.toml --profile board -o dist\n"
    assert (recipe.source.model, recipe.name, recipe.cut.to) == (str(MODEL), "cifar10_backbone", "stem_relu")
    assert (recipe.stem.size, recipe.stem.channels, recipe.budget.latency_s) == ((48, 64), 1, 0.5)
    assert (recipe.export.formats, recipe.export.precisions) == (("tflite",), ("int8",))


def test_names_of_files_are_written_relative_to_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("recipes").mkdir()
    Path("models/m.keras").write_bytes(MODEL.read_bytes())
    answer = run(capsys, "new", "models/m.keras", "--data", "images", "-o", "recipes/r.toml", "--json")
    tables = tomllib.loads(Path("recipes/r.toml").read_text())
    assert (tables["source"]["model"], tables["data"]["train"]) == ("../models/m.keras", "../images")
    assert json.loads(answer.out)["path"] == "recipes/r.toml"
    assert read_recipe(Path("recipes/r.toml")).data.train == "recipes/../images"


def test_a_table_as_value_survives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.toml"
    run(capsys, "new", str(MODEL), "--preprocess", "{scale = 2.0, offset = [1.0, 2.0, 3.0]}", "-o", str(path))
    preprocess: Any = read_recipe(path).source.preprocess
    assert (preprocess.scale, preprocess.offset) == (2.0, (1.0, 2.0, 3.0))


def test_a_profiles_title_stays_in_its_comment() -> None:
    profile = find_profile("host").model_copy(update={"title": "board\n[source]\nunsafe = true\x1b[2J"})
    text = recipe_text(LEAST, profile)
    assert text.splitlines()[1] == r"# For host: board\n[source]\nunsafe = true\x1b[2J."
    assert "unsafe" not in tomllib.loads(text)["source"]
