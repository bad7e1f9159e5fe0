#!/usr/bin/env python3
"""How long a search takes on a cluster, against the least that its tasks allow: recorded times, slept by real Dask.

    python tools/simulate_cluster.py record MODEL IMAGES times.json [--preprocess tf] [--size 96x96]
    python tools/simulate_cluster.py run times.json [--workers 1,8,64] [--images 2000,20000,200000] [--inputs 4]
        [--seconds 60]

`record` searches here and writes the CPU seconds of each task: what it takes on a worker with one core of this kind
that nobody disturbs. `run` starts Dask's own scheduler in a process, so many of its workers in another, and has the
agenda of a search (search/scoring.py) done by them through what `edgecut search --dask` sends its own: each task sleeps
what was recorded, and on top of it what a worker takes to start, and for each input to load and trace what was edited,
when it is the first of it there. Probes are scaled to the images in proportion. Times are slept --speed times as fast,
by default so that the bound takes --seconds; what Dask and this process take counts that often, so that the makespan is
an upper limit. The bound is the larger of all work shared out evenly, each input traced once, and of the longest chain
of tasks that wait for each other, both after one start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgecut.search.parts import Columns, Edit, Pass, Passed, Probe

if TYPE_CHECKING:
    from edgecut.pipeline.workers import Dask
    from edgecut.records.recipe import Preprocess
    from edgecut.search.inputs import Workbench
    from edgecut.search.request import Size
    from edgecut.search.tasks import Answer, Task

_REQUEST_BYTES = 4096  # that each task is sent with


@dataclass(frozen=True)
class Times:
    """CPU seconds. start_s: of a worker, until it has the source. edit_s: of an input. trace_s: to load what was edited
    and to trace it, once a worker and input.

    pass_s: of PART images. alike_s: what the first part of an input takes beyond that. scoring_s: of an input. cheap,
    exact: by cut, of a probe on `images` images; scores: what those said. columns: of the model, as Columns has them.
    """

    images: int
    start_s: float
    edit_s: float
    trace_s: float
    pass_s: float
    alike_s: float
    scoring_s: float
    cheap: dict[str, float]
    exact: dict[str, float]
    scores: dict[str, float]
    columns: dict[str, list[int]]

    def of(self, task: Task, images: int) -> float:
        """The seconds of a task of a search with so many images."""
        if isinstance(task, Edit):
            return self.edit_s
        if isinstance(task, Pass):
            return self.pass_s + (0.0 if task.first else self.alike_s)
        if isinstance(task, Probe):
            return (self.exact if task.exact else self.cheap)[str(task.cut)] * images / self.images
        return self.scoring_s


@dataclass(frozen=True)
class Sleep:
    """A task as a worker gets it. before: (what a worker does once, its seconds), in order."""

    task: Task
    answer: Answer
    seconds: float
    before: tuple[tuple[str, float], ...]
    request: bytes = bytes(_REQUEST_BYTES)


def main() -> None:
    """Record, or run, or be the workers of a run."""
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
    running.add_argument("--images", default="2000,20000,200000")
    running.add_argument("--inputs", type=int, default=4)
    running.add_argument("--seconds", type=float, default=60)
    running.add_argument("--speed", type=float)
    serving = commands.add_parser("workers")
    serving.add_argument("address")
    serving.add_argument("count", type=int)
    options = parser.parse_args()
    if options.command == "workers":
        asyncio.run(serve(options.address, options.count))
    elif options.command == "record":
        height, _, width = options.size.partition("x")
        times = recorded(options.model, options.images, options.preprocess, (int(height), int(width)))
        options.times.write_text(json.dumps(asdict(times), indent=1) + "\n")
    else:
        times = Times(**json.loads(options.times.read_text()))
        print(f"{'images':>8} {'workers':>7} {'tasks':>6} {'work s':>8} {'bound s':>8} {'makespan s':>10} "
              f"{'of bound':>8} {'speed':>6} {'own CPU s':>9}")  # fmt: skip
        for images in map(int, options.images.split(",")):
            for workers in map(int, options.workers.split(",")):
                shown(times, images, options.inputs, workers, options.speed or options.seconds)


def recorded(model: str, images: str, preprocess: Preprocess, size: tuple[int, int]) -> Times:
    """The times of the tasks of a search in this process."""
    begun = time.process_time()
    from edgecut.graph.quiet import import_keras_quietly

    import_keras_quietly()
    import edgecut
    from edgecut.search import run
    from edgecut.search.inputs import Workbench
    from edgecut.search.request import PART, Choice
    from edgecut.search.tasks import Scoring, do

    took: list[tuple[Task, Answer, float]] = []
    counts: list[int] = []
    starts: list[float] = []

    def timed(bench: Workbench, task: Task) -> Answer:
        counts.append(bench.count)
        if not took:
            starts.append(time.process_time() - begun)
        if isinstance(task, Pass) and not fresh:  # what a worker does that didn't edit the source
            another = Workbench(bench.request, bench.store, in_parts=True)
            _ = another.source.model.value, another.training_rows(task.size, task.channels, slice(PART, 2 * PART))
            fresh.append(seconds_of(another, replace(task, first=PART))[1])
        answer, seconds = seconds_of(bench, task)
        if not isinstance(task, Choice):
            took.append((task, answer, seconds))
        return answer

    def seconds_of(bench: Workbench, task: Task) -> tuple[Answer, float]:
        began = time.process_time()
        answer = do(bench, task)
        return answer, round(time.process_time() - began, 4)

    fresh: list[float] = []
    vars(run)["do"] = timed
    with tempfile.TemporaryDirectory() as folder:
        edgecut.search(model, images, out=folder, preprocess=preprocess, sizes=[size], channels=[3], top=1)
    # The first traces the model, and the last may be smaller.
    passes = [seconds for task, _, seconds in took if isinstance(task, Pass)]
    whole = sorted(passes[1:-1])
    if not whole:
        sys.exit(f"simulate_cluster: {counts[0]} training images are too few; at least three parts of 1,024 are needed")
    pass_s = whole[len(whole) // 2]
    columns = next(answer.columns for _, answer, _ in took if isinstance(answer, Passed))
    probes = [(task, cast("float", answer), seconds) for task, answer, seconds in took if isinstance(task, Probe)]
    return Times(
        images=counts[0],
        start_s=round(starts[0], 4),
        edit_s=next(seconds for task, _, seconds in took if isinstance(task, Edit)),
        trace_s=round(fresh[0] - pass_s, 4),
        pass_s=pass_s,
        alike_s=round(max(0.0, passes[0] - fresh[0]), 4),
        scoring_s=next(seconds for task, _, seconds in took if isinstance(task, Scoring)),
        cheap={str(task.cut): seconds for task, _, seconds in probes if not task.exact},
        exact={str(task.cut): seconds for task, _, seconds in probes if task.exact},
        scores={str(task.cut): score for task, score, _ in probes if not task.exact},
        columns=cast("dict[str, list[int]]", asdict(columns)),
    )


def shown(times: Times, images: int, inputs: int, workers: int, pace: float) -> None:
    """One row of the table."""
    from edgecut.search.request import PART

    scale = images / times.images
    cheap, exact = ([scale * t for t in some.values()] for some in (times.cheap, times.exact))
    own = (
        -(-images // PART) * times.pass_s
        + sum(cheap)
        + sum(exact)
        + times.scoring_s
        + times.edit_s
        + times.trace_s
        + times.alike_s
    )
    chain = (
        times.edit_s
        + times.trace_s
        + times.pass_s
        + times.alike_s
        + max(cheap)
        + max(exact, default=0.0)
        + times.scoring_s
    )
    bound = times.start_s + max(inputs * own / workers, chain)
    speed = max(1.0, bound / pace)
    took, tasks, cpu = makespan(times, images, inputs, workers, speed)
    print(
        f"{images:>8} {workers:>7} {tasks:>6} {inputs * own:>8.0f} {bound:>8.1f} {took:>10.1f} {took / bound:>8.2f} "
        f"{speed:>6.1f} {cpu:>9.1f}",
        flush=True,
    )


def makespan(times: Times, images: int, inputs: int, workers: int, speed: float) -> tuple[float, int, float]:
    """(the seconds that a search takes, at the recorded speed; its tasks; the CPU seconds of this process)."""
    from edgecut.cache.store import Store
    from edgecut.records.progress import SILENT
    from edgecut.search.scoring import score_inputs
    from edgecut.search.tasks import NOTHING_SWEPT, Scored, Scoring

    columns = Columns(*(tuple(times.columns[name]) for name in ("widths", "same", "macs")))
    answers: dict[type, Answer] = {
        Edit: "",
        Pass: Passed(columns, (0.0,) * len(columns.widths)),
        Scoring: Scored(NOTHING_SWEPT, {"points": []}),
    }
    done = 0

    def asleep(task: Task) -> Sleep:
        answer: Answer = times.scores[str(task.cut)] if isinstance(task, Probe) else answers[type(task)]
        traced = ((f"{task.size}", times.trace_s / speed),) if isinstance(task, Pass | Scoring) else ()
        return Sleep(task, answer, times.of(task, images) / speed, (("start", times.start_s / speed), *traced))

    with tempfile.TemporaryDirectory() as folder, cluster(workers) as hands:

        def each(tasks: Iterable[Task | None]) -> Iterator[tuple[Task, Answer]]:
            nonlocal done
            for message, answer in hands.each(sleep, (None if task is None else asleep(task) for task in tasks)):
                done += 1
                yield message.task, answer

        bench = cast("Workbench", Bench(images, Store(Path(folder), {}), SILENT))
        began, cpu = time.perf_counter(), time.process_time()
        list(score_inputs(bench, each, [Scoring((96 + k, 96), 3) for k in range(inputs)]))
        return (time.perf_counter() - began) * speed, done, time.process_time() - cpu


@dataclass(frozen=True)
class Bench:
    """What score_inputs asks of a Workbench."""

    count: int
    store: object
    progress: object
    teaches: bool = False

    def has_body(self, size: Size | None, channels: int | None) -> bool:
        """Nothing is kept of an earlier search."""
        return False

    def drop_body(self, size: Size | None, channels: int | None) -> None:
        """Nothing is there to be removed."""


def sleep(message: Sleep) -> Answer:
    """The answer, after the recorded time."""
    from distributed import get_worker

    worker = get_worker()
    seen = worker.__dict__.setdefault("seen_by_simulation", set())
    new = [(what, seconds) for what, seconds in message.before if what not in seen]
    seen.update(what for what, _ in new)
    time.sleep(message.seconds + sum(seconds for _, seconds in new))
    return message.answer


@contextlib.contextmanager
def cluster(count: int) -> Iterator[Dask]:
    """The hands of a scheduler in a process and so many workers in another."""
    import dask
    from distributed import Client

    from edgecut.pipeline.workers import Dask

    scheduler = subprocess.Popen(
        [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert scheduler.stderr is not None
    address = next(line.split()[-1] for line in scheduler.stderr if "Scheduler at:" in line)
    workers = subprocess.Popen([sys.executable, __file__, "workers", address, str(count)], stderr=subprocess.DEVNULL)
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": "120s"}), Client(address, timeout=120) as client:
            client.wait_for_workers(count)
            yield Dask(client)
    finally:
        for child in (workers, scheduler):
            child.kill()
            child.communicate()


async def serve(address: str, count: int) -> None:
    """So many workers of one thread each, until this process is killed."""
    from distributed import Worker

    await asyncio.gather(*(Worker(address, nthreads=1, memory_limit=0, dashboard=False) for _ in range(count)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
