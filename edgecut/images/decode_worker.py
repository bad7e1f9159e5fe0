"""The child process in which pictures are decoded: it answers a message (sandbox/wire.py) on stdin by one on stdout.

A message has pictures, as paths or as arrays of encoded bytes, and the device's form; the answer has those that can be
decoded, in that form, and what is wrong with the others. It imports no more than it needs, since every command that
reads pictures starts one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecut.errors import DataError
from edgecut.images.decode import decode, decode_encoded
from edgecut.images.device import PictureForm
from edgecut.images.encoded import Encoded
from edgecut.sandbox.confined import limit_address_space, limited
from edgecut.sandbox.wire import Header, receive, send


def main() -> None:
    """Answer until stdin ends."""
    stdin, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    while (message := receive(stdin)) is not None:
        limit_address_space(message[0]["address_bytes"])
        pixels, faults = _decoded(*message)
        send(answers, {"faults": faults}, [] if pixels is None else [pixels])


def _decoded(header: Header, contents: list[np.ndarray]) -> tuple[np.ndarray | None, list[str]]:
    """(the pictures in the device's form, (n, *form.shape), or None where no form is said; what is wrong)."""
    form = None if header["form"] is None else PictureForm(*header["form"])
    pictures, faults = list[np.ndarray](), list[str]()
    for each in _pictures(header, contents):
        with limited(header["seconds"]):
            try:
                picture = _picture(each, header["where"])
                if form is not None:
                    pictures.append(form.of(picture[None]))
            except DataError as exc:
                faults.append(str(exc))
    return None if form is None else np.concatenate([np.empty((0, *form.shape), np.uint8), *pictures]), faults


def _pictures(header: Header, contents: list[np.ndarray]) -> Iterator[Encoded | tuple[str, Path]]:
    """(place, path) of files, else what was sent of each."""
    if header["paths"]:
        yield from ((place, Path(path)) for place, path in zip(header["places"], header["paths"], strict=True))
        return
    rest = iter(contents)
    for place, has_bytes in zip(header["places"], header["has_bytes"], strict=True):
        yield Encoded(place, next(rest).tobytes() if has_bytes else None)


def _picture(each: Encoded | tuple[str, Path], where: str) -> np.ndarray:
    if isinstance(each, Encoded):
        return decode_encoded(each, where)
    place, path = each
    return decode(path, where, place)


if __name__ == "__main__":
    main()
