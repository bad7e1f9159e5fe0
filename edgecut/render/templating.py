"""Templates filled in, with every text escaped for its place (records/escapes.py)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgecut.records.escapes import Markdown, harmless, markdown_cell, markdown_code, markdown_text

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


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
