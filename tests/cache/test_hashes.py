"""What a step was made from, as hashes: of files, folders and code, remembered where nothing changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgecut.cache import hashes
from edgecut.cache.facts import code_hash
from edgecut.cache.hashes import remembered_hash
from edgecut.cache.place import kept
from edgecut.cache.store import Store
from edgecut.records.artifact import sha256_of


def test_the_hash_of_a_folder_follows_what_lies_behind_a_link(tmp_path: Path) -> None:
    """A class folder may be a link, and its images are read."""
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"one")
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "cats", tmp_path / "data" / "cat")
    os.symlink(tmp_path / "data", tmp_path / "data" / "again")
    before = sha256_of(tmp_path / "data")
    (tmp_path / "cats" / "1.png").write_bytes(b"two")
    assert sha256_of(tmp_path / "data") != before


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two files, seen a minute after they were written."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 60 * 10**9)
    folder = tmp_path / "data" / "cat"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(b"one")
    (folder / "2.png").write_bytes(b"two")
    return folder.parent


def test_the_hash_of_an_unchanged_folder_is_remembered(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache", {})
    digest = remembered_hash(pictures, store)
    assert digest == sha256_of(pictures)
    monkeypatch.setattr(hashes, "sha256_of", lambda path: "read again")
    assert remembered_hash(pictures, store) == digest


@pytest.mark.parametrize("change", ["content", "content, its size and time as before", "added", "removed", "renamed"])
def test_the_hash_of_a_changed_folder_is_taken_anew(change: str, pictures: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", {})
    first, state = pictures / "cat" / "1.png", (pictures / "cat" / "1.png").stat()
    before = remembered_hash(pictures, store)
    match change:
        case "content":
            first.write_bytes(b"other")
        case "content, its size and time as before":
            first.write_bytes(b"eno")
            os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
        case "added":
            (pictures / "cat" / "3.png").write_bytes(b"")
        case "removed":
            first.unlink()
        case "renamed":
            first.rename(pictures / "cat" / "0.png")
    found = remembered_hash(pictures, store)
    assert found == sha256_of(pictures)
    assert found != before


def test_the_hash_of_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    """It could be written again within the same tick of the clock."""
    (tmp_path / "data.npz").write_bytes(b"one")
    remembered_hash(tmp_path / "data.npz", Store(tmp_path / "cache", {}))
    assert kept(tmp_path / "cache") == ()


@pytest.mark.parametrize("name", ["run.py", "engine/kernels/sums.c", "engine/rows.h.in", "bench/firmware/image.ld"])
def test_whatever_the_package_reads_counts_as_code(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("one")
    before = code_hash.__wrapped__(tmp_path)
    for other in ("render/templates/page.html.j2", "__pycache__/run.pyc", ".run.py.swp", "demo_data/labels.txt"):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_text("x")
    assert code_hash.__wrapped__(tmp_path) == before
    path.write_text("two")
    assert code_hash.__wrapped__(tmp_path) != before


def test_the_templates_count_for_what_is_written_with_them(tmp_path: Path) -> None:
    (tmp_path / "render" / "templates").mkdir(parents=True)
    template = tmp_path / "render" / "templates" / "readme.md.j2"
    template.write_text("one")
    before = code_hash.__wrapped__(tmp_path, ("cli/",))
    template.write_text("two")
    assert code_hash.__wrapped__(tmp_path, ("cli/",)) != before
