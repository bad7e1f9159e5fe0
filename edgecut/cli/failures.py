"""Every way in which a command can fail, as one sentence on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType

import click

from edgecut import __version__
from edgecut.errors import EdgecutError, RequestError
from edgecut.records.nearest import closest

USAGE = RequestError.exit_code
BUG = 5
INTERRUPTED = 130
# What the machine refuses is no bug of edgecut.
_MACHINE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class Failures:
    """A context around a whole command: whatever leaves it ends the process as interface.md says.

    While it lasts, SIGTERM is an interrupt, so that a stopped run cleans up like one stopped by Ctrl-C.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        """arguments: the command line, for the log of a bug."""
        self._arguments = tuple(arguments)

    def __enter__(self) -> None:
        """Prepares the streams and SIGTERM."""
        for stream in (sys.stdout, sys.stderr):
            # A terminal that can't show a sign gets a question mark, not a UnicodeEncodeError.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self._before = signal.signal(signal.SIGTERM, _interrupt)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says what went wrong, and ends the process."""
        signal.signal(signal.SIGTERM, self._before)
        if error is None or isinstance(error, SystemExit):
            return
        sentences, code = _explained(error, self._arguments)
        for sentence in sentences:
            _tell(sentence)
        raise SystemExit(code) from None


def _explained(error: BaseException, arguments: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """What to say about an error, and the exit code."""
    match error:
        case EdgecutError():
            faults = getattr(error, "faults", None) or (str(error),)
            return tuple(f"error: {fault}" for fault in faults), error.exit_code
        case click.exceptions.Exit():
            return (), error.exit_code
        case click.UsageError() if error.format_message().startswith("Usage:"):
            # A group without a command: click puts its whole help page into the message.
            return (error.format_message(),), USAGE
        case click.ClickException():
            return (f"error: {_usage_sentence(error)}",), USAGE
        case KeyboardInterrupt() | click.Abort():
            return ("interrupted",), INTERRUPTED
        case BrokenPipeError():
            _drop_stdout()
            return (), 0
        case OSError() if error.errno in _MACHINE_FAULTS:
            return (f"error: {error.filename or 'output'}: {error.strerror}; make room or choose another place",), 3
        case MemoryError():
            return ("error: not enough memory for this step; close other programs or use a smaller input",), 3
    path = _write_log(error, arguments)
    log = f"the details are in {path}" if path else "no folder for a log could be written"
    return (f"bug: {type(error).__name__}: {_first_line(error)}; {log}",), BUG


def _usage_sentence(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        options = [name for param in error.ctx.command.params for name in param.opts] if error.ctx else []
        message = f"no option {error.option_name!r}{closest(error.option_name, options, count=1)}"
    else:
        message = error.format_message().rstrip(".").replace("\n", " ")
        message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "edgecut"
    return f"{message}; see `{command} --help`"


def _tell(sentence: str) -> None:
    help_page = sentence.startswith("Usage:")
    try:
        click.echo(sentence if help_page else f"edgecut: {sentence}", err=True)
    except BrokenPipeError:
        return


def _drop_stdout() -> None:
    """Points stdout nowhere, so that the flush at the end of the process doesn't fail on a closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"


def _write_log(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Writes what is needed to find a bug into a new file; its path, None where no folder takes it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgecut"
    head = (
        f"edgecut {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {list(arguments)!r}\n\n"
    )
    for folder in (cache, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix="bug-", suffix=".log", dir=folder)
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(head + "".join(traceback.format_exception(error)))
        except OSError:
            continue
        return Path(name)
    return None
