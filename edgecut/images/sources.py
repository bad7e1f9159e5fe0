"""A folder, an .npz or shards as one thing: labels known at once, pictures in the device's format when read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edgecut.cache.store import Store
from edgecut.errors import DataError, several
from edgecut.images.arrays import ArrayInputs
from edgecut.images.classes import class_names_fault
from edgecut.images.decode import decoders
from edgecut.images.decode_children import decode_all
from edgecut.images.device import PictureForm
from edgecut.images.encoded import LabelRequest
from edgecut.images.labels import check_labels
from edgecut.images.listing import array_file_fault, class_folders, folder_faults, image_files, kind_fault
from edgecut.images.mapped import Form, Rows, stored
from edgecut.images.npz import Header, Member, load_array, open_member, read_headers
from edgecut.images.parts import pair_faults, picture_faults, sample_faults
from edgecut.images.rows import RowMembers, open_rows_of
from edgecut.images.samples import Samples, open_samples
from edgecut.images.shards import Split, is_sharded
from edgecut.images.unchanged import states_of, with_unchanged
from edgecut.records.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class PictureSource:
    """Pictures that are not yet in the device's format, or rows of a model's own inputs (rows.py), which need no other.

    path: the folder or the file. pictures: files, those in shards, an array (n, h, w) or (n, h, w, c) of bytes, or rows
    (n, ...), none of which is read yet. labels: (n,) int64, targets (n, outputs) float32, or None. names: of the
    classes, or of the targets' outputs, which folders or shards give, None for an .npz.
    """

    where: str
    path: Path
    pictures: Sequence[Path] | Samples | Member | RowMembers
    labels: np.ndarray | None
    names: tuple[str, ...] | None

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.pictures)

    @property
    def files(self) -> Sequence[Path] | None:
        """The picture files; None for an .npz and for shards."""
        return None if isinstance(self.pictures, Samples | Member | RowMembers) else self.pictures

    @property
    def is_array(self) -> bool:
        """Whether it is an .npz, which gives its first pictures where it is bounded."""
        return isinstance(self.pictures, Member | RowMembers)

    def read(
        self, chosen: np.ndarray, form: PictureForm, *, store: Store | None = None, progress: Progress = SILENT
    ) -> np.ndarray:
        """The chosen pictures (sorted indices) in the device's form: (n, *form.shape), uint8."""
        facts = {"pictures": asdict(form), "decoders": decoders()}
        rows = None
        if isinstance(self.pictures, RowMembers):
            raise DataError(f"{self.where}: {self.path} holds arrays, and pictures are expected")
        if isinstance(self.pictures, Member):
            parts = _pixels(self.pictures, chosen, form, progress)
        elif isinstance(self.pictures, Samples):
            encoded = self.pictures.read(chosen, self.where)
            parts = decode_all(encoded, len(chosen), form, where=self.where, progress=progress)
        else:
            files = [self.pictures[index] for index in chosen]

            def decoded(some: Sequence[Path]) -> Iterator[np.ndarray]:
                return decode_all(some, len(some), form, where=self.where, progress=progress)

            parts = decoded(files)
            if store is not None:
                rows = Rows(states_of(files), {**facts, "path": str(self.path.absolute())})
                parts = with_unchanged(files, rows.states, store, rows.facts, decoded)
        whole = Form((len(chosen), *form.shape), np.dtype(np.uint8))
        return stored(store, whole, parts, source=self.path, facts={**self._origin(chosen), **facts}, rows=rows)

    def rows(self, chosen: np.ndarray, *, store: Store | None = None, progress: Progress = SILENT) -> np.ndarray:
        """The chosen rows (sorted indices) of an .npz, each input in its own dtype. Raises DataError."""
        if not isinstance(self.pictures, RowMembers):
            raise DataError(f"{self.where}: {self.path} holds pictures, and arrays are expected")
        every = self.pictures.form
        parts = _advancing(_chosen(self.pictures.parts(), chosen), len(chosen), "reading arrays", progress)
        facts = {**self._origin(chosen), "inputs": [asdict(each) for each in self.pictures.inputs]}
        whole = Form((len(chosen), *every.shape[1:]), every.dtype)
        return stored(store, whole, parts, source=self.path, facts=facts)

    def _origin(self, chosen: np.ndarray) -> dict[str, object]:
        """Which of the source's pictures or rows are read."""
        members = self.pictures
        if isinstance(members, Samples):
            names: object = [members.image_column, *(str(s.path.relative_to(self.path)) for s in members.shards)]
        else:
            names = (
                [m.name for m in members.members] if isinstance(members, RowMembers) else getattr(members, "name", "")
            )
        return {"arrays": names, "chosen": hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()}


def _pixels(member: Member, chosen: np.ndarray, form: PictureForm, progress: Progress) -> Iterator[np.ndarray]:
    """The chosen pictures of an array in the device's form, some at a time. Raises DataError as `check_bytes` does."""
    if member.header.dtype[1:] != "u1":
        check_bytes(
            _chosen(member.parts(), chosen), member.header.dtype, f"{member.where}: {member.path}: {member.name}"
        )
    parts = _advancing(_chosen(member.parts(), chosen), len(chosen), "reading images", progress)
    yield from (form.of(part.astype(np.uint8, copy=False)) for part in parts)


def _chosen(parts: Iterable[np.ndarray], chosen: np.ndarray) -> Iterator[np.ndarray]:
    """The rows at sorted indices of the rows that come in parts."""
    first = 0
    for part in parts:
        places = np.searchsorted(chosen, (first, first + len(part)))
        if places[0] < places[1]:
            yield part[chosen[places[0] : places[1]] - first]
        first += len(part)


def _advancing(parts: Iterable[np.ndarray], count: int, title: str, progress: Progress) -> Iterator[np.ndarray]:
    with progress.task(title, count) as advance:
        for part in parts:
            yield part
            advance(len(part))


def open_folder(folder: Path, where: str, names: tuple[str, ...] | None) -> PictureSource:
    """The images of a folder of class folders.

    names: the known classes, whose positions are the labels; None: the folders' names, sorted.
    Raises DataError with all faults of the folder.
    """
    faults = folder_faults(folder, where)
    if faults:
        raise several(DataError, faults)
    folders = class_folders(folder, where)
    found = tuple(path.name for path in folders)
    fault = class_names_fault(folder, where, found, names) if names is not None else None
    if fault is not None:
        raise DataError(fault)
    known = names if names is not None else found
    files: list[Path] = []
    labels: list[int] = []
    for path in folders:
        members = image_files(path)
        files += members
        labels += [known.index(path.name)] * len(members)
    return PictureSource(where, folder, files, np.array(labels, np.int64), found)


def open_shards(
    path: Path, where: str, split: Split, names: tuple[str, ...] | None, request: LabelRequest
) -> PictureSource:
    """The pictures of a split's shards, with their labels. names: as open_folder has them. Raises DataError."""
    samples = open_samples(path, split, where, request)
    if request.kind != "classes":
        if samples.labels is None and request.kind is not None:
            raise DataError(f"{where}: {samples.unlabelled}")
        return PictureSource(where, path, samples, samples.labels, samples.names)
    if samples.labels is None:
        raise DataError(f"{where}: {samples.unlabelled}; or set data.target = 'features' (--target features)")
    numbers = samples.labels
    if names is not None and samples.names is not None:
        fault = class_names_fault(path, where, samples.names, names)
        if fault is not None:
            raise DataError(fault)
        check_labels(numbers, len(samples.names), where)
        numbers = np.array([names.index(name) for name in samples.names], np.int64)[numbers]
    return PictureSource(where, path, samples, numbers, samples.names)


def open_npz(path: Path, where: str, pair: tuple[str, str], inputs: ArrayInputs | None = None) -> PictureSource:
    """The pictures, or the rows of `inputs`, and labels of an .npz under the names in `pair`. Raises DataError."""
    headers = read_headers(path, where)
    faults = pair_faults(headers, pair, path, where, inputs)
    if faults:
        raise several(DataError, faults)
    labels = load_array(path, pair[1], where).reshape(-1).astype(np.int64)
    return PictureSource(f"{where}: {path}: {pair[0]}", path, _samples(path, pair[0], where, inputs), labels, None)


def open_npz_targets(
    path: Path, where: str, pair: tuple[str, str | None], inputs: ArrayInputs | None = None
) -> PictureSource:
    """The same with targets of (n, outputs), float32, as `labels`; without where `pair` names none."""
    pictures = _samples(path, pair[0], where, inputs)
    targets = None
    if pair[1] is not None:
        targets = load_array(path, pair[1], where).astype(np.float32)
        targets = targets.reshape(len(targets), -1)
    return PictureSource(f"{where}: {path}: {pair[0]}", path, pictures, targets, None)


def open_rows(path: Path, where: str, inputs: ArrayInputs) -> PictureSource:
    """The rows of x_train, with classes of y_train where it has them. Raises DataError."""
    fault = array_file_fault(str(path), where)
    if fault is not None:
        raise DataError(fault)
    headers = read_headers(path, where)
    if "y_train" in headers and not pair_faults(headers, ("x_train", "y_train"), path, where, inputs):
        return open_npz(path, where, ("x_train", "y_train"), inputs)
    faults = sample_faults(headers, "x_train", path, where, inputs)
    if faults:
        raise several(DataError, faults)
    return PictureSource(f"{where}: {path}: x_train", path, open_rows_of(path, "train", inputs, where), None, None)


def open_any(path: str, where: str, request: LabelRequest) -> PictureSource:
    """The images at `path`, with labels where it has them: class folders, a flat folder, shards, or an .npz.

    Of an .npz: x_train (with y_train), or the only array that can be pictures. request: of shards. Raises DataError.
    """
    fault = kind_fault(path, where)
    if fault is not None:
        raise DataError(fault)
    if is_sharded(path):
        return _open_any_shards(Path(path), where, request)
    if not Path(path).is_dir():
        return _open_any_npz(Path(path), where)
    files = image_files(Path(path))
    if not files:
        raise DataError(f"{where}: {path} holds no image")
    if any(file.parent == Path(path) for file in files):
        return PictureSource(where, Path(path), files, None, None)
    tops = [file.relative_to(path).parts[0] for file in files]
    return PictureSource(where, Path(path), files, np.unique(tops, return_inverse=True)[1].astype(np.int64), None)


def check_bytes(parts: Iterable[np.ndarray], dtype: str, where: str) -> None:
    """Nothing, if all values are whole numbers in 0..255, as pictures are; parts: of the array, of any type but bytes.

    Values that are no bytes, and floats that never exceed 1, are taken for scaled pixels. Raises DataError.
    """
    lows, highs, fractions = list[float](), list[float](), False
    is_float = np.dtype(dtype).kind == "f"
    for part in parts:
        lows.append(part.min())
        highs.append(part.max())
        fractions = fractions or (is_float and bool(np.any(part != np.rint(part))))
    low, high = np.min(lows), np.max(highs)
    if low >= 0 and high <= 255 and not fractions and not (is_float and high <= 1):
        return
    scaled = is_float and low >= 0 and high <= 1
    remedy = "multiply by 255, round and save as uint8" if scaled else "save the original pixels as uint8"
    raise DataError(
        f"{where} holds {np.dtype(dtype)} values from {low:g} to {high:g}; bytes 0..255 are expected; {remedy}, or set "
        "data.kind = 'arrays' (--kind arrays) if they are what the model takes"
    )


def _samples(path: Path, name: str, where: str, inputs: ArrayInputs | None) -> Member | RowMembers:
    if inputs is None:
        return open_member(path, name, where)
    return open_rows_of(path, name.removeprefix("x_"), inputs, where)


def _open_any_shards(path: Path, where: str, request: LabelRequest) -> PictureSource:
    try:
        samples = open_samples(path, "train", where, request)
    except DataError:  # of the labels, which nobody needs, or said again
        samples = open_samples(path, "train", where, replace(request, kind=None, label_columns=()))
    # Values and tags say nothing of which pictures are alike.
    classes = samples.labels if samples.labels is not None and samples.labels.ndim == 1 else None
    return PictureSource(where, path, samples, classes, None)


def _open_any_npz(path: Path, where: str) -> PictureSource:
    headers = read_headers(path, where)
    pair = ("x_train", "y_train")
    # Values and tags say nothing of which pictures are alike, so that their pictures count alone.
    if set(pair) <= set(headers) and not pair_faults(headers, pair, path, where):
        return open_npz(path, where, pair)
    name = _only_pictures(headers, path, where)
    faults = picture_faults(headers[name], name, path, where)
    if faults:
        raise DataError(faults[0])
    return PictureSource(f"{where}: {path}: {name}", path, open_member(path, name, where), None, None)


def _only_pictures(headers: dict[str, Header], path: Path, where: str) -> str:
    if "x_train" in headers:
        return "x_train"
    found = [name for name, header in headers.items() if header.is_pictures]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(found or headers) or "nothing"
    what = "several arrays of pictures" if found else "no array of pictures"
    raise DataError(f"{where}: {path} holds {what} ({shown}); call the one to use x_train")
