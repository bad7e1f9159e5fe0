"""A folder that can't be moved, since something is mounted there: filled by renames inside of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

IN_PLACE, ASIDE, MOVING = ".edgecut.partial", ".edgecut.replaced", ".edgecut.replacing"
"""In the folder: what is being written; what was there before; the same until all of that is out of the way."""

_VOLUMES_OWN = {"lost+found"}  # every ext2, 3 and 4 volume has it


def is_filled_in_place(target: Path) -> bool:
    """Whether a folder that is there can't be replaced by a move: a mount point, or one whose parent is read-only."""
    if not target.is_dir():
        return False
    if os.path.ismount(target) or os.fspath(target) in _mount_points():
        return True
    return os.access(target, os.W_OK | os.X_OK) and not os.access(target.parent, os.W_OK | os.X_OK)


def contents(folder: Path) -> list[str]:
    """The names in a folder, sorted, but for what its volume and edgecut's own writing have there."""
    return sorted({path.name for path in folder.iterdir()} - {IN_PLACE, ASIDE, MOVING, *_VOLUMES_OWN})


def fill(partial: Path, target: Path) -> None:
    """Put the content of `partial`, a folder in `target`, in the place of what `target` holds.

    A run that is killed meanwhile leaves what recover_filled() puts back.
    """
    (target / MOVING).mkdir()
    for name in contents(target):
        (target / name).rename(target / MOVING / name)
    (target / MOVING).rename(target / ASIDE)
    for path in sorted(partial.iterdir()):
        path.rename(target / path.name)
    shutil.rmtree(target / ASIDE, ignore_errors=True)


def recover_filled(target: Path) -> None:
    """Put back what was in `target` before a filling that was cut short."""
    if (target / ASIDE).is_dir():
        for name in contents(target):
            path = target / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (target / ASIDE).rename(target / MOVING)
    if (target / MOVING).is_dir():
        for path in (target / MOVING).iterdir():
            path.rename(target / path.name)
        (target / MOVING).rmdir()


def _mount_points() -> set[str]:
    """Where the system says that something is mounted; a folder bound from the same disk is known by that alone."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return set()
    return {os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1")) for line in lines}
