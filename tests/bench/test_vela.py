"""Vela's tables, by a script that writes what Vela 5.2 wrote, and by Vela itself where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecut.bench.devices import devices
from edgecut.bench.measure import bench, on_device
from edgecut.bench.operators import operator_times
from edgecut.bench.runners import vela
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.records.profile_files import find_profile

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
# Written by `vela tiny.int8.tflite --accelerator-config ethos-u55-128 --verbose-performance`, ethos-u-vela 5.2.0.
OUTPUT = Path(__file__).parent / "vela_5_2"
U55 = find_profile("ethos-u55-128")

SCRIPT = f"""#!{sys.executable}
import pathlib, shutil, sys
if "--version" in sys.argv:
    sys.exit(print("5.2.0"))
assert sys.argv[sys.argv.index("--accelerator-config") + 1] == "ethos-u55-128"
for file in pathlib.Path({str(OUTPUT)!r}).glob("*.csv"):
    shutil.copy(file, sys.argv[sys.argv.index("--output-dir") + 1])
"""


def say(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program called vela on the PATH."""
    (folder / "vela").write_text(text)
    (folder / "vela").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that writes the tables that Vela 5.2 wrote of tiny.int8.tflite."""
    say(tmp_path, SCRIPT, monkeypatch)


@pytest.mark.usefixtures("recorded")
def test_latency_and_arena_are_simulated_and_called_so() -> None:
    rows = {m.metric: m for m in bench(INT8, U55, runner="vela") if m.where == "ethos-u55-128 by Vela"}
    assert {m.kind for m in rows.values()} == {"simulated"}
    assert rows["latency"].value == pytest.approx(10196 / 500e6)
    assert (rows["arena"].value, rows["arena"].conditions["at_least"]) == (5760, True)
    assert rows["latency"].conditions["cycles"] == 10196


@pytest.mark.usefixtures("recorded")
def test_a_profile_with_another_clock_gets_its_own_time() -> None:
    slow = U55.model_copy(update={"cpu": U55.cpu.model_copy(update={"clock_hz": 250_000_000})})
    rows = {m.metric: m for m in bench(INT8, slow, runner="vela") if m.kind == "simulated"}
    assert rows["latency"].value == pytest.approx(10196 / 250e6)


@pytest.mark.usefixtures("recorded")
def test_an_npu_is_simulated_unasked_where_vela_is() -> None:
    found = [(m.metric, m.kind, m.where) for m in on_device(INT8, U55, "x")]
    assert found == [
        ("arena", "simulated", "ethos-u55-128 by Vela"),
        ("latency", "simulated", "ethos-u55-128 by Vela"),
        ("latency", "simulated", "ethos-u55-128"),
    ]


@pytest.mark.usefixtures("recorded")
def test_vela_s_steps_are_added_up_by_the_file_s_operators() -> None:
    rows, method, _ = operator_times(INT8, device=devices(["vela"], [U55])[0]).in_graph
    assert [(row.operator, row.layer) for row in rows] == [
        ("CONV_2D", "stem"), ("DEPTHWISE_CONV_2D", "depthwise"), ("CONV_2D", "pointwise"), ("AVERAGE_POOL_2D", "pool"),
        ("FULLY_CONNECTED", "scores"), ("SOFTMAX", ""),
    ]  # fmt: skip
    assert sum(row.seconds or 0.0 for row in rows) == pytest.approx(10196 / 500e6)
    assert rows[-1].cumulative == pytest.approx(1)
    assert "simulated" in method


def test_what_is_left_to_the_processor_makes_the_time_a_lower_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tmp_path / "output"
    later.mkdir()
    for file in OUTPUT.glob("*.csv"):
        (later / file.name).write_text(file.read_text().replace("AvgPool,AvgPool,NPU", "AvgPool,AvgPool,CPU"))
    say(tmp_path, SCRIPT.replace(str(OUTPUT), str(later)), monkeypatch)
    latency = next(m for m in bench(INT8, U55, runner="vela") if m.metric == "latency" and "Vela" in m.where)
    assert latency.conditions["at_least"] is True
    assert latency.conditions["not_modelled"] == ["AVERAGE_POOL_2D"]
    rows = operator_times(INT8, device=devices(["vela"], [U55])[0]).in_graph.rows
    assert (rows[3].seconds, rows[3].reason) == (None, "runs on the processor, which Vela doesn't time")


def test_a_file_that_vela_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(tmp_path, "#!/bin/sh\necho 'Warning: one' \necho 'Error: Invalid tfl file.' >&2\nexit 1\n", monkeypatch)
    with pytest.raises(RunError) as caught:
        bench(INT8, U55, runner="vela")
    assert str(caught.value) == f"{INT8}: Vela refused it: Error: Invalid tfl file"


def test_without_vela_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecut.records.programs.program_path", lambda program: None)
    with pytest.raises(MissingRuntimeError) as caught:
        bench(INT8, U55, runner="vela")
    assert str(caught.value) == "vela isn't here, and this needs it; it comes with: pip install 'edgecut[ethos-u]'"


@pytest.mark.parametrize(("profile", "found"), [("host", "none"), ("nucleo-l4r5zi", "none")])
def test_a_profile_of_no_ethos_u_is_refused_before_anything_runs(profile: str, found: str) -> None:
    with pytest.raises(RequestError) as caught:
        bench(INT8, profile, runner="vela")
    assert str(caught.value) == (
        f"--runner: vela needs a profile of an Ethos-U (cpu.core = 'ethos-u55-128' or such), found {found}; pass "
        "--profile ethos-u55-128"
    )


@pytest.mark.skipif(not vela.is_here(), reason="Vela is not installed (the extra ethos-u)")
@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int16x8.tflite"])
def test_vela_itself_gives_a_time_for_each_operator(name: str) -> None:
    simulation = vela.simulate(FIXTURES / name, U55)
    assert len(simulation.rows) == 6
    assert sum(row.seconds or 0.0 for row in simulation.rows) == pytest.approx(
        float(simulation.summary["cycles_total"]) / 500e6
    )


@pytest.mark.skipif(not vela.is_here(), reason="Vela is not installed (the extra ethos-u)")
def test_vela_itself_takes_no_float_file() -> None:
    with pytest.raises(RunError, match="Vela leaves every operator to the processor; an int8 file is expected"):
        vela.simulate(FIXTURES / "tiny.float32.tflite", U55)
