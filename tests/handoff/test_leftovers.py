"""What file managers leave in a bundle's folder is no difference; whatever could be compiled is one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from edgecut.handoff.leftovers import is_leftover
from edgecut.handoff.verify import verify
from tests.command_line import run
from tests.handoff.test_bundle import bundle

DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"
LEFT = {
    ".DS_Store": b"\x00\x00\x00\x01Bud1\x00\x00",
    "models/Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00",
    "desktop.ini": b"\r\n[.ShellClassInfo]\r\nIconResource=folder.ico,0\r\n",
    "src/desktop.ini": "\ufeff[ViewState]\r\n".encode("utf-16-le"),
    "models/._model.c": DOUBLE,
    "__MACOSX/models/._model.c": DOUBLE,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("whole") / "dist")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_file_managers_leave_is_no_difference_and_told_if_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in LEFT.items():
        put(folder, name, content)
    quiet, loud = run(capsys, "verify", str(folder)), run(capsys, "verify", str(folder), "-v")
    assert (quiet.code, loud.code, "ignored" in quiet.out) == (0, 0, False)
    names = ", ".join(sorted(LEFT))
    assert f"ignored, as left by a file manager or an archiver: {names}" in loud.out.splitlines()
    assert json.loads(run(capsys, "verify", str(folder), "--json").out)["ignored"] == sorted(LEFT)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("._main.c", b"int main(void) { return 0; }\n"),
        ("__MACOSX/main.c", b"int main(void) { return 0; }\n"),
        ("__MACOSX/._main.c", b"/* */ int main(void) { return 0; }\n"),
        ("__MACOSX/main.c", DOUBLE),
        (".DS_Store", b"#!/bin/sh\n"),
        ("Thumbs.db", b"!<arch>\n"),
        ("thumbs.db.c", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("desktop.ini", b"all:\n\trm -rf x\n"),
        ("desktop.ini", b"[.ShellClassInfo]\r\nIconResource=\\\\server\\share\\a.ico\r\n"),
        ("desktop.ini", b"[.ShellClassInfo]\r\n" + b"x" * 2**16),
        (".hidden", DOUBLE),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_a_difference(folder: Path, name: str, content: bytes) -> None:
    put(folder, name, content)
    result = verify(folder)
    assert (result.faults, result.ignored) == ((f"{name}: isn't in the manifest",), ())


def test_a_link_or_a_pipe_of_such_a_name_is_no_leftover(tmp_path: Path) -> None:
    target = put(tmp_path, "target", LEFT[".DS_Store"])
    (tmp_path / ".DS_Store").symlink_to(target)
    os.mkfifo(tmp_path / "desktop.ini")
    assert [is_leftover(tmp_path / name) for name in (".DS_Store", "desktop.ini")] == [False, False]


def test_a_folder_of_such_a_name_hides_nothing(folder: Path) -> None:
    put(folder, "models/.DS_Store/x.c", b"int x;\n")
    assert verify(folder).faults == ("models/.DS_Store/x.c: isn't in the manifest",)
