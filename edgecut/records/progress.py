"""How long work tells that it goes on, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Somebody who is told about tasks."""

    def task(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A task that lasts as long as the context; call the result with the units just done.

        total: the units in all, None if unknown.
        """


class Silent:
    """A Progress that tells nobody."""

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """A task that nobody hears of."""
        yield lambda units: None


SILENT: Progress = Silent()
