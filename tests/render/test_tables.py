"""What the terminal shows, as golden text."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import edgecut
from edgecut.bench.at_cut import CutCost
from edgecut.cli.output import Output, json_text
from edgecut.records.measurement import Measurement, missing
from edgecut.records.report import Check
from edgecut.render.graphs import cost_table
from edgecut.render.grid import fitted
from edgecut.render.lines import line
from edgecut.render.tables import check_table, report_tables
from edgecut.render.words import band_words, fact_words, value_words
from tests.render.command_tables import COMMANDS, GOLDEN, golden_text, shown
from tests.reports import report


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_what_was_looked_at_and_found_good(name: str) -> None:
    """At 60, 80 and 120 columns and in a pipe; `python -m tools.make_golden` writes the files anew."""
    assert golden_text(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_there_is_a_golden_file_for_each_command_that_prints_a_table_and_no_other() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_name_is_cut_and_no_line_ends_in_a_blank_at_any_width(name: str) -> None:
    whole = {word for text in shown(*COMMANDS[name](), width=None).splitlines() for word in text.split()[:1]}
    names = {word for word in whole if "_" in word or "-" in word}
    for width in range(20, 140, 7):
        text = shown(*COMMANDS[name](), width=width)
        assert "\u2026" not in text
        assert [line for line in text.splitlines() if line != line.rstrip()] == []
        assert names - set(text.split()) == set()


def test_every_table_is_the_one_that_cuts_no_name() -> None:
    """rich's own cuts what doesn't fit; its columns are those of progress bars alone."""
    root = Path(edgecut.__file__).parent
    users = {str(p.relative_to(root)) for p in root.rglob("*.py") if "rich.table" in p.read_text(encoding="utf-8")}
    assert users == {"render/progress.py"}


LONG_ROWS = [("a" * 70, "b" * 70, "a sentence of some words " * 8)]


def test_a_pipe_has_whole_rows_whatever_columns_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Output().table(fitted(("<name", "<b", "~c"), LONG_ROWS), line("a note of some words " * 8))
    out = capsys.readouterr().out.splitlines()
    assert out[2:] == [f"{'a' * 70}  {'b' * 70}  {LONG_ROWS[0][2].strip()}", ("a note of some words " * 8).strip()]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """What a terminal of COLUMNS gets of a table and a note."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in ({"TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    Output().table(fitted(("<name", "<b", "c"), [("a", "bb", "12")]), line("a note", "dim"))
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_is_asked_for_no_colour_or_can_show_none_gets_text_alone(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ["name  b    c", "────────────", "a     bb  12", "a note"]
    assert on_a_terminal(monkeypatch, COLUMNS="40", **environment) == plain


def test_a_terminal_of_few_columns_has_fewer_and_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_a_terminal(monkeypatch, COLUMNS="10", NO_COLOR="1") == [
        "name  b", "────────", "a     bb", "no room", "for c: a", "wider", "terminal", "or --json", "has them",
        "a note",
    ]  # fmt: skip


def test_numbers_without_units_stand_below_each_other_by_their_points() -> None:
    rows = [("a", "0.5"), ("b", "12.25"), ("c", "7"), ("d", "–")]
    assert shown(fitted(("<name", "value"), rows)).splitlines()[2:] == [
        "a      0.5", "b     12.25", "c      7", "d         –",
    ]  # fmt: skip


def test_a_column_comes_back_where_a_wider_one_had_to_go() -> None:
    table = fitted(("<name", "<wide", "<c"), [("a", "b" * 30, "cc")], ("c", "wide"))
    assert shown(table, width=20).splitlines()[:3] == ["name  c", "────────", "a     cc"]


def test_only_a_verbose_report_has_the_steps() -> None:
    assert shown(*report_tables(report())) == shown(*report_tables(report(), verbose=True)).replace(STEPS, "")


def test_a_report_without_limits_says_so() -> None:
    bare = report().model_copy(update={"checks": (), "status": "meets", "notes": (), "artifacts": ()})
    bare = bare.model_copy(update={"measurements": ()})
    assert shown(*report_tables(bare)) == "clothes: meets (no limits are set)\n"


def test_a_sensor_that_feeds_something_else_leaves_the_verdict_readable() -> None:
    check = Check(
        metric="sensor", artifact="m.float32.tflite", profile="raspberry-pi-4", limit="120x160x3 rgb float32 -1..1",
        value="224x224x3 bgr float32 -124..151", unit="", state="misses", basis="read back",
    )  # fmt: skip
    lines = shown(check_table([check], {check.artifact: "tflite float32"})).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [word for word in ("sensor", "tflite float32", "misses", "read back") if word not in lines[3]] == []
    assert " ".join(" ".join(lines[3:]).split()).count("-124..151") == 1


STEPS = """\
step      time  proof and notes
────────────────────────────────────────────────────
cut     194 ms  inputs 8, max_abs_error 0, exact yes
export  cached  int8: the head is fitted anew

"""


def test_cuts_are_held_against_what_an_arena_may_take_and_bands_have_their_range() -> None:
    def arena(name: str, size: int, error: float) -> CutCost:
        found = Measurement(
            metric="arena", artifact="a", profile="board", unit="bytes", value=size, kind="estimated", where="board",
            method="m", error=error,
        )  # fmt: skip
        return CutCost(name, missing("latency", "a", "no facts", where="board", method="m", kind="estimated"), found)

    costs = [arena("small", 1024, 0.1), arena("large", 9000, 0.25)]
    text = shown(*cost_table("board", costs, 8192, {"small": "meets", "large": "misses"}))
    assert text.splitlines() == [
        "",
        "board, a model that ends there: arena estimated, ±10 % to ±25 %; an arena may",
        "take 8 KiB",
        "tensor  latency     arena  arena fits",
        "─────────────────────────────────────",
        "small      none     1 KiB  meets",
        "large      none  8.79 KiB  misses",
        "latency none: no facts",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (262_144, "bytes", "256 KiB"),
        (0.8125, "fraction", "0.812"),
        (26.91, "dB", "26.9 dB"),
        (1.25e-6, "1", "1.25e-06"),
        (3, "mJ", "3 mJ"),
        (None, "s", "–"),
        ("int8", "", "int8"),
    ],
)
def test_a_value_has_its_unit(value: float | str | None, unit: str, text: str) -> None:
    assert value_words(value, unit) == text


@pytest.mark.parametrize(("error", "text"), [(0.28, "±28 %"), (1.0, "×/÷ 2"), (2.36, "×/÷ 3.4"), (None, "")])
def test_a_band_of_more_than_everything_is_a_factor(error: float | None, text: str) -> None:
    assert band_words(error) == text


def test_facts_are_words() -> None:
    facts = {"inputs": 8, "exact": True, "shape": [None, 8, 8], "names": ["a", "b"], "none": None, "of": {"x": 0.5}}
    assert fact_words(facts) == "inputs 8, exact yes, shape ?×8×8, names a, b, of (x 0.5)"


def test_a_name_out_of_a_file_does_not_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A title, a jump, a cleared screen, hidden text, another line and direction of writing are shown as escapes."""
    output, table = Output(), fitted(("<name", "type"), [("\x1b]0;title\x07layer\x1b[2J\nforged", "Conv2D")])
    output.table("\x1b[8mhidden\x1b[0m\x9b2J\u202e\nforged", table)
    output.note("a\x1b[Hb\rc\nedgecut: forged")
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == r"\x1b[8mhidden\x1b[0m\x9b2J\u202e\nforged"
    assert out.splitlines()[-1].split() == [r"\x1b]0;title\x07layer\x1b[2J\nforged", "Conv2D"]
    assert err == "edgecut: a\\x1b[Hb\\rc\\nedgecut: forged\n"


def test_json_says_the_same_without_a_sign_that_a_terminal_obeys() -> None:
    name = "\x7f\x9b2J\u202e\U000e0041é\n"
    text = json_text({"name": name})
    assert text == '{\n  "name": "\\u007f\\u009b2J\\u202e\\udb40\\udc41é\\n"\n}'
    assert json.loads(text) == {"name": name}


def test_a_loss_beyond_chance_is_marked_and_no_verdict_hides_it() -> None:
    marked = {"conditions": {"beyond_chance": True}}
    rows = [m.model_copy(update=marked if m.metric == "accuracy_drop" else {}) for m in report().measurements]
    step = report().steps[-1].model_copy(update={"losses": ("tflite int8, against the float model: worse",)})
    lossy = report().model_copy(update={"status": "meets", "measurements": tuple(rows), "steps": (step,)})
    text = shown(*report_tables(lossy, verbose=True))
    headline = "clothes: meets (3 limits: 1 meets, 1 misses, 1 unknown); something was lost\n"
    assert text.startswith(headline)
    assert "*: more than chance, by two standard errors of the paired difference." in text
    assert "0.013 *" in text
    assert "against the float model: worse" in " ".join(text.split())
