"""How long, and with how much memory, a child process may work on a model file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from edgecut.errors import RequestError, RunError
from edgecut.records.units import format_bytes, parse_bytes, parse_seconds

VARIABLE = "EDGECUT_LIMITS"
_BYTES_PER_BYTE = 8  # a runtime holds a file, its parsed form, its weights and the kernels' repacked ones
_HELD = 4  # a file that this process reads is held as it is, parsed, in its constants, and while one of them is copied
_NUMBER_BYTES = 8  # of a seeded number, before it gets its type


@dataclass(frozen=True)
class Limits:
    """seconds: of one load or one run, by the wall clock. address_bytes: of address space. own: which of the two
    stands in EDGECUT_LIMITS.
    """

    seconds: float = 60.0
    address_bytes: int = 4 * 2**30
    own: frozenset[str] = frozenset()

    def address_bytes_for(self, size_bytes: int) -> int:
        """The address space for a file of a size: more than usual for a large one, unless the user set it."""
        if "bytes" in self.own:
            return self.address_bytes
        return self.address_bytes + _BYTES_PER_BYTE * size_bytes

    def hint(self, key: str) -> str:
        """How to raise a limit, as words at the end of a sentence."""
        value = f"seconds={2 * self.seconds:g}" if key == "seconds" else f"bytes={format_bytes(2 * self.address_bytes)}"
        return f"{VARIABLE}={value.replace(' ', '')!r} raises the limit"


def read_limits() -> Limits:
    """The limits in EDGECUT_LIMITS ("seconds=60,bytes=4GiB", one of them or both), or the usual ones.

    Raises RequestError for a text of another form.
    """
    text = os.environ.get(VARIABLE, "")
    seconds, address_bytes, own = Limits.seconds, Limits.address_bytes, set[str]()
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = part.partition("=")
        try:
            if key == "seconds":
                seconds = parse_seconds(value)
            elif key == "bytes":
                address_bytes = parse_bytes(value)
            else:
                raise ValueError(f"{part!r} is neither seconds=... nor bytes=...")
        except ValueError as exc:
            raise RequestError(f"{VARIABLE}: {exc}; 'seconds=60,bytes=4GiB' is the form") from exc
        if not (seconds and address_bytes):
            raise RequestError(f"{VARIABLE}: {part!r} lets nothing run; give more than 0")
        own.add(key)
    return Limits(seconds, address_bytes, frozenset(own))


@contextmanager
def limits_of(text: str | None) -> Iterator[None]:
    """Let EDGECUT_LIMITS be a text meanwhile, for this process and those that it starts; None leaves it as it is.

    Raises RequestError for a text of another form.
    """
    before = os.environ.get(VARIABLE)
    if text is not None:
        os.environ[VARIABLE] = text
    try:
        if text is not None:
            read_limits()
        yield
    finally:
        if before is not None:
            os.environ[VARIABLE] = before
        elif text is not None:
            os.environ.pop(VARIABLE, None)


def check_array(name: str, shape: Sequence[int]) -> None:
    """Nothing, for an array of numbers that the limits have room for; judged by its shape, before it is made.

    name: what the shape, which a foreign file says, is of. Raises RunError.
    """
    limits, size_bytes = read_limits(), _NUMBER_BYTES * math.prod(shape)
    if size_bytes > limits.address_bytes:
        raise RunError(
            f"{name} has the shape {list(shape)}, whose numbers take {format_bytes(size_bytes)}; {limits.hint('bytes')}"
        )


def over_limits(size_bytes: int) -> str:
    """Why a foreign file of a size isn't read into this process, the end of a sentence; "" if the limits let it."""
    limits = read_limits()
    if _HELD * size_bytes <= limits.address_bytes:
        return ""
    largest = format_bytes(limits.address_bytes // _HELD)
    return f"has {format_bytes(size_bytes)}, and up to {largest} are read; {limits.hint('bytes')}"
