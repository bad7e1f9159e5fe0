"""Evaluations kept by what they were made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.search.store import Store, code_hash, write_whole


def test_what_was_kept_comes_back_bit_for_bit(tmp_path: Path) -> None:
    Store(tmp_path, {"model": "a"}).put("sweep", {"score": 0.1 + 0.2}, size=(96, 96))
    assert Store(tmp_path, {"model": "a"}).get("sweep", size=(96, 96)) == {"score": 0.30000000000000004}


@pytest.mark.parametrize("facts", [{"model": "b"}, {"model": "a", "data": "x"}])
def test_another_model_or_other_images_find_nothing(tmp_path: Path, facts: dict[str, str]) -> None:
    Store(tmp_path, {"model": "a"}).put("sweep", {"score": 1}, size=(96, 96))
    assert Store(tmp_path, facts).get("sweep", size=(96, 96)) is None


def test_another_size_finds_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    store.put("sweep", {"score": 1}, size=(96, 96))
    assert store.get("sweep", size=(64, 64)) is None


@pytest.mark.parametrize("content", ["", '{"score": ', "[1]"])
def test_a_damaged_evaluation_counts_as_none(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path, {})
    store.put("sweep", {"score": 1})
    next(tmp_path.glob("sweep-*.json")).write_text(content)
    assert store.get("sweep") is None


def test_a_write_that_fails_leaves_the_old_content_and_no_scraps(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["front.json"]
    assert path.read_text() == "old"


def test_the_code_hash_follows_the_code_and_not_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "render").mkdir()
    (tmp_path / "head.py").write_text("x = 1\n")
    before = code_hash(tmp_path)
    (tmp_path / "render" / "page.py").write_text("y = 1\n")
    code_hash.cache_clear()
    assert code_hash(tmp_path) == before
    (tmp_path / "head.py").write_text("x = 2\n")
    code_hash.cache_clear()
    assert code_hash(tmp_path) != before
