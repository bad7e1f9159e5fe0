"""The order in which a saved model's calls are run, which is Keras'; without Keras."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from edgecut.lowering.saved_nodes import Key, SavedNode

_Place = tuple[str, int]


def in_order(nodes: Sequence[SavedNode], inputs: Sequence[Key], outputs: Sequence[Key]) -> list[SavedNode]:
    """The nodes as Keras sorts them: by their distance from the outputs, in whose order it finds them.

    What no output needs comes behind, each behind what it reads, and last what can't be run, of a damaged file.
    """
    places = {(node.layer, node.number): node for node in nodes}
    fed = {key[:2] for key in inputs}
    found = [places[place] for place in _by_depth(places, fed, outputs) if place in places]
    reached = {(node.layer, node.number) for node in found} | fed
    rest = [node for node in nodes if (node.layer, node.number) not in reached]
    return [*found, *_behind_what_they_read(rest, reached)]


def _by_depth(places: dict[_Place, SavedNode], fed: set[_Place], outputs: Sequence[Key]) -> list[_Place]:
    """As keras/src/ops/function.py's map_graph: the deepest first, equally deep ones in the order of their finding."""
    depth_of: dict[_Place, int] = {}
    of_layer: dict[str, int] = {}
    for place in reversed(_found(places, fed, outputs)):
        depth = max(depth_of.get(place, 0), of_layer.get(place[0], 0))
        depth_of[place] = of_layer[place[0]] = depth
        for key in places[place].keys if place in places else ():
            depth_of[key[:2]] = max(depth + 1, depth_of.get(key[:2], 0))
    return sorted(depth_of, key=lambda place: -depth_of[place])


def _found(places: dict[_Place, SavedNode], fed: set[_Place], outputs: Sequence[Key]) -> list[_Place]:
    """What the outputs need, each behind what it reads, by a search in depth. A circle of a damaged file is left."""
    done: dict[_Place, None] = {}
    started: set[_Place] = set()
    pending = [(key[:2], False) for key in reversed(outputs)]
    while pending:
        place, is_finished = pending.pop()
        if is_finished:
            done[place] = None
        elif place not in started and (place in places or place in fed):
            started.add(place)
            pending.append((place, True))
            read = places[place].keys if place in places and place not in fed else ()
            pending.extend((key[:2], False) for key in reversed(read))
    return list(done)


def _behind_what_they_read(nodes: Sequence[SavedNode], made: Iterable[_Place]) -> Iterator[SavedNode]:
    """The nodes in the file's order, each behind what it reads; those that can't be run, of a damaged file, last."""
    done = set(made)
    missing = [{key[:2] for key in node.keys} - done for node in nodes]
    readers: dict[tuple[str, int], list[int]] = {}
    for index, keys in enumerate(missing):
        for key in keys:
            readers.setdefault(key, []).append(index)
    ready = [index for index, keys in enumerate(missing) if not keys]
    while ready:
        index = heapq.heappop(ready)
        node = nodes[index]
        yield node
        for reader in readers.get((node.layer, node.number), ()):
            missing[reader].discard((node.layer, node.number))
            if not missing[reader]:
                heapq.heappush(ready, reader)
    yield from (node for node, keys in zip(nodes, missing, strict=True) if keys)
