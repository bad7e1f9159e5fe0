"""Which choices are beaten, which are built, and which one a device gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.records.front import Basis, DeviceCost, FrontPoint
from edgecut.records.report import Check, State
from edgecut.search.choosing import costs_of, fit_of, pareto, recommend, to_build


def check(value: float, limit: float, state: State, metric: str = "latency") -> Check:
    return Check(
        metric=metric, artifact="", profile="board", limit=limit, value=value, unit="s", state=state, basis="estimated"
    )


def point(
    cut: str, accuracy: float, latency: float | None = 0.01, arena: float = 1000.0, size: int = 1000,
    checks: tuple[Check, ...] = (), state: State = "meets",
) -> FrontPoint:  # fmt: skip
    device = DeviceCost(
        profile="board", state=state, latency=latency, latency_kind="estimated", arena=arena, checks=checks
    )
    return FrontPoint(
        cut=cut, size=(32, 32), channels=3, precision="int8", accuracy=accuracy, chosen_by=accuracy, latency=latency,
        arena=arena, size_bytes=size, macs=1, basis=Basis(accuracy="measured", latency="estimated"), devices=(device,),
    )  # fmt: skip


def test_a_point_that_is_worse_in_everything_is_beaten() -> None:
    points = [point("worse", 0.5, 0.02, 2000, 2000), point("better", 0.6)]
    assert [p.cut for p in pareto(points, "board")] == ["better"]


def test_of_two_equal_points_one_stays() -> None:
    assert len(pareto([point("a", 0.5), point("b", 0.5)], "board")) == 1


def test_a_point_of_another_device_is_on_no_front() -> None:
    assert pareto([point("a", 0.5)], "other") == []


numbers = st.integers(0, 4).map(float)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=12))
def test_the_front_beats_all_that_it_leaves_out_and_nothing_in_it(rows: list[tuple[float, ...]]) -> None:
    """A point is left out exactly if a point of the front is no worse in all four costs."""
    points = [point(str(k), a, b, c, int(d)) for k, (a, b, c, d) in enumerate(rows)]
    front = pareto(points, "board")
    for candidate in points:
        beaten = any(
            other is not candidate
            and all(x <= y for x, y in zip(costs_of(other, "board"), costs_of(candidate, "board"), strict=True))
            for other in front
        )
        assert beaten != (candidate in front)


@pytest.mark.parametrize(
    ("state", "value", "fit"), [("meets", 1.0, 0), ("unknown", 1.0, 1), ("unknown", 3.0, 2), ("misses", 3.0, 3)]
)
def test_an_estimate_beyond_its_limit_is_doubted_and_a_miss_is_worst(state: State, value: float, fit: int) -> None:
    assert fit_of(DeviceCost(profile="board", state=state, checks=(check(value, 2.0, state),))) == fit


def test_an_estimate_beyond_the_limit_is_not_hidden_by_a_lower_bound_below_it() -> None:
    lower = check(200.0, 300.0, "unknown", "arena")
    assert fit_of(DeviceCost(profile="board", state="unknown", arena=350.0, checks=(lower,))) == 2
    assert fit_of(DeviceCost(profile="board", state="unknown", arena=290.0, checks=(lower,))) == 1


def test_what_misses_is_not_built_where_something_fits() -> None:
    points = [
        point("large", 0.9, 0.05, checks=(check(0.05, 0.02, "misses"),)),
        point("small", 0.8, 0.01, checks=(check(0.01, 0.02, "meets"),)),
    ]
    assert [p.cut for p in to_build(points, "board", 3)] == ["small"]


def test_where_nothing_fits_the_nearest_miss_is_built() -> None:
    points = [
        point("far", 0.9, 0.2, checks=(check(0.2, 0.02, "misses"),)),
        point("near", 0.8, 0.03, checks=(check(0.03, 0.02, "misses"),)),
    ]
    assert [p.cut for p in to_build(points, "board", 1)] == ["near"]


def test_the_most_accurate_is_built_first_and_the_others_go_down_the_front() -> None:
    points = [point(str(k), 0.8 - k / 50, 0.01 / (k + 1)) for k in range(9)]
    assert [p.cut for p in to_build(points, "board", 3)] == ["0", "4", "8"]


def test_a_choice_that_nobody_would_take_is_not_built() -> None:
    assert [p.cut for p in to_build([point("a", 0.8), point("b", 0.5, 0.001)], "board", 3)] == ["a"]


def test_a_difference_within_the_standard_error_goes_to_the_cheaper() -> None:
    points = [point("dear", 0.80, 0.02), point("cheap", 0.79, 0.01), point("poor", 0.70, 0.001)]
    choice = recommend(points, points, "board", 400)
    assert choice is not None
    assert choice[0].cut == "cheap"
    assert choice[1].why == (
        "the cheapest of 3 built for board that is within a standard error (0.020) of the most accurate (0.800) on the "
        "images that choose, which sets no limits"
    )


def test_the_most_accurate_of_the_images_that_choose_may_not_be_that_of_those_that_judge() -> None:
    chosen = point("chosen", 0.83, 0.01).model_copy(update={"chosen_by": 0.90})
    points = [chosen, point("other", 0.85, 0.005).model_copy(update={"chosen_by": 0.80})]
    choice = recommend(points, points, "board", 400)
    assert choice is not None
    assert choice[1].why == (
        "the most accurate of 2 built for board on the images that choose (0.900), which sets no limits"
    )


def test_a_limit_says_what_it_costs_in_accuracy() -> None:
    small = point("small", 0.7, 0.01, checks=(check(0.01, 0.02, "meets"),))
    large = point("large", 0.9, 0.05, checks=(check(0.05, 0.02, "misses"),), state="misses")
    choice = recommend([small], [small, large], "board", 400)
    assert choice is not None
    (limit,) = choice[1].limits
    assert (limit.metric, limit.accuracy, limit.accuracy_without, limit.cut_without) == ("latency", 0.7, 0.9, "large")


def test_the_nearest_miss_says_what_would_have_to_give() -> None:
    points = [
        point("far", 0.9, 0.2, checks=(check(0.2, 0.02, "misses"),), state="misses"),
        point("near", 0.8, 0.03, checks=(check(0.03, 0.02, "misses"),), state="misses"),
    ]
    choice = recommend(points, points, "board", 400)
    assert choice is not None
    assert (choice[1].state, choice[1].cut) == ("misses", "near")
    assert choice[1].why == "nothing built fits board; this misses by least"
    assert choice[1].give == (
        "latency is 30 ms, 1.5 times the limit of 20 ms; raise it, or add smaller --sizes or --channels 1",
    )


def test_a_device_for_which_nothing_was_built_gets_no_recommendation() -> None:
    assert recommend([point("a", 0.5)], [point("a", 0.5)], "other", 400) is None
