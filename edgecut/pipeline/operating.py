"""The threshold of each file: as the recipe says, or chosen on half of the held-out images, and measured on others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecut.images.sampling import split
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.operating import DEFAULT, GIVEN, Decision, OperatingPoint
from edgecut.records.recipe import Data
from edgecut.score.answer import Answer
from edgecut.score.operating import best_threshold, between_codes, least_code, one_sided_code, operating_point

_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Chooser:
    """How the thresholds of a model's outputs are had.

    data: the recipe's. names: of the classes. place: the output that labels judge, None without. labels: of the
    held-out images, (n,) or (n, tags). choosing, judging: the positions of the images that choose, and of those that
    are measured; none chooses where no rule does.
    """

    data: Data
    names: Sequence[str]
    place: int | None
    labels: np.ndarray | None
    choosing: np.ndarray
    judging: np.ndarray

    @property
    def chooses(self) -> bool:
        """Whether a rule chooses a threshold."""
        return len(self.choosing) > 0

    def judged(self, outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The outputs for the images that nothing was chosen on."""
        return tuple(y[self.judging] for y in outputs) if self.chooses else tuple(outputs)

    def decided(
        self, answers: Sequence[Answer], outputs: Sequence[np.ndarray], specs: Sequence[TensorSpec] = ()
    ) -> tuple[Answer, ...]:
        """The answers at the thresholds of a model that puts this out for all held-out images. specs: of a file."""
        if not self.chooses or self.place is None:
            return tuple(answers)
        k = self.place
        return (*answers[:k], self.at(answers[k], outputs[k], specs[k] if specs else None), *answers[k + 1 :])

    def at(self, answer: Answer, outputs: np.ndarray, spec: TensorSpec | None) -> Answer:
        """The judged answer at the thresholds of what one model puts out, (n, ...). spec: of a file's output."""
        if not self.chooses:
            return answer
        chosen = [threshold for threshold, _ in self._choices(answer, outputs, spec)]
        return replace(answer, threshold=chosen[0] if len(set(chosen)) == 1 else tuple(chosen))

    def decisions(
        self, artifact: Artifact, answers: Sequence[Answer], outputs: Sequence[np.ndarray]
    ) -> Iterator[Decision]:
        """How each output of a file is decided that a threshold decides. outputs: for all held-out images."""
        for k, (answer, y, spec) in enumerate(zip(answers, outputs, artifact.outputs, strict=True)):
            if answer.threshold is None:
                continue
            is_judged = k == self.place and self.labels is not None
            points = self._points(answer, y, spec, is_judged)
            is_named = is_judged or (self.place is None and artifact.labelled(self.names) == spec)
            label, otherwise = self._sides(answer) if is_named else ("", "")
            if label:
                points = [points[0].model_copy(update={"label": label})]
            elif is_named and answer.kind == "tags" and len(points) == len(self.names):
                points = [p.model_copy(update={"label": name}) for p, name in zip(points, self.names, strict=True)]
            yield Decision(
                artifact=artifact.name,
                output=spec.name,
                place=k,
                column=answer.column,
                otherwise=otherwise,
                rule=self._rule(k),
                chosen_on=len(self.choosing) if is_judged else 0,
                measured_on=len(self.judging) if is_judged else 0,
                points=tuple(points),
            )

    def notes(self) -> Iterator[str]:
        """That so few images can't tell a false-positive rate as low as the rule's."""
        rate = self.data.threshold_fpr
        if rate is None or not self.chooses or self.labels is None:
            return
        labels = self.labels[self.choosing]
        yes = int((labels > _HALF).reshape(len(labels), -1).sum(axis=0).max())
        fewest = min(yes, len(labels) - yes) if labels.ndim == 1 else len(labels) - yes
        if rate * fewest < 1:
            yield (
                f"data.threshold: {self.data.threshold} is chosen on {fewest} images that aren't it, which can't tell "
                f"a rate between 0 and {1 / max(1, fewest):.2g}; give more validation images (data.val, --val)"
            )

    def _rule(self, place: int) -> str:
        if self.data.threshold is None or place != self.place:
            return DEFAULT
        return self.data.threshold_rule or GIVEN

    def _sides(self, answer: Answer) -> tuple[str, str]:
        """(what a yes says, what a no says) of two classes; ("", "") where nothing names them."""
        if answer.kind != "binary" or len(self.names) != 2:
            return "", ""
        yes = 1 if answer.column is None else answer.column
        return self.names[yes], self.names[1 - yes]

    def _points(self, answer: Answer, y: np.ndarray, spec: TensorSpec, is_judged: bool) -> list[OperatingPoint]:
        if not is_judged:
            width = y.shape[-1] if answer.kind == "tags" else 1
            thresholds = np.broadcast_to(np.asarray(answer.threshold), (width,)).tolist()
            codes = [least_code(t, spec) for t in thresholds]
            return [
                OperatingPoint(threshold=t, code=code, reason=one_sided_code(code, spec))
                for t, code in zip(thresholds, codes, strict=True)
            ]
        held, positive = answer.held(y), self._positive(answer)
        points = []
        for column, (threshold, reason) in enumerate(self._choices(answer, y, spec)):
            measured = operating_point(held[self.judging, column], positive[self.judging, column], threshold)
            code = least_code(threshold, spec)
            reason = reason or one_sided_code(code, spec)
            points.append(measured.model_copy(update={"code": code, "reason": reason}))
        return points

    def _choices(self, answer: Answer, y: np.ndarray, spec: TensorSpec | None) -> Iterator[tuple[float, str]]:
        """(the threshold of each score, why the rule could not choose it)."""
        held, positive = answer.held(y), self._positive(answer)
        for column, own in enumerate(np.broadcast_to(np.asarray(answer.threshold), (held.shape[1],)).tolist()):
            yes, scores = positive[self.choosing, column], held[self.choosing, column]
            if not self.chooses:
                yield own, ""
            elif not yes.any() or yes.all():
                lacking = "has" if not yes.any() else "lacks"
                yield own, f"none of the {len(yes)} images that choose {lacking} it"
            else:
                best = best_threshold(scores, yes, self.data.threshold_fpr)
                yield float(np.float32(best if spec is None else between_codes(best, spec))), ""

    def _positive(self, answer: Answer) -> np.ndarray:
        """Which images a score above the threshold is right for, (n, scores)."""
        labels = np.asarray(self.labels).reshape(len(np.asarray(self.labels)), -1)
        return labels == (0 if answer.column == 0 else 1) if answer.kind == "binary" else labels > _HALF


def chooser(
    data: Data, names: Sequence[str], answers: Sequence[Answer], place: int | None, labels: np.ndarray | None
) -> Chooser:
    """How the thresholds of a model are had whose output at `place` these labels judge.

    Raises DataError where no class has two images.
    """
    count = 0 if labels is None else len(labels)
    everything, none = np.arange(count), np.arange(0)
    if not data.threshold_rule or place is None or labels is None or answers[place].threshold is None:
        return Chooser(data, names, place, labels, none, everything)
    groups = labels if labels.ndim == 1 else _rarest(labels)
    return Chooser(data, names, place, labels, *split(groups, _HALF, data.seed, "data.threshold"))


def overshoots(decisions: Iterable[Decision]) -> Iterator[str]:
    """A sentence for each threshold whose false-positive rate is above the rule's on the images that chose nothing."""
    for decision in decisions:
        word, _, rate = decision.rule.partition("=")
        for point in decision.points if word == "fpr" else ():
            if point.fpr is not None and point.fpr_interval is not None and point.fpr > float(rate):
                low, high = point.fpr_interval
                chance = "" if low > float(rate) else ", which may be chance"
                yield (
                    f"{decision.artifact}: the false-positive rate{f' of {point.label}' if point.label else ''} is "
                    f"{point.fpr:.3f} ({low:.3f} to {high:.3f}) on images that didn't choose the threshold, and {rate} "
                    f"was to be kept{chance}"
                )


def _rarest(tags: np.ndarray) -> np.ndarray:
    """The rarest tag of each image, -1 without any: by which both halves get some of each."""
    there = tags > _HALF
    counts = np.where(there, there.sum(axis=0), len(tags) + 1)
    return np.where(there.any(axis=1), counts.argmin(axis=1), -1)
