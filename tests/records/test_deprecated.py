"""A recipe's key that went by another name works on, and the note says the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgecut
from edgecut.errors import DocumentError
from edgecut.records import deprecated
from edgecut.records.deprecated import OldWordWarning
from edgecut.records.recipe import make_recipe, read_recipe
from tests.command_line import run

NOTE = "cut.until is deprecated and goes with edgecut 1.0; write cut.to"


@pytest.fixture(autouse=True)
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in {"cut.until": "cut.to", "images.folder": "data.train"}.items():
        monkeypatch.setitem(deprecated.OLD_KEYS, old, new)


def test_an_old_key_means_the_new_one_and_is_told() -> None:
    with pytest.warns(OldWordWarning) as told:
        recipe = make_recipe({"source": {"model": "m.keras"}, "cut": {"until": "pool"}}, {}, where="r.toml")
    assert recipe.cut.to == "pool"
    assert [str(warning.message) for warning in told] == [f"r.toml: {NOTE}"]


def test_a_file_under_an_old_key_of_an_old_table_is_beside_the_recipe_too(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[source]\nmodel = "m.keras"\n[images]\nfolder = "doors"\n', encoding="utf-8")
    with pytest.warns(OldWordWarning):
        recipe = read_recipe(tmp_path / "r.toml")
    assert recipe.data.train == str(tmp_path / "doors")


def test_an_override_counts_more_than_an_old_key() -> None:
    with pytest.warns(OldWordWarning):
        recipe = make_recipe({"source": {"model": "m"}, "cut": {"until": "pool"}}, {"cut.to": "conv"}, where="r")
    assert recipe.cut.to == "conv"


def test_both_words_are_refused() -> None:
    with pytest.raises(DocumentError) as caught:
        make_recipe({"source": {"model": "m"}, "cut": {"until": "pool", "to": "conv"}}, {}, where="r.toml")
    assert str(caught.value) == "r.toml: cut.until: is the old word for cut.to, which is there too; leave it out"


def test_a_command_says_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Path(edgecut.__file__).parent / "demo_data"
    text = (demo / "recipe.toml").read_text("utf-8").replace("\nto = ", "\nuntil = ")
    for name in ("cifar10_backbone.keras", "fashion_mnist.npz", "labels.txt"):
        text = text.replace(f'"{name}"', f'"{(demo / name).as_posix()}"')
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    answer = run(capsys, "plan", "r.toml")
    assert (answer.code, answer.err) == (0, f"edgecut: r.toml: {NOTE}\n")
    assert run(capsys, "plan", "r.toml", "-q").err == ""
