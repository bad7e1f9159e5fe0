"""Names of outputs are asked for at a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgecut.cli.output import Output
from edgecut.cli.prompt import with_prompted_labels
from edgecut.records.recipe import Recipe, make_recipe
from tests.saved_models import classifier, saved


class Terminal(io.StringIO):
    """A stream that somebody sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "net.keras", classifier(classes=2))
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "pets" / name / "1.png")
    return tmp_path


def request(**data: object) -> Recipe:
    return make_recipe({"source": {"model": "net.keras"}, "data": data}, {}, where="test")


def asked(monkeypatch: pytest.MonkeyPatch, recipe: Recipe, answer: str, output: Output) -> tuple[object, str]:
    """(data.labels, what was asked) of an answer."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr(sys, "stderr", terminal)
    return with_prompted_labels(output, recipe).data.labels, terminal.getvalue()


@pytest.mark.usefixtures("work")
def test_names_are_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    question = "The model's 2 outputs have no names. Name them: a file, one to a line, or with commas"
    folders = f"{question} (Enter: assume the class folders' order, 'cat', 'dog'): "
    assert asked(monkeypatch, request(train="pets"), "dog, cat", Output()) == (("dog", "cat"), folders)
    assert asked(monkeypatch, request(train="pets"), "l.txt", Output()) == ("l.txt", folders)
    assert asked(monkeypatch, request(train="pets"), "", Output()) == (None, folders)
    assert asked(monkeypatch, request(), "a,b", Output()) == (("a", "b"), f"{question} (Enter: go on without): ")


@pytest.mark.usefixtures("work")
def test_nobody_is_asked_where_a_program_reads_or_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for output in (Output(as_json=True), Output(as_csv=True), Output(quiet=True)):
        assert asked(monkeypatch, request(train="pets"), "x", output) == (None, "")
    assert asked(monkeypatch, request(labels=["a", "b"]), "x", Output()) == (("a", "b"), "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\n"))
    assert with_prompted_labels(Output(), request(train="pets")).data.labels is None
