"""A forward pass in parts: the same bits in any order and by whoever does them, and none done twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.cache.store import Store, total_bytes
from edgecut.errors import RunError
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Data, Recipe, Source
from edgecut.search import parts, passes, scoring
from edgecut.search.inputs import Workbench
from edgecut.search.parts import Columns, Edit, Pass, Passed, Probe, features_of, put_pass
from edgecut.search.passes import project
from edgecut.search.request import Request
from edgecut.search.scoring import score_inputs
from edgecut.search.targets import leading
from edgecut.search.tasks import Answer, Scored, Scoring, Task, do

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]
INPUTS = (Scoring((16, 16), 3), Scoring((16, 16), 1))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parts, passes, scoring):
        monkeypatch.setattr(module, "PART", 32)


def _bench(small: Small, folder: Path, *, in_parts: bool, **data: Any) -> Workbench:
    recipe = Recipe(source=Source(model=str(small[0]), preprocess="tf"), data=Data(train=str(small[1]), **data))
    profile = find_profile("nucleo-l4r5zi")
    request = Request(recipe, (profile,), ((16, 16),), (3, 1), ("int8",), small[0].parent)
    return Workbench(request, Store(folder, {}), in_parts=in_parts)


class Hands:
    """Somebody who does tasks, the last of those that may begin first if `order` is -1, and knows what he did.

    After `most` of a kind he is gone.
    """

    def __init__(self, bench: Workbench, order: int = 1, kind: type = Pass, most: int = 100) -> None:
        self.bench, self.order, self.kind, self.most = bench, order, kind, most
        self.did: list[Task] = []

    def __call__(self, tasks: Iterable[Task | None]) -> Iterator[tuple[Task, Answer]]:
        rest, open_tasks = iter(tasks), list[Task]()
        while True:
            open_tasks += itertools.takewhile(lambda task: task is not None, rest)  # type: ignore[arg-type]
            if not open_tasks:
                return
            task = open_tasks.pop(0 if self.order == 1 else -1)
            if self.count(self.kind) == self.most and isinstance(task, self.kind):
                raise ConnectionError("the scheduler is gone")
            self.did.append(task)
            yield task, do(self.bench, task)

    def count(self, kind: type) -> int:
        return sum(isinstance(task, kind) for task in self.did)


@pytest.fixture(scope="module")
def expected(small: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[Scoring, Scored]:
    with pytest.MonkeyPatch.context() as patched:
        for module in (parts, passes, scoring):
            patched.setattr(module, "PART", 32)
        bench = _bench(small, tmp_path_factory.mktemp("store"), in_parts=False)
        return dict(score_inputs(bench, Hands(bench), INPUTS))


def test_the_order_of_parts_and_who_reads_them_changes_no_bit(
    small: Small, expected: dict[Scoring, Scored], tmp_path: Path
) -> None:
    bench = _bench(small, tmp_path, in_parts=True)
    assert dict(score_inputs(bench, Hands(bench, order=-1), INPUTS)) == expected
    assert total_bytes(tmp_path) == 0  # parts go when their input is done


@pytest.mark.parametrize(("kind", "most", "again"), [(Pass, 4, 2), (Probe, 3, 0)])
def test_a_search_that_lost_its_scheduler_goes_on_with_what_is_missing(
    small: Small, expected: dict[Scoring, Scored], tmp_path: Path, kind: type, most: int, again: int
) -> None:
    lost = Hands(bench := _bench(small, tmp_path, in_parts=True), kind=kind, most=most)
    with pytest.raises(ConnectionError):
        dict(score_inputs(bench, lost, INPUTS))
    rest = Hands(bench := _bench(small, tmp_path, in_parts=True))
    assert dict(score_inputs(bench, rest, INPUTS)) == expected
    assert rest.count(Pass) == again  # of six
    assert rest.count(Edit) == 0  # which is kept, too
    assert not [task for task in lost.did if task in rest.did]


def test_an_input_that_was_not_finished_in_time_is_kept_for_another(small: Small, tmp_path: Path) -> None:
    bench = _bench(small, tmp_path, in_parts=True)
    begun = list[Pass]()

    def in_time(task: Pass) -> bool:
        begun.append(task)
        return len(begun) < 3

    assert dict(score_inputs(bench, Hands(bench), INPUTS[:1], in_time)) == {}
    rest = Hands(bench)
    assert list(dict(score_inputs(bench, rest, INPUTS[:1]))) == [INPUTS[0]]
    assert rest.count(Pass) == 1


def test_a_damaged_part_is_made_anew(small: Small, expected: dict[Scoring, Scored], tmp_path: Path) -> None:
    bench = _bench(small, tmp_path, in_parts=True)
    with pytest.raises(ConnectionError):
        dict(score_inputs(bench, Hands(bench, kind=Probe, most=1), INPUTS[:1]))
    part = next(path for path in (tmp_path / "files").iterdir() if path.read_bytes().startswith(b'["pass", '))
    part.write_bytes(b"damaged")
    assert dict(score_inputs(bench, rest := Hands(bench), INPUTS[:1])) == {INPUTS[0]: expected[INPUTS[0]]}
    assert rest.count(Pass) == 1


def test_features_of_a_cut_are_those_of_its_parts_and_a_lost_part_is_named(tmp_path: Path) -> None:
    store, rows = Store(tmp_path, {}), np.zeros((40, 3), np.float32)
    for part, first in ((rows[:32], 0), (rows[32:], 32)):
        put_pass(store, Pass(None, None, first), Passed(Columns((3,), (0,), (1,))), {0: part})
    probe = Probe(None, None, 0, 3, exact=True)
    np.testing.assert_array_equal(features_of(store, probe, 40), rows)
    store.drop("pass", size=None, channels=None, first=32)
    with pytest.raises(RunError) as caught:
        features_of(store, probe, 40)
    assert str(caught.value) == (
        f"search: {tmp_path} has lost the pass of images 32 to 39; run the same command again, which makes it anew"
    )


def test_the_sources_features_are_told_part_by_part_and_once_for_all_inputs(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Hands(bench := _bench(small, tmp_path / "whole", in_parts=False, target="features"))
    expected = dict(score_inputs(bench, whole, INPUTS))
    bench = _bench(small, tmp_path / "parts", in_parts=True, target="features")
    told = list[slice]()
    taught = bench.taught
    monkeypatch.setattr(bench, "taught", lambda which: told.append(which) or taught(which))  # type: ignore[func-returns-value]
    monkeypatch.setattr(bench, "images", lambda *which: pytest.fail("all images are read"))
    assert dict(score_inputs(bench, Hands(bench, order=-1), INPUTS)) == expected
    assert sorted(which.start for which in told) == [0, 32, 64]
    parts.drop_targets(bench.store, bench.count)
    assert total_bytes(tmp_path / "parts") == 0


def test_a_search_of_one_process_goes_on_over_workers_which_then_tell_the_targets(small: Small, tmp_path: Path) -> None:
    alone = _bench(small, tmp_path, in_parts=False, target="features")
    with pytest.raises(ConnectionError):
        dict(score_inputs(alone, Hands(alone, kind=Probe, most=1), INPUTS[:1]))
    over_workers = _bench(small, tmp_path, in_parts=True, target="features")
    assert list(dict(score_inputs(over_workers, Hands(over_workers), INPUTS[:1]))) == [INPUTS[0]]


def test_rows_projected_in_parts_are_those_projected_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 300)).astype(np.float32)
    features[:, 7] = 4
    whole = project(features)
    for module in ("edgecut.search.passes", "edgecut.head.ridge"):
        monkeypatch.setattr(f"{module}.ROWS", 16)
    np.testing.assert_allclose(project(features), whole, rtol=1e-9, atol=1e-9)


def test_very_many_values_are_their_leading_components(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(1, 2, (90, 70)).astype(np.float32)
    centred = values - values.mean(axis=0, dtype=np.float64)
    monkeypatch.setattr("edgecut.search.targets.ROWS", 16)
    found = leading(values)
    assert found.shape == (90, 64)
    expected = np.sort(np.linalg.eigvalsh(centred.T @ centred))[-64:]
    np.testing.assert_allclose(np.sort((found**2).sum(axis=0)), expected, rtol=1e-9)
