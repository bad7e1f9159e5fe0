"""Lines of text for the terminal, broken between words alone: no name and no path is broken in two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, OverflowMethod, RenderableType, RenderResult
from rich.containers import Lines
from rich.text import Text

from edgecut.records.escapes import terminal_line

# A number stays with its unit.
_WORDS = re.compile(r"\S*\d (?:[KMG]iB|B|[mµ]?s|%|dB|[kMG]?Hz)(?!\w)\S*|\S+")


class Line(Text):
    """A text that is broken between words alone where the terminal ends; a longer word goes beyond it."""

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 8,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Its lines, as rich asks for them."""
        if no_wrap:
            return Lines([self])
        return Lines(part for text in self.split("\n", allow_blank=True) for part in broken(text, width))


@dataclass(frozen=True)
class Hanging:
    """A sentence behind a mark; its further lines begin where its first one does."""

    mark: str
    sentence: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines in the width that there is."""
        for k, part in enumerate(indented(line(" " * len(self.mark) + self.sentence, self.style), options.max_width)):
            yield part if k else unbroken(Text.assemble(self.mark, part[len(self.mark) :]))


def line(text: str, style: str = "") -> Line:
    """The text in one line, or in several where the terminal ends."""
    return Line(terminal_line(text), style)


def notes(sentences: Sequence[str], title: str = "notes") -> list[RenderableType]:
    """Sentences as a list under a title; nothing for none."""
    if not sentences:
        return []
    return [line(title, "bold"), *(Hanging("· ", sentence) for sentence in sentences)]


def broken(text: Text, width: int) -> list[Text]:
    """The text in lines of at most that many columns, without blanks at their ends; a longer word is whole."""
    lines = text.divide(_breaks(text.plain, width))
    for part in lines:
        part.rstrip()
    return list(lines)


def indented(text: Text, width: int) -> list[Text]:
    """The text in lines, of which further ones begin where the first one does."""
    blanks = len(text.plain) - len(text.plain.lstrip())
    return [unbroken(Text.assemble(" " * blanks, part)) for part in broken(text[blanks:], width - blanks)]


def unbroken(text: Text) -> Text:
    """The same text, which goes beyond the terminal's end where it is longer; without blanks at its end."""
    text.rstrip()
    text.no_wrap, text.overflow = True, "ignore"
    return text


def longest_word(text: str) -> int:
    """The columns that the longest word takes."""
    return max((cell_len(word) for word in text.split()), default=0)


def _breaks(text: str, width: int) -> Iterator[int]:
    """Where further lines begin."""
    start = 0
    for word in _WORDS.finditer(text):
        if word.start() > start and text[start : word.start()].strip() and cell_len(text[start : word.end()]) > width:
            start = word.start()
            yield start
