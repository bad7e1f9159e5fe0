"""Proof that a model with another stem sees what its source saw, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import ArrayLike

from edgecut.graph.calls import Calls, Tensor, calls, flat
from edgecut.graph.costs import macs_of
from edgecut.graph.live import layer_calls
from edgecut.graph.proof import INPUTS, OPEN_SIZE, parts
from edgecut.graph.rebuild import run
from edgecut.images.device import in_order, to_device_batch
from edgecut.lowering.activation import is_dropped_in_inference, last_activation
from edgecut.records.facts import Cost, Sides
from edgecut.records.proof import Proof, StemProof
from edgecut.records.recipe import Preprocess
from edgecut.records.units import format_count
from edgecut.score.answer import OF_SCORES, agreement_in, answer_of
from edgecut.score.distance import root_mean_square
from edgecut.stem.flatten import resample, resized_maps
from edgecut.stem.pixels import device_map

if TYPE_CHECKING:
    from edgecut.stem.records import Edit, Pictures

TOLERANCE = 1e-5
TOLERANCE_REASON = "folded kernels round once more in float32"
# A channel whose deviation over pictures and places is below this share of its map's largest one doesn't vary.
_VARIES = 1e-4
_LOOKED_AT = 16  # pictures
_COMPARED_ON = 32
# Below this agreement another way may be worth its fit.
_KEPT = 0.9
# What tells two agreements on so few images apart, of at least so many.
_CLEARLY, _ENOUGH = 0.1, 8
# Maps become dead where little of the picture is left; larger ones cost more and tell the same.
_SMALL_MAP = 64
_ALIVE_DROP = 0.5


@dataclass(frozen=True)
class Kept:
    """What a way keeps of the source's answers on images, a fraction, and its MACs (None: not modelled)."""

    agreement: float
    macs: int | None


def prove(edit: Edit, edited: keras.Model) -> StemProof:
    """The edited model on seeded device pixels against the source's own layers on the equivalent input."""
    height, width, channels = (size or OPEN_SIZE for size in edited.inputs[0].shape[1:])
    random = np.random.default_rng(0)
    batch = edit.source.shape[0] or INPUTS
    shape = (batch, height, width, channels)
    if edit.device.centre:
        pixels = random.integers(0, 256, shape).astype("float32")
    else:
        pixels = random.uniform(-1, 1, shape).astype("float32")
    got: list[ArrayLike] = []
    expected: list[ArrayLike] = []
    for (part,) in parts(calls(edited), [pixels]):
        got += keras.tree.flatten(edited(part, training=False))
        expected += source_outputs(edit, part)
    return compared(got, expected, inputs=batch, exact=not _is_approximate(edit))


def source_outputs(edit: Edit, pixels: np.ndarray) -> list[ArrayLike]:
    """What the source's own layers give on the equivalent of the device's pixels, (n, height, width, channels)."""
    device = edit.device
    whole = resample(pixels, device.mode, device.factor, device.source) if device.is_resampled else pixels
    equivalent = keras.ops.convert_to_tensor(edit.linear(whole).astype("float32"))
    return run(edit.graph, {edit.source: equivalent}, flat(edit.graph.outputs), resized_maps(edit.graph))


def compared(got: list[ArrayLike], expected: list[ArrayLike], *, inputs: int, exact: bool = True) -> StemProof:
    """The proof of arrays that should be equal. exact: False for what isn't meant to be."""
    pairs = [(_array(a), _array(b)) for a, b in zip(got, expected, strict=True)]
    error = max(float(np.max(np.abs(a - b))) for a, b in pairs)
    largest = max(float(np.max(np.abs(b))) for _, b in pairs)
    relative = error / largest if largest else error
    return StemProof(
        inputs=inputs,
        max_abs_error=error,
        relative_error=relative,
        exact=exact and relative <= TOLERANCE,
        tolerance=TOLERANCE,
        tolerance_reason=TOLERANCE_REASON,
    )


def exactness_notes(edit: Edit, construction: str, proof: StemProof, *, has_images: bool) -> Iterator[str]:
    """A sentence where the proof isn't exact, or doesn't say what becomes of the source's answers."""
    if not proof.exact and "stride" in construction:
        yield (
            f"stride isn't exact: on noise it is off by {proof.relative_error:.2f} of the largest output; give "
            "images (data) for the error on those, or use resolution 'nearest' or 'fit'"
        )
    elif not proof.exact:
        yield (
            f"the {construction} is exact in real numbers, and this model amplifies float32 rounding to "
            f"{proof.relative_error:.1e} of its largest output"
        )
    if is_reused(edit) and not has_images and None not in edit.source.shape[1:3]:
        size, own = ("x".join(map(str, sides)) for sides in (edit.device.size, edit.source.shape[1:3]))
        yield (
            f"reuse runs the source's own weights at {size}: the proof doesn't say what that keeps of its answers at "
            f"{own}; give images (data) for that"
        )


def is_reused(edit: Edit) -> bool:
    """Whether the source's own layers run at another size."""
    return edit.device.mode == "reuse" and tuple(edit.device.size) != tuple(edit.source.shape[1:3])


def prove_on_images(edit: Edit, edited: keras.Model, pictures: Pictures) -> Proof:
    """What real pictures lose: the edited model on the device's, the source on the same in colour at its own size.

    Empty where their outputs have other shapes: feature maps at another size. Else images, how many were looked at;
    image_error, the root mean square of the difference over that of the source's outputs; and top1_agreement, how often
    the largest output is the same one, where the outputs are scores; of tags tag_agreement.
    """
    if not _are_alike(flat(edit.graph.outputs)[0].shape, edited.outputs[0].shape):
        return Proof()
    images = _spread(pictures.images, _COMPARED_ON)
    height, width = (size or OPEN_SIZE for size in edit.source.shape[1:3])
    own = source_pictures(images, height, width, int(edit.source.shape[3] or 0), pictures.preprocess)
    seen = device_pictures(edit, pictures.chosen(images))
    got, expected = first_outputs(edit, edited, own, seen)
    if got.shape != expected.shape:
        return Proof()
    return image_error(got, expected, edit.graph)


def _are_alike(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
    """Whether values of the one declared shape may have the other, whatever the batch."""
    return len(a) == len(b) and all(x == y or None in {x, y} for x, y in zip(a[1:], b[1:], strict=True))


def first_outputs(edit: Edit, edited: keras.Model, own: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the edited model's first output on `seen`, the source's on `own`), each (n, ...), float32."""
    expected, got = [], []
    for pictures, pixels in parts(calls(edited), [own, seen]):
        values = {edit.source: keras.ops.convert_to_tensor(pictures)}
        expected.append(_array(run(edit.graph, values, flat(edit.graph.outputs), resized_maps(edit.graph))[0]))
        got.append(_array(keras.tree.flatten(edited(pixels, training=False))[0]))
    return np.concatenate(got), np.concatenate(expected)


def image_error(got: np.ndarray, expected: np.ndarray, source: Calls) -> Proof:
    """The same of two arrays (n, ...), `expected` being the source's first output."""
    found: dict[str, float] = {"images": len(got), "image_error": root_mean_square(expected, got)}
    activation = last_activation(source)
    answer = answer_of("classes", expected.shape[1:], activation)
    agreement = answer.agreement(expected, got)
    if agreement is not None and expected.ndim == 2 and activation in OF_SCORES:
        found[str(answer.agreement_metric)] = agreement
    return Proof.model_validate(found)


def source_pictures(images: np.ndarray, height: int, width: int, channels: int, preprocess: Preprocess) -> np.ndarray:
    """Pictures, bytes, as the source takes them: (n, height, width, channels), float32."""
    pixels = to_device_batch(images, height, width, channels)
    return device_map(channels, "gray" if channels == 1 else "rgb", preprocess, raw=True)(pixels).astype("float32")


def device_pictures(edit: Edit, pictures: Pictures) -> np.ndarray:
    """Pictures, bytes, as the edited model takes them: (n, height, width, channels), float32."""
    images, order = pictures.images, pictures.order
    height, width = (size or OPEN_SIZE for size in edit.device.size)
    channels = int(edit.source.shape[3] or 0)
    own = "gray" if channels == 1 else "rgb"
    pixels = in_order(to_device_batch(images, height, width, 1 if (order or own) == "gray" else 3), order or own)
    if pictures.raw:
        return pixels.astype("float32")
    if order is None:
        return device_map(channels, own, pictures.preprocess, raw=True)(pixels).astype("float32")
    # Each channel as the source's preprocessing would have made it; device_map refused what that has no meaning for.
    scale, offset = (np.asarray(x) for x in _alike(pictures.preprocess))
    return (pixels * scale + offset).astype("float32")


def _alike(preprocess: Preprocess) -> tuple[float, float]:
    from edgecut.images.preprocess import affine

    facts = affine(preprocess)
    return float(facts.scale[0]), float(facts.offset[0])


def cost_of(graph: Calls, edited: keras.Model) -> Cost:
    """The cost of the source and of the edited model."""
    after = calls(edited)
    return Cost(
        macs=Sides(before=_macs(graph), after=_macs(after)),
        operators=Sides(before=_operators(graph), after=_operators(after)),
    )


def lost_notes(edit: Edit, proof: StemProof, order: str | None) -> Iterator[str]:
    """A sentence where what the device feeds leaves the source with other answers. proof: with prove_on_images's."""
    agreement = agreement_in(proof)
    if agreement is None or agreement >= _KEPT:
        return
    is_gray = order == "gray" and edit.source.shape[3] != 1
    size = "" if tuple(edit.device.size) == tuple(edit.source.shape[1:3]) else "at another size"
    lost = " and ".join(filter(None, ["in gray" if is_gray else "", size])) or "as the device feeds them"
    yield (
        f"{lost} {proof.images} images keep {agreement:.0%} of the source's answers in colour at its own size; "
        "set stem.resolution = 'fit' (--resolution fit) to fit the stem to its responses there; a head learns from "
        "what the device feeds"
    )


def are_compared(edit: Edit, proof: StemProof, images: np.ndarray) -> bool:
    """Whether so much is lost at another size that the other resolutions are looked at."""
    resized = tuple(edit.device.size) != tuple(edit.source.shape[1:3])
    agreement = agreement_in(proof)
    return resized and len(images) >= _ENOUGH and agreement is not None and agreement < _KEPT


def better_notes(own: str, kept: Mapping[str, Kept]) -> Iterator[str]:
    """A sentence where another resolution clearly keeps more of the source's answers. kept: by resolution."""
    best = max(kept, key=lambda name: kept[name].agreement, default=own)
    if own in kept and kept[best].agreement >= kept[own].agreement + _CLEARLY:
        yield (
            f"resolution {best!r} keeps {kept[best].agreement:.0%} of the source's answers on these images, for "
            f"{_macs_words(kept[best].macs)} against {_macs_words(kept[own].macs)}; set stem.resolution = {best!r} "
            f"(--resolution {best})"
        )


def dead_notes(edit: Edit, edited: keras.Model, pictures: Pictures) -> Iterator[str]:
    """A sentence for the first small map of which more than half of the channels no longer vary on the pictures.

    Compared with the source on the same pictures at its own size; of a map that was dead there nothing is said.
    """
    if tuple(edit.device.size) == tuple(edit.source.shape[1:3]):
        return
    images = _spread(pictures.images, _LOOKED_AT)
    seen = device_pictures(edit, pictures.chosen(images))
    graph = calls(edited)
    maps = {graph.tensor_name[t]: t for t in small_maps(graph)}
    if not maps:
        return
    height, width = (size or OPEN_SIZE for size in edit.source.shape[1:3])
    own = source_pictures(images, height, width, int(edit.source.shape[3] or 0), pictures.preprocess)
    file_pair = {edit.graph.tensor_name[call_out]: call_out for call in edit.graph for call_out in call.outputs}
    shared = [name for name in maps if name in file_pair]
    before = varying(edit.graph, edit.source, own, [file_pair[name] for name in shared])
    after = varying(graph, flat(graph.inputs)[0], seen, [maps[name] for name in shared])
    for name, old, new in zip(shared, before, after, strict=True):
        if new < _ALIVE_DROP * old:
            channels = maps[name].shape[3]
            yield (
                f"at {edit.device.size[0]}x{edit.device.size[1]} the map of {name!r} "
                f"({maps[name].shape[1]}x{maps[name].shape[2]}) is dead: {new} of its {channels} channels vary on "
                f"{len(images)} images, {old} at the source's size; cut before it, or feed a larger picture"
            )
            return


def small_maps(graph: Calls) -> list[Tensor]:
    """The 4-D maps of at most 64 places, in calling order."""
    found = []
    for call in graph:
        for tensor in call.outputs:
            shape = tensor.shape
            if not call.is_input and len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] <= _SMALL_MAP:  # type: ignore[operator]
                found.append(tensor)
    return found


def varying(graph: Calls, source: Tensor, inputs: np.ndarray, maps: list[Tensor]) -> list[int]:
    """How many channels of each map vary over the inputs and their places."""
    seen = [
        [_array(value) for value in run(graph, {source: keras.ops.convert_to_tensor(part)}, maps)]
        for (part,) in parts(graph, [inputs])
    ]
    counts = []
    for values in zip(*seen, strict=True):
        deviation = np.concatenate(values).std(axis=(0, 1, 2))
        counts.append(int(np.sum(deviation > _VARIES * max(float(deviation.max()), 1e-30))))
    return counts


def _macs_words(macs: int | None) -> str:
    return "MACs that aren't modelled" if macs is None else f"{format_count(macs)} MACs"


def _spread(images: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the images, evenly spread."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


def _is_approximate(edit: Edit) -> bool:
    return edit.device.mode == "stride" and edit.device.is_resampled


def _macs(graph: Calls) -> int | None:
    counts = [macs_of(call) for call in layer_calls(graph)]
    return None if None in counts else sum(count or 0 for count in counts)


def _operators(graph: Calls) -> int:
    return sum(not call.is_input and not is_dropped_in_inference(call) for call in graph)


def _array(value: ArrayLike) -> np.ndarray:
    return keras.ops.convert_to_numpy(value)
