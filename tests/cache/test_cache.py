"""What builds keep: found again whole or not at all, listed and cleared."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edgecut.cache.place import cache_folder, cache_limit, clear, kept
from edgecut.cache.store import Store, read_entry, total_bytes, trim
from edgecut.errors import OutputError, RequestError
from edgecut.pipeline.cached import Cache, cached, facts_of
from edgecut.pipeline.plan import plan
from edgecut.pipeline.values import Done
from edgecut.records.recipe import make_recipe
from tests.command_line import run

MODEL = Path(__file__).parents[2] / "edgecut" / "demo_data" / "cifar10_backbone.keras"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "model.bin").write_bytes(bytes(range(256)) * 8)
    store = Store(tmp_path / "cache", {"code": "1"}, title="bell")
    store.put("made", {"size": 0.1}, {"models/model.bin": tmp_path / "model.bin"}, recipe={"name": "bell"})
    return store


def test_documents_and_files_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) == {"size": 0.1}
    assert (tmp_path / "out" / "models" / "model.bin").read_bytes() == (tmp_path / "model.bin").read_bytes()


def test_a_document_comes_back_in_its_own_order(store: Store) -> None:
    store.put("made", {"operators": {"MEAN": 1, "CONV_2D": 1}}, part=1)
    found = store.get("made", part=1)
    assert found is not None
    assert list(found["operators"]) == ["MEAN", "CONV_2D"]


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


@pytest.mark.parametrize("name", ["thesis.tex", "package.json", ".bashrc", "files/thesis.tex", "photos/a.json"])
def test_clear_leaves_a_folder_that_holds_anything_else(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "cache" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "cache" / name).write_text("mine")
    shown = name.partition("/")[0] if name.startswith("photos") else name
    with pytest.raises(OutputError, match=rf"holds '{shown}', which is no part of a cache; remove it or set EDGECUT"):
        clear(tmp_path / "cache")
    assert (tmp_path / "cache" / name).read_text() == "mine"
    assert store.get("made", recipe={"name": "bell"}) == {"size": 0.1}


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


def test_a_cache_that_can_not_be_written_is_said_and_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "cache"
    planned = plan(make_recipe({}, {"source.model": str(MODEL), "export.precisions": ["float32"]}, where="test"))
    cache = Cache(Store(place, {}), planned, {}, tmp_path)
    assert cache.put("edited", {}, {}) == (
        f"{place}: can't keep results for later builds (Not a directory); EDGECUT_CACHE names another folder"
    )


def test_a_user_without_a_home_is_told_how_to_name_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGECUT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(OutputError) as error:
        cache_folder()
    assert str(error.value) == "the cache: there is no home folder to keep it in; name a folder in EDGECUT_CACHE"


def put(store: Store, folder: Path, name: str, size: int, day: int) -> None:
    """An entry with a file of its own, last used on a day of 1970."""
    (folder / name).write_bytes(name.encode() * (size // len(name)))
    before = set((folder / "cache").glob("*.json"))
    store.put("made", {}, {"model.bin": folder / name}, name=name)
    for path in set((folder / "cache").glob("*.json")) - before:
        os.utime(path, (day * 86_400, day * 86_400))


def test_beyond_the_limit_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", {}, limit_bytes=35_000)
    for day, name in enumerate(("one", "two", "six"), 1):
        put(store, tmp_path, name, 10_000, day)
    assert store.get("made", name="one") is not None  # used now
    put(store, tmp_path, "ten", 10_000, 4)
    assert [name for name in ("one", "two", "six", "ten") if store.get("made", name=name) is not None] == [
        "one", "six", "ten",
    ]  # fmt: skip
    assert len(list((tmp_path / "cache" / "files").iterdir())) == 3
    assert total_bytes(tmp_path / "cache") <= 35_000


def test_a_file_that_another_entry_holds_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", {})
    put(store, tmp_path, "one", 10_000, 1)
    store.put("bundle", {"whole": True}, {"again.bin": tmp_path / "one"}, name="one")
    trim(tmp_path / "cache", 10**9, 3600)
    assert store.get("made", name="one") is None
    assert store.get("bundle", tmp_path / "out", name="one") == {"whole": True}


def test_what_is_no_part_of_a_cache_is_never_removed(tmp_path: Path) -> None:
    mine = [tmp_path / name for name in ("package-lock.json", ".profile", "files/photo.png", "files/.git/config")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert (trim(tmp_path, 0), [path.exists() for path in mine]) == (0, [True] * 4)


def test_what_a_killed_build_left_goes_after_an_hour(store: Store, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "files" / ("0" * 64)
    left.write_bytes(bytes(1000))
    assert trim(tmp_path / "cache", 10**9) == 0
    os.utime(left, (0, 0))
    assert trim(tmp_path / "cache", 10**9) == 1000
    assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) == {"size": 0.1}


def test_builds_at_the_same_time_get_what_they_put_or_nothing(tmp_path: Path) -> None:
    """Whatever one of them removes to make room."""
    for k in range(6):
        (tmp_path / str(k)).write_bytes(bytes([k]) * 4000)

    def use(worker: int) -> None:
        store = Store(tmp_path / "cache", {}, limit_bytes=10_000)
        for turn in range(30):
            k, out = (worker + turn) % 6, tmp_path / f"out-{worker}-{turn}"
            store.put("made", {"k": k}, {"model.bin": tmp_path / str(k)}, k=k)
            if store.get("made", out, k=k) is not None:
                assert (out / "model.bin").read_bytes() == bytes([k]) * 4000

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(4))) == [None] * 4


@pytest.mark.parametrize(("text", "limit"), [("", 5 * 2**30), ("0", None), ("2 GiB", 2**31)])
def test_the_limit_follows_the_environment(text: str, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_CACHE_MAX_SIZE", text)
    assert cache_limit() == limit


def test_a_limit_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_CACHE_MAX_SIZE", "much")
    with pytest.raises(RequestError) as error:
        cache_limit()
    assert str(error.value) == "EDGECUT_CACHE_MAX_SIZE: 'much' is not a size such as '256 KiB'"


@pytest.mark.parametrize(("words", "left"), [(("--older-than", "2d"), 1), (("--max-size", "11 kB"), 1), ((), 0)])
def test_clear_removes_what_is_old_or_too_much(
    words: tuple[str, ...], left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("EDGECUT_CACHE", str(tmp_path / "cache"))
    store = Store(tmp_path / "cache", {})
    put(store, tmp_path, "one", 10_000, 1)
    put(store, tmp_path, "two", 10_000, int(time.time() / 86_400))
    document = json.loads(run(capsys, "cache", "clear", *words, "--json").out)
    assert [row.sound for row in kept(tmp_path / "cache")] == [True] * left
    assert document["size_bytes"] == total_bytes(tmp_path / "cache")
    assert document["freed_bytes"] >= 10_000 * (2 - left)


def test_files_mended_for_another_limit_are_measured_anew() -> None:
    """With precision auto the files depend on budget.accuracy_drop, and so do their sizes, arenas and times."""

    def facts(kind: str, precision: str, drop: float) -> dict[str, object]:
        tables = {"source": {"model": str(MODEL)}, "export": {"precisions": [precision]}, "data": {"train": "x"}}
        recipe = make_recipe({**tables, "budget": {"accuracy_drop": drop}}, {}, where="test")
        source = {"source": {"model": str(MODEL)}, "export": {"precisions": ["float32"]}}
        planned = plan(make_recipe(source, {}, where="test"), [])
        return facts_of(replace(planned, recipe=recipe), {}, kind)

    for kind in ("made", "benched"):
        assert facts(kind, "auto", 0.01) != facts(kind, "auto", 0.02)
        assert facts(kind, "int8", 0.01) == facts(kind, "int8", 0.02)


@pytest.mark.parametrize("damage", ["missing", "other", "folder", "pipe", "loop"])
def test_a_damaged_or_missing_file_is_a_miss_and_leaves_nothing(store: Store, tmp_path: Path, damage: str) -> None:
    (blob,) = (tmp_path / "cache" / "files").iterdir()
    blob.unlink()
    match damage:
        case "other":
            blob.write_bytes(b"another")
        case "folder":
            blob.mkdir()
        case "pipe":
            os.mkfifo(blob)
        case "loop":
            blob.symlink_to(blob)
    (tmp_path / "out").mkdir()
    assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) is None
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "files",
    [
        {"../outside": "0" * 64},
        {"/outside": "0" * 64},
        {"a/../../outside": "0" * 64},
        {"a": "../../secret"},
        {"a": "/etc/passwd"},
        {"a": 1},
        ["a"],
        None,
    ],
)
def test_an_entry_that_names_files_elsewhere_is_none(files: object, store: Store, tmp_path: Path) -> None:
    """Whoever shares the folder can seal any entry."""
    (tmp_path / "secret").write_text("mine")
    (path,) = (tmp_path / "cache").glob("made-*.json")
    entry = {**json.loads(path.read_bytes())["entry"], "files": files}
    digest = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({"sha256": digest, "entry": entry}))
    assert store.get("made", tmp_path / "out" / "in", recipe={"name": "bell"}) is None
    assert read_entry(path) is None
    trim(tmp_path / "cache", 0)
    assert (tmp_path / "secret").read_text() == "mine"
    assert not (tmp_path / "out").exists()


def test_a_link_in_an_entrys_place_is_replaced_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (path,) = (tmp_path / "cache").glob("made-*.json")
    path.unlink()
    path.symlink_to(tmp_path / "mine")
    store.put("made", {"size": 0.2}, recipe={"name": "bell"})
    assert (tmp_path / "mine").read_text() == "mine"
    assert not path.is_symlink()
    assert store.get("made", recipe={"name": "bell"}) == {"size": 0.2}


@pytest.mark.parametrize(("folder", "files"), [(0o2775, 0o664), (0o700, 0o600), (0o1777, 0o666)])
def test_what_is_kept_may_be_used_by_whoever_may_use_the_folder(folder: int, files: int, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(folder)
    (tmp_path / "a").write_text("a")
    before = os.umask(0o077)
    try:
        Store(tmp_path / "cache", {}).put("made", {}, {"a": tmp_path / "a"})
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*")}
    assert modes == {True: folder, False: files}


def test_what_another_user_keeps_and_nobody_may_remove_is_a_miss(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (blob,) = (tmp_path / "cache" / "files").iterdir()
    blob.write_bytes(b"another")

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    assert store.get("made", tmp_path / "out", recipe={"name": "bell"}) is None
    assert trim(tmp_path / "cache", 0) == 0


class Numbers:
    """A codec of numbers."""

    def encode(self, value: tuple[int, ...], folder: Path) -> tuple[dict[str, object], dict[str, Path]]:
        return {"numbers": list(value)}, {}

    def decode(self, document: dict[str, object], folder: Path) -> tuple[int, ...]:
        numbers = document["numbers"]
        assert isinstance(numbers, list)
        return tuple(map(int, numbers))


def test_an_entry_of_another_form_is_made_anew(tmp_path: Path) -> None:
    planned = plan(make_recipe({}, {"source.model": str(MODEL), "export.precisions": ["float32"]}, where="test"))
    store = Store(tmp_path / "cache", {})
    cache = Cache(store, planned, {}, tmp_path)
    for document in (
        {},
        {"value": {}, "steps": [], "notes": []},
        {"value": {"numbers": ["x"]}, "steps": [], "notes": []},
        {"steps": 1},
    ):
        store.put("benched", document, **facts_of(planned, {}, "benched"))
        made = cached(cache, "benched", Numbers(), lambda: Done((), (), ("anew",)))
        assert made.notes == ("anew",)
        assert cached(cache, "benched", Numbers(), lambda: Done((), (), ("again",))).notes == ("anew",)


def test_verify_names_what_is_damaged_and_removes_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGECUT_CACHE", str(folder))
    store.put("edited", {})
    assert run(capsys, "cache", "verify") == (0, f"{folder}: 2 entries, all whole\n", "")
    (entry,), (blob,) = folder.glob("made-*.json"), (folder / "files").iterdir()
    blob.write_bytes(b"another")
    lines = [
        f"{entry.name}: needs files/{blob.name[:12]}..., which is damaged",
        f"files/{blob.name}: is damaged",
        f"{folder}: 2 damaged; builds make them anew; `edgecut cache verify --remove` removes them",
    ]
    answer = run(capsys, "cache", "verify")
    assert (answer.code, answer.out.splitlines()) == (1, lines)
    assert json.loads(run(capsys, "cache", "verify", "--json").out)["faults"] == {
        entry.name: f"needs files/{blob.name[:12]}..., which is damaged",
        f"files/{blob.name}": "is damaged",
    }
    answer = run(capsys, "cache", "verify", "--remove")
    assert answer.out.splitlines()[-1] == f"{folder}: 2 damaged; builds make them anew; 2 removed"
    assert (answer.code, run(capsys, "cache", "verify").code, len(kept(folder))) == (0, 0, 1)
    (folder / "edited-0.json").write_text("{")
    entry.write_text("{")
    assert f"{entry.name}: is damaged" in run(capsys, "cache", "verify").out
