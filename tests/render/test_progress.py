"""Progress bars: on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from edgecut.cli.output import Output
from edgecut.records.progress import SILENT
from edgecut.render.progress import RichProgress


def written(*, terminal: bool) -> str:
    """What two tasks, one inside the other, write."""
    stream = io.StringIO()
    progress = RichProgress(Console(file=stream, force_terminal=terminal, width=80, no_color=True))
    with progress.task("reading images", 4) as advance:
        advance(3)
        with progress.task("loading"):
            pass
    with progress.task("checking", 2) as advance:
        advance(2)
    return stream.getvalue()


def test_a_terminal_shows_each_task_once_done() -> None:
    text = written(terminal=True)
    assert "✓ reading images" in text
    assert "4/4" in text
    assert "✓ loading" in text
    assert "2/2" in text


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    assert written(terminal=False) == ""


def test_a_dumb_terminal_gets_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert written(terminal=True) == ""


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_task_is_one_line_with_its_count_however_long_its_title_is(width: int) -> None:
    stream = io.StringIO()
    progress = RichProgress(Console(file=stream, force_terminal=True, width=width, no_color=True))
    with progress.task("a title of many words " * 9, 100) as advance:
        advance(100)
    *_, last = (line for line in Text.from_ansi(stream.getvalue()).plain.splitlines() if line.strip())
    assert "100/100" in last
    assert len(last) <= width


def test_a_failed_task_is_not_shown_as_done() -> None:
    stream = io.StringIO()
    progress = RichProgress(Console(file=stream, force_terminal=True, width=80, no_color=True))
    with pytest.raises(KeyError), progress.task("reading images", 4):
        raise KeyError
    assert "✓" not in stream.getvalue()


def test_no_terminal_means_silence() -> None:
    assert Output().progress() is SILENT


def test_json_writes_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).document({"sqnr": float("inf"), "values": (1.0, float("nan")), "size": [3]})
    assert capsys.readouterr().out == (
        '{\n  "sqnr": null,\n  "values": [\n    1.0,\n    null\n  ],\n  "size": [\n    3\n  ]\n}\n'
    )


def test_tables_take_brackets_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table("wrote [red]x[/red] :smile:")
    assert capsys.readouterr().out == "wrote [red]x[/red] :smile:\n"
