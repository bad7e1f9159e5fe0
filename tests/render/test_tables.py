"""What the terminal shows, as golden text at 80 columns."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from edgecut.bench.at_cut import CutCost
from edgecut.cli.output import Output, json_text
from edgecut.records.measurement import Measurement, missing
from edgecut.records.report import Check
from edgecut.render.graphs import OperatorRow, artifact_parts, cost_table, operator_table, point_table
from edgecut.render.grid import grid
from edgecut.render.tables import check_table, measurement_table, plan_table, report_tables
from edgecut.render.words import band_words, fact_words, value_words
from tests.reports import artifact, measurements, report


def shown(*parts: RenderableType, width: int = 80) -> str:
    """The text of tables on a terminal without colour, spaces at line ends left out."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def golden(name: str) -> str:
    """The text that was looked at and found good; tests/render/golden/NAME.txt."""
    return (Path(__file__).parent / "golden" / f"{name}.txt").read_text(encoding="utf-8")


def test_a_report_reads_well_at_80_columns() -> None:
    assert shown(*report_tables(report(), verbose=True)) == golden("report")


def test_only_a_verbose_report_has_the_steps() -> None:
    assert shown(*report_tables(report())) == golden("report").replace(STEPS, "")


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


class Point:
    """What graph/cuts.py gives for a tensor."""

    def __init__(
        self, position: int, name: str, type: str, bypass: tuple[str, ...], macs: int | None = 5_290_000
    ) -> None:
        self.position, self.name, self.type, self.bypass, self.macs = position, name, type, bypass, macs
        self.legal_start = not bypass
        self.shape, self.params, self.activation_bytes = (None, 8, 8, 64), 33_600, 16_384


POINTS = (
    Point(13, "block_2_shortcut_conv", "GlobalAveragePooling2D", ()),
    Point(14, "an_outer_model.an_inner_model.conv", "Conv2D", ("block_2_shortcut_bn",), macs=None),
)


def test_the_calls_of_a_model_fit_in_80_columns() -> None:
    assert shown(point_table(POINTS)) == golden("calls")


def test_a_wide_terminal_shows_what_bypasses_a_tensor() -> None:
    assert shown(point_table(POINTS, bypass=True, wide=True), width=120) == golden("calls_wide")


def test_in_80_columns_what_bypasses_a_tensor_stands_below_its_name() -> None:
    assert shown(point_table(POINTS, bypass=True)) == golden("calls_bypassed")


def test_what_a_cut_costs_on_a_device_has_its_kind_its_band_and_its_reasons() -> None:
    known = Measurement(
        metric="latency", artifact="a", profile="board", unit="s", value=0.012, kind="estimated", where="board",
        method="m", error=0.28,
    )  # fmt: skip
    gone = missing("arena", "a", "a size is open", where="board", method="m", profile="board", kind="estimated")
    assert shown(*cost_table("board", [CutCost("block_2_add", known, gone)])) == golden("cut_costs")


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
        "small         –     1 KiB  meets",
        "large         –  8.79 KiB  misses",
        "latency –: no facts",
    ]


def test_the_operators_of_a_file() -> None:
    rows = [
        OperatorRow(0, "DEPTHWISE_CONV_2D", "a/Relu;b/BiasAdd", (1, 48, 48, 8), "int8", 498_000),
        OperatorRow(1, "FFT", "c", None, "", None),
    ]
    assert shown(operator_table(rows)) == golden("operators")


def test_a_file_is_described_by_what_was_read_back() -> None:
    assert shown(*artifact_parts(artifact("int8", 89_500))) == golden("file")


def test_measurements_say_what_they_rest_on() -> None:
    assert shown(measurement_table(measurements()[6:])) == golden("measurements")


def test_verbose_measurements_say_how_they_were_taken() -> None:
    assert shown(measurement_table(measurements()[6:], verbose=True), width=120) == golden("measurements_wide")


def test_a_plan_is_a_list_of_steps() -> None:
    assert shown(plan_table([("load", "m.keras"), ("cut", "to block_2_relu")])) == golden("plan")


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
    output, table = Output(), grid("name", "type")
    table.add_row("\x1b]0;title\x07layer\x1b[2J\nforged", "Conv2D")
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
    headline = "clothes: meets (3 limits: 1 meets, 1 misses, 1 unknown); something was lost, see\nthe notes\n"
    assert text.startswith(headline)
    assert "*: more than chance, by two standard errors of the paired difference; see" in text
    assert "0.013 * " in text
    assert "against the float model: worse" in " ".join(text.split())
