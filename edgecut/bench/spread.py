"""Whether times are steady enough to believe, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from edgecut.bench.interleaved import Ratio
from edgecut.records.measurement import Measurement, number_in
from edgecut.records.units import format_seconds

if TYPE_CHECKING:
    from edgecut.bench.jobs import TimedState

# 50 runs of an idle core stay within a few percent; beyond a quarter a median says little about the next run.
WIDE = 0.25
BUSY = 0.5  # running processes per core, ours not counted
FEWEST = 5


def spread(measurement: Measurement) -> float | None:
    """(p90 - p10) / median of the raw values; None where there are too few."""
    low, high = measurement.quantile(0.1), measurement.quantile(0.9)
    if low is None or high is None or not measurement.value or len(measurement.values) < FEWEST:
        return None
    return (high - low) / measurement.value


def warnings(measurements: Sequence[Measurement]) -> Iterator[str]:
    """A sentence for each latency whose runs differ much, with the likely cause and what to do.

    Of several files one for all that have one cause on a machine; their table has no cpu_time to go by.
    """
    several = len({m.artifact for m in measurements}) > 1
    unsteady: dict[tuple[str, str, str], list[str]] = {}
    for latency in (m for m in measurements if m.metric == "latency" and m.kind == "measured"):
        wide = spread(latency)
        low, high = latency.quantile(0.1), latency.quantile(0.9)
        if wide is None or wide <= WIDE or low is None or high is None:
            continue
        own = (m for m in measurements if (m.where, m.artifact) == (latency.where, latency.artifact))
        cpu = next((m for m in own if m.metric == "cpu_time"), None)
        steady = not several and cpu is not None and (spread(cpu) or 0.0) <= WIDE
        advice = "go by cpu_time, which is steady, or measure again" if steady else "measure again, with more --runs"
        runs = f"one run in ten took less than {format_seconds(low)}, one in ten more than {format_seconds(high)}"
        what = latency.artifact if several else runs
        unsteady.setdefault((latency.where, _cause(latency.conditions), advice), []).append(what)
    for (where, cause, advice), found in unsteady.items():
        what = f"the latency of {', '.join(found)} is unsteady" if several else f"the latency is unsteady: {found[0]}"
        yield f"{where}: {what}; {cause}; {advice}"


def machine_states(measurements: Sequence[Measurement]) -> Iterator[str]:
    """A sentence for each machine that measured: what it is, how it was, and what is in each time beside the run."""
    several = len({m.artifact for m in measurements}) > 1
    for latency in (m for m in measurements if m.metric == "latency" and "timer_s" in m.conditions):
        facts = cast("TimedState", latency.conditions)
        pinned, load, timer = facts["pinned_to"], facts["load"], facts["timer_s"]
        words = [
            f"{facts['cpu']}, {facts['cores']} cores",
            f"pinned to core {', '.join(map(str, pinned))}" if pinned else "not pinned",
            "load unknown" if load is None else f"load {load:.1f}",
            f"frequency governor {facts['governor'] or 'unknown'}",
            f"first run {format_seconds(facts['first_s'])}",
        ]
        of = f", {latency.artifact}" if several else ""
        yield (
            f"{latency.where}{of}: {', '.join(words)}; the clock's own {format_seconds(timer['wall'])} (latency) and "
            f"{format_seconds(timer['cpu'])} (cpu_time) are in each run"
        )


def wide_interval(ratio: Ratio, conditions: Mapping[str, object]) -> str | None:
    """A sentence where the interval of a ratio is too wide to tell a change of a tenth; None where it is narrow."""
    if ratio.high / ratio.low <= 1.1:
        return None
    return (
        f"the interval is wide ({ratio.low:.3f} to {ratio.high:.3f}): {_cause(conditions)}; close other programs, "
        "or give more --rounds"
    )


def _cause(conditions: Mapping[str, object]) -> str:
    load, cores, governor = number_in(conditions, "load"), number_in(conditions, "cores"), conditions.get("governor")
    if load is not None and cores and load / cores > BUSY:
        return f"the machine had other work (load {load:.1f} on {cores} cores)"
    if governor not in {None, "performance"}:
        return f"the clock isn't held (frequency governor {governor!r})"
    return "the cause isn't known: other work, a changing clock or heat"
