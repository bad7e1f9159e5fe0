"""Help pages fit the terminal, and their examples can be copied into a shell."""

from __future__ import annotations

import shlex

import click
import pytest

from edgecut.cli.examples import folded
from edgecut.cli.main import COMMANDS, edgecut
from tests.command_line import run

GROUPS = {"cache": ["ls", "verify", "clear"], "profile": ["list", "show", "check", "calibrate"]}
PAGES = [[], *([name] for name in COMMANDS), *([group, name] for group, names in GROUPS.items() for name in names)]


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_a_help_page_is_no_wider_than_the_terminal(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = run(capsys, *words, "--help")
    assert [line for line in answer.out.splitlines() if len(line) > 80] == []
    monkeypatch.setenv("COLUMNS", "40")
    lines = run(capsys, *words, "--help").out.partition("Options:")[0].splitlines()
    # A table of words and what they mean stays as it was written.
    prose = [line.removeprefix("  ") for line in lines if "  " not in line.removeprefix("  ")]
    assert [line for line in prose if len(line) > 38 and len(line.split()) > 1] == []


def test_a_folded_example_is_the_same_command() -> None:
    """For a shell, a line that a backslash continues is one line."""
    whole = "  edgecut compare released dist --data 'my photos' --junit gate.xml --fail-on 'size>+2%, arena>+0'"
    for width in range(30, 120):
        found = folded(f"\b\nExamples:\n{whole}\n", width)
        lines = found.split("\n")
        assert lines[:2] == ["\b", "Examples:"]
        assert shlex.split("\n".join(lines[2:]).replace("\\\n", "")) == shlex.split(whole)
        assert folded(found, width) == found
    assert folded(whole, 60) == (
        "  edgecut compare released dist --data 'my photos' \\\n      --junit gate.xml --fail-on 'size>+2%, arena>+0'"
    )


@pytest.mark.parametrize("name", list(COMMANDS))
def test_no_two_options_of_a_command_have_one_name(name: str) -> None:
    """click would hand the second one to whoever asks for the first."""
    pending = [edgecut.get_command(click.Context(edgecut), name)]
    while pending:
        command = pending.pop()
        assert command is not None
        names = [param.name for param in command.params]
        assert len(names) == len(set(names)), (command.name, sorted(names))
        pending += command.commands.values() if isinstance(command, click.Group) else []
