"""Documents (recipes, profiles) checked against their records: every fault at once, in plain words."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgecut.errors import DocumentError, RequestError
from edgecut.records.faults import describe_faults, tuples
from edgecut.records.lfs import POINTER, is_pointer
from edgecut.records.nearest import closest
from edgecut.records.units import parse_bytes, parse_seconds


def _no_switch(value: object) -> object:
    # To Python true is 1, and pydantic's Literal compares with ==, strict or not.
    if isinstance(value, bool):
        raise ValueError(f"expected one of 1, 3, 4, found {value!r}")
    return value


def check_order(order: str | None, channels: int | None) -> None:
    """Nothing for channels that an order can name. Raises ValueError for another number of them than it has."""
    width = {"gray": 1, "rgb": 3, "bgr": 3, "yuv": 3, "rgba": 4}.get(order or "")
    if width is not None and channels not in {None, width}:
        raise ValueError(f"order {order!r} has {width} channel{'s' * (width > 1)}, and channels is {channels}")


Channels = Annotated[Literal[1, 3, 4], BeforeValidator(_no_switch)]
SizeBytes = Annotated[int, BeforeValidator(parse_bytes)]
Seconds = Annotated[float, BeforeValidator(parse_seconds)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


__all__ = [
    "MOST_JSON_BYTES",
    "Channels",
    "Finite",
    "Record",
    "Seconds",
    "SizeBytes",
    "check_order",
    "closest",
    "parse",
    "read_json",
    "read_toml",
]


class Record(BaseModel):
    """A frozen record in which an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def to_dict(self) -> dict[str, object]:
        """The record as JSON-ready data, keys as in the documents."""
        return self.model_dump(mode="json", by_alias=True)


R = TypeVar("R", bound=Record)
# A device may never end, and no recipe or profile is near this.
_MOST_BYTES = 4 * 2**20
MOST_JSON_BYTES = 64 * 2**20  # a report of a large search has a few MiB


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file. Raises RequestError if it is missing or is no TOML."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise RequestError(f"{path}: is no TOML that edgecut reads: it has more than {_MOST_BYTES // 2**20} MiB")
        if is_pointer(content):
            raise RequestError(f"{path}: {POINTER}")
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors on Windows put a byte order mark in front
    except FileNotFoundError as exc:
        raise RequestError(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        raise RequestError(f"{path}: is a folder; a TOML file is expected") from exc
    except PermissionError as exc:
        raise RequestError(f"{path}: can't be read (permission denied)") from exc
    except UnicodeDecodeError as exc:
        raise RequestError(f"{path}: is no TOML text (not UTF-8)") from exc
    except RecursionError as exc:
        raise RequestError(f"{path}: is no valid TOML: its values are nested too deeply") from exc
    except tomllib.TOMLDecodeError as exc:
        raise RequestError(f"{path}: is no valid TOML: {exc}") from exc
    except ValueError as exc:  # a whole number of more digits than Python reads
        raise RequestError(f"{path}: is no valid TOML: {str(exc).partition(';')[0]}") from exc


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file of a folder that others filled. Links are followed.

    Raises OSError, RecursionError, and ValueError for what is no file, larger than any report, or no JSON object.
    """
    if path.exists() and not path.is_file():
        raise ValueError("is no file (a folder, a pipe or a device)")
    size = path.stat().st_size
    if size > MOST_JSON_BYTES:
        raise ValueError(f"is {size} bytes large; at most {MOST_JSON_BYTES} are read")
    value: object = json.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    return value


def parse(record: type[R], data: Mapping[str, object], where: str) -> R:
    """The record that `data` describes.

    where: the document's name, put in front of each fault.
    Raises DocumentError with all faults, each "where: dotted.path: what is wrong".
    """
    try:
        # Strict: "10" is no whole number and true is not 1. A key has one spelling, the document's.
        return record.model_validate(tuples(record, data), strict=True, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise DocumentError([f"{where}: {fault}" for fault in describe_faults(record, exc, data)]) from exc
