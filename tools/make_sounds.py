"""Features of made sounds, as examples of arrays: python -m tools.make_sounds FOLDER writes keywords.npz and hum.npz.

keywords.npz: a second of sound as 49 frames of 10 mel bands, of four kinds: a low tone, a high one, a rising and a
falling chirp, all in noise. hum.npz: five frames of 128 bands of a machine that hums, 640 values in a row; in the test
part every other machine has a tone that doesn't belong to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

RATE_HZ = 8000
KEYWORDS = ("low", "high", "rising", "falling")


def mel_frames(sounds: np.ndarray, window: int, step: int, bands: int) -> np.ndarray:
    """The logarithm of the energy in mel bands: (n, samples) -> (n, frames, bands), float32.

    Frames of `window` samples, `step` apart, under a Hann window; triangular bands as wide apart on the mel scale
    (O'Shaughnessy, Speech Communication, 1987).
    """
    starts = np.arange(0, sounds.shape[1] - window + 1, step)
    frames = sounds[:, starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames)) ** 2
    hertz = np.fft.rfftfreq(window, 1 / RATE_HZ)
    mels = np.linspace(0, 2595 * np.log10(1 + RATE_HZ / 2 / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return np.log(power @ filters.T + 1e-3).astype(np.float32)


def keywords(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of sounds: (count, 49, 10, 1), float32, and the places of their kinds in KEYWORDS."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(KEYWORDS), count)
    time_s = np.arange(RATE_HZ) / RATE_HZ
    low, high = random.uniform(350, 900, (count, 1)), random.uniform(1100, 2400, (count, 1))
    begin = np.where(np.isin(kinds, (0, 2))[:, None], low, high)
    end = np.where(np.isin(kinds, (0, 3))[:, None], low, high)
    phase = 2 * np.pi * (begin * time_s + (end - begin) * time_s**2 / 2)
    sounds = np.sin(phase) * random.uniform(0.3, 1, (count, 1)) + random.normal(0, 0.7, (count, RATE_HZ))
    return mel_frames(sounds, 320, 160, 10)[..., None], kinds


def hum(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, is_strange) of machines: (count, 640), float32, and 1 for those with a tone that isn't theirs, else 0."""
    random = np.random.default_rng(seed)
    strange = np.arange(count) % 2
    time_s = np.arange(1024 + 4 * 512) / RATE_HZ
    speed = random.uniform(90, 130, (count, 1, 1))
    harmonics = speed * np.array([[1], [2], [5], [12]]) * time_s
    sounds = (np.sin(2 * np.pi * harmonics) * np.array([[1], [0.6], [0.4], [0.3]])).sum(axis=1)
    odd = np.sin(2 * np.pi * random.uniform(2000, 3500, (count, 1)) * time_s) * strange[:, None]
    sounds += 0.5 * odd + random.normal(0, 0.1, sounds.shape)
    return mel_frames(sounds, 1024, 512, 128).reshape(count, -1), strange


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1])
    (x, y), (x_test, y_test) = keywords(1200, 0), keywords(400, 1)
    np.savez(folder / "keywords.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    x, strange = hum(2000, 2)
    x_test, strange_test = hum(400, 3)
    np.savez(folder / "hum.npz", x_train=x[strange == 0], x_test=x_test, y_test=strange_test)


if __name__ == "__main__":
    main()
