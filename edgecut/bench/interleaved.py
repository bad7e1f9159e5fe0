"""Two files timed in turn on one machine, and by what factor the second is slower, with its confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgecut.bench.runners.local import Local
from edgecut.bench.runners.protocol import TIMEOUT_S, Machine
from edgecut.bench.ticks import told
from edgecut.records.progress import Advance

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job

ROUNDS, RUNS, WARMUP = 9, 20, 5


class Turns(NamedTuple):
    """How often: rounds of both files, each of so many runs behind so many that aren't counted."""

    rounds: int = ROUNDS
    runs: int = RUNS
    warmup: int = WARMUP
    threads: int = 1


ONCE = Turns()


@dataclass(frozen=True)
class Ratio:
    """Two columns of times in seconds, one value for each round, the second over the first.

    value: the median of the rounds' ratios. low, high: its 95 % interval.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    value: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 1 out: more than the noise of these rounds."""
        return self.low > 1 or self.high < 1


@dataclass(frozen=True)
class Interleaved:
    """How the second of two files compares with the first. conditions: the machine's state, runtime and settings."""

    wall: Ratio
    cpu: Ratio
    where: str
    conditions: Mapping[str, object] = field(default_factory=dict)


def interleave(
    first: Path,
    second: Path,
    turns: Turns = ONCE,
    *,
    timeout_s: float = TIMEOUT_S,
    machine: Machine | None = None,
    advance: Advance | None = None,
) -> Interleaved:
    """Rounds of both files in turn, each turn a fresh process on the same core, by default on this machine.

    What disturbs the machine for longer than a round then strikes both, and leaves their ratio alone. advance: hears of
    each round on this machine.
    Raises RunError if one of them doesn't run.
    """
    runner = machine or Local()
    settings: Job = {
        "rounds": turns.rounds,
        "runs": turns.runs,
        "warmup": turns.warmup,
        "threads": turns.threads,
    }
    job: Job = {**settings, "job": "interleaved"}
    with told(advance if isinstance(runner, Local) else None) as listener:
        result = runner.run({**job, **listener}, [first, second], timeout_s=timeout_s)
    a, b = result["rows"]
    return Interleaved(
        wall=_ratio(a["wall_s"], b["wall_s"]),
        cpu=_ratio(a["cpu_s"], b["cpu_s"]),
        where="host" if isinstance(runner, Local) else runner.name,
        conditions={"runtime": result["runtime"], "version": result["version"], **settings, **result["conditions"]},
    )


def ratio_interval(first: Sequence[float], second: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """(second / first, low, high): the median of paired ratios with its 95 % bootstrap interval.

    first, second: times of the same rounds, at least one of each; seed: of the resampling, so that
    equal times give equal ends.
    """
    # A clock of coarse steps may tell 0 for a short run.
    least = np.finfo(np.float64).tiny
    ratios = np.log(np.maximum(second, least) / np.maximum(first, least))
    picks = np.random.default_rng(seed).integers(0, len(ratios), (2000, len(ratios)))
    low, high = np.quantile(np.median(ratios[picks], axis=1), (0.025, 0.975))
    return math.exp(statistics.median(ratios.tolist())), math.exp(low), math.exp(high)


def _ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    return Ratio(tuple(first), tuple(second), *ratio_interval(first, second))
