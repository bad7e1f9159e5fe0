"""A build for a CI: each limit a test case, and a page for the pull request."""

from __future__ import annotations

from xml.etree import ElementTree

from edgecut.records.report import Check
from edgecut.render.build_summary import build_markdown
from edgecut.render.junit import build_junit
from tests.reports import report


def check(metric: str, state: str, value: float | None, **more: str) -> Check:
    return Check(
        metric=metric, artifact=report().artifacts[0].name, limit=0.05, value=value, unit="s", state=state,
        basis="estimated", **more,
    )  # fmt: skip


def test_a_limit_is_a_test_case_that_fails_passes_or_is_skipped() -> None:
    checks = (
        check("latency", "misses", 0.0625, profile="board"),
        check("latency", "meets", 0.0125, profile="other"),
        check("arena", "unknown", None, profile="board", reason="no interpreter is here"),
    )
    suite = ElementTree.fromstring(build_junit(report().model_copy(update={"checks": checks})))
    assert [suite.get(key) for key in ("tests", "failures", "skipped", "errors")] == ["3", "1", "1", "0"]
    first = report().artifacts[0]
    name = f"{first.format} {first.precision}"
    assert [case.get("classname") for case in suite] == [f"{name} on board", f"{name} on other", f"{name} on board"]
    assert suite[0][0].tag == "failure"
    assert suite[0][0].get("message") == "latency 50 ms: found 62.5 ms, estimated"
    assert len(suite[1]) == 0
    assert suite[2][0].get("message") == "arena 50 ms: found no interpreter is here"


def test_a_build_without_limits_says_that_nothing_was_judged() -> None:
    suite = ElementTree.fromstring(build_junit(report().model_copy(update={"checks": ()})))
    assert [suite.get(key) for key in ("tests", "failures", "skipped")] == ["1", "0", "1"]
    assert suite[0][0].get("message") == "neither recipe nor device has a limit, so nothing was judged"


def test_the_page_of_a_pull_request_has_the_limits_first() -> None:
    checks = (check("latency", "misses", 0.0625, profile="board|<b>"),)
    found = report().model_copy(update={"checks": checks, "status": "misses"})
    lines = build_markdown(found).splitlines()
    assert lines[0] == "### clothes: misses"
    first = found.artifacts[0]
    assert lines[2:5] == [
        "| limit on | file | device | limit | value | state | rests on |",
        "|---|---|---|---|---|---|---|",
        f"| latency | {first.format} {first.precision} | board\\|&lt;b> | 50 ms | 62.5 ms | misses | estimated |",
    ]
    assert not any(line.endswith("|  |") and line.count("|") == 2 for line in lines)


def test_a_limit_that_an_estimate_leaves_open_is_skipped_with_the_reason() -> None:
    why = "the estimate's band of ±50% reaches across the limit"
    checks = (check("latency", "unknown", 0.0625, profile="board", reason=why),)
    skipped = ElementTree.fromstring(build_junit(report().model_copy(update={"checks": checks}))).find(".//skipped")
    assert skipped is not None
    assert skipped.get("message") == f"latency 50 ms: found 62.5 ms, estimated; {why}"
