"""What the outputs of one model file mean: as it is told, as the bundle says in which it lies, or as the file does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecut.errors import EdgecutError, RequestError
from edgecut.handoff.builds import Side, label_names, read_side
from edgecut.handoff.seal import MANIFEST
from edgecut.handoff.thresholds import decisions_of
from edgecut.images.listing import class_names_of
from edgecut.pipeline.operating import chooser
from edgecut.records.artifact import Artifact
from edgecut.records.legend import Legend
from edgecut.records.operating import DEFAULT, GIVEN, Decision
from edgecut.records.recipe import Data
from edgecut.runtime.activation import last_activation
from edgecut.score.answer import answer_for
from edgecut.score.threshold import with_threshold


def file_legend(path: Path, artifact: Artifact, data: Data) -> Legend:
    """Names, units and decisions of a file's outputs.

    artifact: the file at `path`. data: labels, threshold and positive, which go before what a bundle or the file says.
    Raises DataError for labels that can't be read, RequestError for some of another count, and for a threshold that no
    output has.
    """
    if data.threshold_rule:
        raise RequestError(
            f"--threshold: {data.threshold_rule} is chosen on labelled data, which only a build measures; give a number"
        )
    side = bundle_around(path, artifact) or read_side(path, "none")
    told = class_names_of(data, "--labels") or ()
    names = told or label_names(side)
    if artifact.labelled(names) is None:
        names = ()
    if told and not names:
        raise RequestError(
            f"--labels: holds {len(told)} names, and {path} puts out "
            f"{', '.join(str(spec.shape[-1]) if spec.shape else '1' for spec in artifact.outputs)}; make them equal"
        )
    units = () if side.recipe is None else side.recipe.data.unit_names
    if data.threshold is None and data.positive is None:
        there = next((own for own in side.artifacts if own.sha256 == artifact.sha256), artifact)
        return Legend(names, units, decisions_of(side, there))
    return Legend(names, units, _decided(path, artifact, side, data, names))


def bundle_around(path: Path, artifact: Artifact) -> Side | None:
    """The bundle that a file lies in and is measured in; None for none, and for one that can't be read."""
    folder = path.absolute().parent.parent
    if not (folder / MANIFEST).is_file():
        return None
    try:
        side = read_side(folder, "none")
    except EdgecutError:
        return None
    told = () if side.report is None else side.report.artifacts
    return side if any(own.sha256 == artifact.sha256 for own in told) else None


def _decided(path: Path, artifact: Artifact, side: Side, data: Data, names: Sequence[str]) -> tuple[Decision, ...]:
    """The decision of the output that has the threshold."""
    outputs = [(tuple(map(int, spec.shape[1:])), last_activation(path, k)) for k, spec in enumerate(artifact.outputs)]
    plain = tuple(answer_for(side.recipe, shape, activation) for shape, activation in outputs)
    answers = with_threshold(plain, outputs, data, names)
    rows = [np.zeros((1, *shape), np.float32) for shape, _ in outputs]
    # None where the positive class is the one that a score says anyway.
    place = next((k for k, answer in enumerate(answers) if answer is not plain[k]), None)
    decisions = chooser(data, names, answers, None, None).decisions(artifact, answers, rows)
    return tuple(
        d.model_copy(update={"rule": GIVEN if d.place == place and data.threshold is not None else DEFAULT})
        for d in decisions
    )
