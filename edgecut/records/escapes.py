"""Text of files of others, escaped for the place where it is shown: a terminal, XML, Markdown, C, JSON, CSV.

It is put there by these functions alone, so that it is shown as it is and nothing in it is obeyed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

# Unicode's control characters but tab and line end, the marks that turn the direction of what follows (UAX #9), line
# and paragraph separators, what has no width (but the joiners of scripts and emoji), tags, and what
# no file can hold: halves of pairs and noncharacters.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
_NOT_IN_A_LINE = re.compile(f"[\n\t]|{OBEYED.pattern}")

# What CommonMark and GitHub's tables read as markup. A star between spaces and an underscore inside a word are text, as
# is a bracket that no link follows; a "<" begins a tag before a letter, "/", "!" or "?" alone.
_ALWAYS = re.compile(r"[\\`|]")
_EMPHASIS = re.compile(r"(?<!\s)\*|\*(?!\s)|(?<![A-Za-z0-9_])_+(?=\S)|(?<=\S)_+(?![A-Za-z0-9_])|~~")
_LINK = re.compile(r"\](?=[(\[:])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_BLOCK = re.compile(r"^(\s*)([#>+-]+)(?=\s|$)")
_NUMBERED = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")
# A C99 compiler need take no string literal of more characters (5.2.4.1).
_LONGEST_LITERAL = 4095


class Markdown(str):
    """Text that is Markdown already."""


def harmless(text: str) -> str:
    """The text with U+FFFD for each sign that moves a terminal's cursor, turns the direction of writing or the like.

    Tabs and line ends stay. As long as the text, so that columns stay where they are.
    """
    return OBEYED.sub("\ufffd", text)


def terminal_line(text: str) -> str:
    """The text in one line of a terminal, with Python's escapes for signs that it would obey, also tab and line end."""
    return _NOT_IN_A_LINE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def json_literals(text: str) -> str:
    """The JSON text of the same value, with JSON's escapes for signs that a terminal would obey."""
    return OBEYED.sub(lambda sign: json.dumps(sign[0])[1:-1], text)


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as comma-separated values (RFC 4180), each in one line, of which no spreadsheet calculates a text.

    A text that one would take for a formula begins with an apostrophe (OWASP, CSV Injection); numbers are as they are.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _csv_cell(text: str) -> str:
    line = terminal_line(text)
    return f"'{line}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else line


def xml_text(text: str) -> str:
    """Text for XML, SVG and HTML: escaped, without characters that XML forbids."""
    return escape(harmless(text))


def markdown_text(text: str) -> Markdown:
    """Text that Markdown shows as it is, in one line, but for signs that nobody sees (`harmless`)."""
    text = _ALWAYS.sub(r"\\\g<0>", _line(text))
    text = _EMPHASIS.sub(lambda found: "".join(f"\\{letter}" for letter in found[0]), text)
    text = _LINK.sub(r"\\]", text)
    text = _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))
    return Markdown(_NUMBERED.sub(r"\1\\\2", _BLOCK.sub(r"\1\\\2", text)))


def markdown_code(text: str) -> Markdown:
    """Text as a code span, fenced by more backticks than it holds in a row."""
    text = _line(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest or not text.strip() or text[0] == text[-1] == " " else ""
    return Markdown(f"{fence}{space}{text}{space}{fence}")


def markdown_cell(text: str) -> Markdown:
    """Text as a code span in a table, where a "|" would end the cell."""
    return Markdown(markdown_code(text).replace("|", "\\|"))


def c_comment(text: str) -> str:
    """The text as it can stand inside a C comment or, without quotes in it, a C string: one line of printable ASCII."""
    line = re.sub(r"[\r\n]", " ", text).encode("ascii", "backslashreplace").decode()
    safe = re.sub(r"[\x00-\x1f\x7f]", lambda sign: f"\\x{ord(sign[0]):02x}", line)
    return re.sub(r"\*(?=/)|/(?=\*)|\?(?=\?)", r"\g<0> ", safe)


def c_string(text: str) -> str:
    """The text in UTF-8 as an initializer of a `const char *`."""
    content = text.encode()
    if len(content) > _LONGEST_LITERAL:
        characters = (f"'\\{byte:03o}'" for byte in (*content, 0))
        return f"(const char[]){{{', '.join(characters)}}}"
    # Octal escapes end after three digits, whatever follows; ? is escaped since ??/ is a trigraph.
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in content) + '"'


def _line(text: str) -> str:
    return harmless(" ".join(text.splitlines()) if len(text.splitlines()) > 1 else text.rstrip("\r\n"))


def with_nulls(data: object, place: str = "") -> tuple[object, tuple[str, ...]]:
    """JSON-ready data with None in the place of numbers that aren't finite, and these places, as dotted paths."""
    if isinstance(data, Mapping):
        rows = {key: with_nulls(value, f"{place}.{key}" if place else str(key)) for key, value in data.items()}
        return {key: value for key, (value, _) in rows.items()}, tuple(p for _, found in rows.values() for p in found)
    if isinstance(data, list | tuple):
        parts = [with_nulls(value, f"{place}[{k}]") for k, value in enumerate(data)]
        return [value for value, _ in parts], tuple(p for _, found in parts for p in found)
    return (None, (place,)) if isinstance(data, float) and not math.isfinite(data) else (data, ())
