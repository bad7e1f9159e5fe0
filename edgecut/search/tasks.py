"""The two kinds of work that a search has, in a form that can go to another machine and come back."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from edgecut.bench.at_cut import unforeseen
from edgecut.cache.facts import PACKAGE, code_hash
from edgecut.cache.hashes import remembered_hash
from edgecut.cache.store import Store
from edgecut.errors import RequestError, RunError, StepError
from edgecut.graph.features import poolable
from edgecut.graph.saved import PREFIX
from edgecut.pipeline.cached import file_store
from edgecut.pipeline.onnx_source import weight_files
from edgecut.pipeline.run import environment
from edgecut.pipeline.workers import HERE
from edgecut.records.artifact import sha256_of
from edgecut.records.front import Basis, CutScore, FrontPoint
from edgecut.records.progress import SILENT, Progress
from edgecut.search import costs
from edgecut.search.building import Made, latency_basis, make, name_of
from edgecut.search.inputs import Workbench
from edgecut.search.lowering import lowered
from edgecut.search.parts import Edit, Pass, Passed, Probe, has_mark
from edgecut.search.passes import Probes, edit_source, pass_part, probe
from edgecut.search.request import Choice, Request, Size
from edgecut.search.sweep import sweep


class Swept(TypedDict):
    """What is kept of an input: CutScores of its cuts, how many images each part had, and a head's outputs."""

    cuts: list[dict[str, object]]
    images: dict[str, int]
    outputs: int


class Priced(TypedDict):
    """FrontPoints of all cuts of an input, not built."""

    points: list[dict[str, object]]


NOTHING_SWEPT: Swept = {"cuts": [], "images": {}, "outputs": 0}


@dataclass(frozen=True)
class Scoring:
    """All cuts of one input. swept: what is known of them; then they are only priced. probes: what probes said."""

    size: Size | None
    channels: int | None
    swept: Swept | None = None
    probes: Probes | None = None


Task = Edit | Pass | Probe | Scoring | Choice
"""What is done here or elsewhere."""


@dataclass(frozen=True)
class Scored:
    """What is known of all cuts of an input; or why the input was left out."""

    swept: Swept
    priced: Priced
    left_out: str = ""


@dataclass(frozen=True)
class Built:
    """A choice that was made, and its file's content; or why it was left out."""

    made: Made | None
    content: bytes
    left_out: str = ""


def score_cuts(bench: Workbench, task: Scoring) -> Scored:
    """What each cut of an input says, and what it would cost."""
    swept = task.swept
    if swept is None:
        if task.probes is None:
            raise ValueError("an input is scored after its probes")
        scores = sweep(bench, task.size, task.channels, task.probes)
        swept = {
            "cuts": [s.to_dict() for s in scores],
            "images": bench.counts(),
            "outputs": bench.outputs,
        }
    scores = tuple(CutScore.model_validate(row) for row in swept["cuts"])
    return Scored(swept, {"points": [p.to_dict() for p in _priced(bench, task, scores, swept["outputs"])]})


def choice(bench: Workbench, task: Choice) -> Built:
    """A choice made, and its file; or why a build refuses it."""
    try:
        made, content = make(bench, task)
    except (RequestError, StepError) as exc:
        return Built(None, b"", f"{name_of(task)}: left out: {exc}")
    return Built(made, content)


Answer = str | Passed | float | Scored | Built


def do(bench: Workbench, task: Task) -> Answer:
    """The answer of a task of any kind."""
    if isinstance(task, Edit):
        return edit_source(bench, task)
    if isinstance(task, Pass):
        return pass_part(bench, task)
    if isinstance(task, Probe):
        return probe(bench, task)
    return score_cuts(bench, task) if isinstance(task, Scoring) else choice(bench, task)


@dataclass(frozen=True)
class Sent:
    """A task for another process. request: pickled, so that a worker keeps the model and the images that it has read.

    facts: what the answer depends on, as the sender has it. mark: by which a worker sees whether OUT is the sender's.
    """

    task: Task
    request: bytes
    facts: Mapping[str, object]
    mark: str


def portable(request: Request) -> bytes:
    """The request as workers take it, its files and OUT by their full names."""
    recipe = request.recipe
    source = recipe.source
    if not source.model.startswith(PREFIX):
        source = source.model_copy(update={"model": str(Path(source.model).absolute())})
    paths = {key: getattr(recipe.data, key) for key in ("train", "val", "labels")}  # labels may be names, too
    named = {key: str(Path(path).absolute()) for key, path in paths.items() if isinstance(path, str)}
    recipe = recipe.model_copy(update={"source": source, "data": recipe.data.model_copy(update=named)})
    plain = replace(request, recipe=recipe, out=request.out.absolute(), spread=HERE, time_limit_s=None)
    return pickle.dumps(plain)


def work(sent: Sent) -> Answer:
    """What a worker does. Raises RunError where its code, packages or files aren't the sender's, or OUT isn't."""
    from edgecut.graph.quiet import import_keras_quietly

    import_keras_quietly()
    bench, own = _bench(sent.request)
    different = [key for key, value in sent.facts.items() if _plain(key, own.get(key)) != _plain(key, value)]
    if different:
        raise RunError(
            f"workers: one has another {' and another '.join(different)} than this process; give all of them the same "
            "files under the same names, and install the same versions"
        )
    # What this machine is doesn't part its results from the sender's, as it would in a cache.
    bench.store = store_of(bench.request, sent.facts)
    if not has_mark(bench.store, sent.mark):
        raise RunError(
            f"workers: one doesn't see what this process wrote to {bench.store.folder}; choose an OUT (-o) on a disk "
            "that all of them share, under the same name"
        )
    return do(bench, sent.task)


def store_of(request: Request, facts: Mapping[str, object]) -> Store:
    """What a search keeps in OUT, to go on from."""
    return Store(request.out / "cache", facts)


def facts_of(request: Request) -> dict[str, object]:
    """What every evaluation depends on: by content, not by name."""
    recipe = request.recipe
    store = file_store("search")
    files = {
        key: sha256_of(Path(path)) if store is None else remembered_hash(Path(path), store)
        for key in ("train", "val", "labels")
        if (path := getattr(recipe.data, key))
    }
    whole, data, source = recipe.to_dict(), recipe.data.to_dict(), recipe.source.to_dict()
    return {
        "model": source_hash(recipe.source.model) or recipe.source.model,
        "weights": {name: sha256_of(path) for name, path in weight_files(recipe.source).items()},
        **{key: source[key] for key in ("preprocess", "shape", "dequantize")},
        "images": files,
        "data": {k: v for k, v in data.items() if k not in files},
        **{table: whole[table] for table in ("stem", "head", "compress", "export")},
        "accuracy_drop": recipe.budget.accuracy_drop if "auto" in recipe.export.precisions else None,
        "metric": request.scored_by,
        "environment": environment().to_dict(),
        "code": code_hash(PACKAGE),
    }


def source_hash(source: str) -> str:
    """The SHA-256 of a model file; "" for a model that is named by a text alone, or a folder."""
    return "" if source.startswith(PREFIX) else sha256_of(Path(source))


@functools.lru_cache(maxsize=1)
def _bench(pickled: bytes, progress: Progress = SILENT) -> tuple[Workbench, dict[str, object]]:
    request: Request = pickle.loads(pickled)
    facts = facts_of(request)
    return Workbench(request, store_of(request, facts), progress, in_parts=True), facts


def _plain(key: str, value: object) -> object:
    """Machines may differ, packages may not."""
    if key == "environment" and isinstance(value, Mapping):
        return {k: v for k, v in value.items() if k != "platform"}
    return value


def _priced(bench: Workbench, task: Scoring, scores: Sequence[CutScore], outputs: int) -> Iterator[FrontPoint]:
    request, graph = bench.request, bench.graph(task.size, task.channels)
    tensors = {graph.tensor_name[tensor]: tensor for tensor in poolable(graph)}
    softmax = request.recipe.data.target == "classes"
    files = {precision: lowered(graph, outputs, precision, softmax=softmax) for precision in request.precisions}
    for score in scores:
        for precision in request.precisions:
            profiles = [p for p in request.profiles if precision in p.runtime.precisions]
            file = files[precision](tensors[score.cut])
            devices = costs.estimated(file, request.recipe, profiles, precision)
            device = devices[0] if devices else None
            yield FrontPoint(
                cut=score.cut,
                size=task.size,
                channels=task.channels,
                precision=precision,
                accuracy=score.score,
                chosen_by=score.score,
                latency=None if device is None else device.latency,
                arena=None if unforeseen(file) else costs.arena_bytes(file, profiles),
                size_bytes=file.size_bytes,
                macs=None if score.macs is None else score.macs + score.width * outputs,
                basis=Basis(accuracy="probe", latency=latency_basis(device)),
                devices=devices,
            )
