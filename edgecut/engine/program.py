"""A schedule as the tables that the C text interprets: runs of steps, places, moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.engine.network import Network
from edgecut.engine.schedule import Place, Segment

_LONGEST_PATTERN = 96
_MOST = 65_535


@dataclass(frozen=True)
class Run:
    """steps[first : first + count], so many times; with count 0 move number `first`."""

    first: int
    count: int
    times: int


@dataclass(frozen=True)
class Move:
    """Bytes that are moved within the work buffer between two segments."""

    source: int
    target: int
    count: int


@dataclass(frozen=True)
class Program:
    """What a run does. steps: nodes, in patterns that runs repeat. places: of each node's operands, then of what it
    makes, node by node. inputs, outputs: (offset, bytes) of each, before the first step and behind the last.
    """

    runs: tuple[Run, ...]
    steps: tuple[int, ...]
    places: tuple[tuple[Place, ...], ...]
    moves: tuple[Move, ...]
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    arena_bytes: int


def program(network: Network, segments: Sequence[Segment]) -> Program:
    """The tables of some segments, one behind the other."""
    runs: list[Run] = []
    steps: list[int] = []
    moves: list[Move] = []
    places: dict[int, tuple[Place, ...]] = {}
    arena = max((segment.size_bytes for segment in segments), default=0)
    before: Segment | None = None
    for segment in segments:
        if before is not None:
            between, arena = _moves(network, before, segment, arena)
            runs += [Run(len(moves) + k, 0, 1) for k in range(len(between))]
            moves += between
        runs += _runs(segment.steps, steps)
        for index in segment.nodes:
            node = network.nodes[index]
            seen = [
                Place(segment.places[o.storage].at, _rows(network, segment, o.storage, o.view.rows))
                for o in node.operands
            ]
            places[index] = (*seen, segment.places[node.storage])
        before = segment
    first, last = segments[0], segments[-1]
    return Program(
        tuple(runs), tuple(steps), tuple(places[k] for k in range(len(network.nodes))), tuple(moves),
        tuple(_where(network, first, s) for s in network.inputs),
        tuple(_where(network, last, s) for s in network.outputs), arena,
    )  # fmt: skip


def _rows(network: Network, segment: Segment, storage: int, seen: int) -> int:
    """The rows that a reader's addresses wrap around at: its own where the storage is linear."""
    return seen if network.storages[storage].linear else segment.places[storage].rows


def _where(network: Network, segment: Segment, storage: int) -> tuple[int, int]:
    place = segment.places.get(storage)
    return (place.at if place else 0, network.storages[storage].view.size_bytes)


def _moves(network: Network, before: Segment, after: Segment, arena: int) -> tuple[list[Move], int]:
    """The moves that take what lives on to its places in the next segment, and the bytes that they need at the most.

    Where each would overwrite another, one steps aside behind all of them first.
    """
    sizes = {s: network.storages[s].view.size_bytes for s in after.places if s in before.places}
    made = {network.nodes[k].storage for k in after.nodes}
    entering = {s: (before.places[s].at, after.places[s].at) for s in sizes if s not in made}
    at = {s: source for s, (source, _) in entering.items()}
    waiting = {s: target for s, (source, target) in entering.items() if source != target}
    moves: list[Move] = []
    while waiting:
        free = next((s for s, target in waiting.items() if not _meets(s, target, at, sizes)), None)
        if free is None:
            free = min(waiting, key=lambda s: sizes[s])
            aside = max(at[s] + sizes[s] for s in at)
            aside = max(aside, *(target + sizes[s] for s, target in waiting.items()))
            moves.append(Move(at[free], aside, sizes[free]))
            arena = max(arena, aside + sizes[free])
            at[free] = aside
            continue
        moves.append(Move(at[free], waiting[free], sizes[free]))
        at[free] = waiting.pop(free)
    return moves, arena


def _meets(storage: int, target: int, at: dict[int, int], sizes: dict[int, int]) -> bool:
    """Whether a storage at its target would lie over another one."""
    return any(
        target < start + sizes[other] and start < target + sizes[storage]
        for other, start in at.items()
        if other != storage
    )


def _runs(order: np.ndarray, steps: list[int]) -> list[Run]:
    """The runs of an order of nodes; patterns that aren't in `steps` yet are put behind it."""
    repeats = _repeats(order)
    runs: list[Run] = []
    start = 0
    while start < len(order):
        length, times = _best_pattern(repeats, start)
        if times == 1:
            # What nothing repeats goes together up to the next repetition.
            stop = start + 1
            while stop < len(order) and _best_pattern(repeats, stop)[1] == 1:
                stop += 1
            length = min(stop - start, _MOST)
        pattern = order[start : start + length].tolist()
        runs.append(Run(_position(pattern, steps), length, times))
        start += length * times
    return runs


def _repeats(order: np.ndarray) -> list[np.ndarray]:
    """For each pattern length from 1 on: how many elements from each place on equal those a pattern further."""
    tables: list[np.ndarray] = []
    for length in range(1, min(_LONGEST_PATTERN, len(order) // 2) + 1):
        differs = np.flatnonzero(order[length:] != order[:-length])
        ends = np.append(differs, len(order) - length)
        tables.append(
            ends[np.searchsorted(ends, np.arange(len(order) - length), "left")] - np.arange(len(order) - length)
        )
    return tables


def _best_pattern(repeats: list[np.ndarray], start: int) -> tuple[int, int]:
    """The (length, times) that covers most steps for the bytes it takes; times 1 where nothing repeats."""
    best, worth = (1, 1), 0
    for length, table in enumerate(repeats, 1):
        if start < len(table):
            times = min(int(table[start]) // length + 1, _MOST)
            gain = length * (times - 1) - 6
            if times > 1 and gain > worth:
                best, worth = (length, times), gain
    return best


def _position(pattern: list[int], steps: list[int]) -> int:
    for start in range(len(steps) - len(pattern) + 1):
        if steps[start : start + len(pattern)] == pattern:
            return start
    steps += pattern
    return len(steps) - len(pattern)
