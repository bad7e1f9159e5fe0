"""The memory of a device out of its row of devices.csv, each number with its source."""

from __future__ import annotations

from collections.abc import Mapping

from tools.profile_toml import Numbers, cell_source

KIB = 1024


def memory(facts: Mapping[str, str], chip: Mapping[str, str] | None = None, *, on_board: bool = True) -> Numbers:
    """The [memory] of a board: RAM, its pieces and the largest of them, flash, and what lies outside the chip.

    chip: the row that has the pieces, where the board's own leaves them to another with the same chip. on_board:
    whether the row's external memory is the board's, too. A cell that no first-hand source confirms is left out.
    """
    chip = chip or facts
    numbers = _sized(facts, "ram_bytes", "src_ram")
    pieces = f"{cell_source(chip, 'src_ram')}: {chip['ram_breakdown']}"
    if chip["contiguous_bytes"]:
        numbers["memory.contiguous_bytes"] = (int(chip["contiguous_bytes"]), pieces)
    numbers |= {f"memory.banks.{name}": (size, pieces) for name, size in _banks(chip["banks"])}
    numbers |= _sized(facts, "flash_bytes", "src_flash")
    if on_board:
        numbers |= _sized(facts, "external_ram_bytes", "src_external_ram")
        numbers |= _sized(facts, "external_flash_bytes", "src_external_flash")
    return numbers


def _sized(facts: Mapping[str, str], column: str, source: str) -> Numbers:
    weak = any(word in facts[source] for word in ("secondary", "not confirmed"))
    known = facts[column].isdigit() and int(facts[column]) > 0 and not weak
    return {f"memory.{column}": (int(facts[column]), cell_source(facts, source))} if known else {}


def _banks(cell: str) -> list[tuple[str, int]]:
    """(name, bytes) of a cell such as "itcm 64K; dtcm 128K"."""
    words = (part.split() for part in cell.split(";") if part.strip())
    return [(name, int(size.removesuffix("K")) * KIB) for name, size in words]
