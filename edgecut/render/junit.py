"""Verdicts as JUnit XML, which CI systems show: of a comparison, and of a build."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree

from edgecut.records.comparison import Comparison
from edgecut.records.escapes import harmless
from edgecut.records.report import Report
from edgecut.render.results import file_labels
from edgecut.render.words import limit_words, value_words


class Case(NamedTuple):
    """A test case. message: why it failed or was skipped."""

    name: str
    of: str
    state: str
    message: str


def comparison_junit(comparison: Comparison) -> str:
    """XML with a test case for each limit on each file: a failure where it is missed, skipped where unknown."""
    cases = [
        Case(v.limit, v.file, v.state, f"{v.limit}: found {v.found}" if v.state == "misses" else v.found)
        for v in comparison.verdicts
    ]
    nothing = Case("limits", "edgecut compare", "unknown", "no limit was given (--fail-on), so nothing was judged")
    return _junit("edgecut compare", cases or [nothing])


def build_junit(report: Report) -> str:
    """XML with a test case for each limit of the recipe and of its devices: a failure where it is missed, skipped where
    unknown."""
    labels, cases = file_labels(report), []
    for check in report.checks:
        file = labels.get(check.artifact, check.artifact)
        limit = f"{check.metric} {limit_words(check)}"
        value = f"{value_words(check.value, check.unit)}, {check.basis}" if check.value is not None else ""
        of = " on ".join(filter(None, (file, check.profile))) or "build"
        cases.append(Case(limit, of, check.state, f"{limit}: found {'; '.join(filter(None, (value, check.reason)))}"))
    nothing = Case("limits", "edgecut build", "unknown", "neither recipe nor device has a limit, so nothing was judged")
    return _junit("edgecut build", cases or [nothing])


def _junit(name: str, cases: Iterable[Case]) -> str:
    rows = list(cases)
    states = [case.state for case in rows]
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(rows)),
        failures=str(states.count("misses")),
        skipped=str(states.count("unknown")),
        errors="0",
    )
    for each in rows:
        case = ElementTree.SubElement(suite, "testcase", name=each.name, classname=each.of)
        if each.state == "misses":
            ElementTree.SubElement(case, "failure", message=each.message)
        elif each.state == "unknown":
            ElementTree.SubElement(case, "skipped", message=each.message)
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    # ElementTree writes the control characters that XML forbids.
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + harmless(text) + "\n"
