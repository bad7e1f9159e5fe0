"""The plain table, as every command prints it: it leaves columns out where the terminal has no room, and cuts none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgecut.records.escapes import terminal_line
from edgecut.render.lines import broken, indented, line, longest_word, unbroken

_GAP = 2  # blanks between two columns
_SENTENCE, _VALUE = 20, 12  # columns that a sentence and a value of several words need at least
_WORD = 40  # columns up to which a sentence's column holds its longest word; a longer one goes beyond it
_RULE = 60  # columns of a sentence that are underlined at most
_NUMBER = re.compile(r"[-+<]?\d+(\.\d+)?")
_FIGURE = re.compile(r"((?:≥ )?[\d.,]+ \S+) (.+)")

Cell = str | Text


@dataclass(frozen=True)
class Fitted:
    """A table that leaves columns out where the terminal has no room for all, and says which. None is ever cut.

    columns: headings as `fitted` takes them. dropped: headings in the order in which they are left out.
    below: the last column, a sentence, which is the first to go, then stands below its rows instead.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    dropped: Sequence[str]
    below: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table in the width that there is."""
        headings = self.headings()
        cells = _aligned(self.columns, self.rows)
        natural = [_widest([headings[k], *texts]) for k, texts in enumerate(cells)]
        least = [_least(column, cells[k], natural[k]) for k, column in enumerate(self.columns)]
        if self.below and _total(iter(least)) > options.max_width:
            yield from self._unfolded().__rich_console__(console, options)
            return
        shown = _shown(least, [headings.index(name) for name in self.dropped], options.max_width)
        widths = _widths([natural[k] for k in shown], [least[k] for k in shown], options.max_width)
        sides = [_is_left(self.columns[k]) for k in shown]
        yield _row([Text(headings[k], "bold") for k in shown], widths, sides)
        ruled = _total(min(width, _RULE) if self._wraps(k) else width for k, width in zip(shown, widths, strict=True))
        yield unbroken(Text(("-" if options.ascii_only else "─") * ruled))
        for number, row in enumerate(self.rows):
            if len(row) == 1 < len(headings):
                yield from indented(_text(row[0]), options.max_width)
            else:
                texts = [cells[k][number] for k in shown]
                wraps = [self._wraps(k) for k in shown]
                yield from _lines(texts, widths, sides, wraps)
        left_out = [name for k, name in enumerate(headings) if k not in shown]
        if left_out:
            yield line(f"no room for {', '.join(left_out)}: a wider terminal or --json has them", "dim")

    def headings(self) -> list[str]:
        """What stands above the columns."""
        return [_heading(column) for column in self.columns]

    def _unfolded(self) -> Fitted:
        """The table in which each row's last cell is a line of its own."""
        lines = (each for row in self.rows for each in (row[:-1], [Text.assemble("  ", _text(row[-1]))]))
        return Fitted(self.columns[:-1], list(lines), self.dropped[1:])

    def _wraps(self, column: int) -> bool:
        return self.columns[column][:1] in {"~", ">"}


def fitted(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    dropped: Sequence[str] | None = None,
    *,
    below: bool = False,
) -> Fitted:
    """A table of these rows; a row of one cell is a line of its own. Each text is one line: a name makes no other row.

    columns: the headings. "<" before a heading makes the column left-aligned and unbroken, "~" left-aligned and
    broken between words where the line is full, ">" right-aligned and broken; the others are numbers: right-aligned and
    unbroken, without units at the decimal point. Names are unbroken.
    dropped: headings in the order in which columns are left out where there is no room; all but the first, from the
    last one, if not given. below: where there is no room, the last column, which would go first, stands below its rows.
    """
    named = [_heading(column) for column in columns]
    order = named[:0:-1] if dropped is None else [name for name in dropped if name in named]
    return Fitted(columns, rows, order, below)


def remarked(figures: Sequence[tuple[str, str]]) -> list[str]:
    """Cells of a column of numbers, each with a remark behind it: the numbers end in one place."""
    longest = max((cell_len(remark) for _, remark in figures), default=0)
    if not longest:
        return [figure for figure, _ in figures]
    return [f"{figure} {remark}{' ' * (longest - cell_len(remark))}" for figure, remark in figures]


def remarked_words(cells: Sequence[str]) -> list[str]:
    """The same of texts such as "231 ms e ±28 %", in which the remark stands behind the number and its unit."""
    found = [_FIGURE.fullmatch(cell) for cell in cells]
    return remarked([(cell, "") if not part else (part[1], part[2]) for cell, part in zip(cells, found, strict=True)])


def _heading(column: str) -> str:
    return terminal_line(column.lstrip("<~>"))


def _is_left(column: str) -> bool:
    return column[:1] in {"<", "~"}


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(terminal_line(cell))


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[list[Text]]:
    """The texts of each column, "" for what a row doesn't have and for lines of their own."""
    found: list[list[Text]] = []
    for k, column in enumerate(columns):
        own = [row if len(row) > 1 or len(columns) == 1 else () for row in rows]
        texts = [_text(row[k]) if k < len(row) else Text() for row in own]
        found.append(texts if column[:1] in {"<", "~", ">"} else _pointed(texts))
    return found


def _pointed(texts: Sequence[Text]) -> list[Text]:
    """Numbers without units with as many blanks behind them as the longest fraction has signs more."""
    numbers = [_NUMBER.fullmatch(text.plain) for text in texts]
    fractions = [len(number[1] or "") if number else 0 for number in numbers]
    if any(
        text.plain and not number and text.plain.strip() not in {"–", "?"}
        for text, number in zip(texts, numbers, strict=True)
    ):
        return list(texts)
    most = max(fractions, default=0)
    return [
        Text.assemble(text, " " * (most - fraction)) if number else text
        for text, number, fraction in zip(texts, numbers, fractions, strict=True)
    ]


def _widest(texts: Sequence[Cell]) -> int:
    return max(text.cell_len if isinstance(text, Text) else cell_len(text) for text in texts)


def _least(column: str, texts: Sequence[Text], natural: int) -> int:
    """The columns below which a column's text would be cut, or a sentence be a pile of words."""
    if column[:1] not in {"~", ">"}:
        return natural
    words = max((longest_word(text.plain) for text in texts), default=0)
    return min(natural, max(cell_len(_heading(column)), min(words, _WORD), _VALUE if column[0] == ">" else _SENTENCE))


def _shown(least: Sequence[int], dropped: Sequence[int], room: int) -> list[int]:
    """The columns that there is room for; one that was left out comes back where a wider one had to go as well."""
    gone: list[int] = []
    for column in dropped:
        if _total(width for k, width in enumerate(least) if k not in gone) <= room:
            break
        gone.append(column)
    for column in gone[::-1]:
        others = [k for k in gone if k != column]
        if _total(width for k, width in enumerate(least) if k not in others) <= room:
            gone = others
    return [k for k in range(len(least)) if k not in gone]


def _total(widths: Iterator[int]) -> int:
    return sum(width + _GAP for width in widths) - _GAP


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The width of each column: what is left of the room goes to sentences, the shortest first."""
    widths = list(least)
    left = max(0, room - _total(iter(least)))
    for done, k in enumerate(sorted(range(len(widths)), key=lambda k: natural[k] - least[k])):
        more = min(natural[k] - least[k], left // (len(widths) - done))
        widths[k] += more
        left -= more
    return widths


def _lines(
    texts: Sequence[Text], widths: Sequence[int], sides: Sequence[bool], wraps: Sequence[bool]
) -> Iterator[Text]:
    parts = [broken(text, width) if wrap else [text] for text, width, wrap in zip(texts, widths, wraps, strict=True)]
    for cells in zip_longest(*parts, fillvalue=Text()):
        yield _row(cells, widths, sides)


def _row(cells: Sequence[Text], widths: Sequence[int], sides: Sequence[bool]) -> Text:
    row = Text()
    for k, (cell, width, left) in enumerate(zip(cells, widths, sides, strict=True)):
        blanks = " " * (width - cell.cell_len)
        row.append(" " * (_GAP if k else 0))
        row.append_text(Text.assemble(cell, blanks) if left else Text.assemble(blanks, cell))
    return unbroken(row)
