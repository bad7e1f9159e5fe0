"""The lines that say how well rows of other boards or nets are met by the shipped profiles."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tools.board_rows import Compared, Judged

WITHIN, WITHIN_RAM, WORST = 0.25, 0.10, 10


def report(rows: Sequence[Judged]) -> Iterator[str]:
    """By place, then all together, the worst rows, and why the others aren't compared: every row is in one of them."""
    places: defaultdict[str, list[Judged]] = defaultdict(list)
    for row in rows:
        places[row.place].append(row)
    columns = "rows  net known  no profile | times  median  within 25 %  in the band | RAM, weights"
    yield f"{'board and runtime':44s} {columns}"
    for place in sorted(places, key=lambda place: (not places[place][0].profile, place)):
        yield _line(place, places[place])
    yield from _overall(rows)
    yield from _worst(rows)
    yield from _reasons(rows)


def _line(place: str, rows: Sequence[Judged]) -> str:
    known, unprofiled = sum(row.known for row in rows), sum(not row.profile for row in rows)
    times = [row.time_ms for row in rows if row.time_ms]
    head = f"{place[:44]:44s} {len(rows):4d} {known:10d} {unprofiled:11d} | {len(times):5d}"
    figures = (
        f" {_median(times):7.1%} {_within(times, WITHIN):12.0%} {_holding(times):12.0%} |" if times else f"{'|':>35s}"
    )
    return f"{head}{figures} {_memory(rows)}".rstrip(" ")


def _memory(rows: Sequence[Judged]) -> str:
    ram = [row.activation_kib for row in rows if row.activation_kib]
    weights = [row.weights_kib for row in rows if row.weights_kib]
    parts = [f"{sum(map(_near, ram))} of {len(ram)} within 10 %"] if ram else []
    parts += [f"{sum(row.holds for row in weights)} of {len(weights)} exact"] if weights else []
    return ", ".join(parts)


def _overall(rows: Sequence[Judged]) -> Iterator[str]:
    times = [row.time_ms for row in rows if row.time_ms]
    yield ""
    if times:
        figures = f"median error {_median(times):.1%}, {_within(times, WITHIN):.0%} within 25 %"
        yield f"times: {len(times)} of {len(rows)} rows: {figures}, {_holding(times):.0%} inside the stated band"
    else:
        yield f"times: none of {len(rows)} rows could be compared"
    ram = [row.activation_kib for row in rows if row.activation_kib]
    if ram:
        figures = f"median error {_median(ram):.1%}, {sum(map(_near, ram)) / len(ram):.0%} within 10 %"
        yield f"activation RAM: {len(ram)} rows: {figures}, {_holding(ram):.0%} inside the stated band"
    weights = [row.weights_kib for row in rows if row.weights_kib]
    if weights:
        yield f"weights flash: {sum(row.holds for row in weights)} of {len(weights)} rows to the last printed digit"


def _worst(rows: Sequence[Judged]) -> Iterator[str]:
    timed = sorted((row for row in rows if row.time_ms), key=lambda row: -abs(row.time_ms.error if row.time_ms else 0))
    if timed:
        yield f"\nthe worst {min(WORST, len(timed))} times (line, estimate with its band, printed):"
    for row in timed[:WORST]:
        time = row.time_ms
        if time:
            said = f"{time.estimate:9.2f} ms ±{time.band:.0%}, {time.printed:9.2f} ms: {time.error:+.0%}"
            yield f"  {row.line:4d} {said}{'' if time.holds else ', outside'}  {row.place}: {row.name}"


def _reasons(rows: Sequence[Judged]) -> Iterator[str]:
    reasons = Counter(row.reason for row in rows if row.reason)
    lines = {reason: ", ".join(str(row.line) for row in rows if row.reason == reason) for reason in reasons}
    if reasons:
        yield f"\n{reasons.total()} rows without a comparison of times:"
    yield from (f"  {count:4d} {reason} (line {lines[reason]})" for reason, count in reasons.most_common())
    remarks = Counter(remark for row in rows for remark in row.remarks)
    if remarks:
        yield "\ncompared all the same:"
    yield from (f"  {count:4d} {remark}" for remark, count in remarks.most_common())


def _median(rows: Sequence[Compared]) -> float:
    return statistics.median(abs(row.error) for row in rows)


def _within(rows: Sequence[Compared], share: float) -> float:
    return sum(abs(row.error) <= share for row in rows) / len(rows)


def _near(row: Compared) -> bool:
    """Whether an estimated memory is within a tenth of the printed one, as tools/boards/memory.py counts."""
    return abs(row.estimate / row.printed - 1) <= WITHIN_RAM


def _holding(rows: Sequence[Compared]) -> float:
    return sum(row.holds for row in rows) / len(rows)
