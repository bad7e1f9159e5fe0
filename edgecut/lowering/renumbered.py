"""A graph of some tensors and operators of a larger one, under numbers of its own."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress, count
from operator import attrgetter, is_not

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

_INDEX = attrgetter("index")


class Renumbered:
    """The graphs of some of a builder's tensors and operators; what two in a row begin with is the same objects."""

    def __init__(self) -> None:
        """Nothing is renumbered yet."""
        # What was renumbered last, and what became of it.
        self._last: tuple[Sequence[Tensor], Sequence[Operator]] = (), ()
        self._graph = TfliteGraph((), (), (), ())

    def graph(
        self, tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
    ) -> TfliteGraph:
        """The graph of these tensors, which ascend, numbered from 0; inputs, outputs: by the numbers that they had.

        An operator has no tensor that is behind one of a later operator, unless both have it.
        """
        # Of few tensors' numbers the new one is needed: a table of all takes longer than looking these up.
        new = partial(bisect_left, tensors, key=_INDEX)
        alike = _alike(self._last[0], tensors)
        numbered = tensors[alike].index if alike < len(tensors) else math.inf
        ready = _alike(self._last[1], operators)
        while ready and max(*operators[ready - 1].inputs, *operators[ready - 1].outputs) >= numbered:
            ready -= 1
        self._last = tensors, operators
        before = self._graph
        self._graph = TfliteGraph(
            (*before.tensors[:alike], *map(_tensor, tensors[alike:], count(alike))),
            (*before.operators[:ready], *[_operator(operators[k], k, new) for k in range(ready, len(operators))]),
            tuple(map(new, inputs)),
            tuple(map(new, outputs)),
        )
        self._graph.results.update({rule: rows[:ready] for rule, rows in before.results.items()})
        return self._graph


def _tensor(tensor: Tensor, number: int) -> Tensor:
    if number == tensor.index:
        return tensor
    # As dataclasses.replace makes it, with the sizes that were counted already: a large net's cuts make 70,000.
    result = object.__new__(Tensor)
    vars(result).update(vars(tensor), index=number)
    return result


def _operator(operator: Operator, number: int, new: Callable[[int], int]) -> Operator:
    inputs, outputs = (tuple(map(new, side)) for side in (operator.inputs, operator.outputs))
    if (number, inputs, outputs) == (operator.index, operator.inputs, operator.outputs):
        return operator
    return replace(operator, index=number, inputs=inputs, outputs=outputs)


def _alike(one: Sequence[object], other: Sequence[object]) -> int:
    """How many objects two rows begin with that are the same."""
    return next(compress(count(), map(is_not, one, other)), min(len(one), len(other)))
