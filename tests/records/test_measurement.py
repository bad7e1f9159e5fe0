"""What a figure says of itself."""

from __future__ import annotations

import json
import math

import pytest

from edgecut.records.measurement import measured


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_unknown_and_json_holds_it(value: float) -> None:
    conditions = {"images": 3, "standard_error": value}
    row = measured("cosine", "a.tflite", [value], where="host", method="run", conditions=conditions)
    assert (row.value, row.values, row.kind) == (None, (), "unknown")
    assert row.reason == "what it is computed from isn't finite (nan or infinity)"
    assert row.conditions == {"images": 3}
    json.dumps(row.to_dict(), allow_nan=False)
