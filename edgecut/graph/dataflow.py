"""A model's calls in plain values with what it takes and puts out, and what depends on what; without Keras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from edgecut.graph.layer_call import LayerCall
from edgecut.graph.tensor import Reader, Tensor, needed


class Caller(Reader, Protocol):
    """What takes tensors in and puts tensors out; a model input puts one out."""

    @property
    def is_input(self) -> bool:
        """Whether this is a model input rather than a computation."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that it puts out."""


C = TypeVar("C", bound=Caller)
C_co = TypeVar("C_co", bound=Caller, covariant=True)


class Flow(Protocol[C_co]):
    """Calls in an order in which they can be run: live ones (graph/callgraph.py), or a Dataflow."""

    def __iter__(self) -> Iterator[C_co]:
        """The calls."""

    def __len__(self) -> int:
        """How many there are."""

    @property
    def producer(self) -> Mapping[Tensor, C_co]:
        """The call that puts a tensor out."""

    @property
    def tensor_name(self) -> Mapping[Tensor, str]:
        """What a tensor is called."""

    @property
    def flat_inputs(self) -> tuple[Tensor, ...]:
        """What the model takes, without its structure."""

    @property
    def flat_outputs(self) -> tuple[Tensor, ...]:
        """What the model puts out, without its structure."""


@dataclass(frozen=True)
class Dataflow:
    """The calls of a model, nested models opened, model inputs first: the same of a live model and of a saved one."""

    calls: tuple[LayerCall, ...]
    flat_inputs: tuple[Tensor, ...]
    flat_outputs: tuple[Tensor, ...]

    def __iter__(self) -> Iterator[LayerCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    @cached_property
    def producer(self) -> Mapping[Tensor, LayerCall]:
        """The call that puts a tensor out."""
        return {tensor: call for call in self.calls for tensor in call.outputs}

    @cached_property
    def tensor_name(self) -> Mapping[Tensor, str]:
        """What a tensor is called: its call's name, "name:j" where the call puts several out."""
        return tensor_names((call.name, call.outputs) for call in self.calls)


def tensor_names(rows: Iterable[tuple[str, tuple[Tensor, ...]]]) -> dict[Tensor, str]:
    """What the tensors of (call, what it puts out) are called: the call's name, "name:j" where it puts several out."""
    return {
        tensor: name if len(outputs) == 1 else f"{name}:{index}"
        for name, outputs in rows
        for index, tensor in enumerate(outputs)
    }


def call_names(paths: Sequence[str]) -> list[str]:
    """The name of each call: its layer's, "layer@k" for the k-th where a layer is called more than once."""
    counts, seen = Counter(paths), Counter[str]()
    names = []
    for path in paths:
        names.append(f"{path}@{seen[path]}" if counts[path] > 1 else path)
        seen[path] += 1
    return names


def ancestors(flow: Flow[C], tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[C]:
    """The calls that the tensors are computed from, their own included, nothing beyond the tensors in `stop`."""
    return needed(flow.producer, tensors, stop)


def descendants(flow: Flow[C], tensors: Iterable[Tensor]) -> set[C]:
    """The calls that depend on any of the tensors."""
    reached = set(tensors)
    found: set[C] = set()
    for call in flow:
        if any(tensor in reached for tensor in call.inputs):
            found.add(call)
            reached.update(call.outputs)
    return found
