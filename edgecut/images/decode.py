"""Image files to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from edgecut.errors import DataError
from edgecut.images.device import to_device
from edgecut.records.progress import SILENT, Progress

# Decoding and resizing leave Python's lock, so a second thread helps.
_THREADS = 2
# Pictures, whatever their name says. Not EPS, which Pillow hands to Ghostscript: a program in a picture's place.
_FORMATS = (
    "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP",
    *(("AVIF",) if "avif" in features.modules and features.check("avif") else ()),
)  # fmt: skip


def decode(path: Path, where: str) -> np.ndarray:
    """The picture in a file as a viewer shows it: (h, w) gray or (h, w, 3) R, G, B, uint8.

    Turned as its EXIF orientation says; of an animation the first frame; 16-bit gray by its upper byte; alpha
    dropped. Raises DataError that names the file.
    """
    if not path.is_file():
        raise DataError(f"{where}: {path} is no file (a pipe, or a link to nothing); replace or remove it")
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            return _bytes_of(ImageOps.exif_transpose(opened), path, where)
    except UnidentifiedImageError as exc:
        raise DataError(f"{where}: {path} is no image that can be decoded; replace or remove it") from exc
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as exc:
        raise DataError(f"{where}: {path} can't be decoded ({exc}); replace or remove it") from exc


def decode_all(
    files: Sequence[Path], *, height: int, width: int, channels: int, where: str, progress: Progress = SILENT
) -> np.ndarray:
    """The files in the device's format: (n, height, width, channels), uint8.

    Raises DataError that names the first file, in order, that can't be decoded.
    """
    result = np.empty((len(files), height, width, channels), np.uint8)
    pool = ThreadPoolExecutor(_THREADS)
    try:
        with progress.task("reading images", len(files)) as advance:
            pictures = pool.map(lambda path: to_device(decode(path, where), height, width, channels), files)
            for index, pixels in enumerate(pictures):
                result[index] = pixels
                advance(1)
    finally:
        # What was not begun is dropped, so that a bad file or Ctrl-C doesn't wait for all the others.
        pool.shutdown(cancel_futures=True)
    return result


def _bytes_of(picture: Image.Image, path: Path, where: str) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture) >> 8).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise DataError(f"{where}: {path} holds {picture.mode!r} pixels of 32 bits; save it with 8 bits to a channel")
    gray = picture.mode in ("1", "L", "LA", "La")
    return np.asarray(picture.convert("L" if gray else "RGB"))
