"""What a cut costs on a device, by the rule by which a file is measured."""

from __future__ import annotations

import pytest

from edgecut.bench.at_cut import _arena
from edgecut.bench.measure import on_device
from edgecut.records.profile_files import find_profile
from edgecut.tflite.flatbuffer import read
from tests.bench.test_measure import INT8


@pytest.mark.parametrize("name", ["raspberry-pi-4", "jetson-nano", "nucleo-h743zi-tinyengine"])
def test_a_device_whose_runtime_has_no_arena_has_none_at_a_cut_either(name: str) -> None:
    profile = find_profile(name)
    found = _arena(read(INT8), profile, "x")
    assert (found.value, found.kind, found.reason) == (
        None, "unknown", f"{profile.runtime.name} asks for memory as it runs, and has no arena",
    )  # fmt: skip
    assert [row.metric for row in on_device(INT8, profile, "x") if row.metric == "arena"] == []
