"""Prompts at a terminal."""

from __future__ import annotations

import sys

import click

from edgecut.cli.flags import names_or_file
from edgecut.cli.output import Output
from edgecut.records.escapes import terminal_line
from edgecut.records.recipe import Recipe


def with_prompted_labels(output: Output, recipe: Recipe) -> Recipe:
    """The recipe with the names of the outputs that its model keeps, where nothing has them and somebody can be asked.

    Nobody is asked with --json, --csv or -q, or where stdin or stderr is no terminal: the plan's note says it then.
    """
    if output.as_json or output.as_csv or output.quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return recipe
    from edgecut.pipeline.output_names import names_question, with_labels

    question = names_question(recipe)
    if not question:
        return recipe
    answer = str(click.prompt(terminal_line(question), default="", show_default=False, err=True)).strip()
    return with_labels(recipe, names_or_file(answer)) if answer else recipe
