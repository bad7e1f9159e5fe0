"""How far one array of outputs is from another, whatever the outputs mean."""

from __future__ import annotations

import numpy as np

from edgecut.records.measurement import Metric

CAP_DB = 200.0
"""A ratio that stands for equal; its negative for a reference without a signal."""


def sqnr(reference: np.ndarray, outputs: np.ndarray) -> float:
    """The signal-to-quantization-noise ratio: 10 log10(sum reference^2 / sum difference^2) in dB, over all elements.

    reference, outputs: of equal shape. 200 for equal ones, -200 for a reference of zeros.
    """
    a, b = np.asarray(reference, np.float64), np.asarray(outputs, np.float64)
    return decibels(float((a**2).sum()), float(((a - b) ** 2).sum()))


def sqnr_varying(reference: np.ndarray, outputs: np.ndarray) -> float:
    """The same with what varies alone as the signal: of each channel (last axis) its squared distance to its mean.

    reference, outputs: (n, ..., channels). Scores near a constant have a high SQNR even where nothing is left of what
    tells one picture from another; this one sees it.
    """
    a, b = (np.asarray(x, np.float64).reshape(-1, x.shape[-1] if x.ndim > 1 else 1) for x in (reference, outputs))
    return decibels(float(((a - a.mean(axis=0)) ** 2).sum()), float(((a - b) ** 2).sum()))


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise), both sums or means of squares over the same elements, within -200..200.

    -200 where the noise is no number.
    """
    if noise == 0:
        return CAP_DB
    if signal == 0 or not np.isfinite(noise):
        return -CAP_DB
    return float(np.clip(10 * np.log10(signal / noise), -CAP_DB, CAP_DB))


def max_abs_error(reference: np.ndarray, outputs: np.ndarray) -> float:
    """The largest difference of two elements, in float64; 0 for empty arrays."""
    return float(np.abs(np.asarray(reference, np.float64) - np.asarray(outputs, np.float64)).max(initial=0.0))


def root_mean_square(reference: np.ndarray, outputs: np.ndarray) -> float:
    """The root mean square of the difference over that of the reference, which is 10^(-SQNR / 20)."""
    a, b = np.asarray(reference, np.float64), np.asarray(outputs, np.float64)
    return float(np.mean((a - b) ** 2) / max(float(np.mean(a**2)), 1e-30)) ** 0.5


def cosine(reference: np.ndarray, outputs: np.ndarray) -> float:
    """The cosine of the angle between the outputs for one image, averaged over images; 1 for two zero vectors.

    reference, outputs: (n, ...).
    """
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (reference, outputs))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = (a == b).all(axis=1).astype(np.float64)
    return float(np.where(norms > 0, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1), same).mean())


def distances(reference: np.ndarray, outputs: np.ndarray) -> dict[Metric, float]:
    """{"max_abs_error", "sqnr", "cosine"} of two arrays (n, ...) of equal shape."""
    return {
        "max_abs_error": max_abs_error(reference, outputs),
        "sqnr": sqnr(reference, outputs),
        "cosine": cosine(reference, outputs),
    }
