"""What file managers and archivers leave in a folder, told by name and content: no file that a tool would compile."""

from __future__ import annotations

from pathlib import Path

ARCHIVER = "__MACOSX"
"""The folder that macOS puts beside the files of an archive, with their attributes."""
# The first bytes of each, which no compiler, assembler, linker or interpreter takes for a text or an object:
# AppleDouble (RFC 1740), a store of the Finder (https://en.wikipedia.org/wiki/.DS_Store), a compound file (MS-CFB).
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_BEGINNINGS = {".DS_Store": b"\x00\x00\x00\x01Bud1", "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}
_MOST_BYTES = 16 * 2**20
_MOST_INI_BYTES = 2**16


def is_leftover(path: Path) -> bool:
    """Whether a path that no manifest lists is what Finder, Explorer or an archiver left there, and can't be compiled.

    A file of another content under such a name isn't, nor is a link, nor a desktop.ini that names another machine,
    which Explorer would ask for an icon.
    """
    if path.is_symlink():
        return False
    if path.is_dir():
        return path.name == ARCHIVER
    if not path.is_file():
        return False
    if path.name == "desktop.ini":
        return path.stat().st_size <= _MOST_INI_BYTES and _is_own_ini(path.read_bytes())
    beginning = _APPLE_DOUBLE if path.name.startswith("._") else _BEGINNINGS.get(path.name)
    if beginning is None or path.stat().st_size > _MOST_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _is_own_ini(content: bytes) -> bool:
    text = content.replace(b"\x00", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"[") and not any(mark in text for mark in (b"\\\\", b"//"))
