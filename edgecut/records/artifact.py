"""A file that edgecut wrote, as read back from the file itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from edgecut.records.document import Record


class TensorSpec(Record):
    """One input or output. scale and zero_point are None for a tensor that isn't quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    expects: Literal["raw", "normalized"] | None = None

    @property
    def takes_bytes(self) -> bool:
        """Whether it holds the camera's bytes unchanged: q = byte - 128, which is xor 0x80."""
        return (self.dtype, self.scale, self.zero_point, self.expects) == ("int8", 1.0, -128, "raw")


class Artifact(Record):
    """A model file: what it takes, what it puts out, what it consists of.

    path: relative to the bundle in a report, else as given. operators: name -> count. macs: multiply-accumulates
    of one inference, None where an operator isn't modelled.
    """

    name: str
    path: str
    format: Literal["tflite", "onnx"]
    precision: str
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: dict[str, int]
    macs: int | None = None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's files in sorted order with their names, in hex.

    Folders behind links are followed, as where the images of a folder are listed.
    """
    digest = hashlib.sha256()
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    for part in sorted(_files(path)):
        digest.update(part.relative_to(path).as_posix().encode() + b"\0")
        digest.update(part.read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        if os.path.islink(parent) and Path(parent).resolve() in (p.resolve() for p in Path(parent).parents):
            folders.clear()  # a link to a folder above, which would never end
            continue
        yield from (Path(parent) / name for name in names if os.path.isfile(os.path.join(parent, name)))
