"""Encoded pictures, in files and in shards, to bytes."""

from __future__ import annotations

import io
import itertools
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from edgecut.errors import DataError, faults_of, several
from edgecut.images.device import PictureForm
from edgecut.images.encoded import Encoded
from edgecut.images.listing import UNREAD_SUFFIXES
from edgecut.records.lfs import POINTER, is_pointer_file
from edgecut.records.progress import SILENT, Progress
from edgecut.sandbox.limits import over_limits

T = TypeVar("T")
U = TypeVar("U")
_THREADS = min(8, os.cpu_count() or 1)
_AT_ONCE = 16  # pictures that a thread takes
# Pictures, whatever their name says. Not EPS, which Pillow hands to Ghostscript: a program in a picture's place.
_FORMATS = (
    "BMP",
    "DIB",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "TIFF",
    "WEBP",
    *(("AVIF",) if "avif" in features.modules and features.check("avif") else ()),
)
# What the usual files begin with. Any other is decoded, so that none is refused by its first bytes.
_MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
# About 0.1 s of JPEG files on one core of 2020.
_QUICK_FILES, _QUICK_BYTES = 400, 2 << 20
_PIXEL_BYTES = 4  # Pillow holds three channels as four
_SHOWN = 20  # files named

# What Pillow's readers and the libraries behind them raise on a damaged file.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode(path: Path, where: str) -> np.ndarray:
    """The picture in a file as a viewer shows it: (h, w) gray or (h, w, 3) R, G, B, uint8.

    Turned as its EXIF orientation says; of an animation the first frame; 16-bit gray by its upper byte; alpha
    dropped. Raises DataError that names the file.
    """
    if not path.is_file():
        raise DataError(f"{where}: {path} is no file (a pipe, or a link to nothing); replace or remove it")
    if is_pointer_file(path):
        raise DataError(f"{where}: {path} {POINTER}")
    return _decoded_picture(path, str(path), where)


def decode_encoded(picture: Encoded, where: str) -> np.ndarray:
    """The same of a picture of a shard."""
    if picture.content is None:
        raise DataError(
            f"{where}: {picture.place} has no bytes (none at all, or a path alone, which isn't followed); put the "
            "file's bytes there, or leave the row out"
        )
    return _decoded_picture(io.BytesIO(picture.content), picture.place, where)


def _decoded_picture(source: Path | IO[bytes], place: str, where: str) -> np.ndarray:
    try:
        with Image.open(source, formats=_FORMATS) as opened:
            _check_size(opened, place, where)
            return _bytes_of(ImageOps.exif_transpose(opened), place, where)
    except UnidentifiedImageError as exc:
        suffix = source.suffix if isinstance(source, Path) else ""
        if suffix.lower() in UNREAD_SUFFIXES:
            raise DataError(f"{where}: {place} is {suffix}, which isn't read; convert it to JPEG") from exc
        raise DataError(f"{where}: {place} is no image that can be decoded; replace or remove it") from exc
    except _DAMAGE as exc:
        raise DataError(
            f"{where}: {place} can't be decoded ({str(exc) or type(exc).__name__}); replace or remove it"
        ) from exc


def decode_all(
    files: Sequence[Path], form: PictureForm, *, where: str, progress: Progress = SILENT
) -> Iterator[np.ndarray]:
    """The files in the device's form, in order, some at a time: (n, *form.shape), uint8.

    Raises DataError at the end that names every file that can't be decoded, in order; of many the first.
    """
    return _decoded_each(files, len(files), lambda path: decode(path, where), form, where, progress)


def decode_shards(
    pictures: Iterable[Encoded], count: int, form: PictureForm, *, where: str, progress: Progress = SILENT
) -> Iterator[np.ndarray]:
    """The same of so many pictures of shards."""
    return _decoded_each(pictures, count, lambda picture: decode_encoded(picture, where), form, where, progress)


def _decoded_each(
    pictures: Iterable[T],
    count: int,
    decoded: Callable[[T], np.ndarray],
    form: PictureForm,
    where: str,
    progress: Progress,
) -> Iterator[np.ndarray]:
    faults: list[str] = []
    with progress.task("reading images", count) as advance:
        for pixels, wrong in _mapped_ahead(lambda some: _decoded(some, decoded, form), _some_at_a_time(pictures)):
            faults += wrong
            yield pixels
            advance(len(pixels) + len(wrong))
    if faults:
        raise several(DataError, shortened(faults, where))


def _some_at_a_time(pictures: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(pictures)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some


def _decoded(
    encoded: Sequence[T], decoded: Callable[[T], np.ndarray], form: PictureForm
) -> tuple[np.ndarray, list[str]]:
    """(those pictures that can be decoded, what is wrong with the others)."""
    pictures, faults = [np.empty((0, *form.shape), np.uint8)], list[str]()
    for each in encoded:
        try:
            pictures.append(form.of(decoded(each)[None]))
        except DataError as exc:
            faults.append(str(exc))
    return np.concatenate(pictures), faults


def _mapped_ahead(function: Callable[[T], U], tasks: Iterable[T]) -> Iterator[U]:
    """The answers in order, by threads that are few tasks ahead: neither tasks nor answers pile up.

    Decoding and resizing leave Python's lock, so that further threads help.
    """
    pool, running = ThreadPoolExecutor(_THREADS), deque[Future[U]]()
    try:
        for task in tasks:
            running.append(pool.submit(function, task))
            if len(running) > 2 * _THREADS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        # What was not begun is dropped, so that Ctrl-C doesn't wait for all the others.
        pool.shutdown(cancel_futures=True)


def decoders() -> dict[str, str | None]:
    """{library: version} of what pictures are decoded and resized by."""
    codecs = ("jpg", "jpg_2000", "libtiff", "webp", "zlib", *(("avif",) if "avif" in features.modules else ()))
    return {"pillow": features.version("pil"), **{name: features.version(name) for name in codecs}}


def decode_faults(files: Sequence[Path], where: str) -> list[str]:
    """What can be said soon of pictures that can't be decoded; [] also where that shows only when all are read.

    Those that don't begin as a picture does are decoded, and where there are few and small ones all.
    """
    is_quick, faults = decodes_quickly(files), list[str]()
    for path in files:
        if is_quick or not _begins_as_picture(path):
            try:
                decode(path, where)
            except DataError as exc:
                faults += faults_of(exc)
    return shortened(faults, where)


def decodes_quickly(files: Sequence[Path]) -> bool:
    """Whether decode_faults(files) reads each picture to its end."""
    return len(files) <= _QUICK_FILES and sum(path.stat().st_size for path in files if path.is_file()) <= _QUICK_BYTES


def shortened(faults: Sequence[str], where: str) -> list[str]:
    """The first faults, and how many more there are."""
    more = len(faults) - _SHOWN
    last = [f"{where}: {more} more files can't be decoded"] if more > 0 else []
    return [*faults[:_SHOWN], *last]


def _begins_as_picture(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(_MAGICS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def _check_size(picture: Image.Image, place: str, where: str) -> None:
    """Nothing, for a picture that the limits have room for; judged by what its header says, before it is decoded."""
    over = over_limits(_PIXEL_BYTES * picture.width * picture.height)
    if over:
        raise DataError(f"{where}: {place} of {picture.width} x {picture.height} pixels {over}")


def _bytes_of(picture: Image.Image, place: str, where: str) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture) >> 8).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise DataError(f"{where}: {place} holds {picture.mode!r} pixels of 32 bits; save it with 8 bits to a channel")
    gray = picture.mode in ("1", "L", "LA", "La")
    return np.asarray(picture.convert("L" if gray else "RGB"))
