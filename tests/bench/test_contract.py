"""What every runner of the table keeps to; a new one is tried by its row alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.bench.runners.table import MACHINES, RUNNERS, machine_of, runner_of
from edgecut.errors import MissingRuntimeError, RequestError, RunError
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Bench

INT8 = Path(__file__).parent.parent / "fixtures" / "tiny.int8.tflite"
# How a user writes one that stands at a place, where the scheme alone doesn't name it; nobody answers at port 1.
TEXTS = {"ssh": "ssh://127.0.0.1:1"}


@pytest.mark.parametrize("scheme", RUNNERS)
def test_a_runner_has_the_name_that_a_user_writes_and_a_place(scheme: str) -> None:
    runner = runner_of(TEXTS.get(scheme, scheme))
    assert runner.name.startswith(scheme)
    assert runner.place
    assert runner_of(runner.name).name == runner.name


@pytest.mark.parametrize("scheme", RUNNERS)
def test_a_runner_measures_in_units_and_kinds_or_says_in_one_sentence_why_not(scheme: str) -> None:
    runner = runner_of(TEXTS.get(scheme, scheme))
    refusal, found = "", ()
    try:
        found = runner.measure(INT8, Bench(runs=2, warmup=1, timeout_s=20), artifact="tiny.int8.tflite", profile=None)
    except (RunError, MissingRuntimeError, RequestError) as exc:
        refusal = str(exc)
    assert bool(found) != bool(refusal)
    assert len(refusal.splitlines()) <= 1
    assert not refusal.endswith(".")
    assert found or scheme != "local"
    for row in found:
        assert isinstance(row, Measurement)
        assert (row.artifact, bool(row.unit), bool(row.where)) == ("tiny.int8.tflite", True, True)
        assert row.value is not None or row.reason


@pytest.mark.parametrize("scheme", RUNNERS)
def test_a_runner_that_does_jobs_is_a_machine_and_no_other_is(scheme: str) -> None:
    if scheme in MACHINES:
        assert callable(machine_of(TEXTS.get(scheme, scheme)).run)
    else:
        with pytest.raises(RequestError, match="times no files of any kind"):
            machine_of(scheme)
