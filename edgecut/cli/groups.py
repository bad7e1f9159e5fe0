"""Groups of commands."""

from __future__ import annotations

import click

from edgecut.cli.examples import folded
from edgecut.cli.failures import Failures
from edgecut.records.nearest import closest

WORDS = "edgecut.words"
"""Where a command's context keeps its line, without the program."""


class Group(click.Group):
    """A group whose commands' examples fit the terminal; an unknown command is answered with the closest name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, and the arguments for it."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise click.UsageError(f"no command {name!r}{closest(name, known, count=1)}", ctx=ctx)
        failures = ctx.find_object(Failures)
        if failures is not None:
            failures.command = f"{ctx.command_path} {name}"
        found = super().resolve_command(ctx, args)
        command = found[1]
        if command is not None and command.epilog:
            command.epilog = folded(command.epilog, ctx.make_formatter().width)
        return found
