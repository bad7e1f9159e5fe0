"""One step on the terminal."""

import pytest

from edgecut.records.proof import Proof
from edgecut.records.report import Step
from edgecut.render.steps import proof_sentence, step_parts
from edgecut.render.tables import step_table
from tests.render.command_tables import shown


def test_a_step_shows_what_it_made_of_what() -> None:
    step = Step(
        name="cut", changed=True,
        before={"inputs": {"image": [None, 8, 8, 3]}, "outputs": {"dense": [None, 5]}, "params": 2000},
        after={
            "inputs": {"image": [None, 8, 8, 3]}, "outputs": {"a": [None, 8, 8, 6], "b": [None, 4]}, "params": 500,
            "weights_dropped": 1500, "size_bytes": 2048,
        },
        proof={"inputs": 8, "max_abs_error": 0.0, "exact": True},
    )  # fmt: skip
    rows = [line.split() for line in shown(*step_parts(step)).splitlines()]
    assert rows[2:] == [
        ["inputs", "image", "8×8×3", "image", "8×8×3"],
        ["outputs", "dense", "5", "a", "8×8×6,", "b", "4"],
        ["params", "2", "k", "500"],
        ["dropped", "–", "1.5", "k"],
        ["size", "–", "2", "KiB"],
        ["proof:", "bit-equal", "to", "the", "source", "on", "8", "seeded", "inputs"],
    ]


def test_a_step_without_a_proof_claims_none() -> None:
    assert "proof" not in shown(*step_parts(Step(name="load", changed=False, after={"params": 3})))


@pytest.mark.parametrize(
    ("proof", "sentence"),
    [
        ({"inputs": 8, "max_abs_error": 0.0, "exact": True}, "proof: bit-equal to the source on 8 seeded inputs"),
        (
            {
                "inputs": 8,
                "max_abs_error": 2.5e-7,
                "exact": False,
                "tolerance": 1e-5,
                "reason": "sums in another order",
            },
            "proof: differs from the source by at most 2.5e-07 on 8 seeded inputs, 1e-05 let pass (sums in another "
            "order)",
        ),
    ],
)
def test_a_proof_is_a_sentence(proof: dict[str, object], sentence: str) -> None:
    assert proof_sentence(Proof.model_validate(proof)) == sentence


def test_the_times_of_steps_are_bars_beside_the_longest() -> None:
    steps = [Step(name="load", changed=False, seconds=1.0), Step(name="export", changed=False, seconds=4.0)]
    cached = Step(name="cut", changed=True, seconds=9.0, cached=True)
    bars = [line.split()[-1] for line in shown(step_table([*steps, cached])).splitlines()[2:]]
    assert bars == ["██", "████████", "cached"]
