"""This machine: files are timed in child processes without TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.bench.runners.results import as_measurements, latency_job
from edgecut.errors import MissingRuntimeError, RefusedError, RunError
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench
from edgecut.sandbox import child

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result

WORKER = "edgecut.bench.worker"


@dataclass(frozen=True)
class Local:
    """This machine, a Machine of protocol.py."""

    name: str = "local"
    place: str = "host"

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Wall latency, processor time and memory growth, measured on this host."""
        result = self.run(latency_job(settings), [path], timeout_s=settings.timeout_s)
        return as_measurements(result, settings, where="host", artifact=artifact, profile=profile)

    def run(self, job: Job, files: Sequence[Path], *, timeout_s: float = TIMEOUT_S) -> Result:
        """The result of a job of worker.py, done in a child process."""
        return run_job(job, files, timeout_s=timeout_s)


def run_job(job: Job, files: Sequence[Path], *, module: str = WORKER, timeout_s: float = TIMEOUT_S) -> Result:
    """The result of a job that a child process did on files; worker.py and tflm_worker.py say what jobs there are.

    Raises RunError, beginning with the first file, if the child fails or takes longer than timeout_s; RefusedError if
    its runtime refuses the file, or crashes;
    MissingRuntimeError if a package that it needs isn't installed.
    """
    try:
        size_bytes = sum(file.stat().st_size for file in files if file.is_file())
        answer = child.run_job(module, {**job, "paths": [str(file) for file in files]}, timeout_s, size_bytes)
    except child.ChildDied as exc:
        raise (RefusedError if exc.crashed else RunError)(f"{files[0]}: {exc}") from exc
    return checked(cast("Result", answer), files, "this machine", sys.executable)


def checked(result: Result, files: Sequence[Path], where: str, python: str) -> Result:
    """The result of a job, if it isn't a failure that the worker could name: then it is raised."""
    if "missing" in result:
        raise MissingRuntimeError(
            f"{where}: has no Python package {result['missing']!r}; `{python} -m pip install {result['missing']}` there"
        )
    if "error" in result:
        raise RefusedError(f"{files[result.get('of', 0)]}: {result['error']}")
    return result
