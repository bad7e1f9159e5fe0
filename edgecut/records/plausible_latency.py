"""Figures of a latency that no fit to measurements gives: prices, errors, counts, factors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgecut.records.profile import Calibrated, LatencyFacts, Profile, Work

CYCLES_PER_MAC = (0.001, 2000.0)
MACS_PER_S = (1e4, 1e15)
# The dearest unit of work known, an operator's start on a microcontroller, takes 3 ms.
MOST_PRICE_S = 10.0
MOST_ERROR = 1000.0
MOST_NETS, MOST_FILES, MOST_THREADS, MOST_TILE = 10_000, 1_000_000, 1024, 65_536
FACTORS = (0.001, 1000.0)
MOST_S = 86_400.0


def latency_faults(profile: Profile) -> Iterator[str]:
    """One sentence for each figure that can't be meant, beginning with its dotted path."""
    facts = profile.latency
    if facts is None:
        return
    for name in ("conv", "depthwise", "dense"):
        value = getattr(facts, name)
        if value is not None and not _within(value, CYCLES_PER_MAC):
            yield (
                f"latency.{name}: {value:g} cycles per MAC is outside {CYCLES_PER_MAC[0]:g} to {CYCLES_PER_MAC[1]:g}; "
                "the unit is clock cycles for one multiply-accumulate"
            )
    for name in ("float32_macs_per_s", "int8_macs_per_s"):
        value = getattr(facts, name)
        if value is not None and not _within(value, MACS_PER_S):
            yield f"latency.{name}: {value:g} is outside {MACS_PER_S[0]:g} to {MACS_PER_S[1]:g} MACs per second"
    if any(getattr(facts, name) for name in ("conv", "depthwise", "dense")) and profile.cpu.clock_hz is None:
        yield "latency: cycles per MAC say nothing without cpu.clock_hz; give the clock"
    yield from _band("latency", facts)
    yield from _evidence("latency", facts.nets, facts.families)
    for work in facts.work:
        yield from _work(f"latency.work ({work.precision})", work)
    for table in facts.calibrated:
        yield from _calibrated(f"latency.calibrated ({table.precision})", table)


def counted(number: int) -> str:
    """A count as it is, or as a power of ten where its digits tell nothing."""
    return str(number) if number < 10**9 else f"{number:.3g}"


def _band(place: str, facts: LatencyFacts | Work | Calibrated) -> Iterator[str]:
    for name, error in (("error_p50", facts.error_p50), ("error_p90", facts.error_p90)):
        if not error <= MOST_ERROR:
            yield f"{place}.{name}: {error:g} is no relative error of an estimate (0.2 is 20 %); at most {MOST_ERROR:g}"
    if facts.error_p50 > facts.error_p90:
        yield f"{place}.error_p50: {facts.error_p50:g} is more than error_p90, {facts.error_p90:g}; the other way round"


def _evidence(place: str, nets: int | None, families: int | None) -> Iterator[str]:
    if nets is not None and nets > MOST_NETS:
        yield f"{place}.nets: {counted(nets)} measured nets; at most {MOST_NETS} are expected"
    elif nets is not None and families is not None and families > nets:
        yield f"{place}.families: {counted(families)} families of {nets} nets; at most one for each net"


def _work(place: str, work: Work) -> Iterator[str]:
    yield from _band(place, work)
    yield from _evidence(place, work.nets, work.families)
    yield from _prices(place, work.seconds)
    if work.threads is not None and work.threads > MOST_THREADS:
        yield f"{place}.threads: {counted(work.threads)} threads; at most {MOST_THREADS} are expected"
    for table, factors in (("versions", work.versions), ("thread_factors", work.thread_factors)):
        for name, factor in factors.items():
            if not _within(factor, FACTORS):
                yield f"{place}.{table}.{name}: {factor:g} is outside {FACTORS[0]:g} to {FACTORS[1]:g} times"
    for name, share in work.seen.items():
        if share > 1:
            yield f"{place}.seen.{name}: {share:g} of a net's time; a share is at most 1"
    if not work.least_s <= work.most_s <= MOST_S:
        yield f"{place}: least_s {work.least_s:g} to most_s {work.most_s:g} is no range of times up to a day"


def _calibrated(place: str, table: Calibrated) -> Iterator[str]:
    yield from _band(place, table)
    yield from _prices(place, table.seconds)
    if table.files > MOST_FILES:
        yield f"{place}.files: {counted(table.files)} timed files; at most {MOST_FILES} are expected"
    if max(table.tiles) > MOST_TILE:
        yield f"{place}.tiles: {_shown(table.tiles)} is no tile of a matrix product; at most {MOST_TILE} are expected"


def _prices(place: str, prices: Mapping[str, float]) -> Iterator[str]:
    for name, price in prices.items():
        if not price <= MOST_PRICE_S:
            yield (
                f"{place}.seconds.{name}: {price:g} s for one unit of work is more than the {MOST_PRICE_S:g} s "
                "that any takes; the unit is seconds"
            )


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return math.isfinite(value) and bounds[0] <= value <= bounds[1]


def _shown(numbers: Sequence[int]) -> str:
    return "[" + ", ".join(map(counted, numbers)) + "]"
