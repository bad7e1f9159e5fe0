"""Git LFS pointers: small texts that stand for files which weren't fetched."""

from __future__ import annotations

from pathlib import Path

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the first line of every pointer.
_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
POINTER = "is a Git LFS pointer, which stands for a file that wasn't fetched; run `git lfs pull` where it is"


def is_pointer(content: bytes) -> bool:
    """Whether a file that begins so is a pointer."""
    return content.startswith(_FIRST_LINE)


def is_pointer_file(path: Path) -> bool:
    """The same of a file; False for one that can't be read."""
    try:
        with open(path, "rb") as file:
            return is_pointer(file.read(len(_FIRST_LINE)))
    except OSError:
        return False
