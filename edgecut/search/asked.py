"""What a search is asked. Light: nothing here imports Keras."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecut.errors import DocumentError
from edgecut.images.dataset import undecodable
from edgecut.images.found import data_faults
from edgecut.records.profile import Profile
from edgecut.records.recipe import Cut, Export, Head, Precision, Recipe, Stem, Target
from edgecut.score.metrics import MetricName, metric_of

Size = tuple[int, int]
DEFAULT_TOP = 3
# What can rank the images' targets, the first by default, and what the flag calls it.
_METRICS: dict[Target, tuple[MetricName, ...]] = {
    "classes": ("accuracy", "auc"), "values": ("r2",), "tags": ("map",), "features": ("r2",),
}  # fmt: skip
_METRIC_FLAGS: dict[MetricName, str] = {"accuracy": "accuracy", "auc": "auc", "map": "map", "r2": "mse"}


@dataclass(frozen=True)
class Request:
    """recipe: source, images, pixels, head and budgets; its cut, size, channels and precisions are what is looked for.

    sizes: (height, width). top: how many choices are built and measured for each device. time_limit_s: after it no
    further evaluation is begun. metric: None: what answers for recipe.data.target. dask, workers: who computes, this
    process by default.
    """

    recipe: Recipe
    profiles: tuple[Profile, ...]
    sizes: tuple[Size, ...]
    channels: tuple[int, ...]
    precisions: tuple[Precision, ...]
    out: Path
    top: int = DEFAULT_TOP
    time_limit_s: float | None = None
    metric: MetricName | None = None
    dask: str | None = None
    workers: int = 0

    @property
    def scored_by(self) -> MetricName:
        """What every accuracy of the search is."""
        return self.metric or metric_of(self.recipe.data.target)


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
        faults = data_faults(recipe.data, recipe.head.classes if recipe.head else None)
        yield from faults or undecodable(recipe.data)
    if request.metric is not None and request.metric not in _METRICS[recipe.data.target]:
        ranked = " or ".join(_METRIC_FLAGS[name] for name in _METRICS[recipe.data.target])
        yield (
            f"--metric: {_METRIC_FLAGS[request.metric]} doesn't answer for images with {recipe.data.target} "
            f"(data.target); {ranked} does"
        )
    if recipe.cut != Cut():
        yield "cut: is what a search looks for; leave it out"
    if recipe.data.target == "features" and recipe.head is not None:
        yield "head.classes: the source's own features say how many outputs there are; leave it out"
    if recipe.head is not None and (recipe.head.hidden or recipe.head.train != "ridge" or recipe.head.pool != "avg"):
        yield "head: a search fits heads by ridge on average pooling; leave hidden, train and pool out"
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
    if request.dask is not None and request.workers:
        yield "--workers: starts a cluster, and --dask names one; give one of the two"
    if request.workers < 0:
        yield f"--workers: at least 1 process is started, found {request.workers}"
    if request.out.exists() and not request.out.is_dir():
        yield f"-o: {request.out} is a file, and a folder is expected"
    else:
        held = next(folder for folder in (request.out.resolve(), *request.out.resolve().parents) if folder.exists())
        if not os.access(held, os.W_OK | os.X_OK):
            yield f"-o: {request.out} can't be written, since {held} can't; name another folder"


def default_precisions(profiles: Sequence[Profile]) -> tuple[Precision, ...]:
    """Those of int8 and float32 that at least one of the devices runs."""
    both: tuple[Precision, ...] = ("int8", "float32")
    return tuple(p for p in both if any(p in profile.runtime.precisions for profile in profiles))


def recipe_for(
    recipe: Recipe, cut: str, size: Size, channels: int, precision: Precision, classes: int, name: str
) -> Recipe:
    """The recipe whose build is one choice."""
    device = Stem(
        channels=1 if channels == 1 else 3, size=size, resolution=recipe.stem.resolution, pixels=recipe.stem.pixels
    )
    activation: Literal["softmax", "logits"] = "softmax" if recipe.data.target == "classes" else "logits"
    head = recipe.head or Head(classes=classes, activation=activation)
    return recipe.model_copy(update={
        "name": name, "cut": Cut(to=cut), "stem": device, "head": head,
        "export": Export(formats=("tflite",), precisions=(precision,)),
    })  # fmt: skip


def words(size: Size, channels: int) -> str:
    """(96, 96), 3 as "96x96 colour"."""
    return f"{size[0]}x{size[1]} {'gray' if channels == 1 else 'colour'}"
