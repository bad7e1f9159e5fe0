"""A forward pass in parts: the same bits in any order and by whoever does them, and none done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.cache.store import Store, total_bytes
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Data, Recipe, Source
from edgecut.search import passes, scoring
from edgecut.search.inputs import Workbench
from edgecut.search.passes import pass_part, project
from edgecut.search.request import Request
from edgecut.search.scoring import score_inputs
from edgecut.search.tasks import Scored, Scoring

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]
INPUTS = (Scoring((16, 16), 3), Scoring((16, 16), 1))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (passes, scoring):
        monkeypatch.setattr(module, "PART", 32)


def _bench(small: Small, *, in_parts: bool) -> Workbench:
    recipe = Recipe(source=Source(model=str(small[0]), preprocess="tf"), data=Data(train=str(small[1])))
    profile = find_profile("nucleo-l4r5zi")
    request = Request(recipe, (profile,), ((16, 16),), (3, 1), ("int8",), small[0].parent)
    return Workbench(request, in_parts=in_parts)


class Hands:
    """Somebody who does tasks in the order given by `order`, and counts the passes; after `most` of them he is gone."""

    def __init__(self, bench: Workbench, order: int = 1, most: int = 100) -> None:
        self.bench, self.order, self.most, self.passed = bench, order, most, 0

    def __call__(self, function: Callable[[Workbench, Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for task in list(tasks)[:: self.order]:
            self.passed += function is pass_part
            if self.passed > self.most:
                raise ConnectionError("the scheduler is gone")
            yield task, function(self.bench, task)


@pytest.fixture(scope="module")
def expected(small: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[Scoring, Scored]:
    with pytest.MonkeyPatch.context() as patched:
        for module in (passes, scoring):
            patched.setattr(module, "PART", 32)
        bench = _bench(small, in_parts=False)
        return dict(score_inputs(bench, Store(tmp_path_factory.mktemp("store"), {}), Hands(bench), INPUTS))


def test_the_order_of_parts_and_who_reads_them_changes_no_bit(
    small: Small, expected: dict[Scoring, Scored], tmp_path: Path
) -> None:
    bench = _bench(small, in_parts=True)
    store = Store(tmp_path / "cache", {})
    assert dict(score_inputs(bench, store, Hands(bench, order=-1), INPUTS)) == expected
    assert total_bytes(store.folder) == 0  # parts go when their input is done


def test_a_search_that_lost_its_scheduler_goes_on_with_what_is_missing(
    small: Small, expected: dict[Scoring, Scored], tmp_path: Path
) -> None:
    bench, store = _bench(small, in_parts=True), Store(tmp_path / "cache", {})
    with pytest.raises(ConnectionError):
        dict(score_inputs(bench, store, Hands(bench, most=4), INPUTS))
    rest = Hands(bench)
    assert dict(score_inputs(bench, store, rest, INPUTS)) == expected
    assert rest.passed == 2  # of six


def test_an_input_that_was_not_finished_in_time_is_kept_for_another(small: Small, tmp_path: Path) -> None:
    bench, store = _bench(small, in_parts=True), Store(tmp_path / "cache", {})

    def late(function: Callable[[Workbench, Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        return Hands(bench)(function, list(tasks)[:2] if function is pass_part else tasks)

    assert dict(score_inputs(bench, store, late, INPUTS[:1])) == {}
    rest = Hands(bench)
    assert list(dict(score_inputs(bench, store, rest, INPUTS[:1]))) == [INPUTS[0]]
    assert rest.passed == 1


def test_rows_projected_in_parts_are_those_projected_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 300)).astype(np.float32)
    features[:, 7] = 4
    whole = project(features)
    for module in ("edgecut.search.passes", "edgecut.head.ridge"):
        monkeypatch.setattr(f"{module}.ROWS", 16)
    np.testing.assert_allclose(project(features), whole, rtol=1e-9, atol=1e-9)
