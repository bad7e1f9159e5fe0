"""The table of devices: no id is cut, and what there is no room for is named."""

from __future__ import annotations

import pytest

from edgecut.records.profile import LatencyFacts
from edgecut.records.profile_files import known_profiles
from edgecut.render.profiles import profile_table
from edgecut.render.words import evidence_words
from tests.render.command_tables import shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 240])
def test_no_id_and_no_fact_of_a_shipped_profile_is_cut_off(width: int) -> None:
    known, _ = known_profiles()
    text = shown(profile_table(known), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = [line.split() for line in text.splitlines()]
    assert {profile.id for profile in known} <= {line[0] for line in words if line}
    assert ("no room for " in text) == (width < 240)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (None, "–"),
        ({}, "published"),
        ({"nets": 0, "families": 0}, "lent"),
        ({"nets": 1, "families": 1}, "1 net"),
        ({"nets": 4, "families": 1}, "4 nets of 1 family"),
        ({"nets": 16, "families": 6}, "16 nets of 6 families"),
        ({"nets": 5, "families": 5, "kind": "simulated"}, "5 nets, simulated"),
    ],
)
def test_evidence_is_how_many_nets_were_measured(facts: dict[str, object] | None, words: str) -> None:
    bands = {"error_p50": 0.1, "error_p90": 0.2, "kind": "published"}
    assert evidence_words(None if facts is None else LatencyFacts.model_validate({**bands, **facts})) == words
