"""Figures that somebody read off a device: how far the estimate was, and the line that is kept for a fit."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from edgecut.bench.by_hand import measured_lines, read_by_hand
from edgecut.errors import RequestError
from edgecut.records.device_figures import device_figures
from edgecut.records.figure_file import COLUMNS
from edgecut.records.measurement import Measurement, measured
from edgecut.records.profile_files import find_profile
from edgecut.render.devices import device_table
from tests.command_line import run
from tests.render.command_tables import shown

TINY = Path("tests/fixtures/tiny.int8.tflite").resolve()


def estimate(seconds: float, error: float | None = 0.32, **conditions: object) -> Measurement:
    return measured(
        "latency", "m", [seconds], profile="board", where="board", kind="estimated", method="facts", error=error,
        conditions={"nets": 4, "families": 4, **conditions},
    )  # fmt: skip


def test_times_are_runs_and_sizes_are_arenas() -> None:
    board = find_profile("nucleo-l4r5zi")
    texts = [f"{board.id}=231ms", f"{board.id}=0.229 s", f"{board.id}=39.6KiB", "esp32-s3=1 s"]
    profiles, rows = read_by_hand(texts, {board.id: board, "STM32L4R5ZI": board}, "m")
    assert {word: profile.id for word, profile in profiles.items()} == {
        "nucleo-l4r5zi": "nucleo-l4r5zi",
        "esp32-s3": "esp32-s3",
    }
    assert [(m.profile, m.metric, m.value, m.values) for m in rows] == [
        ("nucleo-l4r5zi", "latency", pytest.approx(0.230), (pytest.approx(0.231), pytest.approx(0.229))),
        ("nucleo-l4r5zi", "arena", 40550, ()),
        ("esp32-s3", "latency", 1.0, ()),
    ]
    assert {(m.kind, m.method) for m in rows} == {("measured", "by hand")}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("231ms", "--measured: '231ms' is no PROFILE=TIME or PROFILE=SIZE, such as nucleo-l4r5zi=231ms"),
        ("nano33ble=", "--measured: 'nano33ble=' is no PROFILE=TIME or PROFILE=SIZE, such as nucleo-l4r5zi=231ms"),
        (
            "nano33ble=231",
            "--measured: 'nano33ble=231' has no unit; write a time such as 231ms, or an arena such as 39.6KiB",
        ),
        ("nano33ble=fast", "--measured: 'nano33ble=fast' is no PROFILE=TIME or PROFILE=SIZE, such as "
         "nucleo-l4r5zi=231ms"),
        ("nano33ble=-3ms", "--measured: 'nano33ble=-3ms' is no PROFILE=TIME or PROFILE=SIZE, such as "
         "nucleo-l4r5zi=231ms"),
        ("nano33ble=0ms", "--measured: 'nano33ble=0ms' says that nothing was taken; expected more than 0"),
        ("nano33ble=1e30s", "--measured: 'nano33ble=1e30s' is more than any file takes; expected at most 86400 s"),
        ("nano33ble=5000GiB", "--measured: 'nano33ble=5000GiB' is more than any file takes; expected at most 4096 GiB"),
        ("host=3ms", "--measured: host is this machine, which measures itself; name the device"),
        ("xyzzy=3ms", "no profile 'xyzzy'; `edgecut profile list` shows all"),
    ],
)  # fmt: skip
def test_what_is_no_figure_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as error:
        read_by_hand([text], {}, "m")
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (estimate(0.376), "board latency: measured 231 ms, 39 % less than the estimate of 376 ms, outside its band of "
         "±32 %"),
        (estimate(0.2), "board latency: measured 231 ms, 16 % more than the estimate of 200 ms, within its band of "
         "±32 %"),
        (estimate(0.2, None), "board latency: measured 231 ms, 16 % more than the estimate of 200 ms, which has no "
         "band"),
    ],
)  # fmt: skip
def test_how_far_the_estimate_was(found: Measurement, sentence: str) -> None:
    told = measured("latency", "m", [0.231], profile="board", where="board", method="by hand")
    (row,) = device_figures([found, told], {"m": 4096}, flashed=["board"])
    text = shown(device_table([row], {}), width=160)
    assert text.splitlines()[2:] == ["board       –  ≥ 4 KiB   231 ms        measured by hand", sentence]
    assert measured_lines("a b,c.tflite", [row]) == {"board": '"a b,c.tflite",231 ms,'}


def test_a_lower_bound_is_not_held_against_what_was_measured() -> None:
    told = measured("latency", "m", [0.231], profile="board", where="board", method="by hand")
    (row,) = device_figures([estimate(0.1, at_least=True), told], {})
    assert row.misses == ()


def test_a_figure_goes_before_a_lower_bound_of_it() -> None:
    bound = measured(
        "arena", "m", [100], profile="board", where="TFLM interpreter on host", method="m", conditions={"at_least": 1}
    )
    whole = measured("arena", "m", [120], profile="board", where="board", method="m", kind="estimated", error=0.2)
    assert device_figures([bound, whole], {})[0].arena == whole
    assert device_figures([bound], {})[0].arena == bound


def test_bench_tells_how_far_the_estimate_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bench", str(TINY), "--runs", "3", "--warmup", "1", "--measured", "nucleo-l4r5zi=2ms")
    document = json.loads(run(capsys, *words, "--json").out)
    (device,) = document["devices"]
    (off,) = device["estimates_off"]
    assert (device["profile"], device["latency_s"], device["latency_kind"]) == ("nucleo-l4r5zi", 0.002, "measured")
    assert off["error"] == pytest.approx(0.002 / off["estimate"] - 1)
    assert off["within_band"] == (abs(off["error"]) <= off["band"])
    line = document["measured_lines"]["nucleo-l4r5zi"]
    assert next(csv.DictReader([",".join(COLUMNS), line])) == {"file": str(TINY), "latency": "2 ms", "arena": ""}
    assert f"\n{line}\n" in run(capsys, *words).out
    names, *rows = csv.reader(run(capsys, *words, "--csv").out.splitlines())
    assert {len(row) for row in rows} == {len(names)}
    both = run(capsys, "bench", str(TINY), "--vs", str(TINY), "--measured", "nano33ble=1ms")
    assert (both.code, both.err) == (
        2,
        "edgecut: error: --measured: says what one file takes; --vs compares two on one machine: give either\n",
    )


def test_the_base_of_a_kept_line_is_named_as_the_request_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id alone finds no profile that lies in a file elsewhere."""
    monkeypatch.chdir(tmp_path)
    Path("of mine").mkdir()
    for path in (Path("my.toml"), Path("of mine/other.toml")):
        path.write_text(
            f'id = "{path.stem}"\ntitle = "T"\nclass = "microcontroller"\nextends = "nucleo-l4r5zi"\n', encoding="utf-8"
        )
    words = ("--profile", "my.toml", "--measured", "my=2ms", "--measured", "of mine/other.toml=3ms", "--runs", "1")
    told = run(capsys, "bench", str(TINY.resolve()), *words, "--measured", "nano33ble=1ms")
    bases = re.findall(r"fit --base (.*?)`", told.out)
    assert (bases, told.code) == (["my.toml", "'of mine/other.toml'", "nano33ble"], 0), told.err


def test_no_line_is_kept_of_a_file_that_nothing_is_fitted_to() -> None:
    told = measured("latency", "m", [0.231], profile="board", where="board", method="by hand")
    assert measured_lines("m.onnx", device_figures([told], {})) == {}
