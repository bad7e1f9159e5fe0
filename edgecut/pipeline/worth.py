"""What a compressed file is worth next to what it was before, in words."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.records.measurement import Measurement
from edgecut.records.units import format_bytes, format_seconds

# Latencies that are nearer than this aren't told apart.
SAME_LATENCY = 0.03


@dataclass(frozen=True)
class Worth:
    """What a file costs and gives. loaded_bytes: what a runtime keeps of it: all, for none unpacks or skips zeros."""

    size_bytes: int
    gzip_bytes: int
    loaded_bytes: int
    accuracy: float | None
    latency_s: float | None


def worth(path: Path, measurements: Sequence[Measurement]) -> Worth:
    """The worth of a file, by what was measured of it on this host."""
    content = path.read_bytes()
    return Worth(
        len(content), gzip_bytes(content), len(content), _value(measurements, "accuracy"),
        _value(measurements, "latency"),
    )  # fmt: skip


def gzip_bytes(content: bytes) -> int:
    """The size of a file's content after gzip, which is what a download or an archive holds."""
    return len(gzip.compress(content, mtime=0))


def verdict(label: str, before: Worth, after: Worth) -> str:
    """One sentence: sizes, accuracy and latency next to the uncompressed file's, and whether it is faster."""
    parts = [
        f"gzip {format_bytes(after.gzip_bytes)} against {format_bytes(before.gzip_bytes)}",
        f"the runtime loads {format_bytes(after.loaded_bytes)} against {format_bytes(before.loaded_bytes)}",
    ]
    if before.accuracy is not None and after.accuracy is not None:
        parts.append(f"accuracy {after.accuracy:.3f} against {before.accuracy:.3f}")
    return f"{label}, compressed against uncompressed: {', '.join(parts)}; {_speed(before.latency_s, after.latency_s)}"


def _speed(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "its latency could not be measured"
    both = f"{format_seconds(after)} against {format_seconds(before)} on this host"
    if after < before * (1 - SAME_LATENCY):
        return f"it is faster: {both}"
    if after > before * (1 + SAME_LATENCY):
        return f"it isn't faster but slower: {both}"
    return f"it isn't faster: {both}"


def _value(measurements: Sequence[Measurement], metric: str) -> float | None:
    return next((m.value for m in measurements if m.metric == metric and m.where == "host"), None)
