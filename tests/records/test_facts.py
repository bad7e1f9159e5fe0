"""Records of facts and proofs: what was set is written, and read back as it was; the old way of reading still works."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.records.deprecated import OldWordWarning
from edgecut.records.facts import Cost, ModelFacts, Sides, StepFacts, TrainingFacts
from edgecut.records.proof import OutputProof, Proof, StemProof

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.sampled_from(["max_abs_error", "tolerance", "accuracy_drop", "sqnr"]), NUMBERS | st.none()))
def test_a_proof_has_the_keys_that_were_set_and_no_others(keys: dict[str, float | None]) -> None:
    """What is read from JSON is written as the same JSON, nulls included."""
    proof = Proof.model_validate(keys)
    assert proof.to_dict() == keys
    assert proof == keys
    assert bool(proof) == bool(keys)


def test_a_narrower_proof_is_written_where_a_proof_is_expected() -> None:
    proof = OutputProof(inputs=8, max_abs_error=0.0, exact=True)
    assert proof.to_dict() == {"inputs": 8, "max_abs_error": 0.0, "exact": True}
    assert Proof.model_validate(proof.to_dict()) == proof
    assert Proof.model_validate(proof) is proof
    stem = StemProof(
        inputs=2, max_abs_error=1e-7, relative_error=1e-7, exact=True, tolerance=1e-5, tolerance_reason="r"
    )
    assert list(stem.to_dict()) == [
        "inputs",
        "max_abs_error",
        "relative_error",
        "exact",
        "tolerance",
        "tolerance_reason",
    ]


def test_files_are_facts_by_their_names() -> None:
    facts = StepFacts.model_validate({"m.int8.tflite": 4096, "m.int8.onnx": "no layer collapses"})
    assert facts.files == {"m.int8.tflite": 4096, "m.int8.onnx": "no layer collapses"}
    assert facts.to_dict() == {"m.int8.tflite": 4096, "m.int8.onnx": "no layer collapses"}


def test_what_is_added_to_facts_is_written() -> None:
    facts = ModelFacts(inputs={"x": (None, 8, 8, 1)}, outputs={"y": (None, 3)}, params=27)
    more = facts.model_copy(update={"size_bytes": 900})
    assert more.to_dict() == {
        "inputs": {"x": [None, 8, 8, 1]},
        "outputs": {"y": [None, 3]},
        "params": 27,
        "size_bytes": 900,
    }
    assert "size_bytes" not in facts.to_dict()


def test_trainings_and_costs_are_written_in_their_places() -> None:
    facts = StepFacts(prune=TrainingFacts(zeros=0.5, epochs=3))
    assert facts.to_dict() == {"prune": {"zeros": 0.5, "epochs": 3}}
    cost = Cost(macs=Sides(before=None, after=5), operators=Sides(before=2, after=2))
    assert cost.to_dict() == {"macs": {"before": None, "after": 5}, "operators": {"before": 2, "after": 2}}


def test_a_record_that_was_a_mapping_can_still_be_read_as_one_with_a_note() -> None:
    proof = OutputProof(inputs=8, max_abs_error=0.0, exact=True)
    with pytest.warns(OldWordWarning) as told:
        assert proof["exact"] is True
    assert [str(warning.message) for warning in told] == [
        "OutputProof['exact'] is deprecated and goes with edgecut 1.0; write OutputProof.exact"
    ]
    with pytest.warns(OldWordWarning), pytest.raises(KeyError, match="tolerance"):
        proof["tolerance"]
    with pytest.warns(OldWordWarning):
        assert proof.get("tolerance", 1.0) == 1.0
    with pytest.warns(OldWordWarning):
        assert {**proof} == {"inputs": 8, "max_abs_error": 0.0, "exact": True}
    cost = Cost(macs=Sides(before=1, after=2), operators=Sides(before=3, after=4))
    with pytest.warns(OldWordWarning):
        assert cost["macs"]["after"] == 2  # type: ignore[index]
