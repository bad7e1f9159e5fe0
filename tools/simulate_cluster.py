#!/usr/bin/env python3
"""How long a search takes on a cluster, against the least that its tasks allow: recorded times, slept by real Dask.

    python tools/simulate_cluster.py record MODEL IMAGES times.json [--preprocess tf] [--size 96x96]
    python tools/simulate_cluster.py run times.json [--workers 1,8,64] [--images 2000,200000] [--inputs 4] [--speed 20]

`record` searches here and writes how long each task took. `run` starts Dask's own scheduler with so many workers in
threads, and sends them the tasks of a search through what `edgecut search --dask` sends its own: each sleeps its
recorded time divided by --speed, so that what Dask itself takes counts that often. The bound is the larger of the work
divided by the workers and of the longest chain of tasks that wait for each other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import dask


@dataclass(frozen=True)
class Times:
    """Seconds of each task. passes: of PART images each. cheap, exact: of a cut's probe on `images` images."""

    images: int
    passes: list[float]
    cheap: list[float]
    exact: list[float]
    scorings: list[float]


def main() -> None:
    """Record, or run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("model")
    recording.add_argument("images")
    recording.add_argument("times", type=Path)
    recording.add_argument("--preprocess", default="tf")
    recording.add_argument("--size", default="96x96")
    running = commands.add_parser("run")
    running.add_argument("times", type=Path)
    running.add_argument("--workers", default="1,8,64")
    running.add_argument("--images", default="2000,200000")
    running.add_argument("--inputs", type=int, default=4)
    running.add_argument("--speed", type=float, default=20)
    given = parser.parse_args()
    if given.command == "record":
        height, _, width = given.size.partition("x")
        times = recorded(given.model, given.images, given.preprocess, (int(height), int(width)))
        given.times.write_text(json.dumps(asdict(times), indent=1) + "\n")
        return
    times = Times(**json.loads(given.times.read_text()))
    print(f"{'images':>8} {'workers':>7} {'tasks':>6} {'work s':>8} {'bound s':>8} {'makespan s':>10} {'of bound':>8}")
    for images in map(int, given.images.split(",")):
        for workers in map(int, given.workers.split(",")):
            shown(times, images, given.inputs, workers, given.speed)


def recorded(model: str, images: str, preprocess: str, size: tuple[int, int]) -> Times:
    """The times of the tasks of a search in this process."""
    from edgecut.graph.quiet import import_keras_quietly

    import_keras_quietly()
    import edgecut
    from edgecut.search import scoring
    from edgecut.search.passes import Probe

    took: dict[str, list[float]] = {"pass": [], "cheap": [], "exact": [], "scoring": []}
    counts: list[int] = []

    def timed(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(bench: object, task: object) -> object:
            began = time.perf_counter()
            answer = function(bench, task)
            kind = ("exact" if task.exact else "cheap") if isinstance(task, Probe) else name
            took[kind].append(round(time.perf_counter() - began, 4))
            if isinstance(task, Probe):
                counts.append(len(task.targets))
            return answer

        return call

    for name, function in (("pass", "pass_part"), ("probe", "probe"), ("scoring", "score_cuts")):
        setattr(scoring, function, timed(name, getattr(scoring, function)))
    with tempfile.TemporaryDirectory() as folder:
        edgecut.search(model, images, out=folder, preprocess=preprocess, sizes=[size], channels=[3], top=1)
    return Times(counts[0], took["pass"], took["cheap"], took["exact"], took["scoring"])


def shown(times: Times, images: int, inputs: int, workers: int, speed: float) -> None:
    """One row of the table."""
    from edgecut.search.request import PART

    parts, grown = -(-images // PART), images / times.images
    later = sorted(times.passes[1:] or times.passes)  # the first one traces the model
    passes = [max(times.passes) if k < min(workers, parts) else later[len(later) // 2] for k in range(parts)] * inputs
    cheap, exact = ([grown * t for t in some] for some in (times.cheap, times.exact))
    work = sum(passes) + inputs * (sum(cheap) + sum(exact)) + inputs * sum(times.scorings)
    chain = max(passes) + max(cheap) + max(exact, default=0.0) + max(times.scorings)
    bound = max(work / workers, chain)
    phases = [passes, cheap * inputs, exact * inputs, times.scorings[:1] * inputs]
    took = makespan(phases, workers, speed)
    tasks = sum(map(len, phases))
    print(
        f"{images:>8} {workers:>7} {tasks:>6} {work:>8.0f} {bound:>8.1f} {took:>10.1f} {took / bound:>8.2f}", flush=True
    )


def makespan(phases: Sequence[Sequence[float]], workers: int, speed: float) -> float:
    """The seconds that the tasks take, phase by phase as search/scoring.py sends them, at the recorded speed."""
    from distributed import Client, LocalCluster

    from edgecut.pipeline.workers import Dask

    with (
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        Client(cluster) as client,
    ):
        hands = Dask(client)
        list(hands.each(time.sleep, [0.0] * workers))
        began = time.perf_counter()
        for phase in phases:
            list(hands.each(time.sleep, [seconds / speed for seconds in phase]))
        return (time.perf_counter() - began) * speed


if __name__ == "__main__":
    sys.exit(main())
