"""MACs, latency and top-1 agreement with the original, by how a model is made to take a device's pictures.

    tools/bench_stem.py REAL [--only WORD] [--crops 10]        REAL: the folder that shared/real/fetch.py fills

For each case, on the same held-out images: a wrapper that replicates, resizes (bilinear) and, for raw pixels, rescales
inside the graph; the source at the device's size with a first kernel that is the mean, or the sum, over the channels;
edgecut's exact choice (of another size: what gives the wrapper's values); the nearest fold where the sizes divide; and
edgecut's fit.

ms: the median of LiteRT float32 runs on one thread here, in CPU time of the thread, the rows of a case taken in turns.
x wrapper: the median of the ratios of a turn. same: top-1 agreement with the original on the device's own picture,
replicated and resized: what an exact construction keeps, whatever the gray or the size have lost. colour: agreement
with the original on the picture in colour at its own size: what there is to win; by class: the same averaged over the
classes that the original names, so that what always gives one answer has no more than chance. - wrapper: the
difference of colour to the wrapper's row, with a 95 % interval (2,000 bootstrap samples of photos, since the pieces of
one go together). right: accuracy by the label. The fit never sees what it is judged on: CIFAR-10's training images, or
the other half of the photos. A mark at the end of a row says what falls behind: "slower" (than the wrapper by more
than 3 %), or that edgecut's best is less accurate than that row beyond chance.

visual_wake_words sees no person on nine in ten of these photos, so that a way that darkens the picture, as the mean
does, agrees often in colour, and no more than by chance by class.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from edgecut.graph.quiet import import_keras_quietly

import_keras_quietly()

import keras  # noqa: E402  (quietened above)

import edgecut  # noqa: E402
from edgecut.errors import StemError  # noqa: E402
from edgecut.export.tflite import convert, write_saved_model  # noqa: E402
from edgecut.graph.calls import calls  # noqa: E402
from edgecut.graph.costs import macs_of  # noqa: E402
from edgecut.graph.live import dataflow  # noqa: E402
from edgecut.graph.rebuild import rebuild  # noqa: E402
from edgecut.images.device import model_input, to_device_batch  # noqa: E402
from edgecut.images.preprocess import affine  # noqa: E402
from edgecut.records.recipe import CustomPreprocess, Preprocess  # noqa: E402
from edgecut.runtime.files import FileRunner  # noqa: E402

RUNS, WARM_UP, SAMPLES = 30, 3, 2000
SLOWER = 1.03
RESNET = CustomPreprocess(scale=1 / 128, offset=-1.0)
MOBILENET, CIFAR, WAKE = "mobilenet_v1_imagenet.keras", "cifar10_resnet.h5", "visual_wake_words.h5"
PREPROCESS: dict[str, Preprocess] = {MOBILENET: "tf", CIFAR: RESNET, WAKE: "raw"}
# Source, (height, width), channels, pixels.
CASES = (
    (CIFAR, (32, 32), 1, "normalized"), (CIFAR, (32, 32), 1, "raw"), (CIFAR, (32, 32), 3, "raw"),
    (CIFAR, (16, 16), 1, "normalized"), (CIFAR, (16, 16), 3, "normalized"), (CIFAR, (24, 20), 3, "raw"),
    (WAKE, (96, 96), 1, "normalized"), (WAKE, (48, 48), 1, "normalized"), (WAKE, (48, 48), 3, "normalized"),
    (WAKE, (60, 80), 1, "normalized"), (WAKE, (192, 192), 1, "normalized"),
    (MOBILENET, (224, 224), 1, "normalized"), (MOBILENET, (224, 224), 1, "raw"), (MOBILENET, (224, 224), 3, "raw"),
    (MOBILENET, (112, 112), 1, "raw"), (MOBILENET, (112, 112), 3, "normalized"), (MOBILENET, (120, 160), 1, "raw"),
    (MOBILENET, (448, 448), 1, "normalized"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fold:
    """Images to fit on, and others to judge on: bytes (n, h, w, 3); labels (n,) or None; the photo of each."""

    fitted: np.ndarray
    judged: np.ndarray
    labels: np.ndarray | None
    photos: np.ndarray


@dataclass(frozen=True, eq=False)
class Way:
    """A row: a model for each fold, which takes the device's pictures."""

    label: str
    models: Sequence[keras.Model]
    ours: bool = False


def main() -> None:
    """Print a table for each case."""
    options = argparse.ArgumentParser(description="Stems compared on real models.")
    options.add_argument("real", type=Path)
    options.add_argument("--only", default="", help="Cases whose title has this word.")
    options.add_argument("--crops", type=int, default=10, help="Pieces of each photo.")
    arguments = options.parse_args()
    for name, size, channels, pixels in CASES:
        title = f"{name} {size[0]}x{size[1]}x{channels} {pixels}"
        if arguments.only not in title:
            continue
        model = edgecut.load(arguments.real / name)
        folds = folds_of(arguments.real, name, max(*size, model.input_shape[1]), arguments.crops)
        print(f"\n{title}, {sum(len(fold.judged) for fold in folds)} images", flush=True)
        case = Case(model, PREPROCESS[name], size, channels, pixels)
        for line in table(case, folds):
            print(line, flush=True)


@dataclass(frozen=True, eq=False)
class Case:
    """A source, what it was trained on, and the device that is to feed it."""

    model: keras.Model
    preprocess: Preprocess
    size: tuple[int, int]
    channels: int
    pixels: str

    @property
    def own(self) -> tuple[int, int]:
        """The source's (height, width)."""
        height, width = self.model.input_shape[1:3]
        return height, width

    def seen(self, images: np.ndarray) -> np.ndarray:
        """What the device feeds, float32."""
        mode: Literal["raw", "normalized"] = "raw" if self.pixels == "raw" else "normalized"
        return model_input(to_device_batch(images, *self.size, self.channels), self.preprocess, mode)

    def same(self, images: np.ndarray) -> np.ndarray:
        """The device's picture as the source takes it: replicated and resized."""
        pixels = to_device_batch(images, *self.size, self.channels)
        values = np.repeat(model_input(pixels, self.preprocess, "normalized"), 3 // self.channels, axis=-1)
        if self.size == self.own:
            return values
        return np.concatenate(
            [np.asarray(keras.ops.image.resize(part, self.own, interpolation="bilinear")) for part in split(values)]
        )

    def colour(self, images: np.ndarray) -> np.ndarray:
        """The picture in colour at the source's size."""
        return model_input(to_device_batch(images, *self.own, 3), self.preprocess, "normalized")


def split(values: np.ndarray) -> list[np.ndarray]:
    """Batches of at most 50."""
    return [values[first : first + 50] for first in range(0, len(values), 50)]


def ways(case: Case, folds: Sequence[Fold]) -> Iterator[Way]:
    """Every row of a case; one that can't be made is left out and named."""
    model, size, channels = case.model, case.size, case.channels
    yield Way("wrapper: replicate, resize", [wrapper(case)])
    if channels == 1:
        for label, factor in (("kernel mean", 1 / 3), ("kernel sum", 1.0)):
            try:
                reused = scaled(edgecut.stem(model, 1, size).model, factor)
            except StemError as exc:
                print(f"  {label + ', reuse':<48} {exc}")
                continue
            yield Way(f"{label}{'' if size == case.own else ', reuse'}", [in_front(reused, case)])
    elif size != case.own:
        try:
            yield Way("reuse", [in_front(edgecut.stem(model, 3, size).model, case)])
        except StemError as exc:
            print(f"  {'reuse':<48} {exc}")
    for resolution in resolutions(case):
        # As a build of float32 files alone makes it.
        exact = edgecut.stem(model, channels, size, case.preprocess, resolution, case.pixels, constant_padding=False)
        yield Way(f"edgecut: {exact.construction}", [exact.model], ours=True)
    fits = [
        edgecut.stem(model, channels, size, case.preprocess, "fit", case.pixels, fold.fitted, constant_padding=False)
        for fold in folds
    ]
    yield Way(f"edgecut: {fits[0].construction}", [fit.model for fit in fits], ours=True)


def resolutions(case: Case) -> list[str]:
    """edgecut's exact ways to the source's size, that which gives the wrapper's values first."""
    if case.size == case.own:
        return ["reuse"]
    if all(device % source == 0 for device, source in zip(case.size, case.own, strict=True)):
        return ["average"]
    whole = all(source % device == 0 for device, source in zip(case.size, case.own, strict=True))
    return ["bilinear", "nearest"] if whole else ["bilinear"]


def wrapper(case: Case) -> keras.Model:
    """The model behind operators that make its own input of the device's picture."""
    x = device = keras.Input((*case.size, case.channels))
    if case.channels == 1:
        x = keras.layers.Concatenate()([x, x, x])
    if case.size != case.own:
        x = keras.layers.Resizing(*case.own, interpolation="bilinear")(x)
    if case.pixels == "raw":
        x = rescaling(case)(x)
    return keras.Model(device, rebuild(calls(case.model))(x))


def rescaling(case: Case) -> keras.layers.Layer:
    """The source's preprocessing as a layer."""
    facts = affine(case.preprocess)
    return keras.layers.Rescaling(float(facts.scale[0]), offset=float(facts.offset[0]))


def in_front(model: keras.Model, case: Case) -> keras.Model:
    """A model of normalized pixels with the preprocessing in front where the device feeds raw ones."""
    if case.pixels != "raw":
        return model
    device = keras.Input(model.input_shape[1:])
    return keras.Model(device, model(rescaling(case)(device)))


def scaled(model: keras.Model, factor: float) -> keras.Model:
    """The model with its first kernel times a factor."""
    first = next(layer for layer in model.layers if hasattr(layer, "kernel"))
    first.kernel.assign(first.kernel * factor)
    return model


def table(case: Case, folds: Sequence[Fold]) -> Iterator[str]:
    """The lines of a case."""
    has_labels = folds[0].labels is not None
    heads = (
        f"{'MMACs':>8}{'ms':>8}{'x wrapper':>10}{'same':>7}{'colour':>8}{'by class':>9}{'- wrapper':>25}{'right':>7}"
    )
    yield f"  {'way':<48}{heads}"
    rows = list(ways(case, folds))
    with tempfile.TemporaryDirectory() as folder:
        source = runner_of(case.model, Path(folder) / "source")
        runners = [
            [runner_of(model, Path(folder) / f"{k}_{fold}") for fold, model in enumerate(way.models)]
            for k, way in enumerate(rows)
        ]
        times = turns([of_way[0] for of_way in runners], case.seen(folds[0].judged[:1]))
        same, colour = ([top(source, view(fold.judged)) for fold in folds] for view in (case.same, case.colour))
        found = [
            np.concatenate([top(of_way[k % len(of_way)], case.seen(fold.judged)) for k, fold in enumerate(folds)])
            for of_way in runners
        ]
    agreed = [np.stack([row == np.concatenate(same), row == np.concatenate(colour)]).astype("float64") for row in found]
    photos = np.concatenate([fold.photos for fold in folds])
    right = np.concatenate([fold.labels for fold in folds if fold.labels is not None]) if has_labels else None
    best = [max((a[k].mean(), i) for i, a in enumerate(agreed) if rows[i].ours)[1] for k in (0, 1)]
    for k, (way, taken, agreement) in enumerate(zip(rows, times, agreed, strict=True)):
        ratio = float(np.median(taken / times[0]))
        low, high = interval(agreement[1] - agreed[0][1], photos)
        behind = [i for i in (0, 1) if interval(agreed[best[i]][i] - agreement[i], photos)[1] < 0]
        marks = [f"edgecut's best is less {('same', 'colour')[i]}" for i in behind]
        marks += ["slower"] if way.ours and ratio > SLOWER else []
        difference = f"{agreement[1].mean() - agreed[0][1].mean():+.3f} [{low:+.3f}, {high:+.3f}]" if k else ""
        accuracy = f"{np.mean(found[k] == right):>7.3f}" if right is not None else f"{'':>7}"
        count = sum(macs_of(call) or 0 for call in dataflow(way.models[0])) / 1e6
        yield (
            f"  {way.label:<48}{count:>8.1f}{np.median(taken) * 1e3:>8.2f}{ratio:>10.2f}{agreement[0].mean():>7.3f}"
            f"{agreement[1].mean():>8.3f}{by_class(agreement[1], np.concatenate(colour)):>9.3f}{difference:>25}"
            f"{accuracy}{'  ! ' + ', '.join(marks) if marks else ''}"
        )


def by_class(agreed: np.ndarray, named: np.ndarray) -> float:
    """Agreement, (n,), averaged over the classes that the original names, (n,)."""
    return float(np.mean([agreed[named == label].mean() for label in np.unique(named)]))


def interval(differences: np.ndarray, photos: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of paired differences, resampled by photo."""
    names, which = np.unique(photos, return_inverse=True)
    sums, counts = np.bincount(which, differences), np.bincount(which)
    picks = np.random.default_rng(0).integers(0, len(names), (SAMPLES, len(names)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def folds_of(real: Path, name: str, side: int, crops: int) -> list[Fold]:
    """The images of a case: CIFAR-10's own split, or the photos' halves, each judged by a fit on the other."""
    if name == CIFAR:
        with np.load(real / "cifar10.npz") as arrays:
            judged, labels = arrays["x_test"][:1000], arrays["y_test"][:1000].ravel()
            return [Fold(arrays["x_train"][:400], judged, labels, np.arange(len(judged)))]
    files = sorted((real / "photos").iterdir())
    halves = [pieces(files[start::2], side, crops, start) for start in (0, 1)]
    classes = [np.repeat([int(file.stem.split("_")[2]) for file in files[start::2]], crops) for start in (0, 1)]
    photos = [np.repeat(np.arange(start, len(files), 2), crops) for start in (0, 1)]
    return [Fold(halves[1 - k], halves[k], classes[k] if name == MOBILENET else None, photos[k]) for k in (0, 1)]


def pieces(files: Sequence[Path], side: int, crops: int, seed: int) -> np.ndarray:
    """Square pieces of photos, bytes (n, side, side, 3)."""
    random, found = np.random.default_rng(seed), []
    for file in files:
        picture = Image.open(file).convert("RGB")
        for _ in range(crops):
            width = min(picture.size) * random.uniform(0.7, 1)
            left, top_edge = (random.uniform(0, extent - width) for extent in picture.size)
            piece = picture.crop((left, top_edge, left + width, top_edge + width))
            found.append(np.asarray(piece.resize((side, side), Image.Resampling.BILINEAR)))
    return np.stack(found)


def top(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """The largest output of each."""
    return run(x).argmax(axis=1)


def turns(runners: Sequence[Callable[[np.ndarray], np.ndarray]], x: np.ndarray) -> np.ndarray:
    """Seconds of the thread for each runner and turn: (runners, RUNS)."""
    times = np.zeros((len(runners), WARM_UP + RUNS))
    for turn in range(WARM_UP + RUNS):
        for k, run in enumerate(runners):
            began = time.thread_time_ns()
            run(x)
            times[k, turn] = (time.thread_time_ns() - began) / 1e9
    return times[:, WARM_UP:]


def runner_of(model: keras.Model, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function that runs the model's float32 file on one thread."""
    write_saved_model(model, folder)
    path = folder.with_suffix(".tflite")
    path.write_bytes(convert(folder, model, "float32"))
    return FileRunner(path, threads=1).predict


if __name__ == "__main__":
    main()
