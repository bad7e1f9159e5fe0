"""What a Markdown file shows: its commands, with the lines that they print, and its links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import run

ROOT = Path(__file__).parents[1]
_NUMBER = re.compile(r"[0-9][0-9.,]*")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# A path in a code span, such as `edgecut/images/feed.py`.
_PATH = re.compile(r"`((?:\./)?(?:docs|edgecut|examples|profiles|requirements|tests|tools)/[\w./*-]*)`")

# Names that a page says to be in a file: `PLAIN` and `ACTIVATIONS` in `edgecut/lowering/layer_operators.py`.
_NAMES = re.compile(r"((?:`\w+`(?:,| and)? )+)in `((?:edgecut|tests|tools)/[\w/]+\.py)`")


def pages() -> list[Path]:
    """The Markdown files of the project."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [content for name, content in _FENCE.findall(text) if name == language]


def shown(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command, the lines shown for it) of the `console` blocks, in order."""
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.splitlines()


def check_commands(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """How many commands of the `console` blocks were run here; each ends with 0 and prints what is shown for it.

    Numbers of this machine differ; the words around them don't. A line "..." stands for what isn't shown.
    """
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    count = 0
    for command, lines in shown(text):
        program, *arguments = shlex.split(command)
        assert program == "edgecut"
        answer = run(capsys, *arguments)
        assert answer.code == 0, answer.err
        printed = [_words(line) for line in answer.out.splitlines()]
        for line in lines:
            # Rules are as long as the widest number.
            if set(line.strip()) - {"─", "."} and "µs" not in line and "MiB" not in line:
                assert _words(line) in printed, command
        count += 1
    return count


def broken_links(page: Path, text: str) -> list[str]:
    """The links of a page, and the paths in its code spans, that lead to no file or no heading."""
    prose = _FENCE.sub("", text)
    broken = []
    for target in _LINK.findall(prose):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page.parent / name
        content = text if not name else file.read_text(encoding="utf-8") if anchor and file.is_file() else ""
        if not file.exists() or (anchor and anchor not in _anchors(content)):
            broken.append(target)
    broken += [path for path in _PATH.findall(prose) if not any(ROOT.glob(path.rstrip("/")))]
    return broken


def lost_names(text: str) -> list[str]:
    """The functions, classes and tables of which a page names the file, and which aren't there: "file: name"."""
    lost = []
    for names, file in _NAMES.findall(_FENCE.sub("", text).replace("\n", " ")):
        source = (ROOT / file).read_text(encoding="utf-8")
        defined = set(re.findall(r"^ *(?:def |class )?(\w+)(?:\(| *[:=])", source, flags=re.MULTILINE))
        lost += [f"{file}: {name}" for name in re.findall(r"\w+", names.replace(" and ", " ")) if name not in defined]
    return lost


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _words(line: str) -> str:
    return _NUMBER.sub("0", " ".join(line.split()))
