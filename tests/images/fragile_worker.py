"""A decoder's child that pictures end by their names, as a crafted one may: a crash, a loop, too much memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from edgecut.images import decode_worker

_decode = decode_worker.decode


def _fragile(path: Path, where: str, place: str) -> np.ndarray:
    if "crash" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "loop" in path.name:
        signal.pause()
    if "fill" in path.name:
        raise MemoryError
    return _decode(path, where, place)


decode_worker.decode = _fragile  # type: ignore[assignment]

if __name__ == "__main__":
    decode_worker.main()
