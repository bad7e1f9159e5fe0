"""What the steps of a build hand on: each value is made by one step, and never changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from edgecut.errors import DataError
from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.records.artifact import Artifact
from edgecut.records.explanation import Explanation
from edgecut.records.facts import StepFacts
from edgecut.records.measurement import Measurement
from edgecut.records.operating import Decision
from edgecut.records.progress import Advance, Progress
from edgecut.records.proof import Proof
from edgecut.records.report import SourceFacts, Step
from edgecut.records.trial import Trial

if TYPE_CHECKING:
    import keras

    from edgecut.compress.run import Compressed
    from edgecut.head.probe import Probe

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Lazy(Generic[T]):
    """A value that is made the first time somebody reads it; the same one afterwards."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Nothing is made yet."""
        self._make = make
        self._made: list[T] = []

    @property
    def value(self) -> T:
        """The value."""
        if not self._made:
            self._made.append(self._make())
        return self._made[0]


@dataclass(frozen=True)
class Done(Generic[T_co]):
    """What a step made. steps: its rows in report.json; none for a step that had nothing to do.

    notes: sentences for the report's head. repeatable: whether the result may be taken from the cache another time.
    """

    value: T_co
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    repeatable: bool = True


def gathered(value: U, *parts: Done[object]) -> Done[U]:
    """A value that several steps made, with the rows and notes of all of them in order."""
    return Done(
        value,
        tuple(step for part in parts for step in part.steps),
        tuple(note for part in parts for note in part.notes),
        all(part.repeatable for part in parts),
    )


def _unheard(units: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Clock:
    """A step that is running. began: seconds of time.perf_counter. advance: is called with the units just done."""

    name: str
    began: float
    advance: Advance = _unheard

    def step(
        self,
        *,
        changed: bool = True,
        before: StepFacts | None = None,
        after: StepFacts | None = None,
        proof: Proof | None = None,
        notes: tuple[str, ...] = (),
        losses: tuple[str, ...] = (),
    ) -> Step:
        """The step's row, its time ending now. The rest is as report.json has it."""
        return Step(
            name=self.name,
            changed=changed,
            before=before or StepFacts(),
            after=after or StepFacts(),
            proof=proof or Proof(),
            notes=notes,
            losses=losses,
            seconds=round(time.perf_counter() - self.began, 3),
        )


@contextmanager
def timed(name: str, progress: Progress, total: int | None = None) -> Iterator[Clock]:
    """The clock of a step, which is shown while it runs. total: how many units it is told of by `advance`."""
    with progress.task(name, total) as advance:
        yield Clock(name, time.perf_counter(), advance)


@dataclass(frozen=True)
class Source:
    """The pretrained model before any edit. facts: its row in the report."""

    model: Lazy[keras.Model]
    facts: SourceFacts


@dataclass(frozen=True)
class Body:
    """The model behind cut and stem, and what its device feeds it."""

    source: Source
    model: Lazy[keras.Model]
    feed: Feed


@dataclass(frozen=True, eq=False)
class FloatFile:
    """The float .tflite file of a model, and the SavedModel that it was converted from.

    kernel, bias: of the head in the SavedModel. The file's is another once one was fitted on what its body puts out.
    """

    content: bytes
    saved_model: Path
    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """The float model with its head.

    body, probe, features: of a head that was fitted in closed form, the pooled body in front of it, whose layers are
    the model's, the fit, and the training images' features (n, d) that it was fitted on; the head of an int8 file is
    fitted anew on the int8 body. float_file: the file whose body gave the features.
    compressed, before: of a compressed model, how it was trained, and what it was before; uncompressed: what that put
    out for the validation images, () without images.
    """

    model: keras.Model
    feed: Feed
    body: keras.Model | None = None
    probe: Probe | None = None
    features: np.ndarray | None = None
    float_file: FloatFile | None = None
    compressed: Compressed | None = None
    before: Fitted | None = None
    uncompressed: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Converted:
    """The content of a .tflite file. trials: what precision "auto" tried until it had it."""

    content: bytes
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class WrittenFile:
    """A file of the bundle, where it is, and what it is."""

    path: Path
    artifact: Artifact


@dataclass(frozen=True)
class Written:
    """The model files, as read back. trials: what precision "auto" tried."""

    files: tuple[WrittenFile, ...]
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class Checked:
    """Files that were run against the float model, and what was found out about them.

    stimuli: what golden vectors are made of: pictures (n, height, width, channels), uint8, or, for a model that no
    camera feeds, rows of its inputs; None where there can be none. labels: the names of the classes. decisions: how
    each file decides.
    """

    artifacts: tuple[Artifact, ...]
    measurements: tuple[Measurement, ...] = ()
    trials: tuple[Trial, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    stimuli: np.ndarray | None = None
    labels: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def with_measurements(self, rows: Sequence[Measurement]) -> Checked:
        """The same with more measurements."""
        return replace(self, measurements=(*self.measurements, *rows))


def training_labels(images: Dataset | None) -> np.ndarray:
    """The training labels, (n,) int64, or targets, (n, outputs) float32. Raises DataError without."""
    if images is None or images.train.labels is None:
        raise DataError("data.train: has no labels to fit a head on; give class folders or an .npz with y_train")
    return images.train.labels
