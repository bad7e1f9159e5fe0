"""A recipe may ask for code of its model to be run; the command line, or the caller, must agree."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

import pytest

import edgecut
from edgecut.cli.main import main
from edgecut.cli.matrix import row_words
from edgecut.errors import RequestError
from tests.command_line import run

RECIPE = 'name = "m"\n[source]\nmodel = "m.keras"\nunsafe = true\n[export]\nprecisions = ["float32"]\n'


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    layer = {"class_name": "Lambda", "config": {"name": "evil"}}
    with zipfile.ZipFile("m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": [layer]}}))
    Path("recipe.toml").write_text(RECIPE)
    return Path("recipe.toml")


@pytest.mark.parametrize(
    "line",
    [
        "plan recipe.toml",
        "build recipe.toml -o 'a b' --profile host",
        "build recipe.toml -o out --locked",
        "search recipe.toml -o out --workers 2",
    ],
)
def test_a_recipe_alone_runs_no_code(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, *shlex.split(line))
    command, _, rest = line.partition(" ")
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: recipe.toml: source.unsafe: asks to run code that comes with m.keras; if you trust both, run "
        f"`edgecut {command} --unsafe {rest}`\n",
    )
    assert not Path("out").exists()


def test_the_line_that_is_named_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "plan", "--unsafe", "recipe.toml").code == 0
    assert run(capsys, "plan", "recipe.toml", "--set", "source.unsafe=true").code == 0


def test_a_flag_that_takes_the_wish_back_leaves_the_refusal_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "plan", "recipe.toml", "--set", "source.unsafe=false")
    assert "has Lambda layers ('evil')" in answer.err


def test_no_row_of_a_matrix_runs_code(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "build", "recipe.toml", "-o", "out", "--matrix", "precision=int8,float32")
    assert answer.code == 2
    assert answer.err.count("source.unsafe: asks to run code") == 2


def test_a_row_is_told_what_the_command_line_agreed_to() -> None:
    words = row_words("recipe.toml", {"data.seed": "1"}, [], {"source.unsafe": True})
    assert words == ["build", "recipe.toml", "--set", "source.unsafe=true", "--set", "data.seed=1"]


def test_a_caller_agrees_by_an_argument() -> None:
    with pytest.raises(RequestError) as refusal:
        edgecut.build("recipe.toml")
    assert str(refusal.value) == (
        "recipe.toml: source.unsafe: asks to run code that comes with m.keras; if you trust both, pass unsafe=True"
    )


def test_a_new_recipe_is_built_by_the_line_that_new_prints(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "new", "m.keras", "--unsafe", "-o", "new.toml", "--precision", "float32")
    line = answer.out.rpartition("then: ")[2].strip()
    assert line == "edgecut build new.toml --unsafe -o dist"
    with pytest.raises(SystemExit) as end:
        main(["plan", *shlex.split(line)[2:]])
    assert end.value.code == 0
