"""The latency facts of the boards' profiles, fitted to tools/boards/data: what tools/make_profiles.py writes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from edgecut.calibrate.board import facts_of, work_of
from edgecut.calibrate.measured import Measured
from edgecut.records.profile import LatencyFacts, Work
from tools.board_places import Place, Times, measured, prior_of
from tools.boards.graphs import DATA
from tools.profile_toml import Numbers, Texts, read_rows

# Of fewer families in int8, prices are no better than the rate that a profile has already.
FEWEST = 3
# The newest version of a runtime, which a profile means where it names none; ST's Cube.AI 10 became ST Edge AI Core 3.
NEWEST = ("7.1.0", "7.3.0", "8.0.0", "8.1.0", "9.0", "9.0.0", "10.0.0", "3.0.0", "4.0.0")
# A board of the same core and runtime with one thread, at its clock: what two threads change.
ONE_THREAD = {
    "STM32MP157F-DK2": ("STM32MP135F-DK2", 800 / 1000),
    "STM32MP157F-DK2 without XNNPACK": ("STM32MP135F-DK2 without XNNPACK", 800 / 1000),
}


@dataclass(frozen=True)
class Fit:
    """A profile's facts, the version of its runtime that they mean, and the rows that they are from."""

    facts: LatencyFacts
    version: str
    source: str


def with_fits(found: Sequence[tuple[Texts, Numbers]], clocks: Mapping[str, int]) -> list[tuple[Texts, Numbers]]:
    """The profiles, those of measured boards with their latency facts in place of a rate of fewer nets.

    clocks: profile -> its clock, where it is known.
    """
    result = []
    for texts, numbers in found:
        fit = fit_of(texts["id"], clocks.get(texts["id"]))
        rated = any(key.startswith("latency.") for key in (*texts, *numbers))
        if fit is None or (rated and (fit.facts.families or 0) < FEWEST):
            result.append((texts, numbers))
            continue
        result.append(_laid_in(texts, numbers, fit))
    return result


def fit_of(profile: str, clock_hz: int | None) -> Fit | None:
    """The facts of a profile, None where none of its places has a net."""
    places = sorted(
        (place for place in times() if place.profile == profile), key=lambda place: place.precision != "int8"
    )
    if not places:
        return None
    rows = [row for place in places for row in times()[place].rows]
    version = max((row.version for row in rows), key=_age)
    tables = [_table(place, clock_hz) for place in places]
    sources = sorted({source for place in places for source in times()[place].sources})
    nets = len({row.net for row in rows})
    source = f"fitted to {len(rows)} published times of {nets} nets (tools/boards/data): {'; '.join(sources)}"
    return Fit(facts_of(tables, f"{places[0].name}, published times"), version, source)


@cache
def times() -> Mapping[Place, Times]:
    """Every place's rows."""
    return measured(read_rows(DATA / "measurements.csv"))


def _table(place: Place, clock_hz: int | None) -> Work:
    rows = {other: found.rows for other, found in times().items()}
    clock = clock_hz if times()[place].clocked else None
    table = work_of(rows[place], place.precision, prior_of(place, rows), clock, place.threads)
    factors = _thread_factors(place, rows)
    return table.model_copy(update={"thread_factors": factors})


def _thread_factors(place: Place, rows: Mapping[Place, Sequence[Measured]]) -> dict[str, float]:
    """What one thread takes beside what the place's take: the median over nets that both boards ran."""
    if place.name not in ONE_THREAD:
        return {}
    name, clocks = ONE_THREAD[place.name]
    single = next((own for other, own in rows.items() if other.name == name), [])
    alone = {(row.net, row.version): row.seconds for row in single}
    shared = [(row.net, row.version) for row in rows[place]]
    both = {(row.net, row.version): row.seconds for row in rows[place]}
    ratios = [alone[key] / clocks / both[key] for key in shared if key in alone]
    return {"1": float(f"{statistics.median(ratios):.3g}")} if ratios else {}


def _laid_in(texts: Texts, numbers: Numbers, fit: Fit) -> tuple[Texts, Numbers]:
    facts = fit.facts
    own = {key: value for key, value in texts.items() if not key.startswith("latency.")}
    own |= {"latency.kind": facts.kind, "latency.basis": facts.basis}
    own["latency.work"] = [table.model_dump(exclude_none=True) for table in facts.work]
    if fit.version and "runtime.version" not in own:
        own["runtime.version"] = fit.version
    kept = {key: value for key, value in numbers.items() if not key.startswith("latency.")}
    left = "each family of the measured nets left out in turn: tools/check_boards.py"
    kept |= {"latency.error_p50": (facts.error_p50, left), "latency.error_p90": (facts.error_p90, left)}
    counts = "counted in tools/boards/data/measurements.csv"
    kept |= {"latency.nets": (facts.nets or 0, counts), "latency.families": (facts.families or 0, counts)}
    return own, kept | {"latency.work": (0, fit.source)}


def _age(version: str) -> tuple[int, str]:
    return (NEWEST.index(version) if version in NEWEST else -1, version)
