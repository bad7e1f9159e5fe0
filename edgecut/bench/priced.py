"""The time that prices of few kinds of work give for a graph, and how far off it may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgecut.bench.work import work
from edgecut.records.profile import Profile, Work
from edgecut.tflite.flatbuffer import TfliteGraph

# How much a band grows, as a logarithm, with the share of the time that no measured net spent in that way, and with
# each factor e of size beyond the measured range: found with whole families left out (tools/check_boards.py).
UNSEEN, OUTSIDE = 0.5, 0.1
# Of fewer families a device's own errors tell too little: its band is then what other boards give.
LEAST_FAMILIES = 3
# Whose runtimes share an operator between threads.
MANY_CORES = ("linux", "android", "host")


@dataclass(frozen=True)
class Priced:
    """A time with its band. unseen: the share of it that lies in kinds of work of which measured nets have less.

    outside: how many factors e the time lies outside the range of the measured ones.
    """

    seconds: float
    error_p50: float
    error_p90: float
    unseen: float
    outside: float

    def unlike(self) -> dict[str, object]:
        """Why the band is wider than the table's own, as conditions of a measurement; none where it isn't."""
        conditions: dict[str, object] = {}
        if self.unseen > 0.005:
            conditions["unseen_share"] = round(self.unseen, 2)
        if self.outside > 0.005:
            conditions["times_outside"] = round(math.exp(self.outside), 2)
        return conditions


def priced(graph: TfliteGraph, table: Work) -> Priced | None:
    """What a table gives for a graph at its own clock and threads; None if there is nothing to price."""
    amounts = work(graph, table.internal_bytes, table.flash_bytes)
    spent = {kind: amount * table.seconds.get(kind, 0.0) for kind, amount in amounts.items()}
    seconds = sum(spent.values())
    if not seconds:
        return None
    unseen = unseen_share(spent, table.seen)
    outside = beyond(seconds, table.least_s, table.most_s)
    half, most = (widened(error, unseen, outside) for error in (table.error_p50, table.error_p90))
    return Priced(seconds, half, most, unseen, outside)


def here(table: Work, profile: Profile, threads: int | None) -> float:
    """What a profile's clock, the version of its runtime and a number of threads make of a time of the table's."""
    clock = table.clock_hz / profile.cpu.clock_hz if table.clock_hz and profile.cpu.clock_hz else 1.0
    share = 1.0 if threads is None else table.thread_factors.get(str(threads), 1.0)
    return clock * share * table.versions.get(profile.runtime.version, 1.0)


def unknown_threads(table: Work, profile: Profile, threads: int | None) -> str:
    """Why it isn't known what a number of threads takes; "" where it is."""
    if threads in (None, table.threads) or str(threads) in table.thread_factors or profile.class_ not in MANY_CORES:
        return ""
    base = f"{table.threads} threads" if table.threads else "an unsaid number of threads"
    return f"the figures behind profile {profile.id!r} are of {base}, and nothing tells of {threads}"


def evidence(table: Work) -> str:
    """What the table's prices rest on."""
    if not table.nets:
        return "prices by kind of work, lent from other boards"
    own = "" if table.families >= LEAST_FAMILIES else "; of so few families the band is what other boards give"
    return f"prices by kind of work, fitted to {table.nets} measured nets of {table.families} families{own}"


def unseen_share(spent: Mapping[str, float], seen: Mapping[str, float]) -> float:
    """The share of a time that lies in kinds of work beyond the largest share that a measured net has of each."""
    total = sum(spent.values())
    return sum(max(0.0, seconds / total - seen.get(kind, 0.0)) for kind, seconds in spent.items())


def beyond(seconds: float, least_s: float, most_s: float) -> float:
    """How many factors e a time lies outside a range; 0 where no range is known."""
    if not least_s or not most_s:
        return 0.0
    return max(0.0, math.log(least_s / seconds), math.log(seconds / most_s))


def widening(unseen: float, outside: float) -> float:
    """By how much more a net that is unlike the measured ones may be off, as a logarithm."""
    return 1 + UNSEEN * unseen + OUTSIDE * outside


def widened(error: float, unseen: float, outside: float) -> float:
    """The band of a net that is unlike the measured ones."""
    return math.expm1(math.log1p(error) * widening(unseen, outside))
