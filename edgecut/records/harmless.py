"""Text of files of others, without the signs that nobody sees and programs obey."""

from __future__ import annotations

import re

# Unicode's control characters but tab and line end, the marks that turn the direction of what follows (UAX #9), line
# and paragraph separators, the byte order mark, and what no file can hold: halves of pairs and noncharacters.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def harmless(text: str) -> str:
    """The text with U+FFFD for each sign that moves a terminal's cursor, turns the direction of writing or the like.

    Tabs and line ends stay. As long as the text, so that columns stay where they are.
    """
    return OBEYED.sub("\ufffd", text)
