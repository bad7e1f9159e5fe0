"""The limits of a release gate: size>+2%,arena>+0,accuracy<-0.5pp,latency>+5%."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from edgecut.errors import RequestError
from edgecut.records.comparison import Change, ComparedMetric, Verdict
from edgecut.records.nearest import closest

_METRICS: tuple[str, ...] = get_args(ComparedMetric)
_LIMIT = re.compile(r"\s*([a-z0-9_]+)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*(%|pp)?\s*", re.ASCII)
_CHANGES = {"top1_changes", "tag_changes", "pixel_changes"}
_FRACTIONS = {"accuracy", *_CHANGES}


@dataclass(frozen=True)
class Limit:
    """B fails if its change from A is beyond `value`; relative: of A's figure. text: as it was given."""

    metric: ComparedMetric
    above: bool
    value: float
    relative: bool
    text: str


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The limits of a text such as "size>+2%,arena>+0,accuracy<-0.5pp,latency>+5%".

    % is of A's figure, but of the decisions for top1_changes and its like, which A has none of; pp percentage points
    of a fraction; without either, bytes, seconds or a fraction.
    Raises RequestError with what is wrong.
    """
    return tuple(_limit(part) for part in text.split(",") if part.strip())


def judge_changes(limits: Sequence[Limit], changes: Sequence[Change]) -> tuple[Verdict, ...]:
    """A verdict for each limit on each file.

    A latency misses only where the whole 95 % interval of its change is beyond the limit.
    """
    return tuple(_verdict(limit, c) for limit in limits for c in changes if c.metric == limit.metric)


def _limit(part: str) -> Limit:
    match = _LIMIT.fullmatch(part)
    if match is None:
        raise RequestError(f"--fail-on: {part.strip()!r} is no limit; one such as 'size>+2%' is expected")
    metric, sign, number, unit = match.groups()
    if metric not in _METRICS:
        known = ", ".join(_METRICS)
        raise RequestError(f"--fail-on: {metric!r} is no metric{closest(metric, _METRICS)}; {known} are known")
    if unit == "pp" and metric not in _FRACTIONS:
        raise RequestError(f"--fail-on: {part.strip()!r}: pp is for accuracy and changes; give % or a number")
    value = float(number) / (100 if unit else 1)
    return Limit(cast(ComparedMetric, metric), sign == ">", value, unit == "%" and metric not in _CHANGES, part.strip())


def _verdict(limit: Limit, change: Change) -> Verdict:
    if change.a is None or change.b is None:
        return Verdict(limit=limit.text, file=change.file, state="unknown", found=change.reason)
    differs = change.b - change.a
    found = differs / change.a if limit.relative and change.a else differs
    if limit.relative and not change.a:
        found = 0.0 if differs == 0 else float("inf") if differs > 0 else float("-inf")
    words = _words(limit, change, found)
    surest = found
    if change.metric == "latency" and change.low is not None and change.high is not None:
        end = change.low if limit.above else change.high
        surest = end if limit.relative else end * change.a
        words += f", 95 % between {change.low:+.2%} and {change.high:+.2%}"
    beyond = surest > limit.value if limit.above else surest < limit.value
    state: Literal["meets", "misses"] = "misses" if beyond else "meets"
    return Verdict(limit=limit.text, file=change.file, state=state, found=words)


def _words(limit: Limit, change: Change, value: float) -> str:
    """A change in the limit's terms: of a fraction in percentage points, as the table has it, or in % of A's figure."""
    if limit.relative:
        return f"{value:+.2%} of A's" if change.unit == "fraction" else f"{value:+.2%}"
    return f"{value * 100:+.2f} pp" if change.unit == "fraction" else f"{value:+g} {change.unit}"
