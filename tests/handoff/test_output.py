"""The output folder: whole or not there, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgecut.errors import OutputError, StepError
from edgecut.handoff import output
from edgecut.handoff.output import check_output, output_folder


def fill(folder: Path, text: str) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text(text)


def bundle(folder: Path, text: str) -> None:
    """A folder that says that edgecut wrote it."""
    folder.mkdir()
    fill(folder, text)
    (folder / "manifest.json").write_text('{"schema": "edgecut.bundle/1"}')


def fail(out: Path, error: type[BaseException]) -> None:
    with output_folder(out, force=True) as partial:
        fill(partial, "new")
        raise error


def content(folder: Path) -> str:
    return (folder / "inner" / "file").read_text()


def test_the_folder_appears_whole_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with output_folder(out, force=False) as partial:
        fill(partial, "new")
        assert partial == tmp_path / "dist.partial"
        assert not out.exists()
    assert content(out) == "new"
    assert os.listdir(tmp_path) == ["dist"]


def test_missing_parents_are_made(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b", force=False) as partial:
        fill(partial, "new")
    assert content(tmp_path / "a" / "b") == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail(tmp_path / "a" / "b", error)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_folder_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    bundle(tmp_path / "dist", "old")
    with pytest.raises(error):
        fail(tmp_path / "dist", error)
    assert content(tmp_path / "dist") == "old"
    assert os.listdir(tmp_path) == ["dist"]


def test_an_existing_folder_is_refused_without_force(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    out.mkdir()
    with pytest.raises(OutputError) as error, output_folder(out, force=False):
        pytest.fail("the context was entered")
    assert str(error.value) == f"{out}: exists; pass --force to replace it, or name another folder with -o"


@pytest.mark.parametrize("exchange", [True, False])
def test_force_replaces_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(output, "_exchanged", lambda first, second: False)
    bundle(tmp_path / "dist", "old")
    (tmp_path / "dist" / "only-old").write_text("")
    with output_folder(tmp_path / "dist", force=True) as partial:
        fill(partial, "new")
        assert content(tmp_path / "dist") == "old"
    assert content(tmp_path / "dist") == "new"
    assert os.listdir(tmp_path) == ["dist"]
    assert os.listdir(tmp_path / "dist") == ["inner"]


def test_a_stale_partial_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "dist.partial" / output.MARK).mkdir(parents=True)
    fill(tmp_path / "dist.partial", "stale")
    with output_folder(tmp_path / "dist", force=False) as partial:
        assert os.listdir(partial) == [output.MARK]
    assert os.listdir(tmp_path / "dist") == []


def test_a_second_run_to_the_same_place_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with output_folder(out, force=False) as partial:
        fill(partial, "first")
        with pytest.raises(OutputError) as error, output_folder(out, force=True):
            pytest.fail("the context was entered")
    assert str(error.value) == (f"{out}: another run is writing it; wait for that, or name another folder with -o")
    assert content(out) == "first"


def test_a_replacement_cut_between_its_moves_is_undone_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / ".dist.replaced-by-edgecut").mkdir()
    fill(tmp_path / ".dist.replaced-by-edgecut", "old")
    with pytest.raises(OutputError), output_folder(tmp_path / "dist", force=False):
        pytest.fail("the context was entered")
    assert content(tmp_path / "dist") == "old"


def free_space(monkeypatch: pytest.MonkeyPatch, **free: int) -> None:
    """Let the folder of each name have as many bytes free, others none."""
    monkeypatch.setattr(
        output.shutil, "disk_usage", lambda path: SimpleNamespace(free=free.get(Path(path).name.partition(".")[0], 0))
    )


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "dist"
    monkeypatch.setattr(output.tempfile, "gettempdir", lambda: "/scratch")
    free_space(monkeypatch, scratch=9)
    with pytest.raises(StepError) as error, output_folder(out, force=False):
        raise OSError(errno.ENOSPC, "Can't close file (a paragraph\nof HDF5)")
    assert str(error.value) == (
        f"{out}: can't be written (No space left on device); free some space, or name another folder with -o"
    )
    assert os.listdir(tmp_path) == []


def test_a_full_folder_of_temporary_files_is_not_taken_for_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.tempfile, "gettempdir", lambda: "/scratch")
    free_space(monkeypatch, dist=9)
    with pytest.raises(OSError, match="No space") as caught, output_folder(tmp_path / "dist", force=False):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/scratch/edgecut")
    assert os.listdir(tmp_path) == []


def test_another_os_error_is_not_mistaken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), output_folder(tmp_path / "dist", force=False):
        raise PermissionError(errno.EACCES, "denied")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    out.write_text("mine")
    with pytest.raises(OutputError) as error:
        check_output(out, force=True)
    assert str(error.value) == f"{out}: is a file, and a folder is expected; name another one with -o"
    assert out.read_text() == "mine"


@pytest.mark.parametrize("foreign", ["dist", "dist.partial"])
@pytest.mark.parametrize("claim", [None, "{}", "[1]", "not json", '{"schema": "edgecut.front/1"}'])
def test_a_folder_that_edgecut_did_not_write_is_never_replaced(tmp_path: Path, foreign: str, claim: str | None) -> None:
    (tmp_path / foreign).mkdir()
    fill(tmp_path / foreign, "mine")
    if claim is not None:
        (tmp_path / foreign / "manifest.json").write_text(claim)
    with pytest.raises(OutputError) as error, output_folder(tmp_path / "dist", force=True):
        pytest.fail("the context was entered")
    assert str(error.value) == (
        f"{tmp_path / foreign}: holds 'inner' and no manifest of edgecut's, and only what edgecut wrote or an empty "
        "folder is replaced; name another folder with -o"
    )
    assert content(tmp_path / foreign) == "mine"
    assert os.listdir(tmp_path) == [foreign]


@pytest.mark.parametrize(
    ("name", "schema"), [("manifest.json", "edgecut.bundle/1"), ("matrix.json", "edgecut.matrix/1")]
)
def test_a_folder_that_edgecut_wrote_or_an_empty_one_is_replaced(tmp_path: Path, name: str, schema: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / name).write_text(f'{{"schema": "{schema}"}}')
    for out in (tmp_path / "empty", tmp_path / "old"):
        with output_folder(out, force=True) as partial:
            fill(partial, "new")
        assert os.listdir(out) == ["inner"]


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_the_current_folder_and_its_parents_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError) as error:
        check_output(Path(name), force=True)
    assert str(error.value) == (f"{Path(name)}: is the current folder or holds it; name a folder of its own with -o")


def test_a_folder_that_holds_the_recipe_is_not_replaced(tmp_path: Path) -> None:
    out, recipe = tmp_path / "dist", tmp_path / "dist" / "sub" / "recipe.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("")
    with pytest.raises(OutputError) as error:
        check_output(out, force=True, keep=[recipe])
    assert str(error.value) == f"{out}: holds {recipe}, which this run reads; name another folder with -o"


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "dist"
    with pytest.raises(OutputError) as error, output_folder(out, force=False):
        pytest.fail("the context was entered")
    assert str(error.value) == (
        f"{out}: can't be made, since {tmp_path / 'file'} is a file; name another folder with -o"
    )


def test_a_parent_that_can_not_be_written_is_refused_up_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    out = tmp_path / "dist"
    with pytest.raises(OutputError) as error:
        check_output(out, force=False)
    assert str(error.value) == (f"{out}: can't be made, since {tmp_path} can't be written; name another folder with -o")


def test_a_read_only_file_system_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    out = tmp_path / "dist"
    with pytest.raises(OutputError) as error, output_folder(out, force=False):
        pytest.fail("the context was entered")
    assert str(error.value) == (
        f"{out}: can't be made (Read-only file system: {tmp_path / 'dist.partial'}); name another folder with -o"
    )


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    bundle(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    with output_folder(tmp_path / "link", force=True) as partial:
        fill(partial, "new")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == "new"


CHILD = """
import sys, time
from pathlib import Path
from edgecut.handoff import output
{patch}
with output.output_folder(Path(sys.argv[1]), force=True) as partial:
    (partial / "inner").mkdir()
    (partial / "inner" / "file").write_text("new")
    {inside}
"""
WAIT = "print('here', flush=True); time.sleep(60)"


def start_and_kill(out: Path, script: str, number: int) -> int:
    child = subprocess.Popen([sys.executable, "-c", script, str(out)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.send_signal(number)
    return child.wait(timeout=30)


def test_a_killed_run_leaves_the_old_folder_and_the_next_one_clears_up(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    bundle(out, "old")
    start_and_kill(out, CHILD.format(patch="", inside=WAIT), signal.SIGKILL)
    assert content(out) == "old"
    with output_folder(out, force=True) as partial:
        fill(partial, "next")
    assert content(out) == "next"
    assert os.listdir(tmp_path) == ["dist"]


def test_a_run_killed_between_the_two_moves_loses_nothing(tmp_path: Path) -> None:
    """Where paths can't be swapped in one move, the old folder is aside for an instant."""
    out = tmp_path / "dist"
    bundle(out, "old")
    patch = (
        "output._exchanged = lambda first, second: False\n"
        "rename = Path.rename\n"
        "def stop(self, other):\n"
        "    if self.name.endswith('.partial'):\n"
        f"        {WAIT}\n"
        "    return rename(self, other)\n"
        "Path.rename = stop\n"
    )
    start_and_kill(out, CHILD.format(patch=patch, inside="pass"), signal.SIGKILL)
    assert not out.exists()
    with pytest.raises(OutputError), output_folder(out, force=False):
        pytest.fail("the context was entered")
    assert content(out) == "old"


def test_an_interrupted_run_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    assert start_and_kill(out, CHILD.format(patch="", inside=WAIT), signal.SIGINT) != 0
    assert os.listdir(tmp_path) == []
