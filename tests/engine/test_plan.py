"""The memory plan: no more than what it has to be, and proven before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecut.engine import generate, plan
from edgecut.engine.network import read_network
from edgecut.engine.plan import whole
from edgecut.engine.program import program
from edgecut.engine.replay import check
from edgecut.errors import ExportError
from tools.int8_net import Int8Net

FIXTURE = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"


def test_a_plan_says_what_the_c_text_needs() -> None:
    made = generate(FIXTURE, "tiny")
    assert made.plan == plan(FIXTURE)
    assert made.arena_bytes == made.plan.arena_bytes == 5328
    assert max(used for _, used in made.plan.usage) <= 5328
    assert f"#define TINY_ARENA_BYTES {made.arena_bytes}\n" in made.files["tiny_run.h"]


def test_a_place_that_is_a_byte_off_is_found_by_the_replay() -> None:
    network = read_network(FIXTURE.read_bytes(), "tiny")
    made = program(network, whole(network))
    check(network, made)
    for node, places in enumerate(made.places):
        moved = (*places[:-1], replace(places[-1], at=places[-1].at + 1))
        wrong = replace(made, places=(*made.places[:node], moved, *made.places[node + 1 :]))
        with pytest.raises(ExportError, match="the schedule isn't exact at"):
            check(network, wrong)


def test_a_line_buffer_of_one_row_too_few_is_found_by_the_replay() -> None:
    network = read_network(FIXTURE.read_bytes(), "tiny")
    made = program(network, whole(network))
    shorter = tuple(tuple(replace(place, rows=max(place.rows - 1, 1)) for place in places) for places in made.places)
    with pytest.raises(ExportError, match="the schedule isn't exact at"):
        check(network, replace(made, places=shorter))


def test_a_part_of_a_split_that_nothing_reads_is_not_made() -> None:
    net = Int8Net(np.random.default_rng(1))
    x = net.image((1, 6, 5, 4))
    first, _, third, fourth = net.split(x, 3, 4)
    made = generate(net.file([x], [first, net.binary("ADD", third, fourth)]), "net")
    assert made.files["net_run.c"].count("/* SPLIT (operator 0) */") == 3
