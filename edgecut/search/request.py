"""What a search is asked. Light: nothing here imports Keras."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from edgecut.errors import DocumentError
from edgecut.images.dataset import undecodable
from edgecut.images.device import CHANNELS
from edgecut.images.faults import data_faults
from edgecut.pipeline.model_faults import planned_arrays, planned_input_faults
from edgecut.pipeline.plan import compress_faults, stem_faults
from edgecut.pipeline.workers import HERE, Spread, Tls, spread_faults
from edgecut.records.precision import planned_files
from edgecut.records.profile import Profile
from edgecut.records.recipe import Budget, Cut, Head, Precision, Preprocess, Recipe, Stem, Target
from edgecut.score.metrics import MetricName, metric_of

Size = tuple[int, int]
DEFAULT_TOP = 3
PART = 1024
"""Images of a part of a forward pass (passes.py), a multiple of a batch's."""
COLOURS: dict[int, Literal["gray", "colour", "rgba"]] = {1: "gray", 3: "colour", 4: "rgba"}
# What can rank the images' targets, the first by default, and what the flag calls it.
_METRICS: dict[Target, tuple[MetricName, ...]] = {
    "classes": ("accuracy", "auc"),
    "values": ("r2",),
    "tags": ("map",),
    "features": ("r2",),
    "input": ("r2",),
}
METRIC_FLAGS: dict[MetricName, str] = {"accuracy": "accuracy", "auc": "auc", "map": "map", "r2": "mse"}


@dataclass(frozen=True)
class Choice:
    """One choice to make: where to cut, what to feed, in which precision. size, channels: None where arrays feed it."""

    cut: str
    size: Size | None
    channels: Literal[1, 3, 4] | None
    precision: Precision


@dataclass(frozen=True)
class Request:
    """recipe: source, images, pixels, head and budgets; its cut, size, channels and precisions are what is looked for.

    sizes: (height, width), None for arrays. top: how many choices are built and measured for each device. time_limit_s:
    after it no further evaluation is begun. metric: None: what answers for recipe.data.target. spread: who
    computes, this process by default.
    """

    recipe: Recipe
    profiles: tuple[Profile, ...]
    sizes: tuple[Size | None, ...]
    channels: tuple[int | None, ...]
    precisions: tuple[Precision, ...]
    out: Path
    top: int = DEFAULT_TOP
    time_limit_s: float | None = None
    metric: MetricName | None = None
    spread: Spread = HERE

    @property
    def scored_by(self) -> MetricName:
        """What every accuracy of the search is."""
        return self.metric or metric_of(self.recipe.data.target)


class SearchOptions(TypedDict, total=False):
    """The keywords of edgecut.search, as in Request.

    out: by default "search". sizes, channels: by default the source's own. precisions: by default what the devices run
    of int8 and float32. limit: of the images. budget: limits beside the profiles' own. target: what the images' labels
    are, by default what they look like; metric: by default what answers for that. dask, workers,
    dashboard, tls: who computes, as in Spread.
    """

    out: str | Path
    sizes: Sequence[Size]
    channels: Sequence[int]
    precisions: Sequence[Precision]
    preprocess: Preprocess
    limit: int | tuple[int, int] | None
    budget: Budget | None
    target: Target | None
    metric: MetricName | None
    top: int
    time_limit_s: float | None
    dask: str | None
    workers: int
    dashboard: int | None
    tls: Tls | None


def check(request: Request) -> None:
    """Nothing for a request that can be started. Raises DocumentError with every fault of it."""
    faults = list(_faults(request))
    if faults:
        raise DocumentError([f"search: {fault}" for fault in faults])


def _faults(request: Request) -> Iterator[str]:
    recipe = request.recipe
    if recipe.data.train is None:
        yield "data.train: is missing; labelled images choose the cut (--data)"
    else:
        arrays = planned_arrays(recipe)
        faults = data_faults(recipe.data, recipe.head.classes if recipe.head else None, arrays)
        yield from faults or undecodable(recipe.data, arrays)
    if recipe.data.target == "input":
        yield "data.target: 'input' is what the model itself puts out again, and a search puts heads on it"
    if request.metric is not None and request.metric not in _METRICS[recipe.data.target]:
        ranked = " or ".join(METRIC_FLAGS[name] for name in _METRICS[recipe.data.target])
        yield (
            f"--metric: {METRIC_FLAGS[request.metric]} doesn't answer for images with {recipe.data.target} "
            f"(data.target); {ranked} does"
        )
    if recipe.cut != Cut():
        yield "cut: is what a search looks for; leave it out"
    if recipe.data.target == "features" and recipe.head is not None:
        yield "head.classes: the source's own features say how many outputs there are; leave it out"
    if not any(form == "tflite" for form, _ in planned_files(recipe.export)):
        yield "export.formats: a search builds .tflite files; add 'tflite'"
    channels = None if recipe.stem.order is None else CHANNELS[recipe.stem.order]
    if channels is not None and any(number != channels for number in request.channels):
        yield f"--channels: stem.order {recipe.stem.order!r} has {channels}; leave one of the two out"
    yield from _recipe_faults(request)
    for precision in request.precisions:
        if not any(precision in profile.runtime.precisions for profile in request.profiles):
            yield f"--precisions: none of the devices runs {precision}"
    for profile in request.profiles:
        if not any(precision in profile.runtime.precisions for precision in request.precisions):
            takes = ", ".join(profile.runtime.precisions)
            yield f"--profile: {profile.id} runs {takes}, and --precisions has none of these"
        elif "tflite" not in profile.runtime.formats:
            yield f"--profile: {profile.id} doesn't run .tflite files, which a search builds"
    if request.top < 1:
        yield f"--top: at least 1 choice is built for each device, found {request.top}"
    yield from spread_faults(request.spread)
    if request.out.exists() and not request.out.is_dir():
        yield f"-o: {request.out} is a file, and a folder is expected"
    else:
        held = next(folder for folder in (request.out.resolve(), *request.out.resolve().parents) if folder.exists())
        if not os.access(held, os.W_OK | os.X_OK):
            yield f"-o: {request.out} can't be written, since {held} can't; name another folder"


def _recipe_faults(request: Request) -> Iterator[str]:
    """What a plan refuses in every recipe that the search could write: of each number of channels, in any precision."""
    recipe = request.recipe
    written = recipe.export.model_copy(update={"precisions": request.precisions})
    yield from compress_faults(recipe.model_copy(update={"export": written}))
    if planned_arrays(recipe) is not None:
        yield from planned_input_faults(recipe)
        if request.sizes or request.channels:
            yield "--sizes, --channels: are of pictures, and arrays feed the model; leave them out"
        return
    stems = [recipe.stem.model_copy(update={"channels": number}) for number in request.channels] or [recipe.stem]
    faults = [tuple(stem_faults(recipe.model_copy(update={"stem": stem}))) for stem in stems]
    if all(faults):
        yield from faults[0]


def default_precisions(profiles: Sequence[Profile]) -> tuple[Precision, ...]:
    """Those of int8 and float32 that at least one of the devices runs."""
    both: tuple[Precision, ...] = ("int8", "float32")
    return tuple(p for p in both if any(p in profile.runtime.precisions for profile in profiles))


def recipe_for(request: Request, choice: Choice, outputs: int, name: str) -> Recipe:
    """The recipe whose build is one choice: the request's own in all but what was chosen.

    outputs: of a head that the request leaves open.
    """
    recipe = request.recipe
    activation: Literal["softmax", "logits"] = "softmax" if recipe.data.target == "classes" else "logits"
    corrected = choice.precision == "int8" and "auto" in recipe.export.precisions
    return recipe.model_copy(
        update={
            "name": name,
            "cut": Cut(to=choice.cut),
            "stem": stem_for(recipe, choice.size, choice.channels),
            "head": recipe.head or Head(classes=outputs, activation=activation),
            "export": recipe.export.model_copy(update={"precisions": ("auto" if corrected else choice.precision,)}),
        }
    )


def own_channels(recipe: Recipe) -> int | None:
    """The channels that a recipe's stem asks for; None where it leaves them to the source."""
    return recipe.stem.channels if recipe.stem.order is None else CHANNELS[recipe.stem.order]


def stem_for(recipe: Recipe, size: Size | None, channels: int | None) -> Stem:
    """The stem of a size and channels; the recipe's own where arrays feed the model."""
    return recipe.stem if size is None else recipe.stem.model_copy(update={"channels": channels, "size": size})


def words(size: Size | None, channels: int | None) -> str:
    """(96, 96), 3 as "96x96 colour"; "arrays" for neither."""
    if size is None or channels is None:
        return "arrays"
    return f"{size[0]}x{size[1]} {COLOURS[channels]}"
