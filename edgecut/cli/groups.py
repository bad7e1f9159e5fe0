"""Groups of commands."""

from __future__ import annotations

import click

from edgecut.records.nearest import closest


class Group(click.Group):
    """A group in which an unknown command is a usage error with the closest name offered."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, and the arguments for it."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise click.UsageError(f"no command {name!r}{closest(name, known, count=1)}", ctx=ctx)
        return super().resolve_command(ctx, args)
