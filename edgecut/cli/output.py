"""What a command prints, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from edgecut.cli.failures import Failures
from edgecut.records.deprecated import OldWordWarning
from edgecut.records.escapes import csv_text, json_literals, terminal_line, with_nulls
from edgecut.records.progress import SILENT, Progress
from edgecut.sandbox.limits import limits_of
from edgecut.whole import naming

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


OLD_WORDS = "edgecut.old_words"
"""Where click's context holds what is to be said of old options that were given."""

_UNLIMITED = 1_000_000
_ROWS = 25  # no table asks how many there are


class Output:
    """The channels of one command."""

    def __init__(
        self, *, as_json: bool = False, as_csv: bool = False, quiet: bool = False, verbose: bool = False
    ) -> None:
        """as_json, as_csv: one document on stdout and nothing else there. quiet: the answer there, errors on stderr."""
        self.as_json = as_json
        self.as_csv = as_csv
        self.quiet = quiet
        self.verbose = verbose

    def table(self, *parts: RenderableType) -> None:
        """Prints tables and lines for people on stdout; nothing with --json or --csv."""
        if self.as_json or self.as_csv:
            return
        from rich.console import Console

        console = Console(
            highlight=False,
            markup=False,
            emoji=False,
            width=self.width(),
            height=_ROWS,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
        )
        for part in parts:
            _write(functools.partial(_show, console, part))

    def remarks(self, *parts: RenderableType) -> None:
        """Prints on stdout what isn't the answer: notes, what was written, what to do next; nothing if quiet."""
        if not self.quiet:
            self.table(*parts)

    def document(self, data: Mapping[str, object]) -> None:
        """Prints one JSON document on stdout with --json; nothing otherwise."""
        if self.as_json:
            _write(lambda: click.echo(json_text(data)))
            context = click.get_current_context(silent=True)
            failures = None if context is None else context.find_object(Failures)
            if failures is not None:
                failures.answered = True  # what fails now has a document before it

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Prints comma-separated values (RFC 4180) on stdout with --csv, a line of names first; nothing otherwise."""
        if not self.as_csv:
            return
        text = csv_text([columns, *rows])
        _write(lambda: click.echo(text, nl=False))

    def width(self) -> int:
        """The columns of the terminal, or of COLUMNS in its place; as many as any table takes where there is none."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED

    def note(self, sentence: str) -> None:
        """Prints a warning or hint on stderr, unless quiet."""
        if not self.quiet:
            click.echo(f"edgecut: {terminal_line(sentence)}", err=True)

    def progress(self) -> Progress:
        """Bars on stderr; silent if quiet or where stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            return SILENT
        from edgecut.render.progress import RichProgress

        return RichProgress()


def json_text(data: Mapping[str, object]) -> str:
    """The document as indented JSON. JSON has no infinity and no NaN: they are null."""
    return json_literals(json.dumps(with_nulls(data)[0], indent=2, ensure_ascii=False, allow_nan=False))


def with_csv(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds --csv to a command whose first argument is an Output, right below with_output."""

    @click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values on stdout.")
    @functools.wraps(function)
    def run(output: Output, *, as_csv: bool, **options: object) -> int | None:
        if as_csv and output.as_json:
            raise click.UsageError("--csv and --json exclude each other")
        output.as_csv = as_csv
        return function(output, **options)

    return run


def with_output(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds --json, -q, -v and --limits to a command; its first argument is then an Output."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="The answer alone, without progress, hints or notes.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more about each step.")
    @click.option(
        "--limits", "of_children", metavar="TEXT", help="What opening a file may take: 'seconds=60,bytes=4GiB'."
    )
    @functools.wraps(function)
    def run(*, as_json: bool, quiet: bool, verbose: bool, of_children: str | None, **options: object) -> int | None:
        output = Output(as_json=as_json, quiet=quiet, verbose=verbose)
        for sentence in click.get_current_context().meta.get(OLD_WORDS, ()):
            output.note(sentence)
        with _old_words_told(output), limits_of(of_children):
            return function(output, **options)

    return run


@contextmanager
def _old_words_told(output: Output) -> Iterator[None]:
    """What is deprecated is a note, once, instead of a warning that Python hides."""
    told: set[str] = set()
    with warnings.catch_warnings():
        show_other = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, OldWordWarning):
                show_other(message, category, filename, lineno, file, line)
            elif str(message) not in told:
                told.add(str(message))
                output.note(str(message))

        warnings.simplefilter("always", OldWordWarning)
        # On some arm64 any product of matrices raises flags: https://github.com/numpy/numpy/issues/28687
        warnings.filterwarnings("ignore", ".*encountered in matmul", RuntimeWarning)
        warnings.showwarning = show
        yield


def _show(console: Console, part: RenderableType) -> None:
    from edgecut.render.shown import Shown

    with console.capture() as capture:
        console.print(Shown(part), soft_wrap=isinstance(part, str), crop=False)
    sys.stdout.write(capture.get())


def _write(action: Callable[[], None]) -> None:
    """Writes to stdout and flushes. A reader that has gone (`| head`) doesn't change the exit code."""
    try:
        with naming("standard output"):
            action()
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
