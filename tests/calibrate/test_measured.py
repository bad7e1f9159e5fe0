"""Prices out of few nets: what they recover, what they leave alone, and the band that families left out earn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecut.bench.predict import predict_latency
from edgecut.bench.work import KINDS
from edgecut.calibrate.band import bands, left_out
from edgecut.calibrate.board import fit_measured, general
from edgecut.calibrate.measured import Measured, Prior, fitted, lent
from edgecut.errors import RequestError
from edgecut.records.document import parse
from edgecut.records.profile import LatencyFacts, Profile
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

SURE = Prior(general("cpu").prices, (1e-6,) * len(KINDS))


def net(filters: int, kernel: int, layers: int = 2) -> TfliteGraph:
    """Convolutions on 16x16, from 8 channels to 8 by way of `filters`."""
    tensors, operators, fed = [Tensor(0, "", (1, 16, 16, 8), "int8")], [], 0
    for k in range(layers):
        channels = (8, filters)[k % 2]
        made = (filters, 8)[k % 2]
        first = len(tensors)
        tensors += [Tensor(first, "", (made, kernel, kernel, channels), "int8", is_constant=True),
                    Tensor(first + 1, "", (1, 16, 16, made), "int8")]  # fmt: skip
        operators.append(Operator(k, "CONV_2D", 1, (fed, first), (first + 1,)))
        fed = first + 1
    return TfliteGraph(tuple(tensors), tuple(operators), (0,), (fed,))


def row(family: str, filters: int, kernel: int, prices: dict[str, float]) -> Measured:
    """A net whose time is made of prices."""
    found = Measured(f"{family} {filters}", family, net(filters, kernel), 1.0)
    times = dict(zip(KINDS, found.amounts, strict=True))
    return replace(found, seconds=sum(prices.get(kind, 0.0) * amount for kind, amount in times.items()))


USUAL = dict(zip(KINDS, (1e-9 * price for price in general("cpu").prices), strict=True))
ROWS = [row(family, filters, kernel, USUAL) for family, kernel in (("a", 1), ("b", 3), ("c", 5)) for filters in (8, 40)]


def test_times_made_of_the_prior_s_ratios_give_their_speed() -> None:
    found = fitted(ROWS, general("cpu"))
    assert found.at("") == pytest.approx(tuple(USUAL[kind] for kind in KINDS), rel=1e-3)


def test_a_kind_that_takes_longer_gets_a_higher_price_beside_the_others() -> None:
    rows = [
        row(r.family, f, k, USUAL | {"conv.macs": 4e-9})
        for r, f, k in zip(ROWS, (8, 40) * 3, (1, 1, 3, 3, 5, 5), strict=True)
    ]
    found = dict(zip(KINDS, fitted(rows, general("cpu")).at(""), strict=True))
    changes = {kind: found[kind] / USUAL[kind] for kind in KINDS}
    assert changes["conv.macs"] / changes["pointwise.macs"] > 2
    # No row has any of these: they follow the speed alone.
    assert changes["broad.macs"] == pytest.approx(changes["curves"], rel=1e-3)


def test_a_version_that_is_slower_has_a_factor() -> None:
    rows = [*(replace(r, version="1") for r in ROWS), *(replace(r, version="2", seconds=r.seconds * 1.2) for r in ROWS)]
    found = fitted(rows, SURE)
    assert found.versions["", "2"] / found.versions["", "1"] == pytest.approx(1.2, rel=0.1)


def test_places_differ_by_their_speed_alone() -> None:
    rows = [*(replace(r, place="slow", seconds=r.seconds * 5) for r in ROWS), *(replace(r, place="fast") for r in ROWS)]
    found = fitted(rows, SURE)
    assert found.factors["slow"] / found.factors["fast"] == pytest.approx(5, rel=1e-2)


def test_other_boards_prices_are_less_sure_than_they_were_there() -> None:
    prior = lent(ROWS, general("cpu"))
    assert prior.prices == pytest.approx(general("cpu").prices, rel=1e-3)
    assert min(prior.spreads) >= 0.25
    assert lent([], general("cpu")) == general("cpu")


def test_a_family_left_out_is_predicted_from_the_others() -> None:
    odd = [replace(r, seconds=r.seconds * (3 if r.family == "b" else 1)) for r in ROWS]
    found = {(r.row.net): r for r in left_out(odd, SURE)}
    assert found["b 8"].error == pytest.approx(2, rel=1e-3)
    assert found["b 8"].predicted_s == pytest.approx(ROWS[2].seconds, rel=1e-3)
    assert left_out([r for r in ROWS if r.family == "a"], SURE) == ()


def test_a_band_widens_with_errors_and_with_few_families() -> None:
    few, more = bands(()), bands(left_out(ROWS, SURE))
    worse = bands(left_out([replace(r, seconds=r.seconds * (3 if r.family == "b" else 1)) for r in ROWS], SURE))
    assert more[1] < few[1] < worse[1]
    assert all(p50 < p90 for p50, p90 in (few, more, worse))


def test_no_band_is_narrower_than_the_errors_of_the_nets_that_it_was_fitted_to() -> None:
    """Here of one net that was measured twice, and of two sizes of a family that contradict each other."""
    twice = [replace(ROWS[0], seconds=ROWS[0].seconds * factor) for factor in (1.0, 100.0)]
    apart = [replace(r, seconds=r.seconds * (4.0 if k == 1 else 1.0)) for k, r in enumerate(ROWS)]
    for rows in (twice, apart):
        facts = fit_measured(rows, profile(), "mine")
        errors = sorted(abs(r.seconds / (predict_latency(r.graph, board(facts), r.net).value or 0) - 1) for r in rows)
        assert errors[-1] > 0.5
        assert facts.error_p90 == pytest.approx(errors[-1], abs=0.006)
        assert (facts.error_p50, facts.error_p90) == (facts.work[0].error_p50, facts.work[0].error_p90)


def board(facts: LatencyFacts) -> Profile:
    return profile(latency=facts.to_dict())


def profile(**latency: object) -> Profile:
    tables = {"id": "board", "title": "Board", "class": "microcontroller", "cpu": {"clock_hz": 100_000_000},
              "runtime": {"name": "tflm"}}  # fmt: skip
    return parse(Profile, tables | latency, "board.toml")


def test_measured_nets_become_the_facts_of_a_profile() -> None:
    facts = fit_measured(ROWS, profile(), "mine")
    (table,) = facts.work
    assert (table.precision, table.nets, table.families, table.clock_hz) == ("int8", 6, 3, 100_000_000)
    assert (facts.basis, facts.error_p90) == ("mine", table.error_p90)
    assert table.least_s < table.most_s


def test_prices_of_the_base_are_what_few_nets_are_pulled_towards() -> None:
    base = profile(latency=fit_measured(ROWS, profile()).to_dict())
    slow = [replace(r, seconds=r.seconds * 2) for r in ROWS[:1]]
    (table,), (below,) = fit_measured(slow, base).work, base.latency.work if base.latency else ()
    assert {kind: price / below.seconds[kind] for kind, price in table.seconds.items()} == pytest.approx(
        dict.fromkeys(KINDS, 2.0), rel=0.05
    )
    assert table.error_p90 > below.error_p90


def test_no_net_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        fit_measured([], profile())
    assert str(caught.value) == "profile 'board': no measured net to fit prices to; at least one is expected"
