"""A model file run on what the device feeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgecut.images.feed import Feed
from edgecut.images.mapped import batches, gathered_each
from edgecut.records.progress import Progress
from edgecut.runtime.files import FileRunner, dequantize, quantize_rows

BATCH = 64


def predict_file(runner: FileRunner, pictures: np.ndarray, feed: Feed, *, title: str, progress: Progress) -> np.ndarray:
    """The first of a file's outputs, as `predict_file_outputs` gives all."""
    return predict_file_outputs(runner, pictures, feed, title=title, progress=progress)[0]


def predict_file_outputs(
    runner: FileRunner, pictures: np.ndarray, feed: Feed, *, title: str, progress: Progress
) -> tuple[np.ndarray, ...]:
    """A file's outputs over pictures (n, height, width, channels), uint8, or rows (n, ...): (n, ...), float32, each.

    A file that takes the camera's bytes is fed these.
    """
    takes_bytes = _takes_bytes(runner, feed)

    def each() -> Iterator[tuple[np.ndarray, ...]]:
        with progress.task(title, len(pictures)) as advance:
            for part in batches(pictures, BATCH):
                if takes_bytes:
                    raw = runner.predict_raw_each(_bytes_of(part))
                    yield tuple(dequantize(y, spec) for y, spec in zip(raw, runner.outputs, strict=True))
                else:
                    yield runner.predict_each(feed.values(part))
                advance(len(part))

    return gathered_each(each(), len(pictures))


def fed(runner: FileRunner, pictures: np.ndarray, feed: Feed) -> np.ndarray:
    """What predict_file_outputs feeds a file for pictures or rows (n, ...), in the file's own dtypes."""
    if _takes_bytes(runner, feed):
        return _bytes_of(pictures)
    return quantize_rows(feed.values(pictures), runner.inputs, str(runner.path))


def _takes_bytes(runner: FileRunner, feed: Feed) -> bool:
    return feed.shape is not None and runner.inputs[0].model_copy(update={"expects": feed.pixels}).takes_bytes


def _bytes_of(pictures: np.ndarray) -> np.ndarray:
    return np.asarray((pictures ^ 0x80).view(np.int8))
