"""Vela, Arm's compiler for Ethos-U: it simulates what the NPU takes, which is an estimate, not a measurement.

It is a program of its own (extra `ethos-u`), which reads a file and writes tables.
"""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.errors import RequestError, RunError
from edgecut.records.measurement import Measurement, Place, measured
from edgecut.records.profile import Profile
from edgecut.records.programs import VELA, needed, program_path
from edgecut.records.recipe import Bench
from edgecut.runtime.specs import file_format
from edgecut.sandbox.child import last_line
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, read
from edgecut.tflite.layers import layer_of
from edgecut.whole import scratch_folder

ACCELERATOR = "ethos-u"  # what the cpu.core of a profile begins with
METHOD = "Vela's cycles / the clock"
ON_CPU = "runs on the processor, which Vela doesn't time"


@dataclass(frozen=True)
class VelaRow:
    """One operator by Vela. seconds: None where the processor does it. layer: "" if the file doesn't tell."""

    operator: str
    layer: str
    seconds: float | None
    reason: str = ""


@dataclass(frozen=True)
class Simulation:
    """What Vela says of a file. summary: its summary table's one row. clock_hz: the profile's, or else Vela's own."""

    summary: dict[str, str]
    rows: tuple[VelaRow, ...]
    clock_hz: float
    version: str

    @property
    def on_cpu(self) -> tuple[str, ...]:
        """The operators that the NPU leaves to the processor, each name once."""
        return tuple(dict.fromkeys(row.operator for row in self.rows if row.seconds is None))


@dataclass(frozen=True)
class Vela:
    """The simulator, a Runner of protocol.py."""

    name: str = "vela"
    place: str = "host"

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Latency and arena on the profile's Ethos-U; of the settings only the time limit counts.

        Vela takes no time for what the processor has to do: then the latency is at least so long, and its conditions
        name the operators. The arena is the NPU's; the interpreter's own tables come on top.
        Raises RequestError for a profile of no Ethos-U, RunError if Vela refuses the file, MissingRuntimeError
        without it.
        """
        found = simulate(path, profile, settings.timeout_s)
        summary = found.summary
        conditions: dict[str, object] = {
            "vela": found.version,
            "accelerator": summary["accelerator_configuration"],
            "system": summary["system_config"],
            "memory_mode": summary["memory_mode"],
            "clock_hz": found.clock_hz,
            "vela_clock_hz": float(summary["core_clock"]),
            "cycles": float(summary["cycles_total"]),
        }
        left = {"at_least": True, "not_modelled": list(found.on_cpu)} if found.on_cpu else {}
        place: Place = {
            "where": place_of(profile),
            "kind": "simulated",
            "profile": None if profile is None else profile.id,
        }
        arena_bytes = float(summary["sram_memory_used"]) * 1024
        return (
            measured(
                "arena",
                artifact,
                [arena_bytes],
                method="SRAM by Vela's plan, without the interpreter's tables",
                conditions=conditions | {"at_least": True},
                **place,
            ),
            measured(
                "latency",
                artifact,
                [float(summary["cycles_total"]) / found.clock_hz],
                method=METHOD,
                conditions=conditions | left,
                **place,
            ),
        )


def is_here() -> bool:
    """Whether Vela is installed."""
    return program_path(VELA) is not None


def place_of(profile: Profile | None) -> str:
    """Where a figure of Vela's is from."""
    return "Vela" if profile is None else f"{profile.id} by Vela"


def check(profile: Profile | None) -> Profile:
    """The profile, if it is of an Ethos-U. Raises RequestError for another or none."""
    if profile is not None and takes(profile):
        return profile
    found = "none" if profile is None else repr(profile.id)
    raise RequestError(
        f"--runner: vela needs a profile of an Ethos-U (cpu.core = 'ethos-u55-128' or such), found {found}; pass "
        "--profile ethos-u55-128"
    )


def takes(profile: Profile) -> bool:
    """Whether the profile is of an NPU that Vela knows."""
    return profile.cpu.core.lower().startswith(ACCELERATOR)


def simulate(path: Path, profile: Profile | None, timeout_s: float = TIMEOUT_S) -> Simulation:
    """What Vela says of a .tflite file on the profile's Ethos-U, with Vela's own configuration of its surroundings.

    Raises as Vela.measure does.
    """
    device = check(profile)
    if file_format(path) != "tflite":
        raise RequestError(f"{path}: Vela reads .tflite files; export the model in int8 to TFLite")
    program, graph = needed(VELA), read(path)
    with scratch_folder() as folder:
        _compile(program, path, device.cpu.core.lower(), folder, timeout_s)
        summary = _table(folder, "*_summary_*.csv")
        layers = _table(folder, "*_per-layer.csv")
    if not summary or not float(summary[0]["cycles_total"] or 0):
        raise RunError(f"{path}: Vela leaves every operator to the processor; an int8 file is expected")
    vela_hz = float(summary[0]["core_clock"])
    clock_hz = device.cpu.clock_hz or vela_hz
    return Simulation(summary[0], tuple(_rows(layers, graph, clock_hz)), clock_hz, _version(program))


def _compile(program: str, path: Path, accelerator: str, folder: Path, timeout_s: float) -> None:
    command = [
        program,
        str(path.absolute()),
        "--accelerator-config",
        accelerator,
        "--output-dir",
        str(folder),
        "--verbose-performance",
    ]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, cwd=folder, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise RunError(f"{path}: Vela was stopped after {timeout_s:g} s") from exc
    if child.returncode != 0:
        said = next((text for text in (child.stderr, child.stdout) if text.strip()), "")
        raise RunError(f"{path}: Vela refused it: {last_line(said)}")


def _table(folder: Path, pattern: str) -> list[dict[str, str]]:
    files = sorted(folder.glob(pattern))
    if not files:
        return []
    with files[0].open(newline="") as file:
        return list(csv.DictReader(file))


def _rows(layers: Sequence[dict[str, str]], graph: TfliteGraph, clock_hz: float) -> Iterator[VelaRow]:
    """Vela's steps added up by the file's operators, in Vela's order.

    A step that computes no operator's output (softmax is thirty of them) is a part of the next one that does.
    """
    made = {graph.tensors[index].name: operator for operator in graph.operators for index in operator.outputs}
    cycles, on_cpu, last = 0.0, False, len(layers) - 1
    for place, step in enumerate(layers):
        cycles += float(step["Op Cycles"])
        on_cpu = on_cpu or step["Target"] == "CPU"
        operator = made.get(step["Name"])
        goes_on = place < last and (
            layers[place + 1]["Name"] == step["Name"]
            or (operator is None and layers[place + 1]["Original Operator"] == step["Original Operator"])
        )
        if not goes_on:
            seconds, reason = (None, ON_CPU) if on_cpu else (cycles / clock_hz, "")
            yield VelaRow(*_called(step, operator, graph), seconds, reason)
            cycles, on_cpu = 0.0, False


def _called(step: dict[str, str], operator: Operator | None, graph: TfliteGraph) -> tuple[str, str]:
    """(operator, layer): as the file names them, or as Vela does where it made a step of its own."""
    if operator is None:
        return step["Original Operator"], ""
    return operator.name, layer_of(graph, operator)


def _version(program: str) -> str:
    found = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60)
    return found.stdout.strip()
