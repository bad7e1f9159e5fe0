"""Pruning, clustering and quantization-aware training of one model, in that order, each keeping what was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, Unpack

import keras
import numpy as np

from edgecut.compress import support
from edgecut.compress.cluster import cluster, most_values
from edgecut.compress.crossing import Across, check_trainable, come_back, go_across
from edgecut.compress.prune import prune, zeros
from edgecut.compress.qat import Aware, quantize_aware, with_ranges
from edgecut.compress.tfmot import Packages, packages
from edgecut.compress.train import Lessons, ToInput, Trained
from edgecut.errors import DataError, RequestError
from edgecut.graph.calls import calls
from edgecut.graph.first_kernels import first_units, folded, unfolded
from edgecut.records.document import parse
from edgecut.records.facts import TrainingFacts
from edgecut.records.keywords import check_keywords
from edgecut.records.progress import SILENT, Progress
from edgecut.records.proof import OutputProof
from edgecut.records.recipe import Compress

if TYPE_CHECKING:
    pass

# Images whose extremes are the input's range where no calibration images are given.
_LOOKED_AT = 256


@dataclass(frozen=True)
class Stage:
    """One training. left_out: "'layer' (Class): why", for each layer that TFMOT doesn't take."""

    name: str
    trained: Trained
    facts: TrainingFacts
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Compressed:
    """A trained model.

    model: the source's layers with trained float weights; it shares nothing with the source. aware: the
    quantization-aware tf_keras model, whose int8 file has the trained ranges; None without qat. proof: of the way over
    to Keras 2, before training; back is the error on the way back.
    """

    model: keras.Model
    stages: tuple[Stage, ...]
    proof: OutputProof
    aware: object = None


class CompressOptions(TypedDict, total=False):
    """The keywords of edgecut.compress beside its arguments. seed: of the order of images, and of what is drawn."""

    seed: int
    progress: Progress


def compress(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    wanted: Compress | Mapping[str, object],
    *,
    to_input: ToInput = lambda x: x.astype("float32"),
    calibration: np.ndarray | None = None,
    **options: Unpack[CompressOptions],
) -> Compressed:
    """The model pruned, clustered and trained quantization-aware, as `wanted` says; the source stays as it is.

    images: (n, height, width, channels), kept as they are (bytes); to_input makes a batch of them what the model takes,
    float32. labels: (n,), whole numbers. wanted: a Compress, or a mapping with the keys of a recipe's [compress].
    calibration: images as the model takes them, whose extremes are the range of an int8 input (default: of the
    training images). Raises GraphError for a model that can't cross to Keras 2, with the layer's name; RequestError if
    TFMOT takes nothing of it.

    >>> data = np.load("doors.npz")
    >>> half = {"prune": {"sparsity": 0.5}, "epochs": 1}
    >>> pruned = edgecut.compress(edgecut.load("bell.keras"), data["x_train"], data["y_train"], half)
    >>> [stage.name for stage in pruned.stages]
    ['prune']
    """
    check_keywords("compress", options, CompressOptions)
    seed, progress = options.get("seed", 0), options.get("progress", SILENT)
    asked = wanted if isinstance(wanted, Compress) else parse(Compress, wanted, "compress")
    if not asked.is_asked:
        raise RequestError("compress: nothing is asked for; set prune, cluster or qat")
    check_trainable(model)
    _check_labels(model, images, labels)
    both = packages()
    pictures = to_input(images[:_LOOKED_AT]) if calibration is None else calibration
    units = first_units(model, pictures)
    with progress.task("crossing to Keras 2"):
        across = go_across(both, unfolded(model, units))
    names = [call.layer for call in calls(model)]
    asked = asked.model_copy(update={"skip": support.skipped(names, across.homes, asked)})
    lessons = Lessons(images, np.asarray(labels, "int64"), to_input, asked, seed, progress)
    stages, aware = _trained(both, across, lessons, pictures)
    back = come_back(across)
    proof = across.proof.model_copy(update={"back": back.proof.max_abs_error})
    if not units:
        return Compressed(back.model, tuple(stages), proof, aware.model if aware else None)
    result = folded(back.model, units, model)
    own = {layer.name for layer in result.layers}
    between = tuple(f"{layer.name!r} " for layer in across.source.layers if layer.name not in own)
    stages = [replace(x, left_out=tuple(y for y in x.left_out if not y.startswith(between))) for x in stages]
    if aware is None:
        return Compressed(result, tuple(stages), proof)
    scales = {_first_home(across, name): unit.scale for unit in units for name in unit.layers}
    folded_over = go_across(both, result).model
    return Compressed(result, tuple(stages), proof, with_ranges(both, folded_over, aware, scales, asked.skip, pictures))


def _first_home(across: Across, name: str) -> str:
    """The layer on Keras 2's side that holds the kernel of a layer that the picture reaches first."""
    return across.homes.get(name, across.homes.get(f"{name}_linear", (name,)))[0]


def _trained(
    both: Packages, across: Across, lessons: Lessons, calibration: np.ndarray
) -> tuple[list[Stage], Aware | None]:
    wanted, model = lessons.wanted, across.model
    stages: list[Stage] = []
    if wanted.prune is not None:
        trained, reasons = prune(both, model, lessons, wanted.prune)
        facts = TrainingFacts(zeros=round(zeros(model, support.taken(model, reasons)), 4))
        stages.append(Stage("prune", trained, facts, support.sentences(model, reasons)))
    if wanted.cluster is not None:
        pruned = wanted.prune is not None
        trained, reasons = cluster(both, model, lessons, wanted.cluster, keep_zeros=pruned)
        facts = TrainingFacts(values=most_values(model, support.taken(model, reasons)))
        stages.append(Stage("cluster", trained, facts, support.sentences(model, reasons)))
    if not wanted.qat:
        return stages, None
    aware = quantize_aware(
        both, model, lessons, calibration, keep_zeros=wanted.prune is not None, keep_values=wanted.cluster is not None
    )
    stages.append(Stage("qat", aware.trained, aware.parity, support.sentences(model, aware.left_out)))
    return stages, aware


def _check_labels(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    classes = max(2, int(model.outputs[0].shape[-1] or 0))
    if len(images) != len(labels) or not len(labels):
        raise DataError(f"compress: {len(images)} images and {len(labels)} labels; one label for each is expected")
    if int(np.min(labels)) < 0 or int(np.max(labels)) >= classes:
        raise DataError(
            f"compress: labels are {int(np.min(labels))}..{int(np.max(labels))}, and the model has {classes} classes"
        )
