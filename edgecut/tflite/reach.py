"""Which operators of a file compute a tensor, and what a part of a file needs to be fed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from edgecut.errors import GraphError

# What stands for a tensor: its index in a .tflite file, its name in an .onnx file.
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Node(Generic[Key]):
    """One operator: the tensors that it takes (constants included, absent ones left out) and puts out."""

    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]


@dataclass(frozen=True)
class Part(Generic[Key]):
    """What is kept of a file: the places of its operators in order, and the tensors that feed them, in order."""

    kept: tuple[int, ...]
    entries: tuple[Key, ...]


@dataclass(frozen=True)
class Network(Generic[Key]):
    """A file's operators in execution order, and the tensors that feed it. label: what a tensor is called."""

    nodes: tuple[Node[Key], ...]
    inputs: tuple[Key, ...]
    label: Callable[[Key], str]

    @cached_property
    def producer(self) -> dict[Key, int]:
        """The place of the operator that puts a tensor out."""
        return {tensor: k for k, node in enumerate(self.nodes) for tensor in node.outputs}

    @cached_property
    def fed(self) -> tuple[Key, ...]:
        """The tensors that depend on an input, inputs first, in execution order; the others are constant."""
        found = dict.fromkeys(self.inputs)
        for node in self.nodes:
            if any(tensor in found for tensor in node.inputs):
                found.update(dict.fromkeys(node.outputs))
        return tuple(found)

    def part(self, wanted: Sequence[Key], starts: Sequence[Key] = ()) -> Part[Key]:
        """The operators that compute `wanted` from `starts`, or from the file's inputs without any.

        Raises GraphError where there is nothing between, where a start isn't used, or where more than the starts is
        needed: the tensors that bypass them, and the nearest starts that would do, are then named.
        """
        fixed = [tensor for tensor in (*wanted, *starts) if tensor not in self.fed]
        if fixed:
            raise GraphError(
                f"{self._names(fixed)} is computed from constants alone; name a tensor that an input feeds"
            )
        same = [tensor for tensor in wanted if tensor in starts]
        if same:
            raise GraphError(f"from {self._names(same)} to itself there is nothing; end behind it")
        kept, reached = self._needed(wanted, starts)
        entries = tuple(starts) if starts else tuple(tensor for tensor in self.inputs if tensor in reached)
        if starts:
            self._check_starts(wanted, starts, kept)
        if not kept:
            raise GraphError(f"to {self._names(wanted)}: no operator is kept; end behind the first operator")
        return Part(tuple(sorted(kept)), entries)

    def bypass(self, wanted: Sequence[Key], starts: Sequence[Key]) -> tuple[Key, ...]:
        """The tensors besides `starts` that are needed to compute `wanted`; () where the starts suffice."""
        kept, reached = self._needed(wanted, starts)
        if not reached - set(starts):
            return ()
        fed, behind = set(self.fed), self._behind(starts)
        made = set(starts) | {tensor for k in kept & behind for tensor in self.nodes[k].outputs}
        taken = [tensor for k in sorted(kept & behind) for tensor in self.nodes[k].inputs]
        return tuple(dict.fromkeys(t for t in (*taken, *wanted) if t in fed and t not in made))

    def _needed(self, wanted: Iterable[Key], starts: Collection[Key]) -> tuple[set[int], set[Key]]:
        """(the operators that compute `wanted`, the inputs of the file that they reach), nothing before `starts`."""
        pending, inputs = [tensor for tensor in wanted if tensor not in starts], set(self.inputs)
        kept: set[int] = set()
        reached: set[Key] = {tensor for tensor in pending if tensor in inputs}
        while pending:
            place = self.producer.get(pending.pop())
            if place is None or place in kept:
                continue
            kept.add(place)
            reached.update(t for t in self.nodes[place].inputs if t in inputs and t not in starts)
            pending.extend(t for t in self.nodes[place].inputs if t not in starts and t not in inputs)
        return kept, reached

    def _behind(self, starts: Iterable[Key]) -> set[int]:
        made: set[Key] = set(starts)
        found: set[int] = set()
        for place, node in enumerate(self.nodes):
            if any(tensor in made for tensor in node.inputs):
                found.add(place)
                made.update(node.outputs)
        return found

    def _check_starts(self, wanted: Sequence[Key], starts: Sequence[Key], kept: set[int]) -> None:
        taken = {tensor for place in kept for tensor in self.nodes[place].inputs}
        idle = [tensor for tensor in starts if tensor not in taken]
        if idle:
            raise GraphError(
                f"from {self._names(idle)}: {self._names(wanted)} isn't computed from it; name a start that leads there"
            )
        missing = self.bypass(wanted, starts)
        if missing:
            near = self._nearest(wanted, starts[0])
            raise GraphError(
                f"from {self._names(starts)}: the rest also needs {self._names(missing)}; name all of them"
                f"{f', or start at {near}' if near else ''}"
            )

    def _nearest(self, wanted: Sequence[Key], start: Key) -> str:
        """The legal starts before and after a tensor, as "'a' or 'b'"; "" if there are none."""
        place = self.fed.index(start)
        before = next((t for t in reversed(self.fed[:place]) if self._is_legal(wanted, t)), None)
        after = next((t for t in self.fed[place + 1 :] if self._is_legal(wanted, t)), None)
        return " or ".join(repr(self.label(tensor)) for tensor in (before, after) if tensor is not None)

    def _is_legal(self, wanted: Sequence[Key], start: Key) -> bool:
        return start not in wanted and bool(self._behind((start,))) and not self.bypass(wanted, (start,))

    def _names(self, tensors: Iterable[Key]) -> str:
        return ", ".join(repr(self.label(tensor)) for tensor in tensors)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """What each tensor is called: its name without those of what was fused into it, where that means no other tensor.

    Converters join the names of fused operators with semicolons, the one that puts the tensor out first.
    """
    names = tuple(dict.fromkeys(names))
    counts = Counter(name.partition(";")[0] for name in names)
    return {name: name if counts[name.partition(";")[0]] > 1 else name.partition(";")[0] for name in names}


def matching(ref: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that a reference means: the whole name, else its beginning, else any of those that were fused."""
    names = tuple(names)
    rules: tuple[Callable[[str], bool], ...] = (
        lambda name: name == ref,
        lambda name: name.partition(";")[0] == ref,
        lambda name: ref in name.split(";"),
    )
    return next((found for rule in rules if (found := tuple(filter(rule, names)))), ())
