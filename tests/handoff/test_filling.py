"""An output folder that is a mount point: filled by renames inside of it, whole or as it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecut.errors import OutputError
from edgecut.handoff import filling, output
from edgecut.handoff.filling import ASIDE, IN_PLACE, MOVING, is_filled_in_place, recover_filled
from edgecut.handoff.output import check_output, output_folder
from tests.handoff.test_output import content, fail, fill


@pytest.fixture(params=["a disk of its own", "a folder of the same disk", "a folder in one that can't be written"])
def mounted(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder "out dir" that can't be moved, empty."""
    out = tmp_path / "out dir"
    out.mkdir()
    if request.param.startswith("a folder in"):
        # Root may write everywhere, so the system's answer is foretold.
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
        yield out
        return
    (tmp_path / "volume").mkdir()
    disk = request.param == "a disk of its own"
    words = ["-t", "tmpfs", "tmpfs"] if disk else ["--bind", str(tmp_path / "volume")]
    made = subprocess.run(["mount", *words, str(out)], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    (tmp_path / "volume").rmdir() if disk else None
    yield out
    subprocess.run(["umount", str(out)], check=True)


def write(out: Path, text: str, force: bool) -> None:
    with output_folder(out, force=force) as partial:
        assert partial == out / IN_PLACE
        fill(partial, text)
        (partial / "manifest.json").write_text('{"schema": "edgecut.bundle/1"}')


def test_a_mount_point_is_filled_in_place_and_replaced_by_force_alone(mounted: Path) -> None:
    (mounted / "lost+found").mkdir()
    write(mounted, "new", force=False)
    assert content(mounted) == "new"
    with pytest.raises(OutputError) as error:
        check_output(mounted, force=False)
    assert str(error.value) == f"{mounted}: exists; pass --force to replace it, or name another folder with -o"
    (mounted / "inner" / "only-old").write_text("")
    write(mounted, "newer", force=True)
    assert content(mounted) == "newer"
    assert sorted(os.listdir(mounted)) == ["inner", "lost+found", "manifest.json"]
    assert os.listdir(mounted / "inner") == ["file"]


def test_what_fails_leaves_a_mount_point_as_it_was(mounted: Path) -> None:
    write(mounted, "old", force=False)
    with pytest.raises(KeyboardInterrupt):
        fail(mounted, KeyboardInterrupt)
    assert content(mounted) == "old"
    assert sorted(os.listdir(mounted)) == ["inner", "manifest.json"]


def test_a_mount_point_with_content_of_others_is_refused_before_anything_runs(mounted: Path) -> None:
    (mounted / "mine").write_text("")
    with pytest.raises(OutputError) as error:
        check_output(mounted, force=True)
    assert str(error.value) == (
        f"{mounted}: holds 'mine' and no manifest of edgecut's, and only what edgecut wrote or an empty "
        "folder is replaced; name another folder with -o"
    )


def test_a_mount_point_that_can_not_be_written_is_refused_up_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "is_filled_in_place", lambda target: target == tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError) as error:
        check_output(tmp_path, force=False)
    assert (
        str(error.value) == f"{tmp_path}: can't be made, since {tmp_path} can't be written; name another folder with -o"
    )


@pytest.mark.parametrize("moves", range(6))
def test_a_filling_that_is_killed_between_any_two_moves_is_undone(
    tmp_path: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names to put aside, the aside folder's own move, two names to put in: killed before each, and behind all."""
    (tmp_path / IN_PLACE).mkdir()
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
        (tmp_path / IN_PLACE / name).write_text("new")
    rename, done = Path.rename, 0

    def dying(self: Path, other: Path) -> Path:
        nonlocal done
        if done == moves:
            raise ProcessLookupError
        done += 1
        return rename(self, other)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        with contextlib.suppress(ProcessLookupError):
            filling.fill(tmp_path / IN_PLACE, tmp_path)
    recover_filled(tmp_path)
    assert not {ASIDE, MOVING} & set(os.listdir(tmp_path))
    assert {(tmp_path / name).read_text() for name in ("a", "b")} == {"new" if moves == 5 else "old"}


def test_a_plain_folder_is_not_filled_in_place(tmp_path: Path) -> None:
    assert not is_filled_in_place(tmp_path)
    assert not is_filled_in_place(tmp_path / "none")
