"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from edgecut.records.escapes import harmless
from edgecut.records.progress import Advance
from edgecut.records.units import format_seconds

_FIGURES = 36  # columns of the mark, the count, the times and the gaps


class RichProgress:
    """A Progress with one line per task on stderr: a bar where the total is known, else a spinner.

    Finished tasks stay as one line each. Nothing is written where stderr is no terminal, or one that
    can't go back in a line.
    """

    def __init__(self, console: Console | None = None) -> None:
        """console: where to write; stderr if not given."""
        console = console or Console(stderr=True)
        bar = 24 if console.width >= 100 else 12
        title = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - bar - _FIGURES))
        self._bars = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False, table_column=title),
            BarColumn(bar_width=bar),
            _Count(),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            disable=not console.is_terminal or console.is_dumb_terminal,
        )
        self._open = 0

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """A line for as long as the context; call the result with the units just done."""
        if self._open == 0:
            self._bars.start()
        self._open += 1
        identity = self._bars.add_task(harmless(title), total=total)
        try:
            yield lambda units: self._bars.advance(identity, units)
            done = self._bars.tasks[self._bars.task_ids.index(identity)]
            self._bars.update(identity, total=done.total or 1, completed=done.total or 1)
        finally:
            self._open -= 1
            if self._open == 0:
                self._bars.stop()
                for finished in self._bars.task_ids:
                    self._bars.remove_task(finished)


class _Left(ProgressColumn):
    """ "12 s left" while a task counts, nothing before its first units and after its last."""

    def render(self, task: Task) -> Text:
        """The time that the rest takes at the speed so far."""
        left = task.time_remaining
        return Text("" if task.finished or left is None else f"{format_seconds(left)} left", "dim")


class _Count(ProgressColumn):
    """ "12/200" where a task counts, nothing where it doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self._count = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """The count of a task."""
        return self._count.render(task) if task.total not in {None, 1} else Text()
