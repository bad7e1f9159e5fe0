"""The picture of a graph: every call once, legal cuts marked, branches beside each other, nothing over anything."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from edgecut.render.picture import CHARACTER, GAP, LONGEST, Row, graph_picture

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("image", "block_1_conv", "block_1_bn", "block_1_add", "block_2_conv", "scores<&>")
HEADINGS = ("tensor", "layer", "MACs")
EDGES = [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5), (0, 5)]


def picture(names: tuple[str, ...] = NAMES, edges: list[tuple[int, int]] = EDGES) -> ElementTree.Element:
    rows = [
        Row((name, "Conv2D", "1.2 M"), legal=place in {0, 3}, tooltip=f"{name}!") for place, name in enumerate(names)
    ]
    return ElementTree.fromstring(graph_picture("net: 6 calls", HEADINGS, rows, edges))


def texts(svg: ElementTree.Element) -> list[tuple[float, float, str, bool]]:
    """(x, y, text, whether x is the right end) of all texts."""
    return [
        (float(e.get("x", 0)), float(e.get("y", 0)), e.text or "", e.get("text-anchor") == "end")
        for e in svg.iter(f"{SVG}text")
    ]


def test_each_call_is_named_once_and_legal_cuts_are_marked() -> None:
    svg = picture()
    rows = [g for g in svg.iter(f"{SVG}g") if "row" in (g.get("class") or "").split()]
    assert [row.findtext(f"{SVG}text") for row in rows] == list(NAMES)
    assert ["legal" in (row.get("class") or "") for row in rows] == [True, False, False, True, False, False]
    assert rows[5].findtext(f"{SVG}title") == "scores<&>!"


def test_arcs_that_run_side_by_side_have_lanes_of_their_own() -> None:
    paths = [e.get("d") or "" for e in picture().iter(f"{SVG}path") if e.get("class") == "arc"]
    lanes = [re.search(r"Q(\S+)", path) for path in paths]
    assert len(paths) == 2
    assert len({match.group(1) for match in lanes if match}) == 2
    assert all(float(match.group(1)) > 0 for match in lanes if match)


def test_no_text_lies_over_another_or_beyond_the_edge() -> None:
    svg = picture((*NAMES[:5], "a" * 80))
    boxes = []
    for x, y, text, right in texts(svg)[1:]:
        width = len(text) * CHARACTER
        boxes.append((x - width if right else x, x if right else x + width, y))
    for place, (left, end, y) in enumerate(boxes):
        assert left >= 0
        assert end <= float(svg.get("width", 0))
        assert not any(y == other_y and left < other_end and other < end for other, other_end, other_y in boxes[:place])


def test_a_long_name_is_cut_in_its_middle_and_whole_in_the_tooltip() -> None:
    long = f"outer.{'x' * 60}.inner"
    svg = picture((*NAMES[:5], long))
    shown = next(text for _, _, text, _ in texts(svg) if "…" in text)
    assert len(shown) <= LONGEST
    assert (shown[:6], shown[-6:]) == ("outer.", ".inner")
    assert any(title.text == f"{long}!" for title in svg.iter(f"{SVG}title"))


def test_blocks_are_divided_where_the_names_say_so() -> None:
    dividers = [e for e in picture().iter(f"{SVG}line") if e.get("class") == "block"]
    assert len(dividers) == 2


def test_a_model_of_one_call_has_a_picture() -> None:
    assert float(picture(("image",), []).get("height", 0)) > GAP
