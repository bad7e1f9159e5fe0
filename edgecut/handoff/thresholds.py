"""How the outputs of a side's file are decided: at the thresholds that its bundle says, where it says some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecut.handoff.builds import Side
from edgecut.records.artifact import Artifact
from edgecut.records.operating import DEFAULT, GIVEN, Decision
from edgecut.runtime.activation import last_activation
from edgecut.score.answer import Answer, answer_for


def answers_of(
    side: Side, artifact: Artifact, outputs: Sequence[np.ndarray], labels: np.ndarray | None = None
) -> tuple[Answer, ...]:
    """How each output of a file is decided and judged. labels: of the samples, None where they aren't known."""
    path, decisions = side.folder / artifact.path, {d.place: d for d in decisions_of(side, artifact)}
    answers = (answer_for(side.recipe, y.shape[1:], last_activation(path, k), labels) for k, y in enumerate(outputs))
    return tuple(_at(answer, decisions[k]) if k in decisions else answer for k, answer in enumerate(answers))


def decisions_of(side: Side, artifact: Artifact) -> tuple[Decision, ...]:
    """What a bundle says of how a file decides; () for another file than the one that it was measured on."""
    if side.report is None or all(own.sha256 != artifact.sha256 for own in side.report.artifacts):
        return ()
    return tuple(decision for decision in side.report.decisions if decision.artifact == artifact.name)


def chosen_words(decision: Decision) -> str:
    """The threshold of an output and where it is from, in a few words."""
    shown = ", ".join(
        f"{point.threshold:.4g}{'' if point.code is None else f' (q >= {point.code})'}" for point in decision.points[:3]
    )
    more = ", ..." if len(decision.points) > 3 else ""
    rules = {DEFAULT: "where likelier than not begins", GIVEN: "as the bundle's recipe gives it"}
    chosen = f"chosen by {decision.rule} on {decision.chosen_on} samples"
    return f"{decision.output} is decided at {shown}{more}, {rules.get(decision.rule, chosen)}"


def _at(answer: Answer, decision: Decision) -> Answer:
    several = len(decision.points) > 1
    kind = answer.kind if answer.kind in {"tags", "pixels"} else "tags" if several else "binary"
    return replace(answer, kind=kind, threshold=decision.thresholds, column=decision.column)
