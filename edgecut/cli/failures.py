"""Every way in which a command can fail, as one sentence on stderr and an exit code."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import click

from edgecut.errors import EdgecutError, RequestError, faults_of
from edgecut.interrupts import SENTENCES, Interrupted, Interrupts, exit_code
from edgecut.memory import address_limit, is_out_of_memory
from edgecut.records.escapes import json_literals, terminal_line
from edgecut.records.nearest import closest
from edgecut.records.packages import missing
from edgecut.records.units import format_bytes
from edgecut.version import __version__
from edgecut.whole import uninterrupted, write_whole

USAGE = RequestError.exit_code
BUG = 5
# What the machine refuses is no bug of edgecut: the system's error, and what can be done about it.
_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EFBIG: "raise the limit (ulimit -f), or choose another place",
    errno.EROFS: "choose another place",
    errno.EACCES: "ask for permission, or choose another place",
    errno.EPERM: "ask for permission, or choose another place",
    errno.EBUSY: "wait until it isn't in use, or choose another place",
    errno.EMFILE: "raise the limit (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EAGAIN: "close other programs, or raise the limit of processes (ulimit -u)",
    errno.EIO: "the disk or the connection to it fails; choose another place",
    errno.ESTALE: "the connection to the disk was lost; connect it again",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class Failures:
    """A context around a whole command: whatever leaves it ends the process as interface.md says.

    A signal counts more than what became of the command: libraries make other errors of it, or none.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        """arguments: the command line, for the log of a bug."""
        self._arguments = tuple(arguments)
        self._interrupts = Interrupts()
        self.answered = "--json" not in self._arguments
        """Whether stdout has its document, or is to have none."""
        self.command = "edgecut"
        """The command whose help page tells of a wrong line."""

    def __enter__(self) -> Failures:
        """Prepares the streams and takes the signals over."""
        _open_streams()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that can't show a sign gets a question mark, not a UnicodeEncodeError.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self._interrupts.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says what went wrong, and ends the process."""
        number = self._interrupts.end()
        failure = _named(error) if number is None else Interrupted(number)
        if failure is None or isinstance(failure, SystemExit):
            return
        with uninterrupted():
            _settle_stdout()
            sentences, code = _explained(failure, self._arguments, self.command)
            for sentence in sentences:
                _tell(sentence)
            if sentences and not self.answered:
                _answer(failure, code, sentences)
        raise SystemExit(code) from None


def _named(error: BaseException | None) -> BaseException | None:
    """The error, or of a package that isn't here what brings it."""
    return (isinstance(error, ModuleNotFoundError) and missing(error.name)) or error


def _explained(error: BaseException, arguments: Sequence[str], command: str) -> tuple[tuple[str, ...], int]:
    """What to say about an error, and the exit code."""
    match error:
        case EdgecutError():
            return tuple(f"error: {fault}" for fault in faults_of(error)), error.exit_code
        case click.exceptions.Exit():
            return (), error.exit_code
        case click.UsageError() if error.format_message().startswith("Usage:"):
            # A group without a command: click puts its whole help page into the message.
            return (error.format_message(),), USAGE
        case click.ClickException():
            return (f"error: {_usage_sentence(error, command)}",), USAGE
        case Interrupted():
            return (SENTENCES[signal.Signals(error.number)],), exit_code(error.number)
        case KeyboardInterrupt() | click.Abort():
            return (SENTENCES[signal.SIGINT],), exit_code(signal.SIGINT)
        case BrokenPipeError():
            return (), 0
        case OSError() if error.errno in _REMEDIES:
            where = _shown(error.filename, arguments) if error.filename else "the system refuses"
            # HDF5 puts a paragraph into strerror.
            return (f"error: {where}: {os.strerror(error.errno)}; {_REMEDIES[error.errno]}",), 3
        case FileNotFoundError() if "temporary directory" in str(error):
            return ("error: no folder takes temporary files; free some space, or name a folder in TMPDIR",), 3
        case RuntimeError() if "can't start new thread" in str(error):
            return (f"error: the system refuses another thread; {_REMEDIES[errno.EAGAIN]}",), 3
        case _ if is_out_of_memory(error):
            return (_no_memory(),), 3
    path = _write_log(error, arguments)
    log = f"the details are in {path}" if path else "no folder for a log could be written"
    return (f"bug: {type(error).__name__}: {_first_line(error)}; {log}",), BUG


def _answer(error: BaseException, code: int, sentences: Sequence[str]) -> None:
    """Prints {"error": ...} where a document was expected on stdout."""
    said = [sentence.removeprefix("error: ") for sentence in sentences]
    document = {"error": {"code": code, "kind": _kind(error), "message": "\n".join(said)}}
    with suppress(OSError):
        click.echo(json_literals(json.dumps(document, indent=2, ensure_ascii=False)))
        sys.stdout.flush()


def _kind(error: BaseException) -> str:
    """What went wrong in a word: of an EdgecutError its class without "Error", in snake case."""
    match error:
        case EdgecutError():
            return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).lower()
        case click.ClickException() | click.exceptions.Exit():
            return "usage"
        case Interrupted() | KeyboardInterrupt() | click.Abort():
            return "interrupted"
        case _ if is_out_of_memory(error):
            return "memory"
        case OSError():
            return "system"
    return "bug"


def _no_memory() -> str:
    limit = address_limit()
    if limit is None:
        return "error: not enough memory for this step; close other programs or use a smaller input"
    return (
        f"error: not enough memory for this step: this process may use {format_bytes(limit)} of address space; raise "
        "the limit (ulimit -v) or use a smaller input"
    )


def _shown(name: object, arguments: Sequence[str]) -> str:
    """A file's name on one line. In the folder of temporary files: that folder, since nobody knows the file.

    What the arguments or EDGECUT_CACHE name there is known.
    """
    text, scratch = os.fsdecode(name) if isinstance(name, str | bytes) else str(name), _scratch()
    named = [os.path.abspath(word) for word in (*arguments, os.environ.get("EDGECUT_CACHE", "")) if word]
    named = [path for path in named if path != scratch]
    is_named = any(text == path or text.startswith(path + os.sep) for path in named)
    if text.startswith(scratch + os.sep) and not is_named:
        return f"{scratch} (where temporary files are; TMPDIR names another folder)"
    return text if text.isprintable() else repr(text)


def _usage_sentence(error: click.ClickException, command: str) -> str:
    if isinstance(error, click.NoSuchOption):
        options = [name for param in error.ctx.command.params for name in param.opts] if error.ctx else []
        message = f"no option {error.option_name!r}{closest(error.option_name, options, count=1)}"
    else:
        message = error.format_message().rstrip(".").replace("\n", " ")
        message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see `{context.command_path if context else command} --help`"


def _tell(sentence: str) -> None:
    help_page = sentence.startswith("Usage:")
    try:
        click.echo(sentence if help_page else f"edgecut: {terminal_line(sentence)}", err=True)
    except OSError:
        return  # nobody can be told


def _open_streams() -> None:
    """Opens what the caller closed (`>&-`): the next file would get its number, and what is printed would go there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            if descriptor > 2:
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 (as long as the process)


def _settle_stdout() -> None:
    """Points stdout nowhere if it takes no more, so that the flush at the end of the process doesn't fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"


def _write_log(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Writes what is needed to find a bug into a new file; its path, None where no folder takes it."""
    head = (
        f"edgecut {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {list(arguments)!r}\n\n"
    )
    text = head + "".join(traceback.format_exception(error))
    for folder in _log_folders():
        path = folder / f"bug-{secrets.token_hex(4)}.log"
        try:
            write_whole(path, text.encode(errors="backslashreplace"))
        except OSError:
            continue
        return path
    return None


def _log_folders() -> Iterator[Path]:
    home = os.path.expanduser("~")  # "~" for a user whom the system doesn't know
    cache = os.environ.get("XDG_CACHE_HOME") or (os.path.join(home, ".cache") if home != "~" else "")
    if cache:
        yield Path(cache) / "edgecut"
    yield Path(_scratch())


def _scratch() -> str:
    """The folder of temporary files, the current one where none can be written."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.curdir
