"""`edgecut cache`."""

from __future__ import annotations

import math
import time

import click

from edgecut.cli.flags import Parsed
from edgecut.cli.groups import Group
from edgecut.cli.output import Output, with_output
from edgecut.records.units import parse_bytes, parse_seconds


@click.group("cache", cls=Group, epilog="\b\nExamples:\n  edgecut cache ls\n  edgecut cache clear --older-than 30d")
def command() -> None:
    """The results that builds keep, so that a step of which nothing has changed isn't run again.

    They lie in EDGECUT_CACHE, else in the folder edgecut/builds of XDG_CACHE_HOME, else of ~/.cache. What wasn't used
    for longest goes when they take more than EDGECUT_CACHE_MAX_SIZE, by default 5 GiB; 0 is no limit. Users who share
    a folder trust each other's results; its permissions are those of what lies in it.
    """


@command.command("ls", epilog="\b\nExample:\n  edgecut cache ls --json")
@with_output
def _ls(output: Output) -> int:
    """List what is kept: which stage of which build, how large, how old."""
    from edgecut.cache.place import cache_folder, kept
    from edgecut.cache.store import total_bytes
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
                {
                    "kind": row.kind,
                    "key": row.key,
                    "title": row.title,
                    "size_bytes": row.size_bytes,
                    "modified": row.modified,
                    "sound": row.sound,
                }
                for row in rows
            ],
        }
    )
    if rows:
        now = time.time()
        output.table(cache_table((r.title, r.kind, r.size_bytes, now - r.modified, r.sound) for r in rows), "")
    output.table(f"{folder}: {len(rows)} entries, {format_bytes(total)}; `edgecut cache clear` removes them")
    return 0


@command.command("verify", epilog="\b\nExamples:\n  edgecut cache verify\n  edgecut cache verify --remove")
@click.option("--remove", is_flag=True, help="Remove what is damaged.")
@with_output
def _verify(output: Output, *, remove: bool) -> int:
    """Read everything that is kept, and say what is damaged. Exit code 1: something is.

    No build uses what is damaged: each file is held against its hash whenever it is read.
    """
    from edgecut.cache.place import cache_folder, faults, kept
    from edgecut.cache.place import remove as removed

    folder = cache_folder()
    found = faults(folder)
    names = {path.relative_to(folder).as_posix(): fault for path, fault in found.items()}
    gone = removed(found) if remove else 0
    entries = len(kept(folder))
    output.document(
        {"schema": "edgecut.cache/1", "folder": str(folder), "entries": entries, "faults": names, "removed": gone}
    )
    output.table(*(f"{name}: {fault}" for name, fault in names.items()))
    if not found:
        output.table(f"{folder}: {entries} entries, all whole")
        return 0
    remedy = f"{gone} removed" if remove else "`edgecut cache verify --remove` removes them"
    output.table(f"{folder}: {len(found)} damaged; builds make them anew; {remedy}")
    return 0 if gone == len(found) else 1


@command.command(
    "clear", epilog="\b\nExamples:\n  edgecut cache clear\n  edgecut cache clear --older-than 30d --max-size 1GiB"
)
@click.option(
    "--older-than",
    "older_than_s",
    type=Parsed(parse_seconds, "TIME"),
    metavar="TIME",
    help="Only what wasn't used for so long, such as 30d or 12h.",
)
@click.option(
    "--max-size",
    "limit_bytes",
    type=Parsed(parse_bytes, "SIZE"),
    metavar="SIZE",
    help="Only what wasn't used for longest, until so much is left.",
)
@with_output
def _clear(output: Output, *, older_than_s: float | None, limit_bytes: int | None) -> int:
    """Remove what is kept: everything, or what the options say."""
    from edgecut.cache.place import cache_folder, clear
    from edgecut.cache.store import total_bytes, trim
    from edgecut.records.units import format_bytes

    folder = cache_folder()
    if older_than_s is None and limit_bytes is None:
        freed = clear(folder)
    else:
        limit = total_bytes(folder) if limit_bytes is None else limit_bytes
        freed = trim(folder, limit, math.inf if older_than_s is None else older_than_s)
    left = total_bytes(folder)
    output.document({"schema": "edgecut.cache/1", "folder": str(folder), "freed_bytes": freed, "size_bytes": left})
    output.table(f"{folder}: {format_bytes(freed)} removed, {format_bytes(left)} left")
    return 0
