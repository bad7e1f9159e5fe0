"""A value that flows through a graph of calls, and what it is computed from; without Keras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value that flows through the graph. shape: with the batch axis first, None where it is open."""

    shape: tuple[int | None, ...]
    dtype: str
    sparse: bool = False


class Reader(Protocol):
    """What takes tensors in."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that it takes."""


R = TypeVar("R", bound=Reader)


def needed(producer: Mapping[Tensor, R], tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[R]:
    """The calls that the tensors are computed from, their own included, nothing beyond the tensors in `stop`."""
    ends = set(stop)
    pending = [tensor for tensor in tensors if tensor not in ends]
    found: set[R] = set()
    while pending:
        call = producer[pending.pop()]
        if call not in found:
            found.add(call)
            pending.extend(tensor for tensor in call.inputs if tensor not in ends)
    return found
