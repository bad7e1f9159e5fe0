"""What commands found as rows of comma-separated values: base units, empty where a value isn't known.

The columns are a contract (docs/stability.md): new ones come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecut.records.comparison import Comparison
    from edgecut.records.front import Front
    from edgecut.records.measurement import Measurement
    from edgecut.records.profile import Profile

Row = tuple[str, ...]

MEASUREMENT_COLUMNS = (
    "artifact", "device", "metric", "unit", "value", "min", "p10", "p90", "max", "kind", "band", "where", "method",
    "reason", "at_least",
)  # fmt: skip
CHANGE_COLUMNS = ("metric", "file", "a", "b", "unit", "change", "low", "high", "p", "real", "reason")
FRONT_COLUMNS = (
    "cut", "height", "width", "channels", "precision", "metric", "value", "basis", "device", "state", "latency_s",
    "latency_kind", "latency_band", "arena_bytes", "arena_kind", "size_bytes", "macs", "recommended",
    "reason",
)  # fmt: skip
CUT_COLUMNS = (
    "position", "name", "type", "shape", "legal_start", "bypass", "macs", "params", "activation_bytes", "device",
    "latency_s", "latency_band", "arena_bytes", "arena_band", "reason",
)  # fmt: skip
PROFILE_COLUMNS = (
    "id", "class", "chip", "title", "core", "clock_hz", "ram_bytes", "flash_bytes", "runtime", "kernels", "nets",
    "families", "band",
)  # fmt: skip


def measurement_rows(measurements: Iterable[Measurement]) -> Iterator[Row]:
    """A row for each measurement, as MEASUREMENT_COLUMNS names its values."""
    for m in measurements:
        kind = m.kind if m.value is not None else ""
        of = (m.artifact, m.profile or m.where, m.metric, m.unit)
        bound = bool(m.conditions.get("at_least")) if m.value is not None else None
        yield _row(*of, m.value, *m.spread, kind, m.error, m.where, m.method, m.reason, bound)


def change_rows(comparison: Comparison) -> Iterator[Row]:
    """A row for each change, as CHANGE_COLUMNS names its values."""
    for c in comparison.changes:
        yield _row(c.metric, c.file, c.a, c.b, c.unit, c.change, c.low, c.high, c.p, c.real, c.reason)


def front_rows(front: Front) -> Iterator[Row]:
    """A row for each choice on each device, as FRONT_COLUMNS names its values."""
    for p in front.front:
        size = p.size or (None, None)
        for d in p.devices:
            yield _row(
                p.cut, *size, p.channels, p.precision, front.metric, p.accuracy, p.basis.accuracy, d.profile, d.state,
                d.latency, d.latency_kind, d.latency_error, d.arena, d.arena_kind, p.size_bytes, p.macs,
                d.profile in p.recommended_for, d.reason,
            )  # fmt: skip


def cut_rows(points: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """A row for each tensor of `edgecut inspect --json` on each device, as CUT_COLUMNS names its values."""
    for p in points:
        shape = "x".join("?" if size is None else str(size) for size in p["shape"][1:])
        of_model = (p["macs"], p["params"], p["activation_bytes"])
        own = (p["position"], p["name"], p["type"], shape, p["legal_start"], " ".join(p["bypass"]), *of_model)
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        for m in p.get("measurements", ()):
            found.setdefault(str(m["profile"]), {})[str(m["metric"])] = m
        for device, metrics in found.items() or [("", {})]:
            costs = [metrics.get(name, {}).get(key) for name in ("latency", "arena") for key in ("value", "error")]
            reasons = dict.fromkeys(str(m["reason"]) for m in metrics.values() if m["reason"])
            yield _row(*own, device, *costs, "; ".join(reasons))


def profile_rows(profiles: Iterable[Profile]) -> Iterator[Row]:
    """A row for each device, as PROFILE_COLUMNS names its values."""
    for p in profiles:
        facts = p.latency
        evidence = (None, None, None) if facts is None else (facts.nets, facts.families, facts.error_p90)
        memory = (p.memory.ram_bytes, p.memory.flash_bytes)
        runtime = (p.runtime.name, p.runtime.kernels)
        yield _row(p.id, p.class_, p.chip, p.title, p.cpu.core, p.cpu.clock_hz, *memory, *runtime, *evidence)


def _row(*values: object) -> Row:
    return tuple(_text(value) for value in values)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
