"""Figures that are nan or infinity, which JSON hasn't, as unknown ones."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from edgecut.errors import RunError
from edgecut.records.document import Record
from edgecut.records.escapes import with_nulls

R = TypeVar("R", bound=Record)


def finite(record: R, name: str) -> R:
    """The record with None for each figure that isn't finite, and a note that says where they were.

    record: of a kind that has notes. name: of the file that it is written to.
    Raises RunError where a figure can't be unknown.
    """
    data, places = with_nulls(record.to_dict())
    if not places or not isinstance(data, dict):
        return record
    note = f"{', '.join(places)}: nan or infinity was computed, so unknown; a layer puts it out for some input"
    try:
        return type(record).model_validate({**data, "notes": (*data["notes"], note)})
    except ValidationError as exc:
        raise RunError(
            f"{name}: {', '.join(places)}: nan or infinity was computed, where a finite number is expected; cut the "
            "model before the layer that puts it out, or leave out the input that it is put out for"
        ) from exc
