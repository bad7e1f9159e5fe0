"""Suspected causes of a quantization error, in words, each with the figure that supports it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgecut.records.explanation import Cause, LayerError, Suspicion
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.kinds import FIXED_SCALE

# Above this a layer keeps nearly all that it computes, and needs no cause.
HEALTHY_DB = 30.0
# Of a file whose biases weren't corrected: what follows the figure.
AUTO_REMEDY = "; precision 'auto' tries what corrects it"
_OUTLIER = 4.0
_SATURATED = 0.01
_NARROW = 0.25
_SHIFT_SHARE = 0.5
# Ranges that were set on other images are exceeded in many layers at once, by values so large that they err more than
# rounding does. Measured on three real models with ReLU, calibrated on black, white, gray or dark images: three times
# rounding's error in 33 to 90 % of the layers; on the device's kind of images: in at most 7 %.
_UNCALIBRATED_LAYERS, _CLIPPING = 0.25, 3.0


def cause_of(row: LayerError, values: np.ndarray) -> tuple[Cause | None, str]:
    """The likeliest cause of one layer's error, and a sentence with its figure; (None, "") for a healthy layer.

    values: the source's own values of the layer.
    """
    if row.sqnr_varying >= HEALTHY_DB or row.range is None:
        return None, ""
    if row.saturation >= _SATURATED:
        return "uncalibrated", (
            f"{row.saturation:.1%} of the values are beyond the range {_span(row.range)}; they reach {_span(row.used)}"
        )
    high_share = float(np.quantile(np.abs(values), 0.999))
    largest = max(abs(row.range[0]), abs(row.range[1]))
    if high_share > 0 and largest > _OUTLIER * high_share:
        return "range outlier", (
            f"the range reaches to {largest:.3g}, and 99.9 % of the values are within {high_share:.3g}"
        )
    if row.shift_share >= _SHIFT_SHARE:
        return "biased mean", _shift_words(row)
    if row.narrow >= _NARROW:
        return "unequal channels", (
            f"{row.narrow:.0%} of the channels get less than 16 of the 256 steps of {_span(row.range)}"
        )
    return None, ""


def whole_causes(
    graph: TfliteGraph, layers: Sequence[LayerError], in_float: Sequence[str], images: np.ndarray
) -> Iterator[Suspicion]:
    """What is wrong with more than one layer."""
    # A range that its activation bounds, as a ReLU6 does, can't be exceeded whatever it was set on.
    open_ended = [x for x in layers if x.range is not None and x.operator not in FIXED_SCALE and not _is_relu6(x.range)]
    cut = [layer for layer in open_ended if layer.clipping >= _CLIPPING]
    is_uncalibrated = len(cut) >= max(2, _UNCALIBRATED_LAYERS * len(open_ended))
    if is_uncalibrated:
        worst = max(cut, key=lambda layer: layer.clipping)
        yield Suspicion(
            cause="uncalibrated",
            layer=cut[0].name,
            figure=len(cut) / len(open_ended),
            sentence=f"the ranges were set on images unlike these: what is beyond them errs more than rounding in "
            f"{len(cut)} of {len(open_ended)} layers, by {worst.clipping:.3g} times in {worst.name!r} "
            f"({worst.saturation:.1%} of its values); calibrate on images of the device's kind",
        )
    shifted = next((x for x in layers if x.mean_shift >= 0.05 and x.shift_share >= _SHIFT_SHARE), None)
    if shifted is not None and not is_uncalibrated:
        yield Suspicion(
            cause="biased mean",
            layer=shifted.name,
            figure=shifted.mean_shift,
            sentence=f"a mean shift starts at {shifted.name!r}: {_shift_words(shifted)}{AUTO_REMEDY}",
        )
    if in_float:
        shown = ", ".join(in_float[:5]) + (f" and {len(in_float) - 5} more" if len(in_float) > 5 else "")
        yield Suspicion(
            cause="operator left in float",
            layer=None,
            figure=len(in_float),
            sentence=f"{len(in_float)} of {len(graph.operators)} operators compute in float: {shown}",
        )


def _is_relu6(limits: tuple[float, float]) -> bool:
    return abs(limits[0]) < 0.06 and abs(limits[1] - 6) < 0.06


def _shift_words(row: LayerError) -> str:
    words = f"{row.shift_share:.0%} of the error is a constant shift, {row.mean_shift:.2g} standard deviations"
    if row.worst_channel is None:
        return words
    return f"{words} ({row.worst_shift:.2g} in channel {row.worst_channel})"


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.3g} to {limits[1]:.3g}"
