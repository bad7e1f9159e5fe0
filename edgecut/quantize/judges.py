"""How good a quantized file is while cures are chosen: on images apart from those that judge the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgecut.errors import RequestError
from edgecut.head.probe import fit_ridge
from edgecut.quantize.cures import Mended
from edgecut.quantize.heads import Linear, Place, follow, head_place, nearest_steps, on_grid, with_head
from edgecut.quantize.interior import Images, each_output, outputs_of
from edgecut.quantize.numbers import render
from edgecut.quantize.twins import Twins
from edgecut.records.progress import SILENT, Progress
from edgecut.tflite.cut import cut_tensors

FOLDS = 4
PLACES = 16  # of a map, per image, that tell from where to where its scores reach


@dataclass(frozen=True)
class Score:
    """Against the float model on the same images.

    drop_error: by how much drop may differ from what the judging images will show, as a standard error: both sets are
    samples.
    """

    accuracy: float | None
    drop: float | None
    drop_error: float | None
    agreement: float
    sqnr: float
    images: int

    def meets(self, limit: float) -> bool:
        """Whether the drop is within the limit even with two of its standard errors.

        A drop below 0 is chance, and counts as none. Without labels the disagreement stands for it.
        """
        lost = 1 - self.agreement if self.drop is None else max(self.drop, 0.0)
        return lost + 2 * (self.drop_error or 0.0) <= limit


class Judge(Protocol):
    """Somebody who measures a set of numbers, and makes the file of the one that is chosen."""

    def measure(self, twins: Twins, mended: Mended) -> Score:
        """How good the file of these numbers is."""

    def finish(self, twins: Twins, mended: Mended) -> bytes:
        """The file of these numbers."""


@dataclass(frozen=True, eq=False)
class OutputJudge:
    """Judges a model with a head of its own by what it puts out.

    judged_on: how many images will judge the result, 0 if there is no end of them.

    images: (n, ...) as the model takes them; wanted: the float model's outputs on them; labels: (n,), None if the
    outputs are no scores of these classes.
    """

    images: Images
    wanted: np.ndarray
    labels: np.ndarray | None
    judged_on: int = 0
    progress: Progress = SILENT

    def measure(self, twins: Twins, mended: Mended) -> Score:
        """The file run on the images."""
        with self.progress.task("measuring", len(self.images)) as advance:
            outputs = outputs_of(mended.content(twins), self.images, advance)[0]
        return score(self.wanted, outputs, self.labels, self.judged_on)

    def finish(self, twins: Twins, mended: Mended) -> bytes:
        """The file itself."""
        return mended.content(twins)


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

    def measure(self, twins: Twins, mended: Mended) -> Score:
        """The scores of all images, each by heads that never saw it."""
        known = self.float_head
        count = min(len(known.images), self.limit)
        features, labels = known.features[:count], known.labels[:count]
        place = self._place(twins)
        found, _ = self._body(twins, mended, place, known.images[:count])
        factors = self._factors(mended, place)
        wanted, got = np.empty((count, known.classes)), np.empty((count, known.classes))
        for held in np.array_split(np.random.default_rng(0).permutation(count), FOLDS):
            rest = np.setdiff1d(np.arange(count), held)
            probe = fit_ridge(features[rest], labels[rest], known.classes, (known.penalty,))
            head = Linear(probe.kernel.astype(np.float64), probe.bias.astype(np.float64))
            wanted[held] = head.scores(features[held])
            ours = self._head(head.divided(factors), found[rest], head.scores(features[rest]))
            on_file = on_grid(ours, found[rest])[0] if self.fitted else nearest_steps(ours)
            got[held] = on_file.scores(found[held])
        return score(wanted, got, labels, self.judged_on)

    def finish(self, twins: Twins, mended: Mended) -> bytes:
        """The file with its head fitted on all images; the converter's own where it isn't fitted."""
        if not self.fitted:
            return mended.content(twins)
        known, place = self.float_head, self._place(twins)
        found, places = self._body(twins, mended, place, known.images)
        ours = self._head(
            known.linear.divided(self._factors(mended, place)), found, known.linear.scores(known.features)
        )  # fmt: skip
        scaled = Linear(ours.kernel * known.temperature, ours.bias * known.temperature)
        return render(twins, with_head(twins, mended.numbers, place, scaled, found, places))

    def _head(self, head: Linear, features: np.ndarray, scores: np.ndarray) -> Linear:
        return follow(head, features, scores) if self.fitted else head

    def _body(self, twins: Twins, mended: Mended, place: Place, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """What is pooled, (n, d), and what the head gets, (m, d)."""
        content = cut_tensors(mended.content(twins), [place.operator.inputs[0]])
        random, features, places = np.random.default_rng(0), [], []
        with self.progress.task("int8 features", len(images)) as advance:
            for (map_,) in each_output(content, images):
                rows = map_.reshape(-1, map_.shape[-1])
                features.append(rows.mean(axis=0, dtype=np.float64))
                places.append(rows[random.integers(0, len(rows), min(PLACES, len(rows)))])
                advance(1)
        return np.stack(features).astype(np.float32), np.concatenate(places)

    def _factors(self, mended: Mended, place: Place) -> np.ndarray:
        return mended.factors.get(place.operator.inputs[0], np.ones(self.float_head.features.shape[1]))

    def _place(self, twins: Twins) -> Place:
        place = head_place(twins.graph, self.float_head.features.shape[1])
        if place is None or place.operator.index not in twins.weighted:
            raise RequestError("quantize: the file has no Dense layer behind its pooling, so no head can be fitted")
        return place


def score(wanted: np.ndarray, got: np.ndarray, labels: np.ndarray | None, judged_on: int = 0) -> Score:
    """What quantized outputs are worth beside the float ones; both (n, ...), labels (n,) or None."""
    a, b = wanted.reshape(len(wanted), -1).astype(np.float64), got.reshape(len(got), -1).astype(np.float64)
    noise, signal = float(((a - b) ** 2).sum()), float(((a - a.mean(axis=0)) ** 2).sum())
    sqnr = 200.0 if noise == 0 else float(np.clip(10 * np.log10(max(signal, 1e-30) / noise), -200, 200))
    ours, theirs = b.argmax(axis=1), a.argmax(axis=1)
    agreement = float(np.mean(ours == theirs))
    if labels is None:
        return Score(None, None, None, agreement, sqnr, len(a))
    lost = (theirs == labels).astype(np.float64) - (ours == labels)
    error = float(lost.std() * np.sqrt(1 / len(lost) + (1 / judged_on if judged_on else 0.0)))
    return Score(float(np.mean(ours == labels)), float(lost.mean()), error, agreement, sqnr, len(a))
