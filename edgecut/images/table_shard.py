"""A Parquet or Arrow file: a column of encoded pictures, and one of their classes, as Hugging Face writes them.

The only module that imports pyarrow, which comes with the extra `parquet`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import DataError
from edgecut.images.encoded import Classes, Encoded
from edgecut.records.packages import missing

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 64  # pictures read at once
_LABEL_ROWS = 1 << 16
_BUFFER_BYTES = 1 << 20
_LABEL_NAMES = ("label", "labels", "class", "cls")
_PICTURE_NAMES = ("image", "img", "picture", "jpg", "png")


@dataclass(frozen=True)
class _Columns:
    """Which columns are read. declared: the classes' names, where the file lists them."""

    picture: str
    is_struct: bool
    label: str | None
    declared: tuple[str, ...] | None
    unlabelled: str


@dataclass(frozen=True, eq=False)
class TableShard:
    """The pictures of a file."""

    path: Path
    columns: _Columns
    rows: int
    classes: Classes | None

    @property
    def unlabelled(self) -> str:
        """Why there are no classes, after the file's name."""
        return self.columns.unlabelled

    def __len__(self) -> int:
        """The number of pictures."""
        return self.rows

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places. Raises DataError for a damaged file."""
        first, columns = 0, self.columns
        selected = f"{columns.picture}.bytes" if columns.is_struct else columns.picture
        with _sentences(self.path, where):
            for batch in _batches(self.path, columns.picture, selected, _ROWS):
                here = chosen[slice(*np.searchsorted(chosen, (first, first + len(batch))))]
                pictures = batch.column(0)
                for row in here:
                    value = pictures[int(row) - first].as_py()
                    content = value["bytes"] if columns.is_struct and value is not None else value
                    yield Encoded(f"{self.path}: row {row}", content)
                first += len(batch)
                if not len(chosen) or first > chosen[-1]:
                    return


def open_table(path: Path, where: str, *, labelled: bool = True) -> TableShard:
    """The pictures of a file and their classes, from its schema and the column of labels alone.

    Raises DataError; MissingRuntimeError without pyarrow.
    """
    if (error := missing("pyarrow")) is not None:
        raise error
    with _sentences(path, where):
        schema = _schema(path)
        columns = _columns(schema, path, where)
        if not labelled or columns.label is None:
            return TableShard(path, columns, _row_count(path, columns), None)
        numbers, names = _labels(path, columns.label, where)
    classes = Classes(numbers, columns.declared or names, columns.declared is not None)
    return TableShard(path, columns, len(numbers), classes)


@contextlib.contextmanager
def _sentences(path: Path, where: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:  # of a column's name
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise DataError(f"{where}: {path} can't be read ({reason}); write or fetch it again") from exc


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _schema(path: Path) -> pa.Schema:
    import pyarrow.parquet

    if _is_parquet(path):
        return pyarrow.parquet.read_schema(path)
    with _record_batches(path) as (schema, _):
        return schema


def _row_count(path: Path, columns: _Columns) -> int:
    import pyarrow.parquet

    if _is_parquet(path):
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    return sum(len(batch) for batch in _batches(path, columns.picture, columns.picture, _LABEL_ROWS))


def _batches(path: Path, column: str, selected: str, rows: int) -> Iterator[pa.RecordBatch]:
    """A column, some rows at a time. selected: it, or the field of it that is read."""
    import pyarrow.parquet

    if _is_parquet(path):
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=rows, columns=[selected], use_threads=False)
        return
    with _record_batches(path) as (_, batches):
        for batch in batches:
            only = batch.select([column])
            only.validate(full=True)  # a foreign file's offsets lead anywhere, and Parquet's are made by the reader
            yield from (only.slice(first, rows) for first in range(0, len(only), rows))


@contextlib.contextmanager
def _record_batches(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The batches of an Arrow file, of either kind: with an index at its end, or the stream that datasets writes."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            yield stream.schema, iter(stream)
            return
        yield file.schema, (file.get_batch(index) for index in range(file.num_record_batches))


def _columns(schema: pa.Schema, path: Path, where: str) -> _Columns:
    """The columns of pictures and classes. Raises DataError that says which there are."""
    features = _features(schema)
    pictures = [name for name, feature in features.items() if feature.get("_type") == "Image" and name in schema.names]
    pictures = pictures or [field.name for field in schema if _holds_pictures(field.type)]
    picture = _the_one(pictures, _PICTURE_NAMES)
    shown = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
    if picture is None or not _holds_pictures(schema.field(picture).type):
        what = "several columns of pictures" if len(pictures) > 1 else "no column of encoded pictures"
        raise DataError(
            f"{where}: {path} has {what}; its columns are {shown}, and one of bytes, or of a struct with bytes, is "
            "expected: call it image"
        )
    labels = [
        name for name, feature in features.items() if feature.get("_type") == "ClassLabel" and name in schema.names
    ]
    labels = labels or [field.name for field in schema if field.name in _LABEL_NAMES]
    label = _the_one(labels, _LABEL_NAMES)
    is_struct = schema.field(picture).type.num_fields > 0
    if label is None or not _holds_classes(schema.field(label).type):
        what = "several columns of labels" if len(labels) > 1 and label is None else "no column of labels"
        why = f"has {what}; its columns are {shown}, and one of whole numbers or names is expected: call it label"
        return _Columns(picture, is_struct, None, None, why)
    return _Columns(picture, is_struct, label, _declared(features.get(label, {})), "")


def _the_one(columns: list[str], names: tuple[str, ...]) -> str | None:
    """The only column, or of several the one with the first of these names."""
    return columns[0] if len(columns) == 1 else next((name for name in names if name in columns), None)


def _features(schema: pa.Schema) -> dict[str, dict[str, object]]:
    """{column: what Hugging Face's metadata say of it}; {} where there are none that can be read."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata["info"]["features"]
        return {str(name): feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _declared(feature: dict[str, object]) -> tuple[str, ...] | None:
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not isinstance(names, list) or len(set(map(str, names))) != len(names):
        return None
    return tuple(map(str, names)) or None


def _holds_pictures(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_pictures(kind.field(place).type) and kind.field(place).type.num_fields == 0
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _holds_classes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _holds_names(kind.value_type)
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _holds_names(kind))


def _holds_names(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _labels(path: Path, label: str, where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """(numbers, the sorted names that they are places in), or (numbers, None). Raises DataError for a row without."""
    import pyarrow as pa

    numbers, place, first, named = [np.empty(0, np.int64)], dict[str, int](), 0, False
    for batch in _batches(path, label, label, _LABEL_ROWS):
        column = batch.column(0)
        if column.null_count:
            row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{where}: {path}: row {row} has no {label}; give it one, or leave the row out")
        named = pa.types.is_dictionary(column.type) or _holds_names(column.type)
        if named:
            coded = column.cast(pa.string()).dictionary_encode()
            own = [place.setdefault(name, len(place)) for name in coded.dictionary.to_pylist()]
            numbers.append(np.array(own, np.int64)[coded.indices.to_numpy()])
        else:
            numbers.append(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
        first += len(batch)
    joined = np.concatenate(numbers)
    if not named:
        return joined, None
    names = tuple(sorted(place))
    unnamed = next((name for name in names if not name.strip() or not name.isprintable()), None)
    if unnamed is not None:
        raise DataError(f"{where}: {path}: {label} holds {unnamed!r}; a name of one line is expected")
    number = {name: k for k, name in enumerate(names)}
    order = np.array([number[name] for name in place], np.int64)
    return order[joined], names
