"""Whether what is known of a file meets a device's limit: the one rule that every command judges by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgecut.records.device_figures import in_order
from edgecut.records.measurement import Measurement, Metric
from edgecut.records.profile import Profile
from edgecut.records.report import State
from edgecut.records.units import format_bytes
from edgecut.render.words import band_words
from edgecut.tflite.x_cube_ai import KERNELS

HAVE_ARENAS = frozenset({"tflm", "c"})
"""Runtimes whose memory for activations is one piece of a fixed size."""


@dataclass(frozen=True)
class Judgement:
    """value, basis: of the number that answered, None and "unknown" without one. reason: "" where it decides."""

    state: State
    value: float | None
    basis: str
    reason: str = ""


def has_arena(profile: Profile) -> bool:
    """Whether a device's runtime has one number for the memory that a file's activations take."""
    return profile.runtime.name in HAVE_ARENAS or profile.runtime.kernels.lower() == KERNELS


def arena_limit(profile: Profile, *others: int | None) -> int | None:
    """What an arena may take on a device: the strictest of its budget, of others, and of a microcontroller's memory.

    An arena lies in one piece, so the largest contiguous one counts, less what the firmware needs itself.
    """
    memory = profile.memory
    free = None
    if profile.class_ == "microcontroller":
        piece = strictest(memory.largest_piece_bytes, memory.ram_bytes)
        free = None if piece is None else max(0, piece - memory.reserved_ram_bytes)
    return strictest(profile.budget.arena_bytes, free, *others)


def strictest(*limits: int | None) -> int | None:
    """The smallest limit that there is."""
    return min((limit for limit in limits if limit is not None), default=None)


def fits(rows: Iterable[Measurement], limit: float, without: str) -> Judgement:
    """Whether measurements of one metric, file and device meet a limit.

    A measured number answers before an estimate of the same thing; a lower bound that leaves it open lets an estimate
    beside it settle it: "meets" where it meets with its whole band, "misses" where it misses without it, else
    "unknown". without: the reason where there are no rows.
    """
    ordered = in_order(rows)
    if not ordered:
        return Judgement("unknown", None, "unknown", without)
    found = [_judged(row, limit) for row in ordered]
    return next((judgement for judgement in found if judgement.state != "unknown"), _most_telling(found))


def arena_fits(rows: Iterable[Measurement], profile: Profile, *others: int | None) -> Judgement | None:
    """Whether a file's arena fits a device, by the one limit that there is for it; None where nothing limits it.

    Where it doesn't fit the chip, and no budget forbids more, a board's external memory leaves it open.
    """
    limit = arena_limit(profile, *others)
    if limit is None:
        return None
    known = tuple(rows)
    why = f"{profile.id} runs {profile.runtime.name}, which has no arena of a fixed size"
    found, outside = fits(known, limit, why), profile.memory.external_ram_bytes
    room = strictest(profile.budget.arena_bytes, outside, *others)
    if found.state != "misses" or not outside or not room or fits(known, room, why).state == "misses":
        return found
    reason = f"it is more than a piece of the chip's RAM, and the {format_bytes(outside)} outside the chip may hold it"
    return Judgement("unknown", found.value, found.basis, reason)


def refusal(rows: Iterable[Measurement], metrics: Sequence[Metric] = ("arena", "latency")) -> str:
    """Why the device's runtime doesn't run the file, where it was tried: in the runtime's words; else ""."""
    return next((row.reason for row in rows if row.metric in metrics and row.conditions.get("refused")), "")


def _most_telling(found: Sequence[Judgement]) -> Judgement:
    """Of judgements that all leave it open the last with a number: an estimate's band says more than a lower bound."""
    numbers = [judgement for judgement in found if judgement.value is not None]
    return numbers[-1] if numbers else found[0]


def _judged(row: Measurement, limit: float) -> Judgement:
    if row.value is None:
        return Judgement("unknown", None, "unknown", row.reason)
    ends = (row.value, row.value) if row.kind == "measured" else row.band
    if ends is None:
        return Judgement("unknown", row.value, row.kind, "the estimate has no known error band")
    if ends[0] > limit:
        return Judgement("misses", row.value, row.kind)
    if row.conditions.get("at_least"):
        more = row.conditions.get("more", "")
        reason = "the device needs at least this, and may need more" + (f": {more}" if more else "")
        return Judgement("unknown", row.value, row.kind, reason)
    if ends[1] <= limit:
        return Judgement("meets", row.value, row.kind)
    return Judgement(
        "unknown", row.value, row.kind, f"the estimate's band of {band_words(row.error)} reaches across the limit"
    )
