"""Several files on several devices in one table, one page and one document."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from edgecut.bench.spread import warnings
from edgecut.cli.bench import names_apart
from edgecut.records.bench_rows import bench_rows
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.render.bench_rows import reasons
from edgecut.render.latency_plot import latency_plot
from edgecut.render.words import value_words
from tests.command_line import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8, FLOAT = FIXTURES / "tiny.int8.tflite", FIXTURES / "tiny.float32.onnx"
FAST = ("--runs", "2", "--warmup", "0")


def estimated(artifact: str, profile: str, seconds: float, error: float) -> Measurement:
    return measured(
        "latency", artifact, [seconds], where=profile, profile=profile, kind="estimated", method="m", error=error
    )


def test_a_row_has_what_was_measured_apart_from_what_is_estimated_and_host_times_are_the_host_s_alone() -> None:
    rows = bench_rows(
        [
            estimated("a", "board", 0.2, 0.3),
            measured("latency", "a", [0.21, 0.22, 0.23], where="ssh://board", profile="board", method="m"),
            measured("latency", "a", [0.001, 0.002], where="host", method="m"),
            estimated("b", "board", 0.4, 0.3),
        ],
        (),
    )
    found = [(row.artifact, row.device, row.measured and row.measured.value, row.estimated and row.estimated.value)
             for row in rows]  # fmt: skip
    assert found == [("a", "board", 0.22, 0.2), ("a", "host", 0.0015, None), ("b", "board", None, 0.4)]


def test_a_reason_is_told_once_and_names_files_where_it_isn_t_every_file_s() -> None:
    def none(artifact: str, profile: str, why: str) -> Measurement:
        return missing("latency", artifact, why, where=profile, profile=profile, method="not run")

    rows = bench_rows([none("a", "p", "no facts"), none("b", "p", "no facts"), none("b", "q", "runs int8")], ())
    assert reasons(rows) == ["p latency: no facts", "q latency of b: runs int8"]


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    paths = [Path("x/a/m.tflite"), Path("x/b/m.tflite"), Path("n.tflite"), Path("m.tflite")]
    assert names_apart(paths) == {
        "a/m.tflite": paths[0], "b/m.tflite": paths[1], "n.tflite": paths[2], "m.tflite": paths[3],
    }  # fmt: skip


def test_the_picture_has_a_lane_for_each_file_on_each_device_and_none_where_nothing_is_known() -> None:
    nothing = missing("latency", "b", "why", where="board", profile="board", method="not run")
    here = measured("latency", "b", [0.001, 0.002, 0.003], where="host", method="m")
    rows = bench_rows([estimated("a", "board", 0.2, 0.3), nothing, here], ())
    drawn = latency_plot(rows, {"a": "int8", "b": "float32"})
    assert drawn.count('<circle class="mark ') == 2
    assert "a on board: 200 ms (estimated ±30 %)" in drawn
    assert "b on host: 2 ms (measured)" in drawn
    assert ">b none</text>" in drawn
    assert latency_plot(bench_rows([nothing], ()), {"b": "int8"}) == ""


@pytest.mark.parametrize("name", ["a", "a.float32.tflite", "a_very_long_name_of_a_file_" * 4])
@pytest.mark.parametrize("ends", [(0.001, 0.0011), (0.001, 1.0), (0.9, 1.0)])
def test_each_lane_has_its_name_and_value_however_wide_its_line_is(name: str, ends: tuple[float, float]) -> None:
    rows = [measured("latency", "x", [0.001, 0.001, 1.0], where="host", method="m"),
            measured("latency", name, [ends[0], ends[0], ends[1]], where="host", method="m")]  # fmt: skip
    assert f">{name} {value_words(ends[0], 's')}</text>" in latency_plot(bench_rows(rows, ()), {})


def test_several_files_are_one_table_and_one_page_in_which_each_row_names_its_device(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "bench.html"
    words = ("bench", str(INT8), str(FLOAT), "--profile", "nucleo-l4r5zi,ek-ra8d1", *FAST, "-q", "--html", str(page))
    out = run(capsys, *words).out
    header, _, *lines = [line.split() for line in out.splitlines()[:8]]
    assert header[:7] == ["file", "device", "min", "p10", "median", "p90", "max"]
    assert [line[0] for line in lines] == [
        "tiny.int8.tflite", "ek-ra8d1", "host", "tiny.float32.onnx", "ek-ra8d1", "host",
    ]  # fmt: skip
    text = page.read_text()
    assert text.count('<svg class="plot"') == 1
    assert "nucleo-l4r5zi runs tflite files, found onnx" in text


def test_the_document_of_several_files_has_the_keys_of_one_and_each_row_its_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = json.loads(run(capsys, "bench", str(INT8), *FAST, "--json").out)
    several = json.loads(run(capsys, "bench", str(INT8), str(FLOAT), *FAST, "--operators", "--json").out)
    assert set(one) == {"measurements", "devices", "measured_lines", "failures"}
    assert set(one) <= set(several)
    assert {m["artifact"] for m in several["measurements"]} == {"tiny.int8.tflite", "tiny.float32.onnx"}
    assert {row["artifact"] for row in several["operators"]} == {"tiny.int8.tflite", "tiny.float32.onnx"}
    assert [row["artifact"] for row in several["operators_s"]] == ["tiny.int8.tflite", "tiny.float32.onnx"]


def test_the_values_of_several_files_are_rows_by_file_and_device(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "bench", str(INT8), str(FLOAT), *FAST, "--profile", "nucleo-l4r5zi", "--csv").out
    rows = [row for row in csv.DictReader(io.StringIO(out)) if row["metric"] == "latency"]
    assert [(row["artifact"], row["device"], row["kind"], bool(row["min"])) for row in rows] == [
        ("tiny.int8.tflite", "nucleo-l4r5zi", "estimated", False), ("tiny.int8.tflite", "host", "measured", True),
        ("tiny.float32.onnx", "nucleo-l4r5zi", "", False), ("tiny.float32.onnx", "host", "measured", True),
    ]  # fmt: skip


def test_all_files_that_can_t_be_read_are_told_before_any_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = run(capsys, "bench", str(INT8), str(tmp_path / "a.tflite"), str(tmp_path / "b.tflite"))
    assert result.code == 2
    assert [line for line in result.err.splitlines() if "a.tflite" in line or "b.tflite" in line]
    assert ("a.tflite" in result.err, "b.tflite" in result.err, result.out) == (True, True, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--vs", str(INT8)), "--vs: compares one file with another, found 2 before it"),
        (
            ("--measured", "nucleo-l4r5zi=231ms"),
            "--measured: says what one file takes, found 2 files; bench each alone",
        ),
    ],
)
def test_what_is_of_one_file_is_refused_for_several(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(capsys, "bench", str(INT8), str(FLOAT), *words)
    assert (result.code, message in result.err) == (2, True)


def test_a_folder_stands_for_its_files_and_a_bundle_for_its_models(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    for name in ("b.tflite", "a.tflite", "._a.tflite", "notes.txt"):
        (tmp_path / "models" / name).write_bytes(INT8.read_bytes())
    for folder in (tmp_path, tmp_path / "models"):
        found = json.loads(run(capsys, "bench", str(folder), *FAST, "--json").out)["measurements"]
        assert list(dict.fromkeys(m["artifact"] for m in found)) == ["a.tflite", "b.tflite"]


def test_a_folder_without_files_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, "bench", str(tmp_path))
    assert (result.code, result.err) == (2, f"edgecut: error: {tmp_path}: holds no .tflite and no .onnx file\n")


def test_a_machine_that_drops_out_is_told_once_and_the_others_rows_are_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = run(
        capsys, "bench", str(INT8), str(FLOAT), *FAST, "-q", "--runner", "ssh://127.0.0.1:1", "--runner", "local"
    )
    assert (result.code, result.err.count("can't be reached")) == (3, 1)
    assert result.out.count("  host  ") == 2


def test_unsteady_files_of_one_cause_are_one_sentence() -> None:
    def here(artifact: str, *seconds: float) -> Measurement:
        return measured("latency", artifact, seconds, where="host", method="m", conditions={"load": 4.0, "cores": 2})

    rows = [here("a", 1, 1, 2, 3, 4), here("b", 1, 1, 1, 1, 1), here("c", 1, 2, 2, 5, 9)]
    # Their table has no cpu_time to go by.
    rows += [measured("cpu_time", name, [1.0] * 9, where="host", method="m") for name in "ac"]
    assert list(warnings(rows)) == [
        "host: the latency of a, c is unsteady; the machine had other work (load 4.0 on 2 cores); measure again, with "
        "more --runs"
    ]


def test_the_ends_of_a_runner_that_keeps_no_runs_are_those_that_it_printed() -> None:
    row = measured("latency", "a", [2.0], where="adb", method="m", conditions={"min_s": 1.0, "max_s": 4.0})
    assert row.spread == (1.0, None, None, 4.0)
