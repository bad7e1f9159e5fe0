"""An Android device, played by a script called adb that runs the device's commands in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecut.bench.measure import bench
from edgecut.bench.runners.adb import BINARY, HOME
from edgecut.bench.runners.table import machine_of, runner_of
from edgecut.errors import MissingRuntimeError, RequestError, RunError

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"

ADB = f"""#!{sys.executable}
import os, pathlib, shutil, subprocess, sys
words, home = sys.argv[1:], pathlib.Path(__file__).parent
open(home / "calls", "a").write(" ".join(words) + "\\n")
if words[0] == "devices":
    print("List of devices attached\\n" + (home / "devices").read_text())
    sys.exit()
if words[0] == "-s":
    words = words[2:]
there = lambda text: text.replace("{HOME}", str(home / "device"))
if words[0] == "push":
    shutil.copy(words[1], there(words[2]))
elif words[0] == "shell":
    if "command -v python3" in words[1] and not (home / "has_python").exists():
        sys.exit()
    # Old versions of adb lose a command's exit code.
    subprocess.run(["sh", "-c", there(words[1])])
"""

# What builds of benchmark_model of different years print.
NEW = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Initialized session in 14.9ms.
INFO: count=5 first=92000 curr=43000 min=42900 max=92000 avg=53000 std=19000 p5=42900 median=43100 p95=92000
INFO: count=24 first=42142 curr=42232 min=42142 max=42763 avg=42435.4 std=147 p5=42232 median=42405 p95=42729
INFO: Inference timings in us: Init: 14900, First inference: 92000, Warmup (avg): 53000, Inference (avg): 42435.4
INFO: Memory footprint delta from the start of the tool (MB): init=2.5 overall=10.25
"""
OLD = """count=5 first=36010 curr=35000 min=34900 max=36010 avg=35100 std=500
count=50 first=35390 curr=35400 min=35300 max=35500 avg=35411.5 std=40
Inference timings in us: Init: 5000, First inference: 36010, Warmup (avg): 35100, Inference (avg): 35411.5
"""
EQUAL = "count=1 curr=90\n\ncount=5 curr=71(all same)\n"


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a phone that is connected and has nothing on it."""
    (tmp_path / "device").mkdir()
    (tmp_path / "devices").write_text("R58M\tdevice\n")
    _script(tmp_path / "adb", ADB)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv(BINARY, raising=False)
    return tmp_path


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def install(phone: Path, printed: str, code: int = 0) -> None:
    _script(
        phone / "device" / "benchmark_model",
        f"#!/bin/sh\necho $* > {phone}/asked\ncat <<'E'\n{printed}E\nexit {code}\n",
    )


@pytest.mark.parametrize(
    ("printed", "latency", "method"),
    [
        (NEW, 42405e-6, "median wall time of runs by benchmark_model"),
        (OLD, 35411.5e-6, "mean wall time of runs by benchmark_model"),
        (EQUAL, 71e-6, "mean wall time of runs by benchmark_model"),
    ],
)
def test_benchmark_model_s_own_figures_are_taken(phone: Path, printed: str, latency: float, method: str) -> None:
    install(phone, printed)
    rows = {m.metric: m for m in bench(INT8, "raspberry-pi-4", runner="adb", runs=24, warmup=5, threads=2)}
    row = rows["latency"]
    assert row.value == pytest.approx(latency)
    assert (row.method, row.kind, row.where, row.profile) == (method, "measured", "adb", "raspberry-pi-4")
    asked = (phone / "asked").read_text()
    assert "--num_threads=2 --num_runs=24 --warmup_runs=5 --min_secs=0" in asked
    assert not (phone / "device" / "edgecut").exists()


def test_memory_and_first_run_are_taken_where_they_are_told(phone: Path) -> None:
    install(phone, NEW)
    rows = {m.metric: m for m in bench(INT8, runner="adb://R58M")}
    assert rows["memory"].value == 10.25 * 2**20
    assert rows["latency"].conditions["first_s"] == 0.092
    assert "-s R58M shell" in (phone / "calls").read_text()


def test_benchmark_model_is_pushed_from_where_the_environment_says(
    phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(phone, NEW)
    (phone / "device" / "benchmark_model").rename(phone / "built")
    monkeypatch.setenv(BINARY, str(phone / "built"))
    assert bench(INT8, runner="adb")[1].value is not None


def test_a_device_with_a_python_does_what_this_machine_does(phone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (phone / "has_python").touch()
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("PATH", str(phone), prepend=":")
    rows = {m.metric: m for m in bench(FIXTURES / "tiny.int8.onnx", runner="adb", runs=3)}
    assert len(rows["latency"].values) == 3
    assert rows["latency"].conditions["runtime"] == "onnxruntime"
    assert not (phone / "device" / "edgecut").exists()


def test_a_device_with_neither_says_what_is_missing(phone: Path) -> None:
    with pytest.raises(MissingRuntimeError) as caught:
        bench(INT8, runner="adb")
    assert str(caught.value) == (
        f"adb: no benchmark_model for this and no python3 there; set {BINARY} to a benchmark_model that is built for "
        f"the device, or push one to {HOME}"
    )


def test_benchmark_model_that_fails_is_told_with_its_last_words(phone: Path) -> None:
    install(phone, "ERROR: Failed to load model\n", code=1)
    with pytest.raises(RunError) as caught:
        bench(INT8, runner="adb")
    assert str(caught.value) == f"{INT8}: what ran it on adb failed: ERROR: Failed to load model"


@pytest.mark.parametrize(
    ("runner", "devices", "text"),
    [
        ("adb", "", "adb: one connected device is expected, found none"),
        (
            "adb",
            "A\tdevice\nB\tdevice\n",
            "adb: one connected device is expected, found A, B: name one, --runner adb://A",
        ),
        ("adb://C", "A\tdevice\n", "adb://C: isn't connected; `adb devices` shows A"),
        ("adb", "A\tunauthorized\n", "adb: the device is unauthorized; allow this computer on its screen"),
        ("adb", "A\toffline\n", "adb: the device is offline"),
    ],
)
def test_a_device_that_can_t_be_used_is_told_with_what_to_do(phone: Path, runner: str, devices: str, text: str) -> None:
    (phone / "devices").write_text(devices)
    with pytest.raises(RunError) as caught:
        bench(INT8, runner=runner)
    assert str(caught.value) == text


def test_without_adb_its_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRuntimeError, match=r"^adb isn't here, and this needs it; install the package adb$"):
        machine_of("adb").run({"job": "latency"}, [INT8])


def test_a_serial_number_with_other_signs_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^--runner: adb or adb://SERIAL is expected, found 'adb://a;b'$"):
        runner_of("adb://a;b")
