"""What both sides of a comparison are fed: the same pictures, each side's in its own format, or seeded values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgecut.errors import RequestError
from edgecut.handoff.builds import Side, label_names
from edgecut.images.arrays import ArrayInput, ArrayInputs
from edgecut.images.classes import assumed_order
from edgecut.images.dataset import Dataset, read_arrays, read_data
from edgecut.images.device import DEFAULT_ORDER, PictureForm, model_input
from edgecut.images.feed import ArrayFeed
from edgecut.images.rows import packed
from edgecut.records.artifact import Artifact
from edgecut.records.progress import Progress
from edgecut.records.recipe import Data
from edgecut.runtime.files import FileRunner
from edgecut.sandbox.limits import check_array

SEEDED = 64
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Fed:
    """values: for the side's file, (n, ...): the device's pictures in uint8, or rows that the file takes as they are.

    labels: (n,) int64, the places of the classes in the side's own outputs; None where they aren't known, and why.
    assumed: what was assumed about their order.
    """

    values: np.ndarray
    labels: np.ndarray | None
    why: str = ""
    assumed: str = ""


def fed(
    sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], data: str | Data | None, progress: Progress
) -> tuple[tuple[Fed, ...], str] | None:
    """(what each side is fed, what that is), row by row the same; None for files of other shapes without images, or
    that take nothing.

    data: labelled images, or arrays for files that no camera feeds, of which the validation part counts. Raises
    DataError.
    """
    inputs, others = map(array_inputs, pair)
    same = inputs == others or (len(inputs) == 1 and [x.shape for x in inputs] == [x.shape for x in others])
    of_pictures = [takes_pictures(artifact) for artifact in pair]
    if data is None or (not all(of_pictures) and (any(of_pictures) or not same)):
        if not inputs or not same:
            return None
        values = _seeded(pair[0])
        return (Fed(values, None), Fed(values, None)), "seeded noise"
    wanted = Data(train=data) if isinstance(data, str) else data
    if not any(of_pictures):
        return _fed_arrays(sides, pair, wanted, progress)
    return _fed_pictures(sides, pair, wanted, progress)


def array_inputs(artifact: Artifact) -> ArrayInputs:
    """The inputs of a file as arrays feed them: real values where it quantizes."""
    return tuple(
        ArrayInput(
            spec.name,
            tuple(None if size < 0 else size for size in spec.shape[1:]),
            spec.dtype if spec.scale is None else "float32",
        )
        for spec in artifact.inputs
    )


def _fed_arrays(
    sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], wanted: Data, progress: Progress
) -> tuple[tuple[Fed, ...], str]:
    inputs = array_inputs(pair[0])
    dataset = read_arrays(wanted, inputs, partial=True, progress=progress)
    found = []
    for side, artifact in zip(sides, pair, strict=True):
        labels, why = _own_labels(side, artifact, dataset)
        found.append(Fed(ArrayFeed(inputs, side.preprocess).values(dataset.val.pixels), labels, why))
    return tuple(found), f"validation arrays of {wanted.val or wanted.train}"


def _fed_pictures(
    sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], wanted: Data, progress: Progress
) -> tuple[tuple[Fed, ...], str]:
    read: dict[PictureForm, Dataset] = {}
    found = []
    for side, artifact in zip(sides, pair, strict=True):
        check_range(side, artifact)
        height, width = artifact.inputs[0].shape[1:3]
        order = camera_order(side, artifact)
        form = PictureForm.in_order(height, width, order)
        if form not in read:
            read[form] = read_data(wanted, form, partial=True, progress=progress)
        labels, why = _own_labels(side, artifact, read[form])
        assumed = assumed_order(wanted) if labels is not None and not label_names(side) else ""
        found.append(Fed(read[form].val.pixels, labels, why, assumed))
    return tuple(found), f"validation images of {wanted.val or wanted.train}"


def outputs_of(side: Side, artifact: Artifact, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every output of a side's file, each float32 (n, ...), for what `fed` gives. Raises RunError."""
    runner = FileRunner(side.folder / artifact.path)
    parts = [runner.predict_each(part) for part in _batches(side, artifact, values)]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _batches(side: Side, artifact: Artifact, values: np.ndarray) -> Iterator[np.ndarray]:
    expects = artifact.inputs[0].expects or "raw"
    for start in range(0, len(values), _BATCH):
        part = values[start : start + _BATCH]
        yield model_input(part, side.preprocess, expects) if part.dtype == np.uint8 else part


def camera_order(side: Side, artifact: Artifact) -> str:
    """What the channels are of the pictures that a side's file takes."""
    return (side.recipe.stem.order if side.recipe is not None else None) or DEFAULT_ORDER[artifact.inputs[0].shape[3]]


def check_range(side: Side, artifact: Artifact) -> None:
    """Raises RequestError for a single quantized file whose input can't hold a camera's bytes, which nothing scales."""
    if side.recipe is not None or side.preprocess not in {"none", "raw"} or not takes_pictures(artifact):
        return
    spec = artifact.inputs[0]
    if spec.scale is None or spec.zero_point is None:
        return
    ends = np.iinfo(spec.dtype)
    low, high = (spec.scale * (end - spec.zero_point) for end in (int(ends.min), int(ends.max)))
    if high >= 128:
        return
    likely = "tf" if low < -0.9 and high < 1.1 else "'{scale = 0.00392157}'" if low > -0.1 and high < 1.1 else "MODE"
    raise RequestError(
        f"{side.path}: takes values from {low:.3g} to {high:.3g}, and a picture has bytes 0 to 255; say how they are "
        f"scaled: --preprocess {likely}"
    )


def takes_pictures(artifact: Artifact) -> bool:
    """Whether a camera feeds the file: one input of pictures."""
    if len(artifact.inputs) != 1:
        return False
    (spec,) = artifact.inputs
    return spec.expects is not None and len(spec.shape) == 4 and spec.shape[3] in {1, 3, 4}


def _seeded(artifact: Artifact) -> np.ndarray:
    """Bytes for pictures, else floats in -1..1, or whole numbers 0 and 1, which are in any vocabulary."""
    random = np.random.default_rng(0)
    for spec in artifact.inputs:
        check_array(f"{artifact.path}: the input {spec.name!r}", (SEEDED, *spec.shape[1:]))
    if takes_pictures(artifact):
        return random.integers(0, 256, (SEEDED, *artifact.inputs[0].shape[1:]), dtype=np.uint8)
    arrays = []
    for spec in artifact.inputs:
        shape, is_whole = (SEEDED, *spec.shape[1:]), spec.scale is None and np.dtype(spec.dtype).kind in "iub"
        values = random.integers(0, 2, shape) if is_whole else random.uniform(-1, 1, shape)
        arrays.append(values.astype(np.float32))
    return packed(arrays)


def _own_labels(side: Side, artifact: Artifact, dataset: Dataset) -> tuple[np.ndarray | None, str]:
    """The validation labels as places in a file's outputs, and why there are none; by name where names are known.

    The side's labels.txt may have another order than the folders.
    """
    labels, names = dataset.val.labels, label_names(side)
    if labels is None or labels.ndim != 1:
        return None, "the images have no classes"
    outputs, spelled = artifact.outputs[0].shape[-1], not all(name.isdigit() for name in names)
    if dataset.named and names and spelled:
        unknown = [name for name in dataset.labels if name not in names]
        if unknown:
            return None, f"the images' class {unknown[0]!r} is none of labels.txt in {side.path}"
        own: np.ndarray = np.array([names.index(name) for name in dataset.labels])[labels]
        return own, ""
    # Numbers of which the highest is absent are told from other classes by the labels.txt alone.
    count = outputs if names and not dataset.named and labels.max() < outputs else len(dataset.labels)
    if count != (2 if outputs == 1 else outputs):
        return None, f"the images have {count} classes, and the files have {outputs} outputs"
    return labels, ""
