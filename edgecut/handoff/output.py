"""The output folder: written beside its place, or inside of a mount point, and put there when it is whole."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgecut.errors import OutputError, StepError
from edgecut.handoff.filling import IN_PLACE, contents, fill, is_filled_in_place, recover_filled
from edgecut.whole import uninterrupted

if sys.platform != "win32":
    import fcntl

# renameat2(2): the flag that swaps two paths in one move, and the value for "relative to the current folder".
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100
# An empty folder in what edgecut is writing: a run that was killed leaves it, and no file list has it.
MARK = ".written-by-edgecut"
# What says that edgecut wrote a folder: a file, and the schemas that it may have.
_WRITTEN = {"manifest.json": ("edgecut.bundle/1",), "matrix.json": ("edgecut.matrix/1",)}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_output(out: Path, *, force: bool, keep: Sequence[Path] = ()) -> None:
    """Nothing, if `out` can be written as asked; nothing is changed.

    keep: files and folders that the run reads, which the replaced folder must not hold. An empty mount point needs no
    force, since it is always there.
    Raises OutputError, one sentence with the remedy.
    """
    target = out.resolve()
    if target in {Path.cwd(), *Path.cwd().parents}:
        raise OutputError(f"{out}: is the current folder or holds it; name a folder of its own with -o")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, and a folder is expected; name another one with -o")
    in_place = is_filled_in_place(target)
    if out.exists():
        for path in (p.resolve() for p in keep):
            if path == target or target in path.parents:
                raise OutputError(f"{out}: holds {path}, which this run reads; name another folder with -o")
        if not force and not (in_place and not contents(target)):
            raise OutputError(f"{out}: exists; pass --force to replace it, or name another folder with -o")
        _refuse_foreign(out)
    _refuse_foreign(partial_path(target))
    parent = target if in_place else next(p for p in target.parents if p.exists())
    if not parent.is_dir():
        raise OutputError(f"{out}: can't be made, since {parent} is a file; name another folder with -o")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{out}: can't be made, since {parent} can't be written; name another folder with -o")


@contextmanager
def output_folder(out: Path, force: bool, keep: Sequence[Path] = ()) -> Iterator[Path]:
    """A new empty folder OUT.partial that becomes `out` when the context ends well.

    A mount point can't be moved: there the folder is inside of `out`, which its content fills (filling.py).
    On any exception, an interrupt included, the partial folder is removed and what was at `out` before is
    there unchanged; a killed run leaves OUT.partial, which the next one removes. keep: as in check_output.
    Raises OutputError before anything is written, also where another run is writing `out`; StepError if the
    disk is full.
    """
    target = out.resolve()
    partial, in_place = partial_path(target), is_filled_in_place(target)
    aside = target.with_name(f".{target.name}.replaced-by-edgecut")
    _refuse_if_in_use(out, partial)
    with uninterrupted():
        recover_filled(target) if in_place else _recover(target, aside)
    check_output(out, force=force, keep=keep)
    made, lock, done = _missing_parents(partial), None, False
    try:
        _make(out, partial)
        lock = _lock(partial)
        yield partial
        with uninterrupted():
            (partial / MARK).rmdir()
            fill(partial, target) if in_place else _publish(partial, target, aside)
            done = True
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as exc:
        if exc.errno in _NO_ROOM and _is_inside(exc, partial):
            # HDF5 puts a paragraph into strerror.
            said = os.strerror(exc.errno)
            text = f"{out}: can't be written ({said}); free some space, or name another folder with -o"
            raise StepError(text) from exc
        if exc.errno in _NO_ROOM and exc.filename is None:
            raise OSError(exc.errno, os.strerror(exc.errno), os.path.join(tempfile.gettempdir(), "edgecut")) from exc
        raise
    finally:
        with uninterrupted():
            if not done:
                recover_filled(target) if in_place else _recover(target, aside)
                for folder in (partial, *made):
                    _remove_made(folder, whole=folder == partial)
            if lock is not None:
                os.close(lock)


def _is_inside(error: OSError, partial: Path) -> bool:
    """Whether it is the partial folder that has no room, not that of temporary files; if unsaid by what is free."""
    if error.filename is not None:
        return partial in Path(os.fsdecode(error.filename)).parents
    return shutil.disk_usage(partial).free <= shutil.disk_usage(tempfile.gettempdir()).free


def partial_path(target: Path) -> Path:
    """Where the folder is written that becomes `target`: beside it, inside of a mount point."""
    return target / IN_PLACE if is_filled_in_place(target) else target.with_name(f"{target.name}.partial")


def _refuse_foreign(folder: Path) -> None:
    """Raise OutputError for a folder with content that edgecut didn't write, which must not be replaced."""
    if not folder.is_dir() or (folder / MARK).is_dir() or not (names := contents(folder)):
        return
    for name, schemas in _WRITTEN.items():
        try:
            document = json.loads((folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and document.get("schema") in schemas:
            return
    raise OutputError(
        f"{folder}: holds {names[0]!r} and no manifest of edgecut's, and only what edgecut wrote or an empty "
        "folder is replaced; name another folder with -o"
    )


def _refuse_if_in_use(out: Path, partial: Path) -> None:
    """Raise OutputError where a live run holds the partial folder; a dead one's lock is gone with it."""
    if partial.is_dir() and not partial.is_symlink():
        lock = _lock(partial)
        if lock is None:
            raise OutputError(f"{out}: another run is writing it; wait for that, or name another folder with -o")
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder until it is closed or the process ends; None if another one does."""
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _missing_parents(partial: Path) -> list[Path]:
    """The parents that have to be made for the partial folder, innermost first."""
    return [p for p in partial.parents if not p.exists()]


def _make(out: Path, partial: Path) -> None:
    """Make the partial folder anew, with the mark that says whose it is."""
    try:
        if partial.is_symlink() or partial.is_file():
            partial.unlink()
        elif partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        (partial / MARK).mkdir()
    except OSError as exc:
        text = f"{out}: can't be made ({exc.strerror}: {exc.filename}); name another folder with -o"
        raise OutputError(text) from exc


def _remove_made(folder: Path, *, whole: bool) -> None:
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        folder.rmdir()
    except OSError:
        return  # somebody else has put something there meanwhile


def _publish(partial: Path, target: Path, aside: Path) -> None:
    """Move the partial folder to its place; at each instant the old or the new folder is whole."""
    if not target.exists():
        partial.rename(target)
    elif not _exchanged(partial, target):
        target.rename(aside)
        partial.rename(target)


def _recover(target: Path, aside: Path) -> None:
    """Finish a replacement that was cut short between its two moves."""
    if aside.is_dir() and not target.exists():
        aside.rename(target)
    elif aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)


def _exchanged(first: Path, second: Path) -> bool:
    """Swap two paths in one move; False where the system or its file system can't."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    result: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return result == 0
