"""The card of a file on a device: what it loses there, and by whose kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.report import Check
from edgecut.render.verdict import verdicts_html
from tests.reports import DEVICE, INT8, report

REFERENCE = "TFLM's reference kernels"
HERE = measured(
    "accuracy_drop", INT8, [0.01], where="host", method="LiteRT with XNNPACK",
    conditions={"images": 300, "inputs": "held-out images", "standard_error": 0.01, "low": -0.01, "high": 0.03},
)  # fmt: skip


def lost(rows: Sequence[Measurement], *checks: Check) -> list[str]:
    """The card's line of what is lost: figure, value, band, what it rests on, limit, state."""
    whole = report()
    others = [m for m in whole.measurements if m.metric != "accuracy_drop"]
    page = str(verdicts_html(whole.model_copy(update={"measurements": (*others, *rows), "checks": checks})))
    row = next(row for row in page.split("<tr ") if "accuracy lost" in row)
    return [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<td [^>]*>(.*?)</td>", row)]


def limit(profile: str | None, state: str, value: float | None) -> Check:
    return Check.model_validate(
        {"metric": "accuracy_drop", "artifact": INT8, "profile": profile, "limit": 0.02, "value": value,
         "unit": "fraction", "state": state, "basis": "measured"}
    )  # fmt: skip


def test_a_card_tells_what_is_lost_by_the_devices_own_kernels_and_judges_that() -> None:
    there = measured(
        "accuracy_drop", INT8, [0.03], where="host", method=REFERENCE, profile=DEVICE, kind="estimated",
        conditions={"kernels": REFERENCE, "images": 200, "of_images": 300, "low": 0.025, "high": 0.05},
    )  # fmt: skip
    checks = (limit(DEVICE, "misses", 0.03), limit(None, "meets", 0.01))
    assert lost([HERE, there], *checks) == [
        "accuracy lost", "0.030", "0.025 to 0.050", f"estimated on 200 of 300 images by {REFERENCE}", "0.020", "misses",
    ]  # fmt: skip


def test_a_card_tells_what_is_lost_here_where_no_other_kernels_were_tried() -> None:
    assert lost([HERE], limit(None, "meets", 0.01)) == [
        "accuracy lost", "0.010", "-0.010 to 0.030", "measured on 300 held-out images by LiteRT with XNNPACK",
        "0.020", "meets",
    ]  # fmt: skip


def test_a_loss_by_kernels_that_could_not_be_tried_is_not_this_hosts() -> None:
    untried = missing("accuracy_drop", INT8, "tflite-micro isn't here", where="host", method=REFERENCE, profile=DEVICE)
    cells = lost([HERE, untried], limit(None, "meets", 0.01), limit(DEVICE, "unknown", None))
    assert cells == ["accuracy lost", "unknown", "", "", "0.020", "unknown"]
