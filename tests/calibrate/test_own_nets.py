"""A profile out of what its owner measured: latency and arenas with the bands that they earn, and their sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgecut.bench.predict import predict_arena, predict_latency, usual_arena_bytes
from edgecut.calibrate.own_nets import fit_profile
from edgecut.errors import DocumentError, RequestError
from edgecut.records.figure_file import Figure, read_figures
from edgecut.records.profile import Profile
from edgecut.records.profile_files import as_c, find_profile, read_profile
from edgecut.tflite.flatbuffer import read
from tests.command_line import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = FIXTURES / "tiny.int8.tflite"
TABLE = Path("m.csv")


def figure(seconds: float | None = 0.003, arena: int | None = None, line: int = 2, file: Path = TINY) -> Figure:
    return Figure(line, file, seconds, arena, "", "")


def board() -> Profile:
    return find_profile("nucleo-l4r5zi")


def test_what_was_measured_is_what_the_profile_estimates() -> None:
    found = fit_profile([figure()], TABLE, board(), "mine")
    estimate = predict_latency(read(TINY), found.profile, "m")
    assert estimate.value == pytest.approx(0.003, rel=0.05)
    assert (found.rows[0].measured_s, found.rows[0].after_s) == (0.003, estimate.value)
    assert found.rows[0].before_s == predict_latency(read(TINY), board(), "m").value
    facts = found.profile.latency
    assert facts is not None
    assert (facts.kind, facts.nets, facts.families, facts.basis) == ("measured", 1, 1, "own measurements, m.csv")
    assert found.notes == ("of fewer than 3 families the band is mostly what other devices give",)


def test_every_number_of_the_profile_has_its_source() -> None:
    profile = fit_profile([figure(arena=9000)], TABLE, board(), "mine").profile
    assert [field for field, what in profile.number_sources().items() if not what] == ["memory.reserved_ram_bytes"]
    assert profile.source_of("latency.work.seconds.results") == (
        "own measurements, m.csv: tiny.int8.tflite 3 ms; fitted by edgecut profile fit"
    )
    assert profile.source_of("arena.ratio") == (
        "own measurements, m.csv: tiny.int8.tflite 9000 bytes; fitted by edgecut profile fit"
    )
    assert profile.source_of("cpu.clock_hz") == board().source_of("cpu.clock_hz")


@pytest.mark.parametrize("name", ["nucleo-l4r5zi", "xg24-dk2601b", "stm32h747i-disco"])
def test_measured_arenas_move_the_estimate_and_its_band(name: str) -> None:
    """Also for kernels whose scratch is not known, of which nothing was estimated before."""
    base, graph = find_profile(name), read(TINY)
    usual = usual_arena_bytes(graph, base)
    rows = [figure(arena=round(usual * 1.5), line=2), figure(arena=round(usual * 1.3), line=3)]
    facts = fit_profile(rows, TABLE, base, "mine").profile
    estimate = predict_arena(graph, facts, "m")
    assert estimate is not None
    assert estimate.value == pytest.approx(1.4 * usual, rel=1e-3)
    assert estimate.error == pytest.approx(1.5 / 1.3 - 1, abs=0.01)
    assert (predict_arena(graph, base, "m") is None) == (name == "xg24-dk2601b")


def test_no_band_of_arenas_is_narrower_than_the_rule_s() -> None:
    usual = usual_arena_bytes(read(TINY), board())
    profile = fit_profile([figure(arena=usual, line=k) for k in (2, 3)], TABLE, board(), "mine").profile
    assert profile.arena is not None
    assert (profile.arena.ratio, profile.arena.error, profile.arena.files) == (1.0, 0.1, 2)


def test_arenas_of_a_runtime_without_one_are_left_out_with_a_note() -> None:
    found = fit_profile([figure(arena=9000)], TABLE, find_profile("raspberry-pi-4"), "mine")
    assert found.profile.arena is None
    assert found.notes[0] == "arenas are left out: none is estimated of raspberry-pi-4, which runs litert"


def test_files_that_the_device_does_not_run_are_faults_of_their_lines(tmp_path: Path) -> None:
    damaged = tmp_path / "d.tflite"
    damaged.write_bytes(b"no")
    rows = [figure(), figure(line=3, file=FIXTURES / "tiny.float32.tflite"), figure(line=4, file=damaged)]
    with pytest.raises(DocumentError) as error:
        fit_profile(rows, TABLE, board(), "mine")
    first, second = error.value.faults
    assert first == (
        f"m.csv: line 3, column 'file': {FIXTURES / 'tiny.float32.tflite'} computes in float32; expected what "
        "nucleo-l4r5zi runs: int8"
    )
    assert second.startswith(f"m.csv: line 4, column 'file': {damaged}: ")


def test_files_of_another_scheme_are_faults_of_their_lines() -> None:
    """The tiny file's weights are quantized per channel."""
    with pytest.raises(DocumentError) as error:
        fit_profile([figure()], TABLE, find_profile("stm32mp257f-dk"), "mine")
    assert error.value.faults == (
        f"m.csv: line 2, column 'file': {TINY} has weights quantized per-channel; expected those of stm32mp257f-dk: "
        "per-tensor",
    )


def test_a_time_in_another_unit_is_doubted() -> None:
    found = fit_profile([figure(3.0)], TABLE, board(), "mine")
    before = found.rows[0].before_s
    assert before is not None
    assert found.notes[1] == (
        f"m.csv: line 2: 3 s is {3.0 / before:.0f} times what the base estimates; is the unit right?"
    )


def test_an_arena_in_another_unit_is_refused() -> None:
    with pytest.raises(DocumentError) as error:
        fit_profile([figure(arena=9)], TABLE, board(), "mine")
    (fault,) = error.value.faults
    assert fault.startswith("m.csv: what comes of it is no device: arena.ratio: 0.001")
    assert fault.endswith("times what the planner gives is outside 0.2 to 5; were the measured arenas in bytes?")


def test_the_twin_of_generated_c_has_nothing_of_its_interpreter_s_arenas() -> None:
    twin = as_c(fit_profile([figure(arena=9000)], TABLE, board(), "mine").profile)
    assert (twin.arena, twin.latency) == (None, None)
    assert not [row for row in twin.sources if row.field.startswith(("arena", "latency"))]


def test_a_table_without_a_latency_is_refused() -> None:
    with pytest.raises(RequestError) as error:
        fit_profile([figure(None, 9000)], TABLE, board(), "mine")
    assert str(error.value) == "m.csv: has no latency; expected at least one time in the column 'latency'"


def test_a_line_that_bench_prints_becomes_a_profile_that_bench_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TINY, "tiny.int8.tflite")
    words = ("bench", "tiny.int8.tflite", "--runs", "3", "--warmup", "1")
    told = ("--measured", "nucleo-l4r5zi=3 ms", "--measured", "nucleo-l4r5zi=9000 B", "--json")
    line = json.loads(run(capsys, *words, *told).out)["measured_lines"]["nucleo-l4r5zi"]
    Path("m.csv").write_text(f"file,latency,arena\n{line}\n")
    assert read_figures(Path("m.csv")) == (Figure(2, Path("tiny.int8.tflite"), 0.003, 9000, "", ""),)
    answer = run(capsys, "profile", "fit", "m.csv", "--base", "nucleo-l4r5zi", "-o", "mine.toml", "--json")
    document = json.loads(answer.out)
    assert (answer.code, document["file"], len(document["rows"])) == (0, "mine.toml", 1)
    assert read_profile(Path("mine.toml")).to_dict() == document["profile"]
    (device,) = json.loads(run(capsys, *words, "--profile", "mine.toml", "--json").out)["devices"]
    assert (device["profile"], device["nets"], device["latency_kind"]) == ("mine", 1, "estimated")
    assert device["latency_s"] == pytest.approx(0.003, rel=0.05)
    assert run(capsys, "profile", "fit", "m.csv", "--base", "nucleo-l4r5zi", "-o", "mine.toml").code == 2
