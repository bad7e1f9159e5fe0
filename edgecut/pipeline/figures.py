"""What a compressed file costs and gives next to what it was before, in words."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.bench.interleaved import Ratio
from edgecut.records.measurement import Measurement
from edgecut.records.units import format_bytes

# Latencies that are nearer than this aren't told apart.
SAME_LATENCY = 0.03


@dataclass(frozen=True)
class FileFigures:
    """What a file costs and gives. size_bytes: what the runtime loads, zeros and shared values included."""

    size_bytes: int
    gzip_bytes: int
    accuracy: float | None


def figures_of(path: Path, measurements: Sequence[Measurement]) -> FileFigures:
    """The figures of a file, by what was measured of it on this host."""
    content = path.read_bytes()
    accuracy = next((m.value for m in measurements if m.metric == "accuracy" and m.where == "host"), None)
    return FileFigures(len(content), gzip_bytes(content), accuracy)


def gzip_bytes(content: bytes) -> int:
    """The size of a file's content after gzip, which is what a download or an archive holds."""
    return len(gzip.compress(content, mtime=0))


def comparison(label: str, before: FileFigures, after: FileFigures, ratio: Ratio | None) -> str:
    """One sentence: sizes and accuracy next to the uncompressed file's, and whether it is faster.

    ratio: its times over the uncompressed one's, measured in turn; None if they couldn't be.
    """
    parts = [
        f"gzip {format_bytes(after.gzip_bytes)} against {format_bytes(before.gzip_bytes)}",
        f"the runtime loads {format_bytes(after.size_bytes)} against {format_bytes(before.size_bytes)}",
    ]
    if before.accuracy is not None and after.accuracy is not None:
        parts.append(f"accuracy {after.accuracy:.3f} against {before.accuracy:.3f}")
    return f"{label}, compressed against uncompressed: {', '.join(parts)}; {_speed(ratio)}"


def _speed(ratio: Ratio | None) -> str:
    if ratio is None:
        return "its latency could not be measured"
    interval = f"95 % between {ratio.low:.2f} and {ratio.high:.2f}"
    both = f"{ratio.value:.2f} times the time, {interval}, measured in turn on this host"
    if ratio.high < 1 and ratio.value < 1 - SAME_LATENCY:
        return f"it is faster: {both}"
    if ratio.low > 1 and ratio.value > 1 + SAME_LATENCY:
        return f"it isn't faster but slower: {both}"
    return f"it isn't faster: {both}"
