"""Templates filled in, with every text escaped for its place: HTML by jinja2, Markdown by the rules here."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgecut.records.harmless import harmless

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"

# What CommonMark and GitHub's tables read as markup. A star between spaces and an underscore inside a word are text, as
# is a bracket that no link follows; a "<" begins a tag before a letter, "/", "!" or "?" alone.
_ALWAYS = re.compile(r"[\\`|]")
_EMPHASIS = re.compile(r"(?<!\s)\*|\*(?!\s)|(?<![A-Za-z0-9_])_+(?=\S)|(?<=\S)_+(?![A-Za-z0-9_])|~~")
_LINK = re.compile(r"\](?=[(\[:])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_BLOCK = re.compile(r"^(\s*)([#>+-]+)(?=\s|$)")
_NUMBERED = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")


class Markdown(str):
    """Text that is Markdown already."""


def html(template: str, **values: object) -> str:
    """A template of HTML filled in, a whole page; texts that are no Markup are escaped."""
    return _html().get_template(f"{template}.html.j2").render(**values)


def part(name: str, *values: object) -> Markup:
    """A macro of parts.html.j2 filled in."""
    macro = getattr(_html().get_template("parts.html.j2").module, name)
    return Markup(macro(*values))


def markdown(template: str, **values: object) -> str:
    """A template of Markdown filled in; texts that are no Markdown are escaped and stay in their line."""
    return _markdown().get_template(f"{template}.md.j2").render(**values)


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


def _line(text: str) -> str:
    return harmless(" ".join(text.splitlines()) if len(text.splitlines()) > 1 else text.rstrip("\r\n"))


@cache
def _html() -> Environment:
    environment = _environment(autoescape=True)
    environment.finalize = _shown
    return environment


@cache
def _markdown() -> Environment:
    environment = _environment(autoescape=False)
    environment.finalize = _finalized
    environment.filters["code"] = markdown_code
    environment.filters["cell"] = markdown_cell
    return environment


def _environment(*, autoescape: bool) -> Environment:
    # Not with the module: a command that writes no page shouldn't wait for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalized(value: object) -> object:
    return markdown_text(value) if isinstance(value, str) and not isinstance(value, Markdown) else value


def _shown(value: object) -> object:
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value
