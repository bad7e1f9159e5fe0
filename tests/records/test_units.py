"""Sizes as people write them."""

from __future__ import annotations

import pytest

from edgecut.records.units import format_exact_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [("98.4 KiB", 100_762), ("98.4KiB", 100_762), ("1.2 MiB", 1_258_291), (40448.0, 40448)],
)
def test_a_size_in_a_larger_unit_is_the_nearest_number_of_bytes(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["1.5", "1.5 B", 1.5])
def test_a_part_of_a_byte_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no whole number of bytes"):
        parse_bytes(text)


def test_what_is_to_be_reserved_is_told_to_the_byte() -> None:
    assert format_exact_bytes(12_224) == "12224 bytes (11.9 KiB)"
    assert format_exact_bytes(900) == "900 bytes"
