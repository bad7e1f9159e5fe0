"""What builds keep: found again whole or not at all, listed and cleared."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgecut.cache.place import cache_folder, clear, kept
from edgecut.cache.store import Store
from edgecut.errors import OutputError
from edgecut.records.artifact import sha256_of
from tests.unit.command_line import run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "model.bin").write_bytes(bytes(range(256)) * 8)
    store = Store(tmp_path / "cache", {"code": "1"}, title="bell")
    store.put("made", {"size": 0.1}, {"models/model.bin": tmp_path / "model.bin"}, recipe={"name": "bell"})
    return store


def test_documents_and_files_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) == {"size": 0.1}
    assert (tmp_path / "out" / "models" / "model.bin").read_bytes() == (tmp_path / "model.bin").read_bytes()


def test_other_facts_kinds_and_code_find_nothing(store: Store, tmp_path: Path) -> None:
    assert store.get("made", recipe={"name": "door"}) is None
    assert store.get("benched", recipe={"name": "bell"}) is None
    assert Store(tmp_path / "cache", {"code": "2"}).get("made", recipe={"name": "bell"}) is None


def test_one_flipped_bit_anywhere_makes_an_entry_none(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for place in range(0, len(whole), 97):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) is None, (path.name, place)
            assert not list((tmp_path / "out").rglob("*.bin"))
            store.put("made", {"size": 0.1}, {"models/model.bin": tmp_path / "model.bin"}, recipe={"name": "bell"})
            assert store.get("made", recipe={"name": "bell"}) == {"size": 0.1}
            path.write_bytes(whole)


def test_equal_files_are_kept_once(store: Store, tmp_path: Path) -> None:
    store.put("bundle", {}, {"other.bin": tmp_path / "model.bin"}, recipe={})
    assert len(list((tmp_path / "cache" / "files").iterdir())) == 1


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECUT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/edgecut/builds")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "edgecut" / "builds"
    monkeypatch.setenv("EDGECUT_CACHE", "/here")
    assert cache_folder() == Path("/here")


def test_ls_shows_entries_and_says_which_are_damaged(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGECUT_CACHE", str(tmp_path / "cache"))
    (row,) = kept(tmp_path / "cache")
    assert (row.kind, row.title, row.sound) == ("made", "bell", True)
    assert row.size_bytes > 2048
    next((tmp_path / "cache" / "files").iterdir()).unlink()
    answer = run(capsys, "cache", "ls")
    assert answer.code == 0
    assert "bell" in answer.out
    assert "damaged" in answer.out
    document = json.loads(run(capsys, "cache", "ls", "--json").out)
    assert [entry["sound"] for entry in document["entries"]] == [False]


def test_clear_removes_all_and_says_how_much(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGECUT_CACHE", str(tmp_path / "cache"))
    assert "KiB removed" in run(capsys, "cache", "clear").out
    assert kept(tmp_path / "cache") == ()
    assert run(capsys, "cache", "clear").code == 0


def test_clear_leaves_a_folder_that_holds_anything_else(store: Store, tmp_path: Path) -> None:
    (tmp_path / "cache" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'thesis.tex', which is no part of a cache; remove it or set EDGECUT"):
        clear(tmp_path / "cache")
    assert store.get("made", recipe={"name": "bell"}) == {"size": 0.1}


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


def test_a_bundles_recipe_is_planned_from_where_its_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Path(__file__).parents[2] / "edgecut" / "demo_data"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "recipe.toml").write_bytes((demo / "recipe.toml").read_bytes())
    (tmp_path / "dist" / "manifest.json").write_text("{}")
    answer = run(capsys, "plan", "dist/recipe.toml")
    assert answer.code == 2
    assert "dist/recipe.toml is a bundle's; say where the files of its request are (--root FOLDER)" in answer.err
    assert run(capsys, "plan", "dist/recipe.toml", "--root", str(demo)).code == 0
