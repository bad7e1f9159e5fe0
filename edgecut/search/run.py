"""A whole search: every input swept, the best choices built, the front written after each of them."""

from __future__ import annotations

import functools
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypedDict, Unpack, cast

import keras

from edgecut.errors import StemError
from edgecut.images.feed import kind_of
from edgecut.images.targets import target_of
from edgecut.pipeline.run import environment
from edgecut.pipeline.workers import Here, Spread, Tls, Workers, WorkersGoneError, workers
from edgecut.records.artifact import sha256_of
from edgecut.records.finite import finite
from edgecut.records.front import CutScore, Front, FrontPoint
from edgecut.records.keywords import check_keywords
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Budget, Data, Recipe, Source
from edgecut.search import choosing
from edgecut.search.building import Made, by_kernels, name_of, priced
from edgecut.search.fronts import Built, Findings, choice_of, front_of, inputs, named
from edgecut.search.inputs import Workbench, own_size
from edgecut.search.parts import Pass, drop_targets, marked
from edgecut.search.request import (
    DEFAULT_TOP,
    Choice,
    Request,
    SearchOptions,
    check,
    default_precisions,
    own_channels,
    words,
)
from edgecut.search.scoring import score_inputs
from edgecut.search.tasks import (
    Answer,
    Priced,
    Scored,
    Scoring,
    Sent,
    Swept,
    Task,
    do,
    facts_of,
    portable,
    store_of,
    work,
)
from edgecut.search.tasks import (
    Built as BuiltElsewhere,
)
from edgecut.whole import write_whole

_ROUNDS = 3  # how often further choices are built for a device that none built so far fits


class Measured(TypedDict):
    """A built choice, as the store keeps it: a FrontPoint, and Measurements."""

    point: dict[str, object]
    measurements: list[dict[str, object]]


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
    progress: Progress = SILENT,
    **options: Unpack[SearchOptions],
) -> Front:
    """The choices of cut, size, channels and precision that no other beats, and one for each device.

    model: a source as build takes it, or a model, which is then saved to OUT. data: labelled images, class folders or
    an .npz. options: the keywords of SearchOptions. A second search into the same OUT goes on where the first one was.
    Raises RequestError before anything is started, SearchInterrupted on Ctrl-C.

    >>> front = edgecut.search("bell.keras", "doors.npz", ["nucleo-l4r5zi"]).front
    >>> [(point.cut, point.precision, point.recommended_for) for point in front]
    [('conv', 'int8', ('nucleo-l4r5zi',))]
    """
    check_keywords("search", options, SearchOptions)
    folder = Path(options.get("out", "search"))
    if isinstance(model, keras.Model):
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "source.keras"
        model.save(source)
        model = source
    recipe = Recipe(
        source=Source(model=str(model), preprocess=options.get("preprocess", "none")),
        data=Data(train=str(data), limit=options.get("limit")),
        budget=options.get("budget") or Budget(),
    )
    images = recipe.data.model_copy(update={"target": options.get("target") or target_of(recipe.data)})
    devices = tuple(p if isinstance(p, Profile) else find_profile(p) for p in profiles)
    request = Request(
        recipe.model_copy(update={"data": images}),
        devices,
        sizes=tuple(options.get("sizes", ())),
        channels=tuple(options.get("channels", ())),
        precisions=tuple(options.get("precisions", ())) or default_precisions(devices),
        out=folder,
        top=options.get("top", DEFAULT_TOP),
        time_limit_s=options.get("time_limit_s"),
        metric=options.get("metric"),
        spread=Spread(
            options.get("dask"), options.get("workers", 0), options.get("dashboard"), options.get("tls") or Tls()
        ),
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
        self.facts = facts_of(request)
        self.store = store_of(request, self.facts)
        self.mark = secrets.token_hex(8)
        self.bench = Workbench(request, self.store, progress, in_parts=request.spread.is_asked)
        self.request = self.bench.request = _with_inputs(request, self.bench)
        self.scores: dict[Scoring, tuple[CutScore, ...]] = {}
        self.candidates: list[FrontPoint] = []
        self.built: dict[str, Built] = {}
        self.images: dict[str, int] = {}
        self.outputs = 0
        self.late: list[str] = []
        self.left_out: list[str] = []

    def front_of_all(self) -> Front:
        """Everything scored, the front written after each evaluation."""
        try:
            with workers(self.request.spread) as hands, marked(self.store, self.mark):
                self._score(hands)
                for turn in range(_ROUNDS):
                    self._build(hands, self._choices(turn))
            return self._write(finished=not self.late)
        except WorkersGoneError as exc:
            kept = (
                f"{str(self.request.out)!r} keeps what was scored and built so far, and the same command goes on there"
            )
            raise WorkersGoneError(f"{exc}; {kept}") from exc
        except KeyboardInterrupt as exc:
            raise SearchInterrupted(self._write(finished=False)) from exc

    def _each(self, hands: Workers, tasks: Iterable[Task | None]) -> Iterator[tuple[Task, Answer]]:
        """The tasks with their answers, as they are done: here, or each sent with all that it needs."""
        alone = isinstance(hands, Here)
        request = b"" if alone else portable(self.request)
        messages = (None if task is None else Sent(task, request, self.facts, self.mark) for task in tasks)
        for message, answer in hands.each(self._done_here if alone else work, messages):
            yield message.task, answer

    def _done_here(self, message: Sent) -> Answer:
        return do(self.bench, message.task)

    def _in_time(self, task: Pass | Choice) -> bool:
        """Whether a task may begin; of those after the time limit a note is left, once by each name."""
        limit = self.request.time_limit_s
        if limit is None or time.monotonic() - self.began < limit:
            return True
        name = words(task.size, task.channels) if isinstance(task, Pass) else name_of(task)
        if (late := f"{name}: not looked at, the time limit was reached") not in self.late:
            self.late.append(late)
        return False

    def _score(self, hands: Workers) -> None:
        """The scores of all cuts of each input, and what each would cost."""
        tasks = [Scoring(size, channels) for size, channels in inputs(self.request)]
        known = {task: self._kept(task) for task in tasks}
        with self.progress.task("inputs", len(tasks)) as advance:
            for task, (swept, points) in known.items():
                if swept is not None and points is not None:
                    self._take(task, swept, points)
                    advance(1)
            rest = [replace(task, swept=swept) for task, (swept, points) in known.items() if points is None]
            for task, found in self._scored(hands, rest):
                if found.left_out:
                    self.left_out.append(found.left_out)
                else:
                    self.store.put("sweep", found.swept, size=task.size, channels=task.channels)
                    self.store.put("costs", found.priced, None, **self._priced_by(task))
                    self._take(replace(task, swept=None), found.swept, found.priced)
                    self._tell(words(task.size, task.channels), self.scores[replace(task, swept=None)])
                advance(1)
                self._write(finished=False)
        self.left_out.sort()
        if self.left_out and not self.scores:
            raise StemError(f"search: no size and channels could be looked at: {'; '.join(self.left_out)}")
        # Workers answer in any order, and the front must not show it.
        order = {task: place for place, task in enumerate(tasks)}
        self.candidates.sort(key=lambda p: order[Scoring(p.size, p.channels)])
        self.scores = {task: self.scores[task] for task in tasks if task in self.scores}

    def _scored(self, hands: Workers, tasks: Sequence[Scoring]) -> Iterator[tuple[Scoring, Scored]]:
        """The inputs' answers; here one input after the other, so that the images of one are read at a time."""
        each = functools.partial(self._each, hands)
        for done, answer in each([task for task in tasks if task.swept is not None]):
            task = cast("Scoring", done)
            yield task, cast("Scored", answer)
            self.bench.drop_body(task.size, task.channels)
        new = [task for task in tasks if task.swept is None]
        for group in [[task] for task in new] if isinstance(hands, Here) else [new]:
            yield from score_inputs(self.bench, each, group, self._in_time)
        if new and not self.late:
            drop_targets(self.store, self.bench.count)

    def _kept(self, task: Scoring) -> tuple[Swept | None, Priced | None]:
        swept = self.store.get("sweep", size=task.size, channels=task.channels)
        priced = None if swept is None else self.store.get("costs", None, **self._priced_by(task))
        return cast("Swept | None", swept), cast("Priced | None", priced)

    def _priced_by(self, task: Scoring) -> dict[str, object]:
        asked = _asked(self.request, self.request.profiles, self.request.precisions)
        return {"size": task.size, "channels": task.channels, **asked}

    def _take(self, task: Scoring, swept: Swept, priced: Priced) -> None:
        self.images, self.outputs = swept["images"], swept["outputs"]
        self.scores[task] = tuple(CutScore.model_validate(row) for row in swept["cuts"])
        self.candidates += [FrontPoint.model_validate(row) for row in priced["points"]]

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
            for did, answer in self._each(hands, (task for task in todo if self._in_time(task))):
                task, built = cast("Choice", did), cast("BuiltElsewhere", answer)
                if built.made is None:
                    self.left_out.append(built.left_out)
                    advance(1)
                    continue
                path = self.request.out / "models" / built.made.file
                write_whole(path, built.content)
                self.store.put("made", {**built.made.to_dict(), "sha256": sha256_of(path)}, None, **self._key(task))
                if isinstance(hands, Here):
                    self._measure(task)
                ready.append(task)
                advance(1)
        if not isinstance(hands, Here):
            for task in choices:
                if task in ready:
                    self._measure(task)

    def _key(self, task: Choice) -> dict[str, object]:
        return {**asdict(task), "by_kernels": by_kernels(self.request)}

    def _made(self, task: Choice) -> Made | None:
        """The choice if it is there already, its file as it was written."""
        found = self.store.get("made", None, **self._key(task))
        if found is None:
            return None
        sha256 = found.pop("sha256")
        made = Made.model_validate(found)
        path = self.request.out / "models" / made.file
        return made if path.is_file() and sha256_of(path) == sha256 else None

    def _measure(self, task: Choice) -> None:
        name = name_of(task)
        made = self._made(task)
        if name in self.built or made is None:
            return
        profiles = [p for p in self.request.profiles if task.precision in p.runtime.precisions]
        facts = {**asdict(task), "made": made.to_dict(), **_asked(self.request, profiles, (task.precision,))}
        document = cast("Measured | None", self.store.get("built", None, **facts))
        if document is None:
            path = self.request.out / "models" / made.file
            point, measurements = priced(self.request, made, path, task)
            document = {"point": point.to_dict(), "measurements": [row.to_dict() for row in measurements]}
            self.store.put("built", document, None, **facts)
        rows = tuple(Measurement.model_validate(row) for row in document["measurements"])
        self.built[name] = Built(FrontPoint.model_validate(document["point"]), rows, made.explanation)
        best = max((made.point for made in self.built.values()), key=lambda p: p.accuracy)
        with self.progress.task(f"{len(self.built)} built, best so far {best.accuracy:.3f}: {named(best)}"):
            self._write(finished=False)

    def _tell(self, title: str, scores: Sequence[CutScore]) -> None:
        """A line about what was scored."""
        best = max(scores, key=lambda score: score.score)
        with self.progress.task(f"{title}: {len(scores)} cuts, best {best.cut} {best.score:.3f}"):
            pass

    def _write(self, *, finished: bool) -> Front:
        """The front so far, also in OUT/front.json, report.html and a recipe for each device."""
        from edgecut.render.front import render_front

        cuts = [score for scores in self.scores.values() for score in scores]
        told = front_of(
            self.request,
            Findings(cuts, self.candidates, self.built, self.images, self.outputs),
            environment=environment(),
            notes=(*shadow_notes(self.request.profiles), *self.left_out, *self.late),
            finished=finished,
        )
        front = finite(told, "front.json")
        for r in front.recommendations:
            write_whole(self.request.out / r.recipe, r.recipe_text.encode())
        write_whole(self.request.out / "front.json", _text(front).encode())
        write_whole(self.request.out / "report.html", render_front(front).encode())
        return front


def _text(front: Front) -> str:
    """The front as JSON. What was kept comes back with its keys sorted; so are those of what is new."""
    return json.dumps(front.to_dict(), sort_keys=True, indent=1, allow_nan=False)


def _with_inputs(request: Request, bench: Workbench) -> Request:
    """The request with the sizes and channels to score: those of the flags, else the recipe's, else the source's.

    None of each where arrays feed the model.
    """
    taken = [tuple(tensor.shape) for tensor in bench.source.model.value.inputs]
    if kind_of(request.recipe.data, taken) == "arrays":
        return replace(request, sizes=(None,), channels=(None,))
    stem = request.recipe.stem
    sizes = request.sizes or (() if stem.size is None else (stem.size,))
    asked = own_channels(request.recipe)
    channels = request.channels or (() if asked is None else (asked,))
    if not sizes or not channels:
        own, own_number = own_size(bench.source.model.value)
        sizes, channels = sizes or (own,), channels or (own_number,)
    return replace(request, sizes=sizes, channels=channels)


def _asked(request: Request, profiles: Sequence[Profile], precisions: Sequence[str]) -> dict[str, object]:
    return {
        "profiles": [profile.to_dict() for profile in profiles],
        "precisions": list(precisions),
        "budget": request.recipe.budget.to_dict(),
        "bench": request.recipe.bench.to_dict(),
    }
