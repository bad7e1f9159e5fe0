"""A whole search: every input swept, the best choices built, the front written after each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

import edgecut
from edgecut.errors import StemError
from edgecut.graph.features import poolable
from edgecut.graph.peek import PREFIX
from edgecut.handoff.recipe_text import recipe_toml, resolved
from edgecut.pipeline.running import environment
from edgecut.records.artifact import sha256_of
from edgecut.records.front import Basis, CutScore, Front, FrontPoint
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile, find_profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Budget, Data, Precision, Preprocess, Recipe, Source
from edgecut.search import choosing, costs
from edgecut.search.asked import DEFAULT_TOP, Request, Size, check, default_precisions, recipe_for, words
from edgecut.search.building import build_choice, halves, latency_basis, name_of
from edgecut.search.inputs import Bench, own_size
from edgecut.search.lowering import lowered
from edgecut.search.store import Store, code_hash, write_whole
from edgecut.search.sweep import sweep

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
    top: int = DEFAULT_TOP,
    time_limit_s: float | None = None,
    progress: Progress = SILENT,
) -> Front:
    """The choices of cut, size, channels and precision that no other beats, and one for each device.

    model: a source as build takes it, or a model, which is then saved to OUT. data: labelled images, class folders or
    an .npz. sizes, channels: default the source's own. precisions: default what the devices run of int8 and float32.
    budget: limits beside the profiles' own. The rest is as in Request. A second search into the same OUT goes on
    where the first one was. Raises RequestError before anything is started, SearchInterrupted on Ctrl-C.
    """
    folder = Path(out)
    if isinstance(model, keras.Model):
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "source.keras"
        model.save(source)
        model = source
    recipe = Recipe(
        source=Source(model=str(model), preprocess=preprocess), data=Data(train=str(data), limit=limit),
        budget=budget or Budget(),
    )  # fmt: skip
    devices = tuple(p if isinstance(p, Profile) else find_profile(p) for p in profiles)
    return run(
        Request(
            recipe, devices, tuple(sizes), tuple(channels), tuple(precisions) or default_precisions(devices), folder,
            top, time_limit_s,
        ),
        progress,
    )  # fmt: skip


def run(request: Request, progress: Progress = SILENT) -> Front:
    """The same for a request. Empty sizes or channels are the source's own."""
    check(request)
    return _Search(request, progress).front_of_all()


class _Search:
    """What a search has found so far, and the folder in which it is kept."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.began = time.monotonic()
        self.bench = Bench(request, progress)
        if not request.sizes or not request.channels:
            size, channels = own_size(self.bench.source)
            request = _with(request, request.sizes or (size,), request.channels or (channels,))
            self.bench.request = request
        self.request = request
        self.environment = environment()
        self.sha256 = _source_hash(request.recipe.source.model)
        self.store = Store(request.out / "cache", _facts(request, self.sha256, self.environment))
        self.scores: list[CutScore] = []
        self.candidates: list[FrontPoint] = []
        self.built: dict[str, tuple[FrontPoint, list[Measurement]]] = {}
        self.images: dict[str, int] = {}
        self.late: list[str] = []
        self.left_out: list[str] = []

    def front_of_all(self) -> Front:
        """Everything looked at, the front written after each evaluation."""
        try:
            for size, channels in _inputs(self.request):
                if self._is_late(words(size, channels)):
                    continue
                self._look_at(size, channels)
                self._write(finished=False)
            if self.left_out and not self.scores:
                raise StemError(f"search: no size and channels could be looked at: {'; '.join(self.left_out)}")
            for point in self._choices():
                if not self._is_late(_name(point)):
                    self._build(point)
                    self._write(finished=False)
            return self._write(finished=not self.late)
        except KeyboardInterrupt as exc:
            raise SearchInterrupted(self._write(finished=False)) from exc

    def _is_late(self, what: str) -> bool:
        limit = self.request.time_limit_s
        if limit is None or time.monotonic() - self.began < limit:
            return False
        self.late.append(f"{what}: not looked at, the time limit was reached")
        return True

    def _look_at(self, size: Size, channels: int) -> None:
        """The scores of all cuts of one input, and what each would cost."""
        facts = {"size": size, "channels": channels}
        found = self.store.get("sweep", **facts)
        if found is None:
            try:
                scores = sweep(self.bench, size, channels)
            except StemError as exc:
                self.left_out.append(f"{words(size, channels)}: left out: {exc}")
                return
            dataset = self.bench.images(size, channels)
            images = {"train": len(dataset.train.pixels), "held_out": len(dataset.val.pixels)}
            found = {"cuts": [s.to_dict() for s in scores], "images": images, "classes": len(dataset.labels)}
            self.store.put("sweep", found, **facts)
        self.images = found["images"]
        scores = tuple(_read(CutScore, row) for row in found["cuts"])
        self.scores += scores
        asked = {**facts, **_asked(self.request, self.request.profiles, self.request.precisions)}
        priced = self.store.get("costs", **asked)
        if priced is None:
            priced = {"points": [p.to_dict() for p in self._priced(scores, size, channels, found["classes"])]}
            self.store.put("costs", priced, **asked)
        self.candidates += [_read(FrontPoint, row) for row in priced["points"]]

    def _priced(self, scores: Sequence[CutScore], size: Size, channels: int, classes: int) -> Iterator[FrontPoint]:
        graph = self.bench.graph(size, channels)
        tensors = {graph.tensor_name[tensor]: tensor for tensor in poolable(graph)}
        files = {precision: lowered(graph, classes, precision) for precision in self.request.precisions}
        for score in scores:
            for precision in self.request.precisions:
                profiles = [p for p in self.request.profiles if precision in p.runtime.precisions]
                file = files[precision](tensors[score.cut])
                devices = costs.estimated(file, self.request.recipe, profiles, precision)
                device = devices[0] if devices else None
                yield FrontPoint(
                    cut=score.cut, size=size, channels=channels, precision=precision, accuracy=score.score,
                    chosen_by=score.score, latency=None if device is None else device.latency,
                    arena=costs.arena_bytes(file, profiles), size_bytes=file.size_bytes,
                    macs=None if score.macs is None else score.macs + score.width * classes,
                    basis=Basis(accuracy="probe", latency=latency_basis(device)), devices=devices,
                )  # fmt: skip

    def _choices(self) -> Iterator[FrontPoint]:
        """The choices to build, the best of each device first; more where none that was built fits."""
        for turn in range(_ROUNDS):
            wanted = [self._next_for(profile.id, turn) for profile in self.request.profiles]
            for place in range(max(map(len, wanted), default=0)):
                for points in wanted:
                    if place < len(points) and _name(points[place]) not in self.built:
                        yield points[place]

    def _next_for(self, profile: str, turn: int) -> list[FrontPoint]:
        if not turn:
            return choosing.to_build(self.candidates, profile, self.request.top)
        own = [d for point, _ in self.built.values() if (d := choosing.device_of(point, profile)) is not None]
        if not own or min(choosing.fit_of(device) for device in own) <= 1:
            return []
        # What was built costs more than was estimated: look among what costs less.
        least = min(d.latency or 0.0 for d in own)
        rest = [
            p for p in self.candidates
            if _name(p) not in self.built and (d := choosing.device_of(p, profile)) is not None
            and (d.latency or 0.0) <= least and choosing.fit_of(d) <= 1
        ]  # fmt: skip
        return choosing.to_build(rest, profile, self.request.top)

    def _build(self, point: FrontPoint) -> None:
        profiles = [p for p in self.request.profiles if point.precision in p.runtime.precisions]
        precision: Any = point.precision
        facts = {
            "cut": point.cut, "size": point.size, "channels": point.channels,
            **_asked(self.request, profiles, (precision,)),
        }  # fmt: skip
        found = self.store.get("built", **facts)
        if found is None or not (self.request.out / found["point"]["artifact"]).is_file():
            with self.bench.progress.task(f"build {_name(point)}"):
                result, rows = build_choice(self.bench, point.cut, point.size, point.channels, precision)
            found = {"point": result.to_dict(), "measurements": [row.to_dict() for row in rows]}
            self.store.put("built", found, **facts)
        rows = [_read(Measurement, row) for row in found["measurements"]]
        self.built[_name(point)] = (_read(FrontPoint, found["point"]), rows)

    def _write(self, *, finished: bool) -> Front:
        """The front so far, also in OUT/front.json, front.html and a recipe for each device."""
        from edgecut.render.front import render_front

        front = self._front(finished=finished)
        for recommendation in front.recommendations:
            text = recipe_toml(resolved(self._recipe(recommendation.cut, recommendation.size, recommendation.channels,
                                                     recommendation.precision, recommendation.profile)))  # fmt: skip
            write_whole(self.request.out / recommendation.recipe, text)
        write_whole(self.request.out / "front.json", front.model_dump_json(by_alias=True, indent=1))
        write_whole(self.request.out / "report.html", render_front(front))
        return front

    def _recipe(self, cut: str, size: Size, channels: int, precision: Any, profile: str) -> Recipe:
        classes = self.request.recipe.head.classes if self.request.recipe.head else self._classes()
        name = "".join(letter if letter.isalnum() else "_" for letter in f"for_{profile}")
        return recipe_for(self.request.recipe, cut, size, channels, precision, classes, name)

    def _classes(self) -> int:
        size, channels = _inputs(self.request)[0]
        for size, channels in _inputs(self.request):
            found = self.store.get("sweep", size=size, channels=channels)
            if found is not None:
                return int(found["classes"])
        return len(self.bench.images(size, channels).labels)

    def _front(self, *, finished: bool) -> Front:
        built = [point for point, _ in self.built.values()]
        held_out = self.images.get("held_out", 0)
        chosen = [len(part) for part in halves(held_out, self.request.recipe.data.seed)]
        recommendations, marks = [], dict[str, list[Any]]()
        for profile in self.request.profiles:
            found = choosing.recommend(built, self.candidates, profile.id, chosen[0])
            if found is not None:
                recommendations.append(found[1].model_copy(update={"recipe": f"recipes/{profile.id}.toml"}))
                marks.setdefault(_name(found[0]), []).append(found[1])
        points = [_marked(point, marks.get(_name(point), [])) for point in self._points(built)]
        return Front(
            edgecut=edgecut.__version__, source=self.request.recipe.source.model, sha256=self.sha256,
            metric="accuracy", profiles=tuple(p.id for p in self.request.profiles), finished=finished,
            images={**self.images, "choosing": chosen[0], "judging": chosen[1]}, front=tuple(points),
            cuts=tuple(self.scores), recommendations=tuple(recommendations),
            measurements=tuple(row for _, rows in self.built.values() for row in rows),
            environment=self.environment, notes=(*self.left_out, *self.late),
        )  # fmt: skip

    def _points(self, built: Sequence[FrontPoint]) -> list[FrontPoint]:
        """What was built, beaten or not, and the front of what was only looked at; the most accurate first."""
        names = {_name(point) for point in built}
        kept: dict[str, FrontPoint] = {_name(p): p.model_copy(update={"on_front": False}) for p in built}
        for profile in self.request.profiles:
            for points in (built, self.candidates):
                for point in choosing.pareto(points, profile.id):
                    name = _name(point)
                    if point.basis.accuracy == "measured":
                        kept[name] = point
                    elif name not in names:
                        kept.setdefault(name, point)
        return sorted(kept.values(), key=lambda p: (p.basis.accuracy == "probe", -p.accuracy, _name(p)))


def _marked(point: FrontPoint, recommendations: Sequence[Any]) -> FrontPoint:
    why = "; ".join(dict.fromkeys(r.why for r in recommendations))
    return point.model_copy(update={"recommended_for": tuple(r.profile for r in recommendations), "why": why})


def _name(point: FrontPoint) -> str:
    return name_of(point.cut, point.size, point.channels, point.precision)


def _inputs(request: Request) -> list[tuple[Size, int]]:
    """Each size with each number of channels, the cheapest first, so that an answer is there early."""
    pairs = dict.fromkeys((size, channels) for size in request.sizes for channels in request.channels)
    return sorted(pairs, key=lambda pair: (pair[0][0] * pair[0][1], pair[1], pair))


def _with(request: Request, sizes: tuple[Size, ...], channels: tuple[int, ...]) -> Request:
    return Request(
        request.recipe, request.profiles, sizes, channels, request.precisions, request.out, request.top,
        request.time_limit_s,
    )  # fmt: skip


def _read(record: Any, row: Any) -> Any:
    """The record in a document that this version wrote."""
    return record.model_validate(row)


def _asked(request: Request, profiles: Sequence[Profile], precisions: Sequence[str]) -> dict[str, Any]:
    return {
        "profiles": [profile.to_dict() for profile in profiles], "precisions": list(precisions),
        "budget": request.recipe.budget.to_dict(), "bench": request.recipe.bench.to_dict(),
    }  # fmt: skip


def _source_hash(source: str) -> str:
    return "" if source.startswith(PREFIX) else sha256_of(Path(source))


def _facts(request: Request, sha256: str, packages: dict[str, Any]) -> dict[str, Any]:
    """What every evaluation depends on."""
    recipe = request.recipe
    files = {key: sha256_of(Path(path)) for key in ("train", "val", "labels") if (path := getattr(recipe.data, key))}
    return {
        "model": sha256 or recipe.source.model, "preprocess": recipe.to_dict()["source"]["preprocess"],
        "images": files, "data": {k: v for k, v in recipe.data.to_dict().items() if k not in files},
        "stem": [recipe.stem.pixels, recipe.stem.resolution], "head": recipe.to_dict()["head"],
        "environment": packages, "code": code_hash(Path(edgecut.__file__).parent),
    }  # fmt: skip
