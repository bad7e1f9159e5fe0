"""What an import of an .onnx file would take, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from edgecut.render.grid import Fitted, fitted

_PLACES = 3  # names of nodes that are shown of a refused operator


class Refusal(Protocol):
    """An operator that no layer computes."""

    @property
    def operator(self) -> str:
        """Its name."""

    @property
    def places(self) -> tuple[str, ...]:
        """The nodes of it."""

    @property
    def reason(self) -> str:
        """Why."""


def import_table(operators: Mapping[str, int], becomes: Mapping[str, str], refused: Sequence[Refusal]) -> Fitted:
    """One row for each operator: how often, and what it becomes, or why it doesn't and where it is."""
    reasons = {item.operator: item for item in refused}
    rows = []
    for operator, count in operators.items():
        item = reasons.get(operator)
        rows.append((operator, str(count), becomes.get(operator, "") if item is None else _refusal(item)))
    return fitted(("<operator", "nodes", "~becomes"), rows, ("nodes",))


def _refusal(item: Refusal) -> str:
    more = f" and {len(item.places) - _PLACES} more" if len(item.places) > _PLACES else ""
    return f"refused: {item.reason}; at {', '.join(map(_name, item.places[:_PLACES]))}{more}"


def _name(place: str) -> str:
    """A node's name as it is, or with its line ends and the like spelled out."""
    return place if place.isprintable() else repr(place)
