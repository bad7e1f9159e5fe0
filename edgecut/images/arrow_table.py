"""What pyarrow reads of a Parquet or Arrow file: columns of pictures and labels, as Hugging Face writes them.

Done in a child process alone (table_worker.py), since pyarrow is native code.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import DataError
from edgecut.images.encoded import Encoded, LabelKind

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 64  # pictures read at once
_LABEL_ROWS = 1 << 16
_BUFFER_BYTES = 1 << 20
_LABEL_NAMES = ("label", "labels", "class", "cls")
_PICTURE_NAMES = ("image", "img", "picture", "jpg", "png")


@dataclass(frozen=True)
class TableColumns:
    """Which columns are read. labels: several are values side by side. declared: names that the file lists.

    kind: what the labels are by their types, "" without any. unlabelled: why they aren't read, after the file's name.
    """

    picture: str
    is_struct: bool
    labels: tuple[str, ...]
    declared: tuple[str, ...] | None
    kind: LabelKind | None
    unlabelled: str


def columns_of(path: Path, where: str, picture: str, labels: Sequence[str]) -> TableColumns:
    """The columns that a file's schema shows. picture, labels: what the user chose, "" and () if nothing.

    Raises DataError that says which columns there are.
    """
    with sentences(path, where):
        schema = _schema(path)
        features = _features(schema)
        _check_chosen(schema, [name for name in (picture, *labels) if name], path, where)
        picture = picture or _own_picture(schema, features, path, where)
        kind = schema.field(picture).type
        if not _holds_pictures(kind):
            raise DataError(
                f"{where}: {path}: the column {picture!r} is {kind}; bytes, or a struct with bytes, are expected"
            )
        return _labelled(schema, features, picture, tuple(labels))


def row_count(path: Path, columns: TableColumns, where: str) -> int:
    """How many rows there are."""
    import pyarrow.parquet

    with sentences(path, where):
        if _is_parquet(path):
            return int(pyarrow.parquet.read_metadata(path).num_rows)
        with _record_batches(path) as (_, every):
            return sum(map(len, every))


def read_pictures(path: Path, columns: TableColumns, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
    """The pictures at sorted places. Raises DataError for a damaged file."""
    selected = f"{columns.picture}.bytes" if columns.is_struct else columns.picture
    with sentences(path, where):
        for first, batch in _batches_with(path, columns.picture, selected, chosen):
            here = chosen[slice(*np.searchsorted(chosen, (first, first + len(batch))))]
            pictures = batch.column(0)
            for row in here:
                value = pictures[int(row) - first].as_py()
                content = value["bytes"] if columns.is_struct and value is not None else value
                yield Encoded(f"row {row}", content)


def _check_chosen(schema: pa.Schema, names: Sequence[str], path: Path, where: str) -> None:
    for name in names:
        if schema.names.count(name) != 1:
            what = "no column" if name not in schema.names else "several columns"
            raise DataError(f"{where}: {path} has {what} {name!r}; its columns are {_shown(schema)}")


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"


def _own_picture(schema: pa.Schema, features: dict[str, dict[str, object]], path: Path, where: str) -> str:
    """The column that the schema calls one of pictures, or the only one that can be. Raises DataError."""
    pictures = [name for name, feature in features.items() if feature.get("_type") == "Image" and name in schema.names]
    pictures = pictures or [field.name for field in schema if _holds_pictures(field.type)]
    picture = _the_one(pictures, _PICTURE_NAMES)
    is_double = picture is not None and schema.names.count(picture) > 1
    if picture is None or is_double or not _holds_pictures(schema.field(picture).type):
        what = "several columns of pictures" if is_double or len(pictures) > 1 else "no column of encoded pictures"
        raise DataError(
            f"{where}: {path} has {what}; its columns are {_shown(schema)}, and one of bytes, or of a struct with "
            "bytes, is expected: call it image, or name it in data.image_column"
        )
    return picture


def _labelled(
    schema: pa.Schema, features: dict[str, dict[str, object]], picture: str, chosen: tuple[str, ...]
) -> TableColumns:
    """The columns with those of the labels, chosen ones or the only one that can be."""
    is_struct = schema.field(picture).type.num_fields > 0
    if len(chosen) > 1:
        odd = next((name for name in chosen if not is_number(schema.field(name).type)), None)
        why = f"has {schema.field(odd).type} in the column {odd!r}; several columns hold numbers each" if odd else ""
        return TableColumns(picture, is_struct, chosen, None, None if odd else "values", why)
    labels = [name for name, feature in features.items() if _class_names(feature) is not None and name in schema.names]
    labels = labels or [field.name for field in schema if field.name in _LABEL_NAMES]
    label = chosen[0] if chosen else _the_one(labels, _LABEL_NAMES)
    is_double = label is not None and schema.names.count(label) > 1
    if label is None or is_double:
        what = "several columns of labels" if is_double or len(labels) > 1 else "no column of labels"
        why = (
            f"has {what}; its columns are {_shown(schema)}, and one of whole numbers or names is expected: call it "
            "label, or name it in data.label_column"
        )
        return TableColumns(picture, is_struct, (), None, None, why)
    declared = _class_names(features.get(label, {})) or None
    kind = _kind_of(schema.field(label).type, is_declared=declared is not None)
    why = (
        "" if kind else f"has {schema.field(label).type} in the column {label!r}; numbers, names or lists are expected"
    )
    return TableColumns(picture, is_struct, (label,), declared, kind, why)


def _kind_of(kind: pa.DataType, *, is_declared: bool) -> LabelKind | None:
    """What a column's labels are, None for a type that none have."""
    import pyarrow as pa

    if _holds_classes(kind):
        return "classes"
    if pa.types.is_floating(kind):
        return "values"
    if is_list(kind):
        own = kind.value_type
        return "tags" if holds_names(own) or (is_declared and pa.types.is_integer(own)) else "values"
    return None


@contextlib.contextmanager
def sentences(path: Path, where: str) -> Iterator[None]:
    """Whatever pyarrow raises inside, as a DataError about the file."""
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


def batches(path: Path, column: str) -> Iterator[pa.RecordBatch]:
    """A column of labels, some rows at a time."""
    import pyarrow.parquet

    if _is_parquet(path):
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_LABEL_ROWS, columns=[column], use_threads=False)
        return
    with _record_batches(path) as (_, every):
        for batch in every:
            only = _validated(batch, column)
            yield from (only.slice(first, _LABEL_ROWS) for first in range(0, len(only), _LABEL_ROWS))


def _batches_with(path: Path, column: str, selected: str, chosen: np.ndarray) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, some rows) of a column, only from those row groups or batches that have chosen ones (sorted)."""
    import pyarrow.parquet

    first = 0
    if _is_parquet(path):
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if _are_any(chosen, first, count):
                    row = first
                    for batch in file.iter_batches(_ROWS, row_groups=[group], columns=[selected], use_threads=False):
                        yield row, batch
                        row += len(batch)
                first += count
        return
    with _record_batches(path) as (_, every):
        for batch in every:
            if _are_any(chosen, first, len(batch)):
                only = _validated(batch, column)
                yield from ((first + k, only.slice(k, _ROWS)) for k in range(0, len(only), _ROWS))
            first += len(batch)


def _are_any(chosen: np.ndarray, first: int, count: int) -> bool:
    """Whether a chosen place lies among so many rows."""
    start, end = np.searchsorted(chosen, (first, first + count))
    return bool(start < end)


def _validated(batch: pa.RecordBatch, column: str) -> pa.RecordBatch:
    """A column alone: a foreign file's offsets lead anywhere, and Parquet's are made by the reader."""
    only = batch.select([column])
    only.validate(full=True)
    return only


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


def _class_names(feature: dict[str, object]) -> tuple[str, ...] | None:
    """The names that a ClassLabel lists, or one in a list of such (whose spelling changed between versions)."""
    inner = feature.get("feature")
    if feature.get("_type") in ("Sequence", "List", "LargeList") and isinstance(inner, dict):
        feature = inner
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel":
        return None
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        return ()
    return tuple(map(str, names))


def _holds_pictures(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_pictures(kind.field(place).type) and kind.field(place).type.num_fields == 0
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _holds_classes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return holds_names(kind.value_type)
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or holds_names(kind))


def holds_names(kind: pa.DataType) -> bool:
    """Whether a column's values are texts."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether they are lists of numbers or of texts."""
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list) and (is_number(kind.value_type) or holds_names(kind.value_type))


def is_number(kind: pa.DataType) -> bool:
    """Whether they are numbers."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
