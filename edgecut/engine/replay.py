"""A program replayed byte by byte: every row that a kernel reads must be there whole, or nothing is written.

Shares nothing with the scheduler: it reads the tables that the C text holds, and keeps for every byte of the work
buffer which byte of which tensor it is.
"""

from __future__ import annotations

import numpy as np

from edgecut.engine.network import Network, Node, Operand
from edgecut.engine.program import Program
from edgecut.engine.schedule import Place
from edgecut.errors import ExportError


class Replay:
    """A work buffer of tags: each byte's tensor and its place in it, -1 for nothing."""

    def __init__(self, network: Network, program: Program) -> None:
        """A buffer with the inputs in it."""
        self.network, self.program = network, program
        sizes = [storage.view.size_bytes * storage.parts for storage in network.storages]
        self.base = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        self.tags = np.full(program.arena_bytes, -1, np.int32)
        self.steps = [0] * len(network.nodes)
        used = {o.storage for node in network.nodes for o in node.operands} | {*network.outputs}
        for storage, (at, count) in zip(network.inputs, program.inputs, strict=True):
            if storage in used:
                self.tags[self._inside(at, count)] = self._tags(storage, 0, count)

    def run(self) -> None:
        """Play all runs. Raises ExportError where a row isn't there, or is written outside or over what is read."""
        for run in self.program.runs:
            if run.count == 0:
                move = self.program.moves[run.first]
                self.tags[self._inside(move.target, move.count)] = self.tags[
                    self._inside(move.source, move.count)
                ].copy()
            for _ in range(run.times if run.count else 0):
                for node in self.program.steps[run.first : run.first + run.count]:
                    self._step(self.network.nodes[node])
        for storage, (at, count) in zip(self.network.outputs, self.program.outputs, strict=True):
            self._expect(at, self._tags(storage, 0, count), "the end")

    def _step(self, node: Node) -> None:
        step = self.steps[node.index]
        self.steps[node.index] += 1
        *seen, made = self.program.places[node.index]
        own = self.network.storages[node.storage]
        count, (row, part) = own.view.row_bytes, divmod(step, own.parts)
        at = made.at + row % made.rows * count
        if part:
            # What is added to must be the sum that the step before left.
            self._expect(at, self._tags(node.storage, (step - 1) * count, count), f"{node.label}, step {step}")
        spans: list[tuple[int, int]] = []
        for operand, place in zip(node.operands, seen, strict=True):
            # A kernel that may write over the row that it reads does so from the row's first byte on.
            read = self._read(node, operand, place, step)
            spans += [] if operand.in_place and read == [(at, at + count)] else read
        if step >= node.steps or any(start < at + count and at < stop for start, stop in spans):
            self._wrong(node.label, step)
        self.tags[self._inside(at, count)] = self._tags(node.storage, step * count, count)

    def _read(self, node: Node, operand: Operand, place: Place, step: int) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        count, parts = operand.view.row_bytes, self.network.storages[operand.storage].parts
        for line in range(int(operand.first[step]), int(operand.stop[step])):
            at = place.at + line % place.rows * count
            # Of sums the whole ones, which the last of a row's steps leaves.
            tags = self._tags(operand.storage, ((line + 1) * parts - 1) * count, count)
            self._expect(at, tags, f"{node.label}, step {step}")
            spans.append((at, at + count))
        return spans

    def _tags(self, storage: int, start: int, count: int) -> np.ndarray:
        first = int(self.base[storage]) + start
        return np.arange(first, first + count, dtype=np.int32)

    def _expect(self, at: int, tags: np.ndarray, where: str) -> None:
        if not np.array_equal(self.tags[self._inside(at, len(tags))], tags):
            self._wrong(where, None)

    def _inside(self, at: int, count: int) -> slice:
        if at < 0 or at + count > len(self.tags):
            self._wrong("the work buffer's end", None)
        return slice(at, at + count)

    def _wrong(self, where: str, step: int | None) -> None:
        place = where if step is None else f"{where}, step {step}"
        raise ExportError(f"the schedule isn't exact at {place}; nothing was written: report the file to edgecut")


def check(network: Network, program: Program) -> None:
    """Replay a program. Raises ExportError if it isn't exact."""
    Replay(network, program).run()
