"""SIGINT and SIGTERM, from a process's first line to its last: remembered, raised, and raised again if swallowed.

It imports nothing that takes time, since a signal that comes before it is in force is answered by Python alone.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False  # typing takes as long to import as all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

    Handler = Callable[[int, FrameType | None], object] | int | None

SENTENCES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""What a command says that one of them ends. Its exit code is a shell's: 128 and the signal's number."""

_AGAIN_S = 0.25  # between two looks at whether an exception of a signal was swallowed


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came.

    A class of its own, because of a KeyboardInterrupt proper that has passed through an exec() (a dataclass's methods,
    a named tuple's) Python remembers to end itself by the signal, though the exception was caught.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        """number: the signal's."""
        super().__init__(number)
        self.number = number


class Interrupts:
    """The signals of a command, from `begin` to `end`.

    The first raises Interrupted in the main thread. If that is swallowed (by a callback of native code, a `__del__`, a
    library's `except`), it is raised again, until it has got to the command's end. While an exception of it is being
    handled nothing is raised, so that no further signal disturbs what cleans up.
    """

    def __init__(self) -> None:
        """None has come."""
        self.number: int | None = None
        self._raises = False
        self._before: dict[int, Handler] = {}
        self._unraisable = sys.unraisablehook

    def begin(self) -> None:
        """Take the signals over, but for those that the caller ignores or handles itself."""
        for number, usual in _USUAL.items():
            if signal.getsignal(number) in (usual, leave):
                self._before[number] = signal.signal(number, self._came)
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._swallowed
        self._raises = True

    def end(self) -> int | None:
        """The signal that came, None if none did; from now on none raises."""
        self._raises = False
        sys.unraisablehook = self._unraisable
        if self.number is not None:
            _set_alarm(0)
        for number, handler in self._before.items():
            # What has been said isn't said again.
            signal.signal(number, handler if self.number is None or handler is not leave else _leave_silently)
        return self.number

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            if self._raises and hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
                self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._look)
                _set_alarm(_AGAIN_S)
        if self._raises and not _is_handled(sys.exception()):
            raise Interrupted(self.number)

    def _look(self, number: int, frame: FrameType | None) -> None:
        """Sends the signal again, so that it is held where signals are held."""
        if self._raises and self.number is not None and not _is_handled(sys.exception()):
            signal.raise_signal(self.number)

    def _swallowed(self, unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            self._unraisable(unraisable)


def leave_on_signals() -> None:
    """Let SIGINT and SIGTERM end this process at once with their sentence, as long as there is nothing to clean up."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) == usual:
            signal.signal(number, leave)
    # The first that is registered is the last that runs. After it Python takes its handlers away, and what native code
    # still does at its end would be cut short, with another exit code.
    atexit.register(_ignore_signals)


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the process at once, with the signal's sentence on stderr."""
    try:
        os.write(2, f"edgecut: {SENTENCES[signal.Signals(number)]}\n".encode())
    finally:
        _leave_silently(number, frame)


def end_process(code: int) -> NoReturn:
    """End the process behind what was registered for its end.

    Python isn't taken down: native code that a signal has left in the middle of its work dies of that.
    """
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def exit_code(number: int) -> int:
    """A shell's exit code of what a signal ended."""
    return 128 + number


def _leave_silently(number: int, frame: FrameType | None) -> None:
    os._exit(exit_code(number))


def _ignore_signals() -> None:
    for number in _USUAL:
        if signal.getsignal(number) in (leave, _leave_silently):
            signal.signal(number, signal.SIG_IGN)


def _is_handled(error: BaseException | None) -> bool:
    """Whether an exception that is being handled is of a signal, or came about while one of a signal was handled."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _set_alarm(seconds: float) -> None:
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


_USUAL: dict[signal.Signals, Handler] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""What a signal does where nobody has said otherwise."""
