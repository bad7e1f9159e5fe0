"""The verdicts of a comparison as JUnit XML, which CI systems show."""

from __future__ import annotations

from xml.etree import ElementTree

from edgecut.records.comparison import Comparison
from edgecut.records.escapes import harmless


def comparison_junit(comparison: Comparison) -> str:
    """XML with a test case for each limit on each file: a failure where it is missed, skipped where unknown."""
    states = [verdict.state for verdict in comparison.verdicts]
    suite = ElementTree.Element(
        "testsuite",
        name="edgecut compare",
        tests=str(len(states)),
        failures=str(states.count("misses")),
        skipped=str(states.count("unknown")),
        errors="0",
    )
    for verdict in comparison.verdicts:
        case = ElementTree.SubElement(suite, "testcase", name=verdict.limit, classname=verdict.file)
        if verdict.state == "misses":
            ElementTree.SubElement(case, "failure", message=f"{verdict.limit}: found {verdict.found}")
        elif verdict.state == "unknown":
            ElementTree.SubElement(case, "skipped", message=verdict.found)
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    # ElementTree writes the control characters that XML forbids.
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + harmless(text) + "\n"
