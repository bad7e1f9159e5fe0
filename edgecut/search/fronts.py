"""The front of what a search has found, in an order that doesn't show in which order it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgecut.bench.usage import file_use
from edgecut.handoff.recipe_text import recipe_toml, resolved
from edgecut.records.environment import Environment
from edgecut.records.explanation import Explanation
from edgecut.records.front import CutScore, Front, FrontPoint, Recommendation
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.usage import FileUse
from edgecut.search import choosing
from edgecut.search.building import halves, name_of
from edgecut.search.request import Choice, Request, Size, recipe_for
from edgecut.search.tasks import source_hash
from edgecut.tflite.flatbuffer import read
from edgecut.version import __version__


@dataclass(frozen=True)
class Built:
    """A choice that was built. explanation: of a quantized file."""

    point: FrontPoint
    measurements: tuple[Measurement, ...]
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Findings:
    """What is known of cuts, choices and what was built, by name. images: how many of each part. outputs: of a head."""

    cuts: Sequence[CutScore]
    candidates: Sequence[FrontPoint]
    built: Mapping[str, Built]
    images: Mapping[str, int]
    outputs: int


def front_of(
    request: Request, findings: Findings, *, environment: Environment, notes: Sequence[str], finished: bool
) -> Front:
    """The front of the built choices and of the candidates, with a recommended one for each device."""
    built, images, candidates = findings.built, findings.images, findings.candidates
    all_built = [built[name] for name in sorted(built)]
    done = [made.point for made in all_built]
    chosen = [len(part) for part in halves(images.get("held_out", 0), request.recipe.data.seed)]
    recommendations, marks = [], dict[str, list[Recommendation]]()
    for profile in request.profiles:
        found = choosing.recommend(done, candidates, profile.id, chosen[0])
        if found is not None:
            text = recipe_toml(resolved(recipe_to_build(request, found[1], findings.outputs)))
            where = {"recipe": f"recipes/{profile.id}.toml", "recipe_text": text}
            recommendations.append(found[1].model_copy(update=where))
            marks.setdefault(named(found[0]), []).append(found[1])
    points = [_marked(point, marks.get(named(point), [])) for point in _points(request, done, candidates)]
    marked = [made for made in all_built if named(made.point) in marks]
    return Front(
        edgecut=__version__,
        source=request.recipe.source.model,
        sha256=source_hash(request.recipe.source.model),
        metric=request.scored_by,
        profiles=tuple(p.id for p in request.profiles),
        finished=finished,
        images={**images, "choosing": chosen[0], "judging": chosen[1]},
        front=tuple(points),
        cuts=tuple(findings.cuts),
        recommendations=tuple(recommendations),
        measurements=tuple(row for made in all_built for row in made.measurements),
        explanations=tuple(made.explanation for made in marked if made.explanation is not None),
        uses=tuple(use for made in marked if (use := _use(request, made.point)) is not None),
        environment=environment,
        notes=tuple(notes),
    )


def _use(request: Request, point: FrontPoint) -> FileUse | None:
    path = request.out / point.artifact
    return file_use(read(path), path.name, request.profiles)


def recipe_to_build(request: Request, found: Recommendation, outputs: int) -> Recipe:
    """The recipe whose build is a device's recommended choice."""
    name = "".join(letter if letter.isalnum() else "_" for letter in f"for_{found.profile}")
    return recipe_for(request, choice_of(found), outputs, name)


def choice_of(point: FrontPoint | Recommendation) -> Choice:
    """The choice that a point or a recommendation stands for."""
    numbers: tuple[Literal[1, 3, 4], ...] = (1, 3, 4)
    channels = next((number for number in numbers if number == point.channels), None)
    return Choice(point.cut, point.size, channels, point.precision)


def named(point: FrontPoint) -> str:
    """What a choice is called."""
    return name_of(choice_of(point))


def inputs(request: Request) -> list[tuple[Size | None, int | None]]:
    """Each size with each number of channels, the cheapest first, so that an answer is there early."""
    pairs = dict.fromkeys((size, channels) for size in request.sizes for channels in request.channels)
    return sorted(pairs, key=lambda pair: (math.prod(pair[0] or ()), pair[1] or 0, pair))


def _points(request: Request, built: Sequence[FrontPoint], candidates: Sequence[FrontPoint]) -> list[FrontPoint]:
    """What was built, beaten or not, and the front of what was only looked at; the most accurate first."""
    names = {named(point) for point in built}
    kept: dict[str, FrontPoint] = {named(p): p.model_copy(update={"on_front": False}) for p in built}
    for profile in request.profiles:
        for points in (built, candidates):
            for point in choosing.pareto(points, profile.id):
                name = named(point)
                if point.basis.accuracy == "measured":
                    kept[name] = point
                elif name not in names:
                    kept.setdefault(name, point)
    return sorted(kept.values(), key=lambda p: (p.basis.accuracy == "probe", -p.accuracy, named(p)))


def _marked(point: FrontPoint, recommendations: Sequence[Recommendation]) -> FrontPoint:
    why = "; ".join(dict.fromkeys(r.why for r in recommendations))
    return point.model_copy(update={"recommended_for": tuple(r.profile for r in recommendations), "why": why})
