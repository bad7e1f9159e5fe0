"""The plain table and the notes below it, as every command prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from edgecut.records.escapes import terminal_line

_GAP = 2  # blanks between two columns


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


@dataclass(frozen=True)
class Fitted:
    """A table that leaves columns out where the terminal has no room for all, and says which. None is ever cut.

    columns: headings as `grid` takes them. dropped: headings in the order in which they are left out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    dropped: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table in the width that there is."""
        names = [column.lstrip("<~>") for column in self.columns]
        widths = [max([len(names[k]), *(_width(row[k]) for row in self.rows)]) for k in range(len(names))]
        shown, left_out = list(range(len(names))), []
        for name in self.dropped:
            if sum(widths[k] + _GAP for k in shown) - _GAP <= options.max_width:
                break
            if name in names:
                shown.remove(names.index(name))
                left_out.append(name)
        table = grid(*(self.columns[k] for k in shown))
        for row in self.rows:
            table.add_row(*(row[k] if k < len(row) else "" for k in shown))
        yield table
        if left_out:
            listed = ", ".join(name for name in names if name in left_out)
            yield line(f"no room for {listed}: a wider terminal or --json has them", "dim")


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str | Text]], dropped: Sequence[str]) -> Fitted:
    """A table of these rows; a row of one cell is a heading. dropped: what goes first where there is no room."""
    return Fitted(columns, [[*row, *[""] * (len(columns) - len(row))] for row in rows], dropped)


def _width(cell: str | Text) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(terminal_line(cell))


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
