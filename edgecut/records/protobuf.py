"""A protobuf message as its fields, without its schema."""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_VARINT = 10
_SIZES = {1: 8, 5: 4}


def fields(message: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message as (number, content), those that aren't text or messages left out.

    Nothing is copied. Raises ValueError for what is no message, groups included, which nothing writes any more.
    """
    view = memoryview(message)
    place = 0

    def varint() -> int:
        nonlocal place
        value = 0
        for k, byte in enumerate(view[place : place + _LONGEST_VARINT]):
            value |= (byte & 127) << (7 * k)
            if byte < 128:
                place += k + 1
                return value
        raise ValueError("a number has no end")

    while place < len(view):
        key = varint()
        kind = key & 7
        if kind == 0:
            varint()
        elif kind in _SIZES:
            place += _SIZES[kind]
        else:
            size = varint()
            if kind != 2 or place + size > len(view):
                raise ValueError("a field is longer than the file")
            yield key >> 3, view[place : place + size]
            place += size
