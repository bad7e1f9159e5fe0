"""What an .npz says it holds, read from its headers alone.

The standard library alone but for load_array, so that `plan` is quick. The header of an .npy member is a Python
literal: numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.errors import DataError
from edgecut.records.lfs import POINTER, is_pointer_file
from edgecut.records.units import format_bytes
from edgecut.sandbox.limits import read_limits

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER_BYTES = 1 << 20
_PART_BYTES = 8 << 20
_MOST_DEFLATED = 1032  # what deflate can unpack a byte to (zlib.net/zlib_tech.html)
# What reading raises on a file that was damaged, or written by nobody who knows the format.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    MemoryError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Header:
    """The shape and the type of one array. dtype: as numpy writes it, such as "|u1" or "<i8"."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def kind(self) -> str:
        """The letter of the type: u, i and f for numbers, O for Python objects."""
        return self.dtype[1:2]

    @property
    def is_pictures(self) -> bool:
        """Whether it can be (n, h, w) or (n, h, w, c) pictures."""
        return len(self.shape) == 3 or (len(self.shape) == 4 and self.shape[3] in (1, 3, 4))


def read_headers(path: Path, where: str) -> dict[str, Header]:
    """The arrays of an .npz by name, without reading their values.

    Raises DataError if the file is no .npz, is cut short, or a member is no array.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{where}: {path} is a pipe or a device; a file of numpy.savez is expected")
    if is_pointer_file(path):
        raise DataError(f"{where}: {path} {POINTER}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _read_header(archive, name) for name in members}
    except _DAMAGE as exc:
        raise DataError(f"{where}: {path} is cut short, damaged or no .npz; write it again with numpy.savez") from exc
    except (OSError, NotImplementedError, RuntimeError) as exc:
        raise DataError(f"{where}: {path} can't be read ({exc})") from exc


def load_array(path: Path, name: str, where: str) -> np.ndarray:
    """An array of an .npz. Raises DataError if it can't be read."""
    import numpy as np

    try:
        _check_unpacked(path, name, where)
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except (*_DAMAGE, OSError, RuntimeError) as exc:
        raise DataError(f"{where}: {path}: {name} can't be read, the file is damaged ({exc})") from exc


@dataclass(frozen=True)
class Member:
    """An array of an .npz whose values aren't read yet. where: put in front of what is wrong with it."""

    path: Path
    name: str
    header: Header
    where: str

    def __len__(self) -> int:
        """The number of its rows."""
        return self.header.shape[0]

    def parts(self) -> Iterator[np.ndarray]:
        """Its rows, some at a time, so that memory doesn't grow with their number. Raises DataError for a damaged file.

        Members may be compressed, and their checksum is behind the last row: all of it is read.
        """
        import numpy as np

        try:
            _check_unpacked(self.path, self.name, self.where)
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, by_columns, dtype = read(file)
                if by_columns or not shape or dtype.hasobject:
                    yield load_array(self.path, self.name, self.where)
                    return
                width = math.prod(shape[1:]) * dtype.itemsize
                step = max(1, _PART_BYTES // max(1, width))
                for first in range(0, shape[0], step):
                    count = min(step, shape[0] - first)
                    content = file.read(count * width)
                    yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
                file.read(1)  # the end, where the checksum is
        except (*_DAMAGE, OSError, RuntimeError) as exc:
            raise DataError(
                f"{self.where}: {self.path}: {self.name} can't be read, the file is damaged ({exc})"
            ) from exc


def open_member(path: Path, name: str, where: str) -> Member:
    """An array of an .npz, whose values aren't read yet. Raises DataError if the file is none."""
    return Member(path, name, read_headers(path, where)[name], where)


def _read_header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as file:
        start = file.read(8)
        if start[:6] != _MAGIC:
            raise ValueError(f"{name} is no array")
        size, code = (2, "<H") if start[6] == 1 else (4, "<I")
        (length,) = struct.unpack(code, file.read(size))
        if length > _LONGEST_HEADER_BYTES:
            raise ValueError(f"{name} has a header of {length} bytes")
        fields = ast.literal_eval(file.read(length).decode("utf-8"))
    if not isinstance(fields, dict) or not {"shape", "descr"} <= fields.keys():
        raise ValueError(f"{name} has a header without shape and type")
    shape, dtype = fields["shape"], fields["descr"]
    if not isinstance(shape, tuple) or not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError(f"{name} has the shape {shape!r}")
    _check_size(archive, name, shape, dtype, start=8 + size + length)
    return Header(tuple(int(extent) for extent in shape), dtype if isinstance(dtype, str) else "|V")


def _check_unpacked(path: Path, name: str, where: str) -> None:
    """Nothing, for an array that the limits let be unpacked. Raises DataError."""
    with zipfile.ZipFile(path) as archive:
        size_bytes = archive.getinfo(f"{name}.npy").file_size
    limits = read_limits()
    if size_bytes > limits.address_bytes_for(path.stat().st_size):
        raise DataError(
            f"{where}: {path}: {name} unpacks to {format_bytes(size_bytes)}, where the file has "
            f"{format_bytes(path.stat().st_size)}; {limits.hint('bytes')}"
        )


def _check_size(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: object, start: int) -> None:
    """Raises ValueError where an array of that shape doesn't have the member's bytes, or no file could hold them."""
    number = re.fullmatch(r"[<>|=][uifbc](\d+)", dtype) if isinstance(dtype, str) else None
    size = archive.getinfo(name).file_size
    if number is not None and (min(shape, default=1) < 0 or math.prod(shape) * int(number[1]) != size - start):
        raise ValueError(f"{name} has the shape {shape} and {size - start} bytes")
    packed = Path(str(archive.filename)).stat().st_size
    if size > _MOST_DEFLATED * packed:
        raise ValueError(f"{name} unpacks to {size} bytes out of a file of {packed}")
