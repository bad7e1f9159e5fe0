"""The plain table and the notes below it, as every command prints them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from edgecut.records.escapes import terminal_line


class Grid(Table):
    """A table of which each text is a line of its own: a name with a line end in it makes no other row."""

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """As rich's. A Text is shown in its own lines."""
        lines = (terminal_line(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*lines, style=style, end_section=end_section)


def line(text: str, style: str = "") -> Text:
    """The text in one line, or wrapped where the terminal ends."""
    return Text(terminal_line(text), style)


def grid(*columns: str) -> Grid:
    """An empty table in the house's look.

    columns: the headings. "<" before a heading makes the column left-aligned and unbroken, "~" left-aligned
    and wrapped where the line is full, ">" right-aligned and wrapped; the others are numbers: right-aligned and
    unbroken.
    """
    table = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        left = column[:1] in {"<", "~"}
        wraps = column[:1] in {"~", ">"}
        table.add_column(
            terminal_line(column.lstrip("<~>")),
            justify="left" if left else "right",
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
        )
    return table


def notes(sentences: Sequence[str], title: str = "notes") -> list[RenderableType]:
    """Sentences as a list under a title; nothing for none."""
    if not sentences:
        return []
    table = Grid.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for sentence in sentences:
        table.add_row("·", sentence)
    return [Text(title, style="bold"), table]
