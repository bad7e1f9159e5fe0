"""Hostile pictures and shards for tools/attack: bombs, damaged files, stand-ins for what crashes a decoder."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from attack_case import DEMO, FIXTURES, Case, Place
from PIL import Image

_RECIPE = (
    f"[source]\nmodel = '{DEMO / 'cifar10_backbone.keras'}'\npreprocess = 'tf'\n[cut]\nto = 'stem_relu'\n"
    "[head]\nclasses = 2\n[data]\ntrain = 'data'\n"
)
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "jp2", "ppm", "avif")
DECODER = "tests.images.fragile_worker"
"""The child in which pictures are decoded here: as always, but that some names end it."""


def picture_cases(rng: random.Random) -> Iterator[Case]:
    """Bombs, truncated and flipped files, and names that end the decoder of tests/images/fragile_worker.py."""
    for name in _BOMBS:
        yield Case("picture", name, partial(_put, {f"{name.replace(' ', '-')}.png": name}))
    for name in ("crash", "loop", "fill"):
        yield Case("picture", f"a decoder's {name}", partial(_put, {f"{name}.png": ""}))
    for suffix in FORMATS:
        for k in range(4):
            yield Case("picture", f"{suffix} cut off {k}", partial(_put_damaged, suffix, rng.random(), 0))
        for k in range(8):
            change = partial(_put_damaged, suffix, rng.random() ** 3, rng.randrange(1, 256))
            yield Case("picture", f"{suffix} flipped {k}", change)


def shard_cases(rng: random.Random) -> Iterator[Case]:
    """Parquet, Arrow and tar files that are cut off, or have a byte changed: at any place, or near the end."""
    for suffix in ("parquet", "arrow", "tar"):
        for k in range(4):
            yield Case("shard", f"{suffix} cut off {k}", partial(_put_shard, suffix, rng.random(), 0))
        for k in range(24):
            part = rng.random() if k % 2 else 1 - rng.random() ** 3
            yield Case("shard", f"{suffix} flipped {k}", partial(_put_shard, suffix, part, rng.randrange(1, 256)))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, *chunks: bytes, rows: int | None = None) -> bytes:
    """A gray PNG of zeros. rows: how many it has, by default all that it says."""
    packer, zeros = zlib.compressobj(9), bytes(1 + width)
    pixels = b"".join(packer.compress(zeros) for _ in range(height if rows is None else rows)) + packer.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _bomb(name: str) -> bytes:
    zeros = zlib.compress(bytes(1 << 28), 9)
    match name:
        case "more pixels than there is memory":
            return _png(1 << 30, 1 << 30, rows=0)
        case "as many pixels as the limits let in":
            return _png(13_000, 13_000)
        case "rows that are wider than memory":
            return _png((1 << 31) - 1, 1, rows=0)
        case "text of 256 MiB":
            return _png(8, 8, _chunk(b"zTXt", b"x\0\0" + zeros))
        case "international text of 256 MiB":
            return _png(8, 8, _chunk(b"iTXt", b"x\0\1\0\0\0" + zeros))
        case "profile of 256 MiB":
            return _png(8, 8, _chunk(b"iCCP", b"x\0\0" + zeros))
        case "directory that leads to itself":
            exif = b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08"
            return _png(8, 8, _chunk(b"eXIf", exif))
    header = struct.pack("<2sHIHH", b"II", 42, 8, 1, 256)
    return header + struct.pack("<HII", 4, 1 << 30, 0x7FFFFFFF) + bytes(4)  # a TIFF of a tag without end


_BOMBS = (
    "more pixels than there is memory",
    "as many pixels as the limits let in",
    "rows that are wider than memory",
    "text of 256 MiB",
    "international text of 256 MiB",
    "profile of 256 MiB",
    "directory that leads to itself",
    "values that are counted beyond memory",
)


def _usual(suffix: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    file = io.BytesIO()
    picture = Image.fromarray(pixels).resize((48, 40))
    picture.save(file, {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(suffix, suffix))
    return file.getvalue()


def _put_damaged(suffix: str, part: float, change: int, place: Place) -> list[list[str]]:
    """A file of a format, cut off at a part of it, or with a byte changed there."""
    return _commands({f"x.{suffix}": _damaged(_usual(suffix), part, change)}, place)


def _damaged(whole: bytes, part: float, change: int) -> bytes:
    content = bytearray(whole)
    position = min(int(part * len(content)), len(content) - 1)
    if change:
        content[position] ^= change
    else:
        del content[position:]
    return bytes(content)


def _shard(suffix: str) -> bytes:
    """Ten pictures of two classes."""
    file, picture = io.BytesIO(), _usual("png")
    if suffix == "tar":
        with tarfile.open(fileobj=file, mode="w") as archive:
            for k in range(10):
                for name, content in ((f"{k}.png", picture), (f"{k}.cls", f"{k % 2}".encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return file.getvalue()
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = pa.array([{"bytes": picture}] * 10, pa.struct([("bytes", pa.binary())]))
    table = pa.table({"image": pictures, "label": [k % 2 for k in range(10)]})
    if suffix == "parquet":
        pq.write_table(table, file, row_group_size=4)
    else:
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    return file.getvalue()


def _put_shard(suffix: str, part: float, change: int, place: Place) -> list[list[str]]:
    path = place.input / f"x.{suffix}"
    path.write_bytes(_damaged(_shard(suffix), part, change))
    recipe = place.input / "recipe.toml"
    recipe.write_text(_RECIPE.replace("'data'", f"'{path.name}'"))
    return [["plan", str(recipe)]]


def _put(names: dict[str, str], place: Place) -> list[list[str]]:
    return _commands({name: _bomb(bomb) if bomb else _usual("png") for name, bomb in names.items()}, place)


def _commands(files: dict[str, bytes], place: Place) -> list[list[str]]:
    """The commands that read pictures and need no TensorFlow; each finds whole ones beside the hostile one."""
    data = place.input / "data"
    for label in ("a", "b"):
        (data / label).mkdir(parents=True)
        for k in range(2):
            (data / label / f"{k}.png").write_bytes(_usual("png"))
    for name, content in files.items():
        (data / "a" / name).write_bytes(content)
    recipe = place.input / "recipe.toml"
    recipe.write_text(_RECIPE)
    return [
        ["plan", str(recipe)],
        ["run", str(FIXTURES / "tiny.int8.tflite"), str(data / "a"), "--json"],
    ]


CASES = (picture_cases, shard_cases)
