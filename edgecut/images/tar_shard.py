"""A WebDataset tar: KEY.jpg (or another picture) with KEY.cls, or KEY.json whose "label" is the class.

Read by Python's own tarfile: nothing is extracted, and no member is run. The webdataset package, which trainings read
such files by, unpickles .pyd and .pth members, and runs shell commands that stand in a path's place ("pipe:...").
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from edgecut.errors import DataError, several
from edgecut.images.decode_children import shortened
from edgecut.images.encoded import Classes, Encoded, LabelKind, LabelRequest
from edgecut.images.listing import is_image_name
from edgecut.records.units import format_bytes
from edgecut.sandbox.limits import over_limits

_BLOCK = 512
_LABEL_BYTES = 1 << 20
_PART_BYTES = 1 << 20
# github.com/webdataset/webdataset: the key ends at the first dot behind the last slash.
_KEYED = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)
_WHOLE = re.compile(r"[+-]?\d+")

Label = int | str


@dataclass
class _Sample:
    """What a tar has under a key. picture: (name, first byte, bytes). beside: a member that belongs to a picture."""

    picture: tuple[str, int, int] | None = None
    beside: str = ""
    labels: dict[str, Label] = field(default_factory=dict)

    @property
    def label(self) -> Label | None:
        """The class; .cls goes before .json."""
        return self.labels.get("cls", self.labels.get("json"))


@dataclass(frozen=True, eq=False)
class TarShard:
    """The pictures of a tar, whose labels are classes. places: (n, 2) int64, the first byte of each and its size."""

    path: Path
    names: tuple[str, ...]
    places: np.ndarray
    labels: Classes | None
    unlabelled: str
    label_kind: LabelKind | None

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.names)

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places. Raises DataError where one is larger than the limits."""
        try:
            with open(self.path, "rb") as file:
                for index in chosen:
                    first, size = map(int, self.places[index])
                    place = f"{self.path}: {self.names[index]!r}"
                    if over := over_limits(size):
                        raise DataError(f"{where}: {place} {over}")
                    file.seek(first)
                    yield Encoded(place, file.read(size))
        except OSError as exc:
            raise DataError(f"{where}: {self.path} can't be read ({exc.strerror})") from exc


def open_tar(path: Path, where: str, request: LabelRequest) -> TarShard:
    """The pictures of a tar and their classes, from one pass over its headers. Raises DataError with all faults."""
    labelled = request.kind == "classes"
    samples, faults = dict[str, _Sample](), list[str]()
    try:
        with open(path, "rb") as file:
            for member, content in _members(file, path, where):
                faults += _put(samples, member, content if labelled else None)
    except OSError as exc:
        raise DataError(f"{where}: {path} can't be read ({exc.strerror})") from exc
    faults += [
        f"{sample.beside!r} has no picture beside it, whose name is the same up to the first dot"
        for sample in samples.values()
        if sample.picture is None and sample.beside
    ]
    if faults:
        raise several(DataError, shortened([f"{where}: {path}: {fault}" for fault in faults], where))
    pictured = {key: sample for key, sample in samples.items() if sample.picture is not None}
    of_tables = f"tells classes alone; {request.kind} are read from an .npz, .parquet or .arrow"
    classes, unlabelled = _classes(pictured, path, where) if labelled else (None, of_tables)
    pictures = [sample.picture for sample in pictured.values() if sample.picture is not None]
    places = np.array([picture[1:] for picture in pictures], np.int64).reshape(-1, 2)
    names = tuple(picture[0] for picture in pictures)
    return TarShard(path, names, places, classes, unlabelled, "classes" if classes is not None else None)


def _members(file: IO[bytes], path: Path, where: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Each member with what reads it. Raises DataError for a damaged tar, and for what isn't a file or a folder."""
    end = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                # A kilobyte each, and a shard may have a million. (typeshed doesn't know the attribute.)
                archive.members.clear()  # type: ignore[attr-defined]
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise DataError(
                        f"{where}: {path}: {member.name!r} is a link, a device or a sparse file; write plain files"
                    )
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    raise DataError(f"{where}: {path}: {member.name!r} leads out of the tar; rename it")
                if (content := archive.extractfile(member)) is not None:  # None of a folder
                    yield member, content
                end = member.offset_data + (-(-member.size // _BLOCK) * _BLOCK if member.isreg() else 0)
    except (tarfile.TarError, ValueError, OverflowError) as exc:
        raise DataError(f"{where}: {path} can't be read as a tar ({exc}); write or fetch it again") from exc
    _check_end(file, end, path, where)


def _check_end(file: IO[bytes], end: int, path: Path, where: str) -> None:
    """Nothing, if the members end as a tar does, with zeros: tarfile takes a damaged header for the end, too."""
    file.seek(end)
    part = file.read(_BLOCK)
    if len(part) < _BLOCK or any(part):
        raise DataError(f"{where}: {path} is cut off or damaged after {end:,} bytes; write or fetch it again")
    while part := file.read(_PART_BYTES):
        if part.count(0) != len(part):
            raise DataError(
                f"{where}: {path} goes on behind its end, as joined tars do; write one tar, or keep them apart"
            )


def _put(samples: dict[str, _Sample], member: tarfile.TarInfo, content: IO[bytes] | None) -> Iterator[str]:
    """Put a member where it belongs; what is wrong with it, after the tar's name. Other kinds are left out unread.

    content: None where labels aren't read.
    """
    keyed = _KEYED.fullmatch(member.name)
    if keyed is None:
        return
    key, kind = keyed[1], keyed[2].lower()
    sample = samples.setdefault(key, _Sample())
    if is_image_name(f"{key}.{kind}") and "." not in kind:
        if sample.picture is not None:
            yield f"{sample.picture[0]!r} and {member.name!r} are two pictures of one key; leave one out"
        sample.picture = (member.name, member.offset_data, member.size)
    elif kind in ("cls", "json") or is_image_name(member.name):
        sample.beside = member.name
        if content is not None and kind in ("cls", "json"):
            try:
                sample.labels |= _label(kind, member, content)
            except ValueError as exc:
                yield f"{member.name!r} {exc}"


def _label(kind: str, member: tarfile.TarInfo, content: IO[bytes]) -> dict[str, Label]:
    """{kind: the class that a member says}, {} for a .json without one. Raises ValueError, after the member's name."""
    if member.size > _LABEL_BYTES:
        raise ValueError(f"has {format_bytes(member.size)}, and a label has at most {format_bytes(_LABEL_BYTES)}")
    try:
        text = content.read().decode().strip()
        value = text if kind == "cls" else json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise ValueError(f"can't be read ({exc})") from exc
    if kind == "json":
        if not isinstance(value, dict) or value.get("label") is None:
            return {}
        value = value["label"]
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"says the label {value!r}; a whole number or a name is expected")
    elif _WHOLE.fullmatch(text):
        value = int(text)
    if value == "" or (isinstance(value, int) and abs(value) >= 1 << 63) or not str(value).isprintable():
        raise ValueError(f"says the label {str(value)[:40]!r}; a whole number or a name of one line is expected")
    return {kind: value}


def _classes(samples: Mapping[str, _Sample], path: Path, where: str) -> tuple[Classes | None, str]:
    """(the classes of the samples, ""), or (None, why there are none). Raises DataError where some have none."""
    labels: Sequence[Label | None] = [sample.label for sample in samples.values()]
    absent = [key for key, label in zip(samples, labels, strict=True) if label is None]
    expected = "KEY.cls, or KEY.json with a 'label', is expected beside each picture"
    if absent and len(absent) == len(labels):
        return None, f"has no labels; {expected}"
    if absent:
        raise DataError(
            f"{where}: {path} has no label for {len(absent)} of {len(labels)} pictures, such as {absent[0]!r}; "
            f"{expected}"
        )
    if all(isinstance(label, int) for label in labels):
        return Classes(np.array(labels, np.int64)), ""
    if any(isinstance(label, int) for label in labels):
        raise DataError(f"{where}: {path} has labels that are numbers and labels that are names; write one of the two")
    names, numbers = np.unique(np.array(labels, np.str_), return_inverse=True)
    return Classes(numbers.astype(np.int64), tuple(map(str, names))), ""
