"""Encoded pictures of a shard, and their classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from edgecut.records.data import Data

LabelKind = Literal["classes", "values", "tags"]
"""What the labels of pictures are: a class each, or targets (n, outputs)."""


class Encoded(NamedTuple):
    """A picture as it lies in a shard. place: which, for a sentence. content: its bytes, None where it has none."""

    place: str
    content: bytes | None


@dataclass(frozen=True)
class LabelRequest:
    """What is read of a shard beside its pictures. kind: of the labels; None: none. image_column, label_columns: of a
    table, where the recipe names them.
    """

    kind: LabelKind | None = "classes"
    image_column: str = ""
    label_columns: tuple[str, ...] = ()


def requested(data: Data) -> LabelRequest:
    """What a recipe's [data] table asks of shards."""
    columns = (data.label_column,) if isinstance(data.label_column, str) else data.label_column or ()
    kind = None if data.target == "features" or data.target == "input" else data.target
    return LabelRequest(kind, data.image_column or "", columns)


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a shard's pictures. numbers: (n,) int64, places in `names` where something names them.

    is_declared: whether the shard lists the names, also those that no picture has.
    """

    numbers: np.ndarray
    names: tuple[str, ...] | None = None
    is_declared: bool = False


@dataclass(frozen=True, eq=False)
class Targets:
    """Values or tags of a shard's pictures. rows: (n, outputs) float32. names: of the outputs, where something does."""

    rows: np.ndarray
    names: tuple[str, ...] | None = None


class Shard(Protocol):
    """A file of pictures. labels: None where it has none of the kind that was asked for, and `unlabelled` says why,
    after the file's name. label_kind: what its labels are, by their types.
    """

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def labels(self) -> Classes | Targets | None:
        """Of its pictures."""

    @property
    def label_kind(self) -> LabelKind | None:
        """What they are."""

    @property
    def unlabelled(self) -> str:
        """Why there are no labels."""

    def __len__(self) -> int:
        """The number of pictures."""

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places. Raises DataError for a damaged file."""
