"""Flags are rows that set recipe keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from edgecut.cli import flags
from edgecut.cli.flags import FLAGS, Flag, flag_of, recipe_flags, toml_value
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_request, read_source
from edgecut.errors import DocumentError
from edgecut.records.recipe import Recipe
from tests.command_line import run


def overrides(*words: str) -> dict[str, Any]:
    """What the flags make of a command line."""
    found: dict[str, Any] = {}

    @click.command()
    @recipe_flags()
    def command(*, overrides: dict[str, Any]) -> None:
        found.update(overrides)

    command.main(args=list(words), standalone_mode=False)
    return found


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["--to", "conv_1"], {"cut.to": "conv_1"}),
        (["--to", "-1"], {"cut.to": -1}),
        (["--to", "a, b@1,3"], {"cut.to": ["a", "b@1", 3]}),
        (["--from", "x:1"], {"cut.from": "x:1"}),
        (["--drop", "a..b", "--drop", "c,d"], {"cut.drop": ["a..b", "c", "d"]}),
        (["--gray"], {"stem.channels": 1}),
        (["--gray", "--channels", "1"], {"stem.channels": 1}),
        (["--size", "96x64"], {"stem.size": [96, 64]}),
        (["--size", "96"], {"stem.size": [96, 96]}),
        (["--preprocess", "tf"], {"source.preprocess": "tf"}),
        (
            ["--preprocess", "{scale = 2.0, order = 'bgr'}"],
            {"source.preprocess": {"scale": 2.0, "order": "bgr"}},
        ),
        (["--limit", "2000,1000"], {"data.limit": [2000, 1000]}),
        (["--limit", "50"], {"data.limit": 50}),
        (["--format", "tflite,onnx"], {"export.formats": ["tflite", "onnx"]}),
        (
            ["--precision", "int8", "--precision", "float32"],
            {"export.precisions": ["int8", "float32"]},
        ),
        (["--classes", "10", "--head", "none"], {"head.classes": 10, "head.train": "none"}),
        (["--unsafe"], {"source.unsafe": True}),
        (["--shape", "3x224x224"], {"source.shape": [3, 224, 224]}),
        (["--shape", "image=3x8x8,length=1"], {"source.shape": {"image": [3, 8, 8], "length": [1]}}),
        (["--dequantize"], {"source.dequantize": True}),
        (["--set", "head.hidden=[64, 32]"], {"head.hidden": [64, 32]}),
        (["--set", "budget.latency_s=50 ms"], {"budget.latency_s": "50 ms"}),
        (["--set", "bench.runs=5", "--runs", "7"], {"bench.runs": 5}),
        ([], {}),
    ],
)
def test_a_flag_sets_its_key(words: list[str], keys: dict[str, Any]) -> None:
    assert overrides(*words) == keys


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"5"', "5"),
        ("conv_1", "conv_1"),
        ("a=b", "a=b"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_a_value_is_toml_and_words_need_no_quotes(text: str, value: object) -> None:
    assert toml_value(text) == value


def test_an_open_list_is_no_value() -> None:
    with pytest.raises(ValueError, match=r"^'\[1, 2' is no TOML value: Unclosed array"):
        toml_value("[1, 2")


def test_every_flag_sets_a_key_that_recipes_have() -> None:
    for flag in FLAGS:
        table, _, key = flag.key.rpartition(".")
        record: Any = Recipe if not table else Recipe.model_fields[table].annotation
        fields = {
            name
            for member in getattr(record, "__args__", (record,))
            if hasattr(member, "model_fields")
            for name in [f.alias or n for n, f in member.model_fields.items()]
        }
        assert key in fields


def test_a_fault_names_the_flag_that_gave_the_value() -> None:
    with pytest.raises(DocumentError) as caught:
        read_source("m.keras", {"head.classes": 1, "export.formats": ["tflte"], "data.limits": 3})
    assert caught.value.faults == (
        "command line: head.activation: softmax tells at least 2 classes apart, and classes is 1; set 'logits'",
        "--set: data.limits: unknown key (closest: 'limit')",
        "--format: export.formats.0: expected one of 'tflite', 'onnx', 'c', found 'tflte' (closest: 'tflite')",
    )


def test_what_a_flag_could_give_is_offered() -> None:
    with pytest.raises(DocumentError) as caught:
        read_source("m.keras", {"head.pool": "max"})
    assert caught.value.faults == ("command line: head.classes: is missing; pass --classes",)


def test_a_flag_is_put_over_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[source]\nmodel = "m.keras"\n[bench]\nruns = 3\nthreads = 2\n')
    recipe = read_source(str(path), {"bench.runs": 9, "data.train": "images"})
    assert (recipe.bench.runs, recipe.bench.threads, recipe.data.train) == (9, 2, "images")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("a/my model.keras", "my_model"),
        ("keras:MobileNetV2?alpha=0.35", "MobileNetV2"),
        ("3d.h5", "_3d"),
        ("é.keras", "_"),
    ],
)
def test_files_are_named_after_the_model(model: str, name: str) -> None:
    assert read_source(model, {}).name == name


def test_faults_of_recipe_and_profiles_come_together() -> None:
    with pytest.raises(DocumentError) as caught:
        read_request("m.keras", {"bench.runs": 0}, ("host", "ek-ra8d2", "xyzzy"))
    assert caught.value.faults == (
        "--runs: bench.runs: expected a whole number of at least 1, found 0",
        "no profile 'ek-ra8d2' (closest: 'ek-ra8d1'); `edgecut profile list` shows all",
        "no profile 'xyzzy'; `edgecut profile list` shows all",
    )


def test_each_key_has_its_flag() -> None:
    assert (flag_of("cut.to"), flag_of("head.activation")) == ("--to", "--set")


def test_help_shows_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "build", "--help").out
    assert [flag.flags[0] for flag in FLAGS if flag.flags[0] not in text] == []


def test_a_flag_that_got_another_name_works_and_is_told_and_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Flag(("--outputs",), "head.classes", int, "N", "How many.", instead="--classes")
    monkeypatch.setitem(flags._NAMES, "flag_outputs", old)
    found: list[object] = []

    @click.command()
    @recipe_flags()
    @with_output
    def command(output: Output, *, overrides: dict[str, Any]) -> None:
        found.append(overrides)

    command.main(args=["--outputs", "7"], standalone_mode=False)
    sentence = "edgecut: --outputs is deprecated and goes with edgecut 1.0; write --classes\n"
    assert (found, capsys.readouterr().err) == ([{"head.classes": 7}], sentence)
    command.main(args=["--outputs", "7", "--quiet"], standalone_mode=False)
    assert (found[1], capsys.readouterr().err) == ({"head.classes": 7}, "")
    with pytest.raises(click.UsageError, match=r"^--classes and --outputs say different things; give one$"):
        command.main(args=["--outputs", "7", "--classes", "8"], standalone_mode=False)
    command.main(args=["--help"], standalone_mode=False)
    assert "--outputs" not in capsys.readouterr().out
