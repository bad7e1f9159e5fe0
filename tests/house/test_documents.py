"""What the project's pages say of files, options and rooms is so."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click
import pytest
import yaml

from edgecut.cli.main import COMMANDS
from tests.documents import ROOT, blocks, broken_links, lost_names, pages
from tests.house.test_floors import FLOOR
from tools.rooms import PICTURE, room_imports, rooms_svg

PAGES = pages()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_a_broken_link_a_lost_heading_and_a_moved_file_are_found() -> None:
    text = "# One\n[a](#one) [b](#two) [c](none.md) [d](https://example.org) `edgecut/none.py` `edgecut/errors.py`\n"
    assert broken_links(ROOT / "README.md", text) == ["#two", "none.md", "edgecut/none.py"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_says_to_be_in_a_file_is_there(page: Path) -> None:
    assert lost_names(page.read_text(encoding="utf-8")) == []


def test_a_name_that_moved_is_found() -> None:
    text = "`HOMES`, `CallableRoom` and `moved` in `edgecut/rooms.py`; `make_callable` in\n`edgecut/errors.py`"
    assert lost_names(text) == ["edgecut/rooms.py: moved", "edgecut/errors.py: make_callable"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_need_a_device_name_options_that_there_are(page: Path) -> None:
    for line in "".join(blocks(page.read_text(encoding="utf-8"), "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["edgecut"]:
            command, rest = command_of(words[1:])
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            assert [word for word in rest if re.match(r"-+[a-z]", word) and word not in options] == [], line


DEMO_COMMANDS = [
    words
    for page in PAGES
    for line in "".join(blocks(page.read_text(encoding="utf-8"), "sh")).splitlines()
    if (words := shlex.split(line, comments=True))[:1] == ["edgecut"]
    and words[1] in {"build", "search"}
    and words[2].startswith("edgecut/demo_data/")
]


class StartedError(Exception):
    """A request without a fault: TensorFlow would be loaded now."""


@pytest.mark.parametrize("words", DEMO_COMMANDS, ids=lambda words: " ".join(words[1:3]))
def test_long_commands_on_the_demo_are_requests_without_a_fault(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They aren't run to their end for want of time, but as far as everything that is judged before it."""

    def started() -> NoReturn:
        raise StartedError

    monkeypatch.setattr("edgecut.graph.quiet.import_keras_quietly", started)
    monkeypatch.chdir(ROOT)
    command, rest = command_of(words[1:])
    rest[rest.index("-o") + 1] = str(tmp_path / "out")
    with pytest.raises(StartedError):
        command.main(rest, standalone_mode=False)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    command = import_module(f"edgecut.cli.{COMMANDS[words[0]][0]}").command
    if isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words[1])
        assert inner is not None, words
        return inner, words[2:]
    return command, words[1:]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_that_is_shown_is_python(page: Path) -> None:
    faults = [fault for block in blocks(page.read_text(encoding="utf-8"), "python") for fault in _faults(block)]
    assert faults == []


@pytest.mark.parametrize(("block", "fault"), [("  x = 1\n  y = 2", []), ("x = (", ["'(' was never closed"])])
def test_python_that_is_none_is_told(block: str, fault: list[str]) -> None:
    assert _faults(block) == fault


def _faults(block: str) -> list[str]:
    """What the compiler says of a block; nothing of Python."""
    try:
        lines = block.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        # A line of a table, or one that returns, stands in a function.
        body = "\n".join(line[indent:] for line in lines)
        ast.parse(f"{{{body}}}" if body.startswith('"') and '": (' in body else body)
    except SyntaxError as exc:
        return [exc.msg]
    return []


def test_the_picture_of_the_rooms_is_true() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    assert drawn == rooms_svg(room_imports()), "docs/rooms.svg is behind the imports; run `python -m tools.rooms`"


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", text, flags=re.MULTILINE)
    named = {room for row in rows for room in re.findall(r"`(\w+)`", row)}
    assert FLOOR.keys() & room_imports().keys() <= named


def test_every_page_of_docs_is_in_the_navigation() -> None:
    loader = yaml.SafeLoader
    navigation = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), loader)["nav"]
    listed = set(re.findall(r"[\w/-]+\.md", str(navigation)))
    assert listed == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if "docs" in page.parts}
