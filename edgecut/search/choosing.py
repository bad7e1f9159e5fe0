"""Which choices no other beats, which of them are worth building, and which one a device gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgecut.records.front import DeviceCost, FrontPoint, LimitCost, Recommendation
from edgecut.records.measurement import UNITS
from edgecut.records.report import Check
from edgecut.records.units import format_bytes, format_seconds
from edgecut.score.intervals import fraction_error

# A choice this far below the best one in accuracy isn't built: nobody would take it.
_WORTH_BUILDING = 0.2
_LIKELY, _DOUBTFUL, _MISSES = 1, 2, 3


def pareto(points: Sequence[FrontPoint], profile: str) -> list[FrontPoint]:
    """The points that no other of the device's beats in accuracy, latency, arena and size at once; of equals the first.

    A latency or arena that isn't known beats none and is beaten by each that is known.
    """
    own = [(point, costs_of(point, profile)) for point in points if device_of(point, profile) is not None]
    own.sort(key=lambda pair: pair[1])
    kept: list[tuple[FrontPoint, tuple[float, ...]]] = []
    for point, cost in own:
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for _, other in kept):
            kept.append((point, cost))
    return [point for point, _ in kept]


def costs_of(point: FrontPoint, profile: str) -> tuple[float, ...]:
    """What a point is compared by on a device, each the better the smaller: -accuracy, latency, arena, size."""
    device = device_of(point, profile)
    latency = device.latency if device is not None else None
    arena = device.arena if device is not None and device.arena is not None else point.arena
    return (-point.chosen_by, _or_inf(latency), _or_inf(arena), float(point.size_bytes))


def device_of(point: FrontPoint, profile: str) -> DeviceCost | None:
    """What a point costs on a device; None where the device doesn't take it."""
    return next((device for device in point.devices if device.profile == profile), None)


def fit_of(device: DeviceCost, without: str = "") -> int:
    """0: meets every limit; 1: likely does; 2: an estimate without a band says it doesn't; 3: misses one.

    without: a metric whose limit is left out.
    """
    worst = 0
    for check in device.checks:
        if check.metric == without or check.state == "meets":
            continue
        likely = check.state == "unknown" and max(_excess(check), _known_excess(device, check)) <= 1
        worst = max(worst, _MISSES if check.state == "misses" else _LIKELY if likely else _DOUBTFUL)
    return worst


def to_build(points: Sequence[FrontPoint], profile: str, top: int) -> list[FrontPoint]:
    """At most `top` points for a device: the most accurate that fits, and others evenly down the front.

    Where none fits, those that miss by least.
    """
    front = pareto(points, profile)
    fitting = [p for p in front if fit_of(_device(p, profile)) <= _LIKELY]
    if not fitting:
        return sorted(front, key=lambda p: (_excess_of(p, profile), costs_of(p, profile)))[:top]
    ranked = sorted(fitting, key=lambda p: costs_of(p, profile))
    ranked = [p for p in ranked if p.chosen_by >= ranked[0].chosen_by - _WORTH_BUILDING]
    steps = min(top, len(ranked))
    places = [round(k * (len(ranked) - 1) / max(1, steps - 1)) for k in range(steps)]
    return [ranked[place] for place in dict.fromkeys(places)]


def recommend(
    built: Sequence[FrontPoint], candidates: Sequence[FrontPoint], profile: str, choosing_images: int
) -> tuple[FrontPoint, Recommendation] | None:
    """The point for a device, and why; None where no point that it takes was built.

    Of those that fit best, the cheapest whose accuracy is within one standard error of the best one's (Hastie,
    Tibshirani, Friedman, The Elements of Statistical Learning, 7.10): a difference that small is chance.
    """
    own = [p for p in built if device_of(p, profile) is not None]
    if not own:
        return None
    fit = min(fit_of(_device(p, profile)) for p in own)
    fitting = [p for p in own if fit_of(_device(p, profile)) == fit]
    if fit >= _DOUBTFUL:
        chosen = min(fitting, key=lambda p: (_excess_of(p, profile), costs_of(p, profile)))
        why = f"nothing built fits {profile}; this misses by least"
    else:
        top = max(fitting, key=lambda p: p.chosen_by)
        best, error = top.chosen_by, top.chosen_error
        if error is None:
            error = fraction_error(best, choosing_images)
        near = [p for p in fitting if p.chosen_by >= best - error]
        chosen = min(near, key=lambda p: (*costs_of(p, profile)[1:], -p.chosen_by))
        why = _why(chosen, fitting, best, error, profile)
    device = _device(chosen, profile)
    limits = tuple(_limit_cost(candidates, profile, check) for check in device.checks if check.metric in UNITS)
    return chosen, Recommendation(
        profile=profile,
        state=device.state,
        cut=chosen.cut,
        size=chosen.size,
        channels=chosen.channels,
        precision=chosen.precision,
        accuracy=chosen.accuracy,
        why=why,
        give=tuple(_give(device)),
        limits=tuple(limit for limit in limits if limit is not None),
    )


def words_of(metric: str, value: float) -> str:
    """A latency, arena or size with its unit."""
    return format_seconds(value) if UNITS.get(metric) == "s" else format_bytes(value)


def _why(chosen: FrontPoint, fitting: Sequence[FrontPoint], best: float, error: float, profile: str) -> str:
    device = _device(chosen, profile)
    limits = "which sets no limits" if not device.checks else "whose limits it meets"
    if device.checks and device.state != "meets":
        limits = "whose limits it likely meets, though not all are settled"
    if chosen.chosen_by == best:
        rank = f"the most accurate of {len(fitting)} built for {profile}"
        if any(point.accuracy > chosen.accuracy for point in fitting):
            rank += f" on the images that choose ({best:.3f})"
    else:
        rank = (
            f"the cheapest of {len(fitting)} built for {profile} that is within a standard error ({error:.3f}) of the "
            f"most accurate ({best:.3f}) on the images that choose"
        )
    return f"{rank}, {limits}"


def _give(device: DeviceCost) -> list[str]:
    """What would have to give for each limit that is missed or likely missed."""
    found = []
    for check in device.checks:
        if _excess(check) <= 1:
            continue
        if check.metric == "accuracy_drop":
            where = f" on {check.profile}" if check.profile else ""
            found.append(
                f"accuracy_drop{where} is {check.value:.3f}, and the limit is {check.limit:.3f}; raise it, or allow "
                "another of --precisions"
            )
            continue
        limit, value = float(check.limit), float(check.value or 0)
        found.append(
            f"{check.metric} is {words_of(check.metric, value)}, {value / limit:.2g} times the limit of "
            f"{words_of(check.metric, limit)}; raise it, or add smaller --sizes or --channels 1"
        )
    return found


def _limit_cost(candidates: Sequence[FrontPoint], profile: str, check: Check) -> LimitCost | None:
    """The best candidate with every limit of a device, and with all but one."""
    if check.metric == "accuracy_drop":
        return None
    bound = _best(candidates, profile, lambda device: fit_of(device) <= _LIKELY)
    free = _best(candidates, profile, lambda device: fit_of(device, check.metric) <= _LIKELY)
    if free is None:
        return None
    return LimitCost(
        metric=check.metric,
        limit=float(check.limit),
        accuracy=None if bound is None else bound.chosen_by,
        accuracy_without=free.chosen_by,
        cut_without=free.cut,
    )


def _best(candidates: Sequence[FrontPoint], profile: str, fits: Callable[[DeviceCost], bool]) -> FrontPoint | None:
    own = [p for p in candidates if (device := device_of(p, profile)) is not None and fits(device)]
    return min(own, key=lambda p: costs_of(p, profile), default=None)


def _device(point: FrontPoint, profile: str) -> DeviceCost:
    device = device_of(point, profile)
    if device is None:
        raise LookupError(f"{point.cut} isn't for {profile}")
    return device


def _excess_of(point: FrontPoint, profile: str) -> float:
    """By how many times a point exceeds the limit that it misses most."""
    return max((_excess(check) for check in _device(point, profile).checks), default=0.0)


def _excess(check: Check) -> float:
    """The value over the limit; 0 where the value isn't known, infinite where a limit of 0 is exceeded."""
    if not isinstance(check.value, int | float) or not isinstance(check.limit, int | float):
        return 0.0
    if not check.limit:
        return math.inf if check.value > 0 else 0.0
    return check.value / check.limit


def _known_excess(device: DeviceCost, check: Check) -> float:
    """The device's own latency or arena over the limit: a check may rest on a lower bound."""
    value = {"latency": device.latency, "arena": device.arena}.get(check.metric)
    return 0.0 if value is None or not isinstance(check.limit, int | float) or not check.limit else value / check.limit


def _or_inf(value: float | None) -> float:
    return math.inf if value is None else float(value)
