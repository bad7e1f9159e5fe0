"""An encoded picture, in a file or of a shard, to bytes, by Pillow.

Done in a child process alone (decode_worker.py), which a crafted picture may end.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from edgecut.errors import DataError
from edgecut.images.encoded import Encoded
from edgecut.images.listing import UNREAD_SUFFIXES
from edgecut.records.lfs import POINTER, is_pointer_file
from edgecut.records.units import format_bytes
from edgecut.sandbox.limits import over_limits, read_limits

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
_PIXEL_BYTES = 4  # Pillow holds three channels as four

# What Pillow's readers and the libraries behind them raise on a damaged file.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode(path: Path, where: str, place: str = "") -> np.ndarray:
    """The picture in a file as a viewer shows it: (h, w) gray or (h, w, 3) R, G, B, uint8.

    Turned as its EXIF orientation says; of an animation the first frame; 16-bit gray by its upper byte; alpha
    dropped. place: what the user calls the file, by default its path. Raises DataError that names it.
    """
    place = place or str(path)
    if not path.is_file():
        raise DataError(f"{where}: {place} is no file (a pipe, or a link to nothing); replace or remove it")
    if is_pointer_file(path):
        raise DataError(f"{where}: {place} {POINTER}")
    return _decoded_picture(path, place, where)


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
    except MemoryError as exc:
        limits = read_limits()
        raise DataError(
            f"{where}: {place} can't be decoded within {format_bytes(limits.address_bytes)} of address space; "
            f"{limits.hint('bytes')}"
        ) from exc
    except _DAMAGE as exc:
        raise DataError(
            f"{where}: {place} can't be decoded ({str(exc) or type(exc).__name__}); replace or remove it"
        ) from exc


def decoders() -> dict[str, str | None]:
    """{library: version} of what pictures are decoded and resized by."""
    codecs = ("jpg", "jpg_2000", "libtiff", "webp", "zlib", *(("avif",) if "avif" in features.modules else ()))
    return {"pillow": features.version("pil"), **{name: features.version(name) for name in codecs}}


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
