"""Encoded pictures of a shard, and their classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np


class Encoded(NamedTuple):
    """A picture as it lies in a shard. place: which, for a sentence. content: its bytes, None where it has none."""

    place: str
    content: bytes | None


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a shard's pictures. numbers: (n,) int64, places in `names` where something names them.

    is_declared: whether the shard lists the names, also those that no picture has.
    """

    numbers: np.ndarray
    names: tuple[str, ...] | None = None
    is_declared: bool = False


class Shard(Protocol):
    """A file of pictures. classes: None where it has none, and `unlabelled` says why, after the file's name."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def classes(self) -> Classes | None:
        """Of its pictures."""

    @property
    def unlabelled(self) -> str:
        """Why there are no classes."""

    def __len__(self) -> int:
        """The number of pictures."""

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places. Raises DataError for a damaged file."""
