"""Weights set to zero while a model is trained, so that the others take over."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgecut.compress import support
from edgecut.compress.crossing import fresh_copy
from edgecut.compress.tfmot import Packages
from edgecut.compress.train import Lessons, Trained, train
from edgecut.errors import RequestError, StepError
from edgecut.records.recipe import Prune

if TYPE_CHECKING:
    import tf_keras

# How often a rising sparsity is raised.
_RAISES = 16
# An update of the masks every so many steps once the sparsity is reached.
_FREQUENCY = 10


def prune(
    packages: Packages, model: tf_keras.Model, lessons: Lessons, wanted: Prune
) -> tuple[Trained, support.Reasons]:
    """Prune a tf_keras model in place. Result: how the training went, and what TFMOT left out.

    Raises RequestError if there is nothing that can be pruned, StepError if the sparsity isn't reached.
    """
    reasons = support.prunable(model, wanted, lessons.wanted.skip)
    names = support.taken(model, reasons)
    if not names:
        raise RequestError(f"compress.prune: nothing can be pruned: {'; '.join(support.sentences(model, reasons))}")
    sparsity = packages.tfmot.sparsity.keras
    schedule, first = _schedule(sparsity, lessons, wanted)
    options: dict[str, object] = {"pruning_schedule": schedule}
    if wanted.pattern == "2:4":
        options["sparsity_m_by_n"] = (2, 4)
    elif wanted.pattern == "block":
        options["block_size"] = wanted.block

    def wrapped(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        return sparsity.prune_low_magnitude(layer, **options) if layer.name in names else layer

    wrapper = packages.k2.models.clone_model(fresh_copy(packages, model), clone_function=wrapped)
    trained = train(
        packages,
        wrapper,
        lessons,
        f"pruning to {wanted.sparsity:.0%}",
        first=first,
        callbacks=[sparsity.UpdatePruningStep()],
    )
    for layer in wrapper.layers:
        for weight, mask, _ in getattr(layer, "pruning_vars", ()):
            weight.assign(weight * mask)
    _take_over(model, sparsity.strip_pruning(wrapper))
    _check(model, names, wanted)
    return trained, reasons


def zeros(model: tf_keras.Model, names: tuple[str, ...]) -> float:
    """The fraction of zeros in the kernels of some layers of a tf_keras model."""
    kernels = [np.asarray(kernel) for name in names for kernel in support.kernels(model.get_layer(name))]
    return sum(int(np.sum(k == 0)) for k in kernels) / sum(k.size for k in kernels)


def _schedule(sparsity: ModuleType, lessons: Lessons, wanted: Prune) -> tuple[object, int]:
    """TFMOT's schedule, and the first epoch after which the whole sparsity is there.

    TFMOT reaches the final sparsity only if its end is one of the steps at which it raises it.
    """
    total = lessons.steps * lessons.wanted.epochs
    if wanted.schedule == "constant" or wanted.pattern == "2:4":
        return sparsity.ConstantSparsity(wanted.sparsity, begin_step=0, frequency=min(_FREQUENCY, total)), 1
    rise = max(1, total // 2)
    frequency = max(1, rise // _RAISES)
    end = frequency * (rise // frequency)
    schedule = sparsity.PolynomialDecay(
        initial_sparsity=0.0, final_sparsity=wanted.sparsity, begin_step=0, end_step=end, frequency=frequency
    )
    return schedule, -(-end // lessons.steps)


def _take_over(model: tf_keras.Model, stripped: tf_keras.Model) -> None:
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(stripped.get_layer(layer.name).get_weights())


def _check(model: tf_keras.Model, names: tuple[str, ...], wanted: Prune) -> None:
    found = zeros(model, names)
    # One block, or one weight, of each layer may be kept for the sake of the threshold.
    if found < wanted.sparsity - 0.05:
        raise StepError(
            f"compress.prune: {found:.1%} of the weights are zero, and {wanted.sparsity:.1%} were asked for"
        )
