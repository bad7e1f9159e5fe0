"""A whole search on a small model: what it finds, what it keeps, and how it goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import edgecut
from edgecut.errors import DocumentError
from edgecut.records.front import Front
from edgecut.records.recipe import Budget, read_recipe
from edgecut.search import run as search_run
from edgecut.search import tasks
from edgecut.search.run import SearchInterrupted

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]


def searched(small: Small, out: Path, **options: Any) -> Front:
    settings: dict[str, Any] = {"sizes": ((16, 16),), "precisions": ("int8",), "preprocess": "tf", "top": 1}
    model, images = small
    return edgecut.search(model, images, ["nucleo-l4r5zi"], out=out, **{**settings, **options})


@pytest.fixture(scope="module")
def found(small: Small, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Front]:
    out = tmp_path_factory.mktemp("search") / "out"
    return out, searched(small, out)


def test_every_computed_tensor_is_looked_at(found: tuple[Path, Front]) -> None:
    names = [score.cut for score in found[1].cuts]
    assert names == [
        "conv_0", "norm_0", "relu_0", "conv_1", "norm_1", "relu_1", "depth", "dead", "pool", "scores",
    ]  # fmt: skip


def test_a_dead_end_loses_to_the_middle(found: tuple[Path, Front]) -> None:
    scores = {score.cut: score.score for score in found[1].cuts}
    assert scores["dead"] < 0.5 < 0.9 < scores["relu_0"]


def test_the_recommended_choice_is_built_and_judged_on_other_images(found: tuple[Path, Front]) -> None:
    out, front = found
    (recommendation,) = front.recommendations
    point = next(p for p in front.front if p.recommended_for)
    assert recommendation.profile == "nucleo-l4r5zi"
    assert (point.cut, point.basis.accuracy) == (recommendation.cut, "measured")
    assert (out / point.artifact).stat().st_size == point.size_bytes
    assert (front.images["choosing"], front.images["judging"]) == (30, 30)


def test_the_written_front_is_the_one_returned(found: tuple[Path, Front]) -> None:
    out, front = found
    assert Front.model_validate_json((out / "front.json").read_text()) == front


def test_the_recipe_of_a_recommendation_is_a_recipe_for_it(found: tuple[Path, Front]) -> None:
    out, front = found
    (recommendation,) = front.recommendations
    recipe = read_recipe(out / recommendation.recipe)
    assert (recipe.cut.to, recipe.stem.size, recipe.export.precisions) == (recommendation.cut, (16, 16), ("int8",))


def test_a_second_search_evaluates_nothing(
    small: Small, found: tuple[Path, Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tasks, "sweep")
    monkeypatch.delattr(tasks, "make")
    monkeypatch.delattr(search_run, "priced")
    assert searched(small, found[0]) == found[1]


def test_one_more_size_evaluates_that_size_alone(
    small: Small, found: tuple[Path, Front], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    swept = []
    original = tasks.sweep
    monkeypatch.setattr(tasks, "sweep", lambda bench, *key: (swept.append(key[:2]), original(bench, *key))[1])
    searched(small, found[0], sizes=((16, 16), (12, 12)))
    assert swept == [((12, 12), 3)]


def test_an_interrupt_keeps_the_front_so_far(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tasks, "make", stop)
    with pytest.raises(SearchInterrupted) as caught:
        searched(small, tmp_path / "out")
    front = caught.value.front
    assert not front.finished
    assert len(front.cuts) == 10
    assert Front.model_validate_json((tmp_path / "out" / "front.json").read_text()) == front


def test_a_time_limit_ends_with_a_front_and_says_what_is_missing(small: Small, tmp_path: Path) -> None:
    front = searched(small, tmp_path / "out", time_limit_s=0.0)
    assert (front.finished, front.cuts) == (False, ())
    assert front.notes == ("16x16 colour: not looked at, the time limit was reached",)


def test_a_budget_that_nothing_meets_gives_the_nearest_miss(small: Small, tmp_path: Path) -> None:
    front = searched(small, tmp_path / "out", budget=Budget(size_bytes=100))
    (recommendation,) = front.recommendations
    assert recommendation.state == "misses"
    assert [text.partition(" is ")[0] for text in recommendation.give] == ["size"]


def test_every_fault_of_a_request_is_said_before_anything_starts(small: Small, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        searched(small, tmp_path / "out", precisions=("float16",))
    assert str(caught.value) == (
        "search: --precisions: none of the devices runs float16\n"
        "search: --profile: nucleo-l4r5zi runs int8, and --precisions has none of these"
    )


def test_a_search_that_is_killed_ends_with_the_same_front(small: Small, tmp_path: Path) -> None:
    model, images = small
    words = ["search", str(model), "--data", str(images), "--preprocess", "tf", "--sizes", "16x16,12x12",
             "--precisions", "int8", "--profile", "nucleo-l4r5zi", "--top", "1", "-q"]  # fmt: skip
    command = [sys.executable, "-m", "edgecut", *words, "-o"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    # In the middle of the second input; tools/check_search.py --kills kills it ten times, at random.
    child = subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    while child.poll() is None and len(list((tmp_path / "killed" / "cache").glob("[a-z]*.json"))) < 3:
        time.sleep(0.01)
    child.kill()
    child.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    whole, killed = ((tmp_path / name / "front.json").read_bytes() for name in ("whole", "killed"))
    assert killed == whole
