"""A whole search: every input swept, the best choices built, the front written after each of them."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import keras

from edgecut.cache.store import Store
from edgecut.errors import StemError
from edgecut.images.targets import target_of
from edgecut.pipeline.workers import Here, Workers, workers
from edgecut.records.artifact import sha256_of
from edgecut.records.explanation import Explanation
from edgecut.records.front import CutScore, Front, FrontPoint
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Budget, Data, Precision, Preprocess, Recipe, Source, Target
from edgecut.score.metrics import MetricName
from edgecut.search import choosing
from edgecut.search.building import Made, name_of, priced
from edgecut.search.fronts import Built, choice_of, front_of, inputs, named
from edgecut.search.inputs import Workbench, own_size
from edgecut.search.request import (
    DEFAULT_TOP,
    Choice,
    Request,
    Size,
    check,
    default_precisions,
    own_channels,
    words,
)
from edgecut.search.tasks import Look, choice, facts_of, look, sent, work
from edgecut.whole import write_whole

Task = TypeVar("Task")

_ROUNDS = 3  # how often further choices are built for a device that none built so far fits


class SearchInterrupted(KeyboardInterrupt):
    """A search stopped by hand. front: what it has found so far, which is in OUT as well."""

    def __init__(self, front: Front) -> None:
        """front: with finished = False."""
        super().__init__()
        self.front = front


def search(
    model: str | Path | keras.Model,
    data: str | Path,
    profiles: Sequence[Profile | str] = ("host",),
    *,
    out: str | Path = "search",
    sizes: Sequence[Size] = (),
    channels: Sequence[int] = (),
    precisions: Sequence[Precision] = (),
    preprocess: Preprocess = "none",
    limit: int | tuple[int, int] | None = None,
    budget: Budget | None = None,
    target: Target | None = None,
    metric: MetricName | None = None,
    top: int = DEFAULT_TOP,
    time_limit_s: float | None = None,
    dask: str | None = None,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Front:
    """The choices of cut, size, channels and precision that no other beats, and one for each device.

    model: a source as build takes it, or a model, which is then saved to OUT. data: labelled images, class folders or
    an .npz. sizes, channels: default the source's own. precisions: default what the devices run of int8 and float32.
    budget: limits beside the profiles' own. target: what the images' labels are, by default what they look like;
    metric: by default what answers for that. The rest is as in Request. A second search into the same OUT goes on
    where the first one was. Raises RequestError before anything is started, SearchInterrupted on Ctrl-C.

    >>> front = edgecut.search("bell.keras", "doors.npz", ["nucleo-l4r5zi"]).front
    >>> [(point.cut, point.precision, point.recommended_for) for point in front]
    [('conv', 'int8', ('nucleo-l4r5zi',))]
    """
    folder = Path(out)
    if isinstance(model, keras.Model):
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "source.keras"
        model.save(source)
        model = source
    recipe = Recipe(
        source=Source(model=str(model), preprocess=preprocess),
        data=Data(train=str(data), limit=limit),
        budget=budget or Budget(),
    )
    found = recipe.data.model_copy(update={"target": target or target_of(recipe.data)})
    devices = tuple(p if isinstance(p, Profile) else find_profile(p) for p in profiles)
    request = Request(
        recipe.model_copy(update={"data": found}),
        devices,
        tuple(sizes),
        tuple(channels),
        tuple(precisions) or default_precisions(devices),
        folder,
        top,
        time_limit_s,
        metric,
        dask,
        workers,
    )
    return run(request, progress)


def run(request: Request, progress: Progress = SILENT) -> Front:
    """The same for a request. Empty sizes or channels are the source's own."""
    check(request)
    return _Search(request, progress).front_of_all()


class _Search:
    """What a search has found so far, and the folder in which it is kept."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.began = time.monotonic()
        self.progress = progress
        self.bench = Workbench(request, progress)
        request = self.bench.request = _with_inputs(request, self.bench)
        self.request = request
        self.facts = facts_of(request)
        self.store = Store(request.out / "cache", self.facts)
        self.looked: dict[Look, tuple[CutScore, ...]] = {}
        self.candidates: list[FrontPoint] = []
        self.built: dict[str, Built] = {}
        self.images: dict[str, int] = {}
        self.outputs = 0
        self.late: list[str] = []
        self.left_out: list[str] = []

    def front_of_all(self) -> Front:
        """Everything looked at, the front written after each evaluation."""
        try:
            with workers(address=self.request.dask, count=self.request.workers) as hands:
                self._look(hands)
                for turn in range(_ROUNDS):
                    self._build(hands, self._choices(turn))
            return self._write(finished=not self.late)
        except KeyboardInterrupt as exc:
            raise SearchInterrupted(self._write(finished=False)) from exc

    def _each(self, hands: Workers, function: Any, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """The tasks with their answers, as they are done: here, or each sent with all that it needs."""
        if isinstance(hands, Here):
            yield from hands.each(functools.partial(function, self.bench), tasks)
        else:
            messages = (sent(self.request, self.facts, task) for task in tasks)
            for message, answer in hands.each(work, messages):
                yield message.task, answer

    def _in_time(self, tasks: Iterable[Task], name: Callable[[Task], str]) -> Iterator[Task]:
        """The tasks that may begin; those after the time limit are noted."""
        limit = self.request.time_limit_s
        for task in tasks:
            if limit is None or time.monotonic() - self.began < limit:
                yield task
            else:
                self.late.append(f"{name(task)}: not looked at, the time limit was reached")

    def _look(self, hands: Workers) -> None:
        """The scores of all cuts of each input, and what each would cost."""
        tasks = [Look(size, channels) for size, channels in inputs(self.request)]
        known = {task: self._kept(task) for task in tasks}
        with self.progress.task("inputs", len(tasks)) as advance:
            for task, (swept, points) in known.items():
                if swept is not None and points is not None:
                    self._take(task, swept, points)
                    advance(1)
            rest = [replace(task, swept=swept) for task, (swept, points) in known.items() if points is None]
            in_time = self._in_time(rest, lambda task: words(task.size, task.channels))
            for task, found in self._each(hands, look, in_time):
                if found.left_out:
                    self.left_out.append(found.left_out)
                else:
                    where = {"size": task.size, "channels": task.channels}
                    self.store.put("sweep", found.swept, **where)
                    self.store.put("costs", found.priced, **self._priced_by(task))
                    self._take(replace(task, swept=None), found.swept, found.priced)
                    self._tell(words(task.size, task.channels), self.looked[replace(task, swept=None)])
                advance(1)
                self._write(finished=False)
        self.left_out.sort()
        if self.left_out and not self.looked:
            raise StemError(f"search: no size and channels could be looked at: {'; '.join(self.left_out)}")
        # Workers answer in any order, and the front must not show it.
        order = {task: place for place, task in enumerate(tasks)}
        self.candidates.sort(key=lambda p: order[Look(p.size, p.channels)])
        self.looked = {task: self.looked[task] for task in tasks if task in self.looked}

    def _kept(self, task: Look) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        swept = self.store.get("sweep", size=task.size, channels=task.channels)
        return swept, None if swept is None else self.store.get("costs", **self._priced_by(task))

    def _priced_by(self, task: Look) -> dict[str, Any]:
        asked = _asked(self.request, self.request.profiles, self.request.precisions)
        return {"size": task.size, "channels": task.channels, **asked}

    def _take(self, task: Look, swept: dict[str, Any], priced: dict[str, Any]) -> None:
        self.images, self.outputs = swept["images"], swept["outputs"]
        self.looked[task] = tuple(_read(CutScore, row) for row in swept["cuts"])
        self.candidates += [_read(FrontPoint, row) for row in priced["points"]]

    def _choices(self, turn: int) -> list[Choice]:
        """The choices to build, the best of each device first; in later turns for devices that none so far fits."""
        wanted = [self._next_for(profile.id, turn) for profile in self.request.profiles]
        found = dict[str, Choice]()
        for place in range(max(map(len, wanted), default=0)):
            for points in wanted:
                if place < len(points) and named(points[place]) not in self.built:
                    found[named(points[place])] = choice_of(points[place])
        return list(found.values())

    def _next_for(self, profile: str, turn: int) -> list[FrontPoint]:
        if not turn:
            return choosing.to_build(self.candidates, profile, self.request.top)
        own = [d for made in self.built.values() if (d := choosing.device_of(made.point, profile)) is not None]
        if not own or min(choosing.fit_of(device) for device in own) <= 1:
            return []
        # What was built costs more than was estimated: look among what costs less.
        least = min(d.latency or 0.0 for d in own)
        rest = [
            p
            for p in self.candidates
            if named(p) not in self.built
            and (d := choosing.device_of(p, profile)) is not None
            and (d.latency or 0.0) <= least
            and choosing.fit_of(d) <= 1
        ]
        return choosing.to_build(rest, profile, self.request.top)

    def _build(self, hands: Workers, choices: Sequence[Choice]) -> None:
        """The choices made and measured. What workers make is measured here, after all of them are done."""
        todo = [task for task in choices if self._made(task) is None]
        ready = [task for task in choices if task not in todo]
        with self.progress.task("choices", len(choices)) as advance:
            for task in ready:
                self._measure(task)
                advance(1)
            for task, built in self._each(hands, choice, self._in_time(todo, name_of)):
                if built.left_out:
                    self.left_out.append(built.left_out)
                    advance(1)
                    continue
                path = self.request.out / "models" / built.made.file
                write_whole(path, built.content)
                self.store.put("made", {**built.made.to_dict(), "sha256": sha256_of(path)}, **asdict(task))
                if isinstance(hands, Here):
                    self._measure(task)
                ready.append(task)
                advance(1)
        if not isinstance(hands, Here):
            for task in choices:
                if task in ready:
                    self._measure(task)

    def _made(self, task: Choice) -> Made | None:
        """The choice if it is there already, its file as it was written."""
        found = self.store.get("made", **asdict(task))
        if found is None:
            return None
        sha256 = found.pop("sha256")
        path = self.request.out / "models" / found["file"]
        return Made(**found) if path.is_file() and sha256_of(path) == sha256 else None

    def _measure(self, task: Choice) -> None:
        name = name_of(task)
        made = self._made(task)
        if name in self.built or made is None:
            return
        profiles = [p for p in self.request.profiles if task.precision in p.runtime.precisions]
        facts = {**asdict(task), "made": made.to_dict(), **_asked(self.request, profiles, (task.precision,))}
        found = self.store.get("built", **facts)
        if found is None:
            path = self.request.out / "models" / made.file
            point, rows = priced(self.request, made, path, task)
            found = {"point": point.to_dict(), "measurements": [row.to_dict() for row in rows]}
            self.store.put("built", found, **facts)
        rows = [_read(Measurement, row) for row in found["measurements"]]
        explained = None if made.explanation is None else _read(Explanation, made.explanation)
        self.built[name] = Built(_read(FrontPoint, found["point"]), tuple(rows), explained)
        best = max((made.point for made in self.built.values()), key=lambda p: p.accuracy)
        with self.progress.task(f"{len(self.built)} built, best so far {best.accuracy:.3f}: {named(best)}"):
            self._write(finished=False)

    def _tell(self, title: str, scores: Sequence[CutScore]) -> None:
        """A line about what was looked at."""
        best = max(scores, key=lambda score: score.score)
        with self.progress.task(f"{title}: {len(scores)} cuts, best {best.cut} {best.score:.3f}"):
            pass

    def _write(self, *, finished: bool) -> Front:
        """The front so far, also in OUT/front.json, report.html and a recipe for each device."""
        from edgecut.render.front import render_front

        cuts = [score for scores in self.looked.values() for score in scores]
        front = front_of(
            self.request,
            self.facts,
            cuts,
            self.candidates,
            self.built,
            self.images,
            self.outputs,
            notes=(*shadow_notes(self.request.profiles), *self.left_out, *self.late),
            finished=finished,
        )
        for r in front.recommendations:
            write_whole(self.request.out / r.recipe, r.recipe_text.encode())
        write_whole(self.request.out / "front.json", _text(front).encode())
        write_whole(self.request.out / "report.html", render_front(front).encode())
        return front


def _text(front: Front) -> str:
    """The front as JSON. What was kept comes back with its keys sorted; so are those of what is new."""
    return json.dumps(front.to_dict(), sort_keys=True, indent=1)


def _with_inputs(request: Request, bench: Workbench) -> Request:
    """The request with the sizes and channels to look at: those of the flags, else the recipe's, else the source's."""
    stem = request.recipe.stem
    sizes = request.sizes or (() if stem.size is None else (stem.size,))
    asked = own_channels(request.recipe)
    channels = request.channels or (() if asked is None else (asked,))
    if not sizes or not channels:
        own, own_number = own_size(bench.source.model.value)
        sizes, channels = sizes or (own,), channels or (own_number,)
    return replace(request, sizes=sizes, channels=channels)


def _read(record: Any, row: Any) -> Any:
    """The record in a document that this version wrote."""
    return record.model_validate(row)


def _asked(request: Request, profiles: Sequence[Profile], precisions: Sequence[str]) -> dict[str, Any]:
    return {
        "profiles": [profile.to_dict() for profile in profiles],
        "precisions": list(precisions),
        "budget": request.recipe.budget.to_dict(),
        "bench": request.recipe.bench.to_dict(),
    }
