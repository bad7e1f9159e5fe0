"""Whether an input has its channels first: told by the operators that it reaches, never by its sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecut.runtime.onnx_kinds import CHANNELS_FIRST, SAME_AXES
from edgecut.source.onnx.nodes import Node


def input_orders(nodes: Sequence[Node], ranks: Mapping[str, tuple[int, int]]) -> dict[str, list[int]]:
    """For each input the order of its axes in Keras: the batch, then the channels at the end where it has some.

    ranks: of each input its rank, and the axis of its batch.
    """
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    return {name: _order(name, rank, batch, readers) for name, (rank, batch) in ranks.items()}


def _order(name: str, rank: int, batch: int, readers: Mapping[str, Sequence[Node]]) -> list[int]:
    pending, seen = [(name, list(range(rank)))], {name}
    while pending and rank > 2:
        tensor, axes = pending.pop(0)
        for node in readers.get(tensor, ()):
            if node.operator in CHANNELS_FIRST and node.inputs[0] == tensor:
                channels = axes[1]
                if axes[0] != batch or channels == batch:
                    continue
                return [batch, *(axis for axis in range(rank) if axis not in {batch, channels}), channels]
            moved = None
            if node.operator == "Transpose" and len(node.attributes.get("perm", ())) == rank:
                moved = [axes[axis] for axis in node.attributes["perm"]]
            elif node.operator in SAME_AXES:
                moved = axes
            if moved is not None and not seen.intersection(node.outputs):
                seen.update(node.outputs)
                pending += [(output, moved) for output in node.outputs if output]
    return [batch, *(axis for axis in range(rank) if axis != batch)] if rank else []
