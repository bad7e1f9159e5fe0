"""A foreign function that TensorFlow runs in this process: ended by a signal, and by the limit of time."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

# What lets TensorFlow end a function that runs has no public name. Since 2.2.
from tensorflow.python.eager import cancellation

from edgecut.errors import SourceError
from edgecut.sandbox.limits import read_limits

_ENDS = frozenset({signal.SIGINT, signal.SIGTERM})


class EndlessError(SourceError):
    """A function of a file runs longer than the limits let it."""

    # Keras puts the layer and its arguments around the message of any other error of a call.
    _keras_call_info_injected = True


@contextmanager
def bounded(source: str) -> Iterator[None]:
    """Let functions of a SavedModel run meanwhile, together no longer than EDGECUT_LIMITS lets a child.

    Python answers a signal when native code returns, which a loop without an end doesn't: a thread sees it, and lets
    TensorFlow cancel what runs. Raises EndlessError, which begins with `source`, when the time is over.
    """
    manager, over = cancellation.CancellationManager(), threading.Event()
    limits = read_limits()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False) if in_main else -1

    def watch() -> None:
        if _came(reader, time.monotonic() + limits.seconds) is None:
            over.set()
        manager.start_cancel()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with cancellation.CancellationManagerContext(manager):
            yield
    except tf.errors.CancelledError as exc:
        if not over.is_set():
            raise
        raise EndlessError(
            f"{source}: its functions ran for {limits.seconds:g} s; a loop in them may have no end, else "
            f"{limits.hint('seconds')}"
        ) from exc
    finally:
        if in_main:
            signal.set_wakeup_fd(before)
        os.write(writer, bytes([signal.SIGINT]))
        watcher.join()
        os.close(reader)
        os.close(writer)


def _came(reader: int, until: float) -> int | None:
    """The first signal of those that end a process, from the numbers in a pipe; None if there is none in time."""
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        for number in os.read(reader, 256) if ready else ():
            if number in _ENDS:
                return number
    return None
