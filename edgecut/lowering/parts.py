"""What parts of a model have in common: the calls that tensors need, as bit masks over the positions of an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgecut.graph.layer_call import LayerCall
from edgecut.graph.tensor import Tensor

# Layers without weights: a converter computes equal ones on the same tensor once.
MERGED = frozenset({"Activation", "AveragePooling2D", "Cropping2D", "MaxPooling2D", "ReLU", "ZeroPadding2D"})


class Parts:
    """A model's calls in an order in which each is behind what it reads, and what any part of them has in common."""

    def __init__(self, order: Sequence[LayerCall]) -> None:
        """order: all calls."""
        self.order = tuple(order)
        self.position = {tensor: position for position, call in enumerate(self.order) for tensor in call.outputs}
        self.needs: dict[Tensor, int] = {}  # the calls that a tensor is computed from
        self.equal: dict[int, int] = {}  # of a call, those before it that compute the same
        self.alike: dict[Tensor, Tensor] = {}  # the first tensor that equals one
        self.readers: dict[Tensor, list[int]] = {}  # the calls that read a tensor or one that equals it
        self.touches: list[int] = []  # the first call that a call's presence changes anything for
        seen: dict[tuple[object, ...], int] = {}
        for position, call in enumerate(self.order):
            inputs = [self.alike.get(tensor, tensor) for tensor in call.inputs]
            mask = 1 << position
            for tensor, alike in zip(call.inputs, inputs, strict=True):
                mask |= self.needs[tensor]
                self.readers.setdefault(alike, []).append(position)
            self.needs.update(dict.fromkeys(call.outputs, mask))
            self.touches.append(min((self.readers[alike][0] for alike in inputs), default=position))
            if call.type in MERGED:
                key = (call.type, _settings(call), *inputs)
                self.equal[position] = seen.get(key, 0)
                seen[key] = self.equal[position] | 1 << position
                first = self.order[_lowest(seen[key])]
                self.alike.update(zip(call.outputs, first.outputs, strict=True))

    def part(self, ends: Sequence[Tensor]) -> Part:
        """What some tensors need."""
        mask = 0
        for tensor in ends:
            mask |= self.needs[tensor]
        return Part(self, mask, tuple(ends))

    def in_turn(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Tensors in an order in which those that need the same calls at first are next to each other."""
        return sorted(tensors, key=self._needed)

    def _needed(self, tensor: Tensor) -> str:
        """The calls that a tensor needs, the first one first, as digits."""
        return bin(self.needs[tensor])[:1:-1]

    def first_change(self, one: Part, other: Part) -> int:
        """The first position at which two parts may become something else; behind all where they are the same."""
        changes = [self.touches[position] for position in _bits(one.mask ^ other.mask)]
        for tensor in {*one.ends} ^ {*other.ends}:
            changes += self.readers.get(self.alike.get(tensor, tensor), [])[:1]
        return min(changes, default=len(self.order))


@dataclass(frozen=True)
class Part:
    """The calls of a model that its ends need. mask: their positions."""

    parts: Parts
    mask: int
    ends: tuple[Tensor, ...]

    def positions(self, start: int) -> Iterator[int]:
        """Those from a position on, without calls that repeat another one."""
        return (k for k in _bits(self.mask >> start << start) if not self.parts.equal.get(k, 0) & self.mask)

    def same(self, tensor: Tensor) -> Tensor:
        """What stands for a tensor: the first that equals it."""
        position = self.parts.position[tensor]
        earlier = self.parts.equal.get(position, 0) & self.mask
        if not earlier:
            return tensor
        return self.parts.order[_lowest(earlier)].outputs[self.parts.order[position].outputs.index(tensor)]

    def is_sole(self, tensor: Tensor) -> bool:
        """Whether a value has one reader and isn't put out, so that it needn't exist."""
        if any(self.same(end) is self.same(tensor) for end in self.ends):
            return False
        readers = self.parts.readers.get(self.parts.alike.get(tensor, tensor), ())
        return sum(self.mask >> k & 1 and not self.parts.equal.get(k, 0) & self.mask for k in readers) == 1


def _settings(call: LayerCall) -> str:
    """What makes a layer equal to another; a layer without settings is equal to itself alone."""
    return repr({key: value for key, value in call.config.items() if key != "name"}) if call.config else call.name


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _bits(mask: int) -> list[int]:
    return [position for position, bit in enumerate(bin(mask)[:1:-1]) if bit == "1"]
