"""An Android device behind adb: TensorFlow Lite's benchmark_model there, or a Python with a runtime.

benchmark_model is pushed from EDGECUT_BENCHMARK_MODEL, or found where its own instructions put it. Everything else is
written into one folder of the device, which is removed before and after.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.runners import sent
from edgecut.bench.runners.local import checked
from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.bench.runners.results import as_measurements, latency_job
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.records.measurement import UNITS, Measurement, measured
from edgecut.records.profile import Profile
from edgecut.records.programs import ADB, needed
from edgecut.records.recipe import Bench
from edgecut.runtime.specs import file_format
from edgecut.sandbox.child import last_line
from edgecut.whole import scratch_folder

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result

BINARY = "EDGECUT_BENCHMARK_MODEL"
"""Environment variable: a benchmark_model on this machine, built for the device."""

HOME = "/data/local/tmp"
FOLDER = f"{HOME}/edgecut"
ENDED = "edgecut-ended "
STEP_TIMEOUT_S = 300.0  # to push a file, or to ask for something small

_FORM = re.compile(r"adb(?:://(?P<serial>[\w.:-]*))?", re.A)
# "count=24 first=42142 curr=42232 min=42142 max=42763 avg=42435.4 std=147 p5=42232 median=42405 p95=42729" in
# microseconds (benchmark_model.cc, tsl/util/stats_calculator.h); without the percentiles before 2023, and for equal
# values "count=5 curr=71(all same)".
_FIGURE = re.compile(r"(\w+)=([0-9.e+]+)")
_FIRST = re.compile(r"First inference: ([0-9.e+]+)")
_MEMORY = re.compile(r"overall=([0-9.e+]+)")


@dataclass(frozen=True)
class Adb:
    """An Android device, a Machine of protocol.py. serial: "" for the only one that is connected."""

    serial: str = ""

    @property
    def name(self) -> str:
        """As a user writes it."""
        return f"adb://{self.serial}" if self.serial else "adb"

    @property
    def place(self) -> str:
        """The device that does the work."""
        return self.name

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Latency and memory: by benchmark_model for a .tflite file where there is one, else by a Python there."""
        self._connected()
        binary = self._binary() if file_format(path) == "tflite" else None
        if binary is None:
            result = self.run(latency_job(settings), [path], timeout_s=settings.timeout_s)
            return as_measurements(result, settings, where=self.name, artifact=artifact, profile=profile)
        with self._folder():
            pushed = self._push(path, f"0{path.suffix.lower()}")
            command = (
                f"{binary} --graph={pushed} --num_threads={settings.threads_here} --num_runs={settings.runs} "
                f"--warmup_runs={max(1, settings.warmup)} --min_secs=0 --warmup_min_secs=0"
            )
            said = self._shell(command, settings.timeout_s, str(path))
        return _measurements(said, settings, path, self.name, artifact, profile)

    def run(self, job: Job, files: Sequence[Path], *, timeout_s: float = TIMEOUT_S) -> Result:
        """The result of a job of worker.py, done by the device's Python. Raises MissingRuntimeError without one."""
        self._connected()
        if "python3" not in self._ask("command -v python3"):
            raise MissingRuntimeError(
                f"{self.name}: no benchmark_model for this and no python3 there; set {BINARY} to a benchmark_model "
                f"that is built for the device, or push one to {HOME}"
            )
        with self._folder():
            names = [f"{number}{file.suffix.lower()}" for number, file in enumerate(files)]
            for file, name in zip(files, names, strict=True):
                self._push(file, name)
            with scratch_folder() as scratch:
                (scratch / sent.NAME).write_bytes(sent.archive())
                script = self._push(scratch / sent.NAME, sent.NAME)
                request = scratch / "job.json"
                request.write_text(json.dumps({**job, "paths": names}))
                asked = self._push(request, "job.json")
            answer = f"{FOLDER}/result.json"
            self._shell(f"cd {FOLDER} && python3 {script} < {asked} > {answer}", timeout_s, str(files[0]))
            return checked(json.loads(self._ask(f"cat {answer}")), files, self.name, "python3")

    def _connected(self) -> None:
        """Raises MissingRuntimeError without adb, RunError where the device can't be used, saying what to do."""
        needed(ADB)
        _, _, listed = self._adb("devices").partition("List of devices attached")
        lines = [line.split() for line in listed.splitlines() if line.strip()]
        states = {line[0]: line[1] for line in lines if len(line) > 1}
        if self.serial and self.serial not in states:
            raise RunError(f"{self.name}: isn't connected; `adb devices` shows {', '.join(states) or 'none'}")
        if not self.serial and len(states) != 1:
            found = f"{', '.join(states)}: name one, --runner adb://{next(iter(states))}" if states else "none"
            raise RunError(f"adb: one connected device is expected, found {found}")
        state = states[self.serial] if self.serial else next(iter(states.values()))
        if state != "device":
            hint = "; allow this computer on its screen" if state == "unauthorized" else ""
            raise RunError(f"{self.name}: the device is {state}{hint}")

    def _binary(self) -> str | None:
        """The device's path of benchmark_model, which is pushed if the environment names one; None if there is none."""
        given = os.environ.get(BINARY)
        if given:
            if not Path(given).is_file():
                raise RequestError(f"{BINARY}: no file {given!r}")
            self._adb("push", given, f"{HOME}/benchmark_model")
            self._ask(f"chmod 755 {HOME}/benchmark_model")
        there = self._ask(f"ls {HOME}/benchmark_model 2>/dev/null")
        return there.strip() or None

    @contextmanager
    def _folder(self) -> Iterator[None]:
        self._ask(f"rm -rf {FOLDER} && mkdir -p {FOLDER}")
        try:
            yield
        finally:
            self._ask(f"rm -rf {FOLDER}")

    def _push(self, file: Path, name: str) -> str:
        self._adb("push", str(file), f"{FOLDER}/{name}")
        return f"{FOLDER}/{name}"

    def _ask(self, command: str) -> str:
        """What a small shell command says on stdout; its exit code isn't looked at."""
        return self._adb("shell", command)

    def _shell(self, command: str, timeout_s: float, path: str) -> str:
        """All that a command says. Old versions of adb lose its exit code, so it is printed."""
        said = self._adb("shell", f"({command}) 2>&1; echo {shlex.quote(ENDED)}$?", timeout_s=timeout_s, path=path)
        text, _, code = said.rpartition(ENDED)
        if code.strip() != "0":
            raise RunError(f"{path}: what ran it on {self.name} failed: {last_line(text or said)}")
        return text

    def _adb(self, *arguments: str, timeout_s: float = STEP_TIMEOUT_S, path: str = "") -> str:
        chosen = ["-s", self.serial] if self.serial and arguments[0] != "devices" else []
        place = f"{path}: " if path else ""
        try:
            child = subprocess.run(
                ["adb", *chosen, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise RunError(f"{place}{self.name}: adb {arguments[0]} was stopped after {timeout_s:g} s") from exc
        if child.returncode != 0 and (arguments[0] != "shell" or "error: " in child.stderr):
            raise RunError(f"{place}{self.name}: adb {arguments[0]} failed: {last_line(child.stderr or child.stdout)}")
        return child.stdout


def adb_of(text: str) -> Adb:
    """The device at adb or adb://SERIAL. Raises RequestError for any other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise RequestError(f"--runner: adb or adb://SERIAL is expected, found {text!r}")
    return Adb(match["serial"] or "")


def _measurements(
    said: str, settings: Bench, path: Path, where: str, artifact: str, profile: Profile | None
) -> tuple[Measurement, ...]:
    """What benchmark_model printed. It keeps no raw values: its median is taken, or its mean where it gives none."""
    lines = [line for line in said.splitlines() if "count=" in line and "curr=" in line]
    if not lines:
        raise RunError(f"{path}: benchmark_model on {where} gave no figures; it last wrote: {last_line(said)}")
    figures = {key: float(value) for key, value in _FIGURE.findall(lines[-1])}
    kind = next(key for key in ("median", "avg", "curr") if key in figures)
    first, memory = _FIRST.search(said), _MEMORY.search(said)
    conditions: dict[str, object] = {
        "runtime": "benchmark_model",
        "threads": settings.threads_here,
        "runs": int(figures["count"]),
        "warmup": max(1, settings.warmup),
        **{f"{key}_s": figures[key] / 1e6 for key in ("min", "p5", "p95", "max", "std") if key in figures},
        **({"first_s": float(first[1]) / 1e6} if first else {}),
    }
    owner = None if profile is None else profile.id
    found = [
        Measurement(
            metric="latency",
            artifact=artifact,
            profile=owner,
            unit=UNITS["latency"],
            value=figures[kind] / 1e6,
            kind="measured",
            where=where,
            conditions=conditions,
            method=f"{'median' if kind == 'median' else 'mean'} wall time of runs by benchmark_model",
        )
    ]
    if memory:
        growth = "growth of benchmark_model's resident memory over loading and running"
        found.append(
            measured(
                "memory",
                artifact,
                [float(memory[1]) * 2**20],
                where=where,
                method=growth,
                profile=owner,
                conditions=conditions,
            )
        )
    return tuple(found)
