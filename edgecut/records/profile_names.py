"""The names that a profile is found by beside its id: its chip, and words of what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edgecut.records.document import closest
from edgecut.records.profile import Profile

SHORTEST_CHIP = 4
"""Fewer signs than these name no chip: "h7" is a family."""
DIGITS = 3
"""Fewer digits than these in a part of a name tell no chip from its family: "stm32f" of "stm32f407"."""
MOST_OFFERED = 6


def of_chip(name: str, profiles: Iterable[Profile]) -> tuple[Profile, ...]:
    """The profiles whose chip a name is, or begins ("stm32h743"), else names with its package ("STM32H743ZIT6")."""
    sought = _plain(name)
    if len(sought) < SHORTEST_CHIP or not _digits(sought):
        return ()
    known = tuple(profiles)
    chips = {profile.id: _plain(profile.chip) for profile in known if profile.chip}
    if not any(chip.startswith(sought) for chip in chips.values()):
        within = [chip for chip in chips.values() if sought.startswith(chip) and _digits(chip) >= DIGITS]
        sought = max(within, key=len, default="")
    return tuple(p for p in known if sought and chips.get(p.id, "").startswith(sought))


def matching(words: Sequence[str], profiles: Iterable[Profile]) -> tuple[Profile, ...]:
    """The profiles in whose id, title, chip, core, class or runtime each word occurs; signs and case don't count."""
    return tuple(p for p in profiles if all(_plain(word) in _told(p) for word in words))


def offered(name: str, profiles: Sequence[Profile], files: Iterable[str] = ()) -> str:
    """ " (by chip: 'a', 'b'; closest: 'c')" for a name that no profile has; "" where none is like it.

    files: ids that there are files of, sound or not.
    """
    alike = [p.id for p in (of_chip(name, profiles) or _of_a_chip_in(name, profiles))][:MOST_OFFERED]
    near = closest(name, sorted({*files, *(p.id for p in profiles)} - set(alike)))
    if not alike:
        return near
    chips = f"by chip: {', '.join(map(repr, alike))}"
    return f" ({chips}; {near.removeprefix(' (')}" if near else f" ({chips})"


def _of_a_chip_in(name: str, profiles: Sequence[Profile]) -> tuple[Profile, ...]:
    """The profiles whose chip has the longest beginning of a part of the name: "h743zi" of "nucleo-h743zi2"."""
    parts = re.split(r"[^a-z0-9]+", name.lower())
    beginnings = {part[:end] for part in parts for end in range(SHORTEST_CHIP, len(part) + 1)}
    for beginning in sorted((b for b in beginnings if _digits(b) >= DIGITS), key=lambda b: (-len(b), b)):
        hits = tuple(p for p in profiles if beginning in _plain(p.chip))
        if hits:
            return hits
    return ()


def _told(profile: Profile) -> str:
    runtime = profile.runtime
    texts = (profile.id, profile.title, profile.chip, profile.cpu.core, profile.class_, runtime.name, runtime.kernels)
    return " ".join(map(_plain, texts))


def _digits(text: str) -> int:
    return sum(sign.isdigit() for sign in text)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
