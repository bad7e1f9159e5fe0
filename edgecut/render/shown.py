"""What a terminal shows of a table, without what names out of files would make it do."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment

from edgecut.records.escapes import harmless, terminal_line


@dataclass(frozen=True)
class Shown:
    """A rich table, or a text as one line, that the terminal shows as it is; colours are those of its styles alone."""

    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The part's own segments."""
        part = console.render_str(terminal_line(self.part)) if isinstance(self.part, str) else self.part
        for shown in Segment.split_lines(console.render(part, options)):
            for text, style, control in _without_blanks(shown):
                yield Segment(harmless(text), style, control)
            yield Segment.line()


def _without_blanks(segments: list[Segment]) -> list[Segment]:
    """The segments of a line but for the blanks at its end."""
    while segments and not segments[-1].text.rstrip():
        segments.pop()
    if segments:
        text, style, control = segments[-1]
        segments[-1] = Segment(text.rstrip(), style, control)
    return segments
