"""A graph of some tensors and operators of a larger one, under numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph


class Renumbered:
    """The graphs of some of a builder's tensors and operators; what two in a row have in common is the same object."""

    def __init__(self) -> None:
        """Nothing is renumbered yet."""
        # By the new number: what was last renumbered to it, and what became of that.
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}
        self._operators: dict[int, tuple[Operator, Operator]] = {}

    def graph(
        self, tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
    ) -> TfliteGraph:
        """The graph of these tensors, numbered in this order; inputs, outputs: by the numbers that they had."""
        new = {tensor.index: number for number, tensor in enumerate(tensors)}
        return TfliteGraph(
            tuple(self._tensor(tensor, number) for number, tensor in enumerate(tensors)),
            tuple(self._operator(operator, number, new) for number, operator in enumerate(operators)),
            tuple(new[place] for place in inputs),
            tuple(new[place] for place in outputs),
        )

    def _tensor(self, tensor: Tensor, number: int) -> Tensor:
        last = self._tensors.get(number)
        if last is None or last[0] is not tensor:
            last = self._tensors[number] = tensor, replace(tensor, index=number)
        return last[1]

    def _operator(self, operator: Operator, number: int, new: dict[int, int]) -> Operator:
        inputs, outputs = (tuple([new[place] for place in side]) for side in (operator.inputs, operator.outputs))
        last = self._operators.get(number)
        if last is None or last[0] is not operator or (last[1].inputs, last[1].outputs) != (inputs, outputs):
            last = self._operators[number] = operator, replace(operator, index=number, inputs=inputs, outputs=outputs)
        return last[1]
