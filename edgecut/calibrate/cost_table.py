"""A machine that can be reached, timed with small files: a profile whose latency facts are its own."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgecut.bench.runners.protocol import Machine
from edgecut.calibrate.fit import Timed, calibrated
from edgecut.calibrate.specimens import DTYPES, Specimen, specimens
from edgecut.errors import RequestError, RunError
from edgecut.records.document import parse
from edgecut.records.profile import Calibrated, Profile
from edgecut.records.progress import SILENT, Progress
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.flatbuffer import parse as parse_tflite
from edgecut.whole import scratch_folder

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result, State

ROUNDS, SECONDS = 8, 70.0
# A board of 1 GB holds a batch twice, as files and as its kernels pack them.
BATCH_BYTES, BATCH_FILES, BATCH_TIMEOUT_S = 150_000_000, 120, 900.0
# Half of the files take longer or shorter by more in every other round: what is fitted to them means nothing.
NOISE_MOST = 0.05


@dataclass(frozen=True)
class Times:
    """What a machine said of the files. seconds: file -> its rounds. noise: see `noise`. failed: file -> reason."""

    seconds: dict[str, tuple[float, ...]]
    failed: dict[str, str]
    runtime: str
    version: str
    conditions: State


@dataclass(frozen=True)
class Calibration:
    """A profile, and how well the machine could be timed. noise: as a fraction. failed: file -> reason.

    busy: what else ran there, "" for nothing much. Such a machine may time files alike round after round, and still not
    as it does when it is quiet: at a load of 7 on 2 cores twenty networks were off by 9 % in the median, and by 2 %
    at a load of 2, while the rounds differed by 2 % at the most.
    """

    profile: Profile
    noise: float
    failed: dict[str, str]
    busy: str = ""


def calibrate(machine: Machine, profile_id: str, *, progress: Progress = SILENT) -> Calibration:
    """The profile of a machine, timed by its runner with about 550 files, one thread.

    profile_id: what the profile is called, its file's name without ".toml". Raises RequestError for an id that a
    profile can't have; RunError if the machine drops out, runs none of the files, or was too noisy to believe.
    """
    check_id(profile_id)
    files = list(specimens())
    times = timed(machine, files, progress)
    found = noise(times.seconds)
    if found > NOISE_MOST:
        raise RunError(
            f"{machine.name}: too noisy to believe: every other round of the same files differs by {found:.0%}, and at "
            f"most {NOISE_MOST:.0%} is expected; stop what else runs there, then calibrate again"
        )
    tables = tuple(calibrated(own, dtype) for dtype in DTYPES if (own := _of(files, times, dtype)))
    if not tables:
        raise RunError(
            f"{machine.name}: runs none of the files: {next(iter(times.failed.values()), 'no reason given')}"
        )
    return Calibration(_profile(profile_id, machine.name, times, tables), found, times.failed, _busy(times.conditions))


def check_id(profile_id: str) -> None:
    """Raises RequestError for an id that a profile can't have."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", profile_id):
        raise RequestError(
            f"-o: a profile is called as its file, found {profile_id!r}; small letters, digits, '.', '_' and '-' are "
            "expected, as in my-board.toml"
        )


def timed(machine: Machine, files: Sequence[Specimen], progress: Progress = SILENT) -> Times:
    """Each file's least processor time in each of several rounds, batch by batch. Raises RunError."""
    batches = list(_batches(files))
    seconds: dict[str, tuple[float, ...]] = {}
    failed: dict[str, str] = {}
    told: Result = {}
    conditions: State | None = None
    with progress.task(f"timing {machine.name}", len(files)) as advance:
        for batch in batches:
            with scratch_folder() as folder:
                paths = [folder / f"{file.name}.tflite" for file in batch]
                for path, file in zip(paths, batch, strict=True):
                    path.write_bytes(file.content)
                job: Job = {"job": "rounds", "rounds": ROUNDS, "threads": 1, "seconds": SECONDS / len(batches)}
                told = machine.run(job, paths, timeout_s=BATCH_TIMEOUT_S)
            # Later batches would find this calibration in the load.
            conditions = conditions or told["conditions"]
            for file, row in zip(batch, told["rows"], strict=True):
                if "error" in row:
                    failed[file.name] = row["error"]
                else:
                    seconds[file.name] = tuple(row["cpu_s"])
            advance(len(batch))
    return Times(seconds, failed, told["runtime"], told["version"], conditions or told["conditions"])


def noise(seconds: dict[str, tuple[float, ...]]) -> float:
    """The median over the files of how much the medians of every other round differ, as a fraction."""
    differences = [
        abs(statistics.median(rounds[::2]) / statistics.median(rounds[1::2]) - 1)
        for rounds in seconds.values()
        if len(rounds) > 1 and statistics.median(rounds[1::2]) > 0
    ]
    return statistics.median(differences) if differences else 0.0


def _busy(conditions: State) -> str:
    load, cores = conditions.get("load"), conditions.get("cores")
    return f"load {load:.1f} on {cores} cores" if load is not None and cores and load > cores else ""


def _of(files: Sequence[Specimen], times: Times, dtype: str) -> list[Timed]:
    found = []
    for file in files:
        if file.dtype == dtype and file.name in times.seconds:
            seconds = statistics.median(times.seconds[file.name])
            if seconds > 0:
                found.append(Timed(file.name, parse_tflite(file.content, file.name), seconds, file.kind == "chain"))
    return found


def _batches(files: Sequence[Specimen]) -> Iterator[list[Specimen]]:
    """The files in a mixed order, so that a disturbance strikes no one kind, in batches that small boards can hold."""
    batch: list[Specimen] = []
    held = 0
    for k in np.random.default_rng(0).permutation(len(files)):
        size = _constant_bytes(parse_tflite(files[k].content, files[k].name))
        if batch and (held + size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, held = [], 0
        batch.append(files[k])
        held += size
    yield batch


def _constant_bytes(graph: TfliteGraph) -> int:
    return sum(tensor.size_bytes for tensor in graph.tensors if tensor.is_constant)


def _profile(profile_id: str, runner: str, times: Times, tables: Sequence[Calibrated]) -> Profile:
    state = times.conditions
    linux = str(state.get("machine", "")).startswith("Linux")
    basis = f"{times.runtime} {times.version}, 1 thread, processor time"
    files, busy = sum(table.files for table in tables), _busy(state)
    cpu = {"core": str(state.get("cpu", "")), "cores": state.get("cores")}
    document = {
        "schema": "edgecut.profile/1",
        "id": profile_id,
        "title": f"{state.get('cpu') or 'This machine'}, calibrated",
        "class": ("android" if runner.startswith("adb") else "linux") if linux else "host",
        "cpu": {key: value for key, value in cpu.items() if value},
        "runtime": {
            "name": "litert",
            "version": times.version,
            "kernels": "xnnpack",
            "formats": ["tflite"],
            "precisions": [table.precision for table in tables],
        },
        "latency": {
            "kind": "measured",
            "basis": basis,
            "error_p50": max(table.error_p50 for table in tables),
            "error_p90": max(table.error_p90 for table in tables),
            "calibrated": [table.to_dict() for table in tables],
        },
        "sources": [
            {
                "field": "latency",
                "what": f"edgecut profile calibrate --runner {runner}: {files} files timed "
                f"there ({basis}{', ' + busy if busy else ''}); the errors are of chains left out of the fit",
            }
        ],
    }
    return parse(Profile, document, f"{profile_id}.toml")
