"""How good a quantized file is while cures are chosen: on images apart from those that judge the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from edgecut.errors import RequestError
from edgecut.head.probe import fit_ridge
from edgecut.quantize.corrections import Corrected
from edgecut.quantize.heads import Linear, Place, follow, head_place, nearest_steps, on_grid, with_head
from edgecut.quantize.interior import Images, each_output, outputs_of
from edgecut.quantize.numbers import render
from edgecut.quantize.pairs import FilePair
from edgecut.records.progress import SILENT, Progress
from edgecut.score.answer import Answer, Drop
from edgecut.score.distance import sqnr, sqnr_varying
from edgecut.tflite.cut import cut_tensors

FOLDS = 4
PLACES = 16  # of a map, per image, that tell from where to where its scores reach


@dataclass(frozen=True)
class Score:
    """Against the float model on the same images.

    accuracy, drop: of the metric that judges the answer, None where nothing does; `unjudged` says why. drop_error: by
    how much drop may differ from what the judging images will show, as a standard error: both sets are samples.
    agreement: None for values. sqnr, sqnr_varying: as in score/distance.py. by_scores: the drop in auc of a binary
    answer, whose scores tell more than what its threshold decides. Of several outputs, accuracy and drop are of the one
    that the labels are of, the others the least of any; unjudged_agreement: the least of those without a drop. lost:
    (n,), of each image what it adds to the drop, of an output that no labels judge the part of decisions that are
    others; 0 where an image isn't right or wrong. noise: (n,), the squared error of each image over the signal.
    """

    accuracy: float | None
    drop: float | None
    drop_error: float | None
    agreement: float | None
    sqnr_varying: float
    images: int
    sqnr: float = 0.0
    by_scores: Drop | None = None
    unjudged: str = ""
    unjudged_agreement: float | None = None
    lost: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False)
    noise: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False)

    def meets(self, limit: float) -> bool:
        """Whether the drop, also by the scores, is within the limit even with two of its standard errors.

        A drop below 0 is chance, and counts as none. False where no drop was measured.
        """
        if self.drop is None:
            return False
        drops = [Drop(self.drop, self.drop_error or 0.0), *([self.by_scores] if self.by_scores else [])]
        return all(max(drop.value, 0.0) + 2 * drop.error <= limit for drop in drops)

    def is_near(self, limit: float) -> bool:
        """Whether no further correction is worth a trial: what was measured is within the limit.

        Where no labels judge an output, so many decisions may differ. False where nothing tells.
        """
        alike = self.unjudged_agreement
        if self.drop is None:
            return alike is not None and 1 - alike <= limit
        return self.meets(limit) and (alike is None or 1 - alike <= limit)


class Judge(Protocol):
    """Somebody who measures a set of numbers, and makes the file of the one that is chosen."""

    def measure(self, file_pair: FilePair, corrected: Corrected) -> Score:
        """How good the file of these numbers is."""

    def finish(self, file_pair: FilePair, corrected: Corrected) -> bytes:
        """The file of these numbers."""


@dataclass(frozen=True, eq=False)
class OutputJudge:
    """Judges a model with a head of its own by what it puts out.

    judged_on: how many images will judge the result, 0 if there is no end of them.

    images: (n, ...) as the model takes them; references: what the float model puts out on them, and answers: how each
    of these outputs is judged; labels: of the images, None without.
    """

    images: Images
    references: Sequence[np.ndarray]
    answers: Sequence[Answer]
    labels: np.ndarray | None
    judged_on: int = 0
    progress: Progress = SILENT

    def measure(self, file_pair: FilePair, corrected: Corrected) -> Score:
        """The file run on the images."""
        return self.judged(corrected.content(file_pair))

    def judged(self, content: bytes) -> Score:
        """What any file of the model is worth, its outputs in the order of the references."""
        with self.progress.task("measuring", len(self.images)) as advance:
            outputs = outputs_of(content, self.images, advance)
        rows = zip(self.answers, self.references, outputs, strict=True)
        return least([score(answer, a, b, self.labels, self.judged_on) for answer, a, b in rows])

    def finish(self, file_pair: FilePair, corrected: Corrected) -> bytes:
        """The file itself."""
        return corrected.content(file_pair)


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The float head of a model, and what it was fitted on.

    images: (n, ...) as the model takes them, features: the float body's, (n, d); labels: (n,); penalty: of the ridge
    regression; linear: the head; temperature: what the file's scores are multiplied by.
    """

    images: Images
    features: np.ndarray
    labels: np.ndarray
    classes: int
    penalty: float
    linear: Linear
    temperature: float


@dataclass(frozen=True, eq=False)
class HeadJudge:
    """Judges a model whose last Dense layer was fitted by ridge: the body is run once, the head is fitted four times.

    Each quarter of the images is scored by heads that were fitted on the others, the float one and the quantized one,
    so that every image is held out and none is lost. limit: how many images are used. judged_on: how many images will
    judge the result, 0 if there is no end of them. fitted: whether the quantized
    head is fitted to the quantized body, and not only rounded.
    """

    float_head: FittedHead
    judged_on: int = 0
    limit: int = 2000
    fitted: bool = True
    progress: Progress = SILENT

    def measure(self, file_pair: FilePair, corrected: Corrected) -> Score:
        """The scores of all images, each by heads that never saw it."""
        known = self.float_head
        count = min(len(known.images), self.limit)
        features, labels = known.features[:count], known.labels[:count]
        place = self._place(file_pair)
        found, _ = self._body(file_pair, corrected, place, known.images[:count])
        factors = self._factors(corrected, place)
        wanted, got = np.empty((count, known.classes)), np.empty((count, known.classes))
        for held in np.array_split(np.random.default_rng(0).permutation(count), FOLDS):
            rest = np.setdiff1d(np.arange(count), held)
            probe = fit_ridge(features[rest], labels[rest], known.classes, (known.penalty,))
            head = Linear(probe.kernel.astype(np.float64), probe.bias.astype(np.float64))
            wanted[held] = head.scores(features[held])
            ours = self._head(head.divided(factors), found[rest], head.scores(features[rest]))
            on_file = on_grid(ours, found[rest])[0] if self.fitted else nearest_steps(ours)
            got[held] = on_file.scores(found[held])
        return score(Answer("classes", metric="accuracy"), wanted, got, labels, self.judged_on)

    def finish(self, file_pair: FilePair, corrected: Corrected) -> bytes:
        """The file with its head fitted on all images; the converter's own where it isn't fitted."""
        if not self.fitted:
            return corrected.content(file_pair)
        known, place = self.float_head, self._place(file_pair)
        found, places = self._body(file_pair, corrected, place, known.images)
        ours = self._head(
            known.linear.divided(self._factors(corrected, place)), found, known.linear.scores(known.features)
        )
        scaled = Linear(ours.kernel * known.temperature, ours.bias * known.temperature)
        return render(file_pair, with_head(file_pair, corrected.numbers, place, scaled, found, places))

    def _head(self, head: Linear, features: np.ndarray, scores: np.ndarray) -> Linear:
        return follow(head, features, scores) if self.fitted else head

    def _body(
        self, file_pair: FilePair, corrected: Corrected, place: Place, images: Images
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is pooled, (n, d), and what the head gets, (m, d)."""
        content = cut_tensors(corrected.content(file_pair), [place.operator.inputs[0]])
        random, features, places = np.random.default_rng(0), [], []
        with self.progress.task("int8 features", len(images)) as advance:
            for (map_,) in each_output(content, images):
                rows = map_.reshape(-1, map_.shape[-1])
                features.append(rows.mean(axis=0, dtype=np.float64))
                places.append(rows[random.integers(0, len(rows), min(PLACES, len(rows)))])
                advance(1)
        return np.stack(features).astype(np.float32), np.concatenate(places)

    def _factors(self, corrected: Corrected, place: Place) -> np.ndarray:
        return corrected.factors.get(place.operator.inputs[0], np.ones(self.float_head.features.shape[1]))

    def _place(self, file_pair: FilePair) -> Place:
        place = head_place(file_pair.graph, self.float_head.features.shape[1])
        if place is None or place.operator.index not in file_pair.weighted:
            raise RequestError("quantize: the file has no Dense layer behind its pooling, so no head can be fitted")
        return place


def score(
    answer: Answer, reference: np.ndarray, outputs: np.ndarray, labels: np.ndarray | None, judged_on: int = 0
) -> Score:
    """What a quantized output is worth beside the float one; both (n, ...), labels as the answer takes them."""
    agreement, varying = answer.agreement(reference, outputs), sqnr_varying(reference, outputs)
    ratio, lost, noise = sqnr(reference, outputs), _lost(answer, reference, outputs, labels), _noise(reference, outputs)
    if labels is None or answer.metric is None:
        return Score(
            None, None, None, agreement, varying, len(outputs), ratio, None, answer.unjudged, agreement, lost, noise
        )
    drops = answer.drops(reference, outputs, labels, judged_on)
    own = drops.pop(answer.metric)
    value = answer.scores(outputs, labels)[answer.metric]
    return Score(
        value, own.value, own.error, agreement, varying, len(outputs), ratio, drops.get("auc"), lost=lost, noise=noise
    )


def _lost(answer: Answer, reference: np.ndarray, outputs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    if labels is not None and answer.metric is not None:
        theirs, ours = answer.hits(reference, labels), answer.hits(outputs, labels)
        return np.zeros(len(outputs)) if theirs is None or ours is None else theirs.astype(np.float64) - ours
    decided, own = answer.decisions(reference), answer.decisions(outputs)
    return np.zeros(len(outputs)) if decided is None or own is None else np.mean(decided != own, axis=1)


def _noise(reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (reference, outputs))
    return np.asarray(np.sum((a - b) ** 2, axis=1) / max(float(np.sum((a - a.mean(axis=0)) ** 2)), 1e-30))


def least(scores: Sequence[Score]) -> Score:
    """The scores of several outputs as one, as Score says."""
    judged = next((x for x in scores if x.drop is not None), scores[0])
    others = [x.unjudged_agreement for x in scores if x.unjudged_agreement is not None]
    agreements = [x.agreement for x in scores if x.agreement is not None]
    return replace(
        judged,
        agreement=min(agreements, default=None),
        unjudged_agreement=min(others, default=None),
        sqnr=min(x.sqnr for x in scores),
        sqnr_varying=min(x.sqnr_varying for x in scores),
        lost=np.sum([x.lost for x in scores], axis=0),
        noise=np.sum([x.noise for x in scores], axis=0),
    )
