"""`edgecut cache`."""

from __future__ import annotations

import time

import click

from edgecut.cli.groups import Group
from edgecut.cli.output import Output, with_output


@click.group("cache", cls=Group, epilog="\b\nExamples:\n  edgecut cache ls\n  edgecut cache clear")
def command() -> None:
    """The results that builds keep, so that a step of which nothing has changed isn't run again.

    They lie in EDGECUT_CACHE, else in the folder edgecut/builds of XDG_CACHE_HOME, else of ~/.cache.
    """


@command.command("ls", epilog="\b\nExample:\n  edgecut cache ls --json")
@with_output
def _ls(output: Output) -> int:
    """List what is kept: which stage of which build, how large, how old."""
    from edgecut.cache.place import cache_folder, kept, total_bytes
    from edgecut.records.units import format_bytes
    from edgecut.render.kept import cache_table

    folder = cache_folder()
    rows, total = kept(folder), total_bytes(folder)
    output.document(
        {
            "schema": "edgecut.cache/1",
            "folder": str(folder),
            "size_bytes": total,
            "entries": [
                {"kind": row.kind, "key": row.key, "title": row.title, "size_bytes": row.size_bytes,
                 "modified": row.modified, "sound": row.sound}
                for row in rows
            ],
        }
    )  # fmt: skip
    if rows:
        now = time.time()
        output.table(cache_table((r.title, r.kind, r.size_bytes, now - r.modified, r.sound) for r in rows), "")
    output.table(f"{folder}: {len(rows)} entries, {format_bytes(total)}; `edgecut cache clear` removes them")
    return 0


@command.command("clear", epilog="\b\nExample:\n  edgecut cache clear")
@with_output
def _clear(output: Output) -> int:
    """Remove everything that is kept."""
    from edgecut.cache.place import cache_folder, clear
    from edgecut.records.units import format_bytes

    folder = cache_folder()
    freed = clear(folder)
    output.document({"schema": "edgecut.cache/1", "folder": str(folder), "freed_bytes": freed})
    output.table(f"{folder}: {format_bytes(freed)} removed")
    return 0
