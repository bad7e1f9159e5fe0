"""How far one array of outputs is from another."""

from __future__ import annotations

import numpy as np

from edgecut.records.measurement import Metric


def agreement(reference: np.ndarray, outputs: np.ndarray) -> dict[Metric, float]:
    """{"max_abs_error", "sqnr", "cosine"} and, for (n, classes) outputs, "top1_agreement".

    reference, outputs: (n, ...) of equal shape. sqnr: 10 log10(sum reference^2 / sum difference^2) in dB over
    all elements, capped at 200 dB, which stands for equal. cosine: the mean over images; 1 for two zero
    vectors. top1_agreement: the fraction of images with the same largest output.
    """
    a, b = (x.reshape(len(x), -1).astype("float64") for x in (reference, outputs))
    noise, signal = float(((a - b) ** 2).sum()), float((a**2).sum())
    sqnr = 200.0 if noise == 0 else -200.0 if signal == 0 else float(np.clip(10 * np.log10(signal / noise), -200, 200))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = (a == b).all(axis=1)
    cosines = np.where(norms > 0, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1), same.astype("float64"))
    found: dict[Metric, float] = {
        "max_abs_error": float(np.abs(a - b).max()),
        "sqnr": sqnr,
        "cosine": float(cosines.mean()),
    }
    if reference.ndim == 2 and reference.shape[1] > 1:
        found["top1_agreement"] = float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
    return found
