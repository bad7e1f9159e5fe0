"""Files appear whole or not at all, whatever the machine refuses."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecut.streams import caught_output
from edgecut.whole import naming, scratch_folder, write_whole
from tests.machine import full_disk


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with full_disk(100), pytest.raises(OSError, match="too large") as error:
        write_whole(path, bytes(200))
    assert (error.value.errno, error.value.filename, error.value.strerror) == (
        errno.EFBIG, str(path), os.strerror(errno.EFBIG),
    )  # fmt: skip
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_new_file_is_for_those_for_whom_new_files_are(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a" / "recipe.lock.toml", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "recipe.lock.toml").stat().st_mode) == 0o644


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_device_stays_a_device() -> None:
    write_whole(Path(os.devnull), b"x")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_what_a_library_can_not_read_is_no_fault_of_the_machine() -> None:
    fault = OSError("Unable to synchronously open object")
    with pytest.raises(OSError, match="synchronously") as error, naming("m.h5"):
        raise fault
    assert error.value is fault


def test_streams_come_back_where_nothing_can_be_written(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115 (buffered, as it is in a pipe)
    with full_disk(), caught_output():
        print("lost")
    print("said", flush=True)
    print("told", file=sys.stderr)
    out, err = capfd.readouterr()
    assert (out.splitlines()[-1], err) == ("said", "told\n")


def interrupted(function: Callable[..., object]) -> Callable[..., object]:
    """The function, as if Ctrl-C came while it ran."""

    def run(*arguments: object, **options: object) -> object:
        result = function(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return result

    return run


def test_a_signal_while_a_scratch_folder_is_made_or_removed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tempfile.TemporaryDirectory leaves the folder where the signal comes between its making and its entering."""
    for module, name in ((tempfile, "mkdtemp"), (shutil, "rmtree")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, interrupted(getattr(module, name)))
            with pytest.raises(KeyboardInterrupt), scratch_folder(dir=tmp_path) as folder:
                (folder / "file").touch()
        assert list(tmp_path.iterdir()) == []
