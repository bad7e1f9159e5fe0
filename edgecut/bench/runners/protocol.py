"""What a runner is: a machine that files are measured on, or a simulator of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result

TIMEOUT_S = Bench().timeout_s


class Runner(Protocol):
    """Measures a file, each runner in its own way."""

    @property
    def name(self) -> str:
        """As a user writes it: "local", "ssh://pi@board"; two runners of one name are the same."""

    @property
    def place(self) -> str:
        """The machine that does the work; runners of one place must not measure at the same time."""

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Every metric that the runner can tell.

        settings: runs, warm-up, threads, and the time after which it counts as hanging. profile: of the device that
        the numbers are about; None where they stand beside a device's and never answer its budget.
        Raises RunError, MissingRuntimeError, or RequestError for a profile that it can't measure.
        """
        ...


class Machine(Runner, Protocol):
    """A runner that does the jobs of bench/worker.py on a machine."""

    def run(self, job: Job, files: Sequence[Path], *, timeout_s: float = TIMEOUT_S) -> Result:
        """The result of a job on files, which are sent to the machine first; "paths" is added to the job.

        job: as the functions of worker.py's table JOBS say it, with its name under "job". One call is one child process
        and one connection. Raises RunError, beginning with the first file, if the job fails, crashes or
        takes longer than timeout_s; MissingRuntimeError if the machine can't be used as it is.
        """
        ...
