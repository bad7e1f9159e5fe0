"""Examples on a help page, in lines that the terminal holds and a shell takes."""

from __future__ import annotations

import re

# A word of a command line: without spaces but in quotes.
_WORD = re.compile(r"(?:'[^']*'|\S)+")
_CONTINUED = re.compile(r" \\\n\s*")
_MARGIN = 6
# What click puts before a line, and the space and backslash that continue it.
_FRAME = 4


def folded(epilog: str, width: int) -> str:
    """The epilog with each command line in lines of at most `width`, which a backslash continues, if its words allow.

    A command line is a line that begins with two spaces; options stand at the beginning of a line, with their value.
    """
    lines = _CONTINUED.sub(" ", epilog).split("\n")
    return "\n".join(_folded(line, width) if line.startswith("  ") else line for line in lines)


def _folded(line: str, width: int) -> str:
    rows = [""]
    for part in _parts(line):
        margin = 2 if len(rows) == 1 else _MARGIN
        if rows[-1] and margin + len(rows[-1]) + 1 + len(part) > width - _FRAME:
            rows.append(part)
        else:
            rows[-1] = f"{rows[-1]} {part}".strip()
    return "  " + (" \\\n" + " " * _MARGIN).join(rows)


def _parts(line: str) -> list[str]:
    """The words of a command line, an option and its value together."""
    parts: list[str] = []
    for word in _WORD.findall(line):
        if parts and parts[-1].startswith("-") and " " not in parts[-1] and not word.startswith("-"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts
