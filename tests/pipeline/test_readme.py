"""The commands that the README shows are run as printed there, and print what it shows."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import edgecut
from edgecut.records.profile_files import read_profile
from edgecut.records.recipe import make_recipe
from tests.unit.command_line import run

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[0-9][0-9.,]*")


def shown():
    """(command, the lines shown for it) in the order of the README."""
    for block in re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.splitlines()


def words(line):
    return NUMBER.sub("0", " ".join(line.split()))


def test_the_commands_run_and_print_what_is_shown(tmp_path, monkeypatch, capsys):
    """Numbers of this machine differ; the words around them don't."""
    for name in ("edgecut", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    commands = list(shown())
    assert len(commands) >= 7
    for command, lines in commands:
        program, *arguments = shlex.split(command)
        assert program == "edgecut"
        answer = run(capsys, *arguments)
        assert answer.code == 0, answer.err
        printed = [words(line) for line in answer.out.splitlines()]
        for line in lines:
            # Rules are as long as the widest number.
            if set(line.strip()) - {"─", "."} and "µs" not in line and "MiB" not in line:
                assert words(line) in printed, command


def test_the_recipe_and_the_profile_shown_are_ones(tmp_path):
    recipe, profile = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)
    assert make_recipe(tomllib.loads(recipe), {}, where="README.md").name == "clothes"
    (tmp_path / "doorbell.toml").write_text(profile, "utf-8")
    device = read_profile(tmp_path / "doorbell.toml")
    assert (device.extends, device.sensor.width) == ("nicla-vision", 96)


@pytest.mark.parametrize("name", ["load", "cut", "stem", "build"])
def test_the_python_names_shown_exist(name):
    assert f"edgecut.{name}(" in TEXT
    assert callable(getattr(edgecut, name))


def test_every_command_is_in_the_table():
    from edgecut.cli.main import COMMANDS

    missing = [name for name in COMMANDS if f"`edgecut {name}" not in TEXT]
    assert missing == []
