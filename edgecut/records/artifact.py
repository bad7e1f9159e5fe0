"""A file that edgecut wrote, as read back from the file itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from edgecut.records.document import Record
from edgecut.records.recipe import Precision


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
    precision: Precision
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: dict[str, int]
    macs: int | None = None

    def labelled(self, labels: Sequence[str]) -> TensorSpec | None:
        """The output whose last dimension these labels name; a single value lies between two. None if there is none."""
        lengths = {len(labels), 1} if len(labels) == 2 else {len(labels)}
        flat_first = sorted(self.outputs, key=lambda spec: len(spec.shape))
        return next((spec for spec in flat_first if labels and spec.shape and spec.shape[-1] in lengths), None)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's files in sorted order with their names, in hex.

    Folders behind links are followed, as where the images of a folder are listed.
    """
    digest = hashlib.sha256()
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    for name, _ in sorted(file_states(path), key=lambda row: row[0].split("/")):
        digest.update(os.fsencode(name) + b"\0")
        digest.update((path / name).read_bytes())
    return digest.hexdigest()


def file_states(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(path in the folder, with forward slashes; state) of each of its files, in no order. Links are followed."""
    pending = [("", str(folder))]
    while pending:
        prefix, place = pending.pop()
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # a link to nothing, or a file that has just gone
                    state = entry.stat()
                    if stat.S_ISREG(state.st_mode):
                        yield prefix + entry.name, state
                    elif stat.S_ISDIR(state.st_mode) and not _leads_upwards(entry):
                        pending.append((f"{prefix}{entry.name}/", entry.path))


def _leads_upwards(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a link to one above it, which would never end."""
    return entry.is_symlink() and Path(entry.path).resolve() in (p.resolve() for p in Path(entry.path).parents)
