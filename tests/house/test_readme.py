"""The commands that the README shows are run as printed there, and print what it shows."""

from __future__ import annotations

import tomllib

import pytest

import edgecut
from edgecut.records.recipe import make_recipe
from tests.documents import ROOT, blocks, check_commands

pytestmark = pytest.mark.tensorflow

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_commands_run_and_print_what_is_shown(tmp_path, monkeypatch, capsys):
    for name in ("edgecut", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    assert check_commands(TEXT, monkeypatch, capsys) >= 5


def test_the_recipe_shown_is_one():
    (recipe,) = blocks(TEXT, "toml")
    assert make_recipe(tomllib.loads(recipe), {}, where="README.md").name == "clothes"


@pytest.mark.parametrize("name", ["load", "cut", "stem", "build"])
def test_the_python_names_shown_exist(name):
    assert f"edgecut.{name}(" in TEXT
    assert callable(getattr(edgecut, name))


def test_every_command_is_in_the_table():
    from edgecut.cli.main import COMMANDS

    missing = [name for name in COMMANDS if f"`edgecut {name}" not in TEXT]
    assert missing == []
