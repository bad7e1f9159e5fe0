"""Whose device a runner measures, several at once, steady times, and two files in turn."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.bench import interleaved, spread
from edgecut.bench.devices import Device, devices, measure_on
from edgecut.bench.interleaved import Ratio, Turns, interleave, ratio_interval
from edgecut.bench.runners.remote import HERE
from edgecut.bench.runners.ssh import Ssh, ssh_of
from edgecut.errors import RequestError, RunError
from edgecut.export.readback import read_artifact
from edgecut.pipeline.bench import by_runners, runner_faults
from edgecut.records.measurement import Measurement, measured
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Bench
from tests.command_line import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
HOST, PI, ZERO, BOARD, NPU = map(
    find_profile, ("host", "raspberry-pi-4", "rpi-zero-2w", "nucleo-l4r5zi", "ethos-u55-128")
)


@dataclass(frozen=True)
class Fake:
    """A runner that gives one number, or drops out."""

    name: str
    place: str
    seconds: float | None = 1.0
    together: threading.Barrier | None = None

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        if self.together is not None:
            self.together.wait(timeout=10)
        if self.seconds is None:
            raise RunError(f"{self.name}: gone")
        return (measured("latency", artifact, [self.seconds], where=self.name, method="told"),)


@pytest.mark.parametrize(
    ("text", "machine"),
    [
        ("ssh://pi@kitchen", Ssh("kitchen", "pi")),
        ("ssh://kitchen", Ssh("kitchen")),
        ("ssh://pi@10.0.0.7:2222/home/pi/venv/bin/python3", Ssh("10.0.0.7", "pi", 2222, "/home/pi/venv/bin/python3")),
        ("ssh://[fe80::1%eth0]:22", Ssh("fe80::1%eth0", "", 22)),
        ("ssh://kitchen/", Ssh("kitchen")),
    ],
)
def test_an_ssh_address_says_user_host_port_and_python(text: str, machine: Ssh) -> None:
    assert ssh_of(text) == machine


@pytest.mark.parametrize(
    "text",
    ["ssh://", "ssh://-oProxyCommand=id", "ssh://-l@host", "ssh://host:0", "ssh://host:99999", "ssh://host/a b",
     "ssh://host/$(id)", "ssh://host;id", "ssh://a@b@c"],
)  # fmt: skip
def test_an_address_that_could_be_an_option_or_a_command_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        ssh_of(text)
    assert str(caught.value) == f"--runner: ssh://[user@]host[:port][/path/to/python3] is expected, found {text!r}"


@pytest.mark.parametrize(
    ("here", "said", "told"),
    [
        (False, "ssh: connect to host kitchen port 22: No route to host", "can't be reached"),
        (False, "kex_exchange_identification: read: Connection reset by peer", "can't be reached"),
        (False, "Connection to kitchen closed by remote host.", "the connection broke"),
        (False, "Timeout, server kitchen not responding.", "the connection broke"),
        (False, "client_loop: send disconnect: Broken pipe", "the connection broke"),
        (True, "whatever another client says", "the connection broke"),
    ],
)
def test_a_connection_that_broke_is_not_one_that_never_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool, said: str, told: str
) -> None:
    """Whether or not the line that all files have come was still passed on."""
    client = tmp_path / "ssh"
    client.write_text(f"#!/bin/sh\n{f'echo {HERE}' if here else ':'}\necho '{said}' >&2\nexit 255\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RunError, match=told) as caught:
        ssh_of("ssh://kitchen").run({}, [INT8])
    assert said.rstrip(".") in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "profiles", "found"),
    [
        (["local"], [HOST], [("local", "host")]),
        (["local"], [PI], [("local", None)]),
        (["raspberry-pi-4=local"], [PI], [("local", "raspberry-pi-4")]),
        (["ssh://a"], [HOST, PI, BOARD], [("ssh://a", "raspberry-pi-4")]),
        (["ssh://a"], [BOARD], [("ssh://a", None)]),
        (["rpi-zero-2w=ssh://a", "raspberry-pi-4=ssh://b"], [PI, ZERO],
         [("ssh://a", "rpi-zero-2w"), ("ssh://b", "raspberry-pi-4")]),
        (["rpi-zero-2w=ssh://a"], [], [("ssh://a", "rpi-zero-2w")]),
        (["tflm", "vela"], [PI, BOARD, NPU], [("tflm", "nucleo-l4r5zi"), ("vela", "ethos-u55-128")]),
        (["ssh://a", "ssh://a"], [PI], [("ssh://a", "raspberry-pi-4")]),
    ],
)  # fmt: skip
def test_a_runner_measures_for_the_profile_that_it_can_be(
    texts: list[str], profiles: list[Profile], found: list[tuple[str, str | None]]
) -> None:
    chosen = devices(texts, profiles)
    assert [(d.runner.name, None if d.profile is None else d.profile.id) for d in chosen] == found


def test_a_machine_that_could_be_two_profiles_is_asked_back() -> None:
    with pytest.raises(RequestError) as caught:
        devices(["ssh://a"], [PI, ZERO])
    assert str(caught.value) == (
        "--runner: ssh://a: is it raspberry-pi-4 or rpi-zero-2w? say it: --runner raspberry-pi-4=ssh://a"
    )


def test_all_faults_of_a_build_s_runners_are_told_with_the_recipe_s_key() -> None:
    settings = Bench(runners=("board", "vela", "ssh://pi@kitchen"))
    assert [fault.partition(",")[0] for fault in runner_faults(settings, [PI])] == [
        "bench.runners: 'local'",
        "bench.runners: vela needs a profile of an Ethos-U (cpu.core = 'ethos-u55-128' or such)",
    ]


def test_one_that_drops_out_loses_nobody_s_results() -> None:
    chosen = [Device(Fake("a", "a", None), PI), Device(Fake("b", "b", 2.0), None), Device(Fake("c", "a", 3.0), None)]
    result = measure_on(INT8, chosen, Bench(), "x")
    assert [(m.where, m.value, m.profile, m.reason) for m in result.measurements] == [
        ("a", None, "raspberry-pi-4", "a: gone"), ("b", 2.0, None, ""), ("c", 3.0, None, ""),
    ]  # fmt: skip
    assert [str(error) for error in result.failures] == ["a: gone"]
    assert not result.all_failed


def test_runners_of_different_machines_measure_at_once() -> None:
    """Each waits for the other, so that one after another would never end."""
    together = threading.Barrier(2)
    chosen = [Device(Fake(name, name, 1.0, together), None) for name in ("a", "b")]
    assert measure_on(INT8, chosen, Bench(), "x").failures == ()


def test_a_build_asks_the_runners_of_profiles_that_take_the_file() -> None:
    settings = Bench(runners=("raspberry-pi-4=local", "host=local", "tflm"), runs=2, warmup=0)
    artifact = read_artifact(INT8, name="x", precision="int8")
    result = by_runners(INT8, artifact, settings, [PI, HOST, BOARD], [PI, HOST, BOARD])
    assert {m.profile for m in result.measurements} == {"raspberry-pi-4"}
    assert by_runners(INT8, artifact, settings, [PI, HOST, BOARD], [BOARD]).measurements == ()


def latency(values: list[float], cpu: list[float], **conditions: object) -> list[Measurement]:
    return [
        measured("latency", "x", values, where="host", method="", conditions=dict(conditions)),
        measured("cpu_time", "x", cpu, where="host", method=""),
    ]


STEADY, UNSTEADY = [1.0] * 10, [1.0] * 7 + [2.0] * 3


@pytest.mark.parametrize(
    ("cpu", "conditions", "said"),
    [
        (STEADY, {"load": 6.0, "cores": 2},
         "the machine had other work (load 6.0 on 2 cores); go by cpu_time, which is steady, or measure again"),
        (UNSTEADY, {"load": 0.1, "cores": 2, "governor": "powersave"},
         "the clock isn't held (frequency governor 'powersave'); measure again, with more --runs"),
        (UNSTEADY, {"load": 0.1, "cores": 2, "governor": "performance"},
         "the cause isn't known: other work, a changing clock or heat; measure again, with more --runs"),
    ],
)  # fmt: skip
def test_a_wide_spread_is_said_with_its_likely_cause(
    cpu: list[float], conditions: dict[str, object], said: str
) -> None:
    (sentence,) = spread.warnings(latency(UNSTEADY, cpu, **conditions))
    assert sentence == (
        f"host: the latency is unsteady: one run in ten took less than 1 s, one in ten more than 2 s; {said}"
    )


def test_a_narrow_spread_is_not_mentioned() -> None:
    assert list(spread.warnings(latency(STEADY, STEADY, load=9.0, cores=2))) == []


def test_a_wide_interval_of_a_ratio_is_said() -> None:
    ratio = Ratio((1.0,), (1.0,), 1.0, 0.8, 1.1)
    warning = spread.wide_interval(ratio, {"load": 4.0, "cores": 2})
    assert warning == (
        "the interval is wide (0.800 to 1.100): the machine had other work (load 4.0 on 2 cores); close other "
        "programs, or give more --rounds"
    )
    assert spread.wide_interval(Ratio((1.0,), (1.0,), 1.0, 0.99, 1.02), {}) is None


@given(
    st.lists(st.floats(1e-6, 10), min_size=3, max_size=12),
    st.lists(st.floats(0.5, 2), min_size=12, max_size=12),
    st.floats(0.1, 10),
)
def test_a_machine_that_slows_down_doesn_t_change_a_ratio(a: list[float], drift: list[float], factor: float) -> None:
    """ratio_interval(a * drift, factor * a * drift) == (factor, factor, factor)."""
    slowed = [x * d for x, d in zip(a, drift, strict=False)]
    found = ratio_interval(slowed, [factor * x for x in slowed])
    assert found == pytest.approx((factor,) * 3)


def test_files_are_timed_in_turn_each_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[int] = []
    found = interleave(INT8, FIXTURES / "tiny.float32.onnx", Turns(rounds=3, runs=3, warmup=1), advance=heard.append)
    assert sum(heard) == 3
    assert len(found.wall.first) == len(found.cpu.second) == 3
    assert (found.where, found.conditions["rounds"]) == ("host", 3)


def test_a_file_of_the_two_that_doesn_t_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(INT8.read_bytes()[:4000])
    with pytest.raises(RunError) as caught:
        interleave(INT8, path, Turns(rounds=3, runs=1, warmup=0))
    assert str(caught.value) == f"{path}: The model is not a valid Flatbuffer buffer"


def test_bench_vs_says_which_is_slower_and_how_sure_that_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Ratio((1e-3,) * 5, (1.2e-3,) * 5, 1.2, 1.18, 1.22)
    same = Ratio((1e-3,) * 5, (1e-3,) * 5, 1.001, 0.99, 1.01)
    told = interleaved.Interleaved(wall=slow, cpu=same, where="host", conditions={"rounds": 5})
    monkeypatch.setattr(interleaved, "interleave", lambda *_, **__: told)
    answer = run(capsys, "bench", str(INT8), "--vs", str(FIXTURES / "tiny.float32.tflite"), "--rounds", "5")
    assert answer.code == 0
    assert [" ".join(line.split()) for line in answer.out.splitlines() if "─" not in line][2:] == [
        "metric A B B / A 95 % interval",
        "latency 1 ms 1.2 ms 1.200 1.180 to 1.220",
        "cpu_time 1 ms 1 ms 1.001 0.990 to 1.010",
        "B's latency is 20.0% more than A's: 5 rounds in turn, host",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--rounds", "5"], "--rounds: is for --vs FILE; without it, --runs says how often the file is run"),
        (["--vs", str(INT8), "--runner", "local,ssh://a"], "--runner: --vs compares on one machine, found 2"),
        (["--vs", str(INT8), "--runner", "tflm"],
         "--runner: 'tflm' times no files of any kind; 'local', 'ssh' and 'adb' do"),
        (["--vs", "gone.tflite"], "gone.tflite: no such file"),
    ],
)  # fmt: skip
def test_a_comparison_that_can_t_be_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "bench", str(INT8), *words)
    assert (answer.code, answer.out, answer.err) == (2, "", f"edgecut: error: {text}\n")
