"""Every page that a build writes shows the texts of others as text: labels, licences, titles, names of files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

import edgecut
from edgecut.images.listing import read_class_names
from edgecut.records.escapes import OBEYED, harmless
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import make_recipe
from edgecut.records.toml_text import toml_text
from tests.demo import DEMO

pytestmark = pytest.mark.tensorflow

LABELS = (
    "<script>alert(1)</script>",
    "\x1b]0;title\x07\x1b[2Jred",
    "nul\x00\x7f\x9b",
    "\u202egnp.exe\u2066",
    "[x](javascript:y)",
    "a|b | c |",
    "``` `code",
    "*/ int evil; /* ??/ \\",
    "=cmd|' /C calc'!A0",
    "<img src=x onerror=alert(2)> ![i](http://e)",
)
SUFFIXES = {".md", ".html", ".c", ".h", ".toml", ".json", ".svg"}
MAIN = """#include <stdio.h>
#include "NAME_io.h"
int main(void) {
  int k;
  for (k = 0; k < 10; k++) {
    fputs(NAME_labels[k], stdout);
    putchar(10);
  }
  return 0;
}
"""
LICENCE = "CC0\n| forged | row |\n\n# Heading\n<svg onload=alert(3)>\n[safe]: javascript:z"
TITLE = "Board\n# Forged\n<iframe src=//e>\x1b[H"
FOLDER = "data <b>| x `y` [z](javascript:q)"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle whose labels, licences, profile and file names are hostile."""
    folder = tmp_path_factory.mktemp("hostile") / FOLDER
    folder.mkdir()
    random, labels = np.random.default_rng(0), np.arange(60) % 10
    pixels = random.integers(0, 256, (60, 16, 16, 3)).astype("uint8")
    np.savez(folder / "d.npz", x_train=pixels[:40], y_train=labels[:40], x_test=pixels[40:], y_test=labels[40:])
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    board = find_profile("nucleo-l4r5zi").model_copy(update={"id": "board", "title": TITLE})
    (folder / "board.toml").write_text(toml_text(board.to_dict()), encoding="utf-8")
    settings = {
        "source": {"model": str(DEMO / "cifar10_backbone.keras"), "preprocess": "tf", "licence": LICENCE},
        "cut": {"to": "stem_relu"},
        "stem": {"size": [16, 16]},
        "head": {"classes": 10},
        "data": {"train": str(folder / "d.npz"), "labels": str(folder / "labels.txt"), "licence": LICENCE},
        "export": {"precisions": ["int8"]},
        "bench": {"runs": 2, "warmup": 0},
    }
    edgecut.build(make_recipe(settings, {}, where="test"), [str(folder / "board.toml")], folder / "dist")
    return folder / "dist"


def test_no_page_holds_a_sign_that_a_terminal_obeys(hostile: Path) -> None:
    """labels.txt alone has them, since a program reads it: it is exact."""
    texts = [path for path in hostile.rglob("*") if path.suffix in SUFFIXES]
    assert len(texts) > 10
    for path in [*texts, hostile / "c" / "Makefile"]:
        assert not OBEYED.search(path.read_text(encoding="utf-8")), path.name
    assert read_class_names(hostile / "labels.txt", "labels") == LABELS


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md"])
def test_markdown_has_no_tag_no_link_and_no_forged_row(hostile: Path, name: str) -> None:
    tokens = (
        MarkdownIt("commonmark", {"html": True})
        .enable(["table", "strikethrough"])
        .parse((hostile / name).read_text(encoding="utf-8"))
    )
    inner = [child for token in tokens for child in token.children or ()]
    assert not {token.type for token in (*tokens, *inner)} & {"html_block", "html_inline", "link_open", "image"}
    headings = [tokens[k + 1].content for k, token in enumerate(tokens) if token.type == "heading_open"]
    assert not [heading for heading in headings if "Forged" in heading or heading == "Heading"]
    shown = "".join(child.content for child in inner)
    for label in LABELS if name == "MODEL_CARD.md" else LABELS[:1]:
        assert " ".join(harmless(label).split()) in " ".join(shown.split())


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_html_has_the_tags_of_its_template_alone(hostile: Path) -> None:
    page = Tags()
    page.feed((hostile / "report.html").read_text(encoding="utf-8"))
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img", "b"}
    attributes = {name for _, values in page.tags for name in values}
    assert not [name for name in attributes if name.startswith("on")]
    links = [value for _, values in page.tags for name, value in values.items() if name in {"href", "src"}]
    assert not [link for link in links if not re.match(r"https://|data:,$|#", link or "")]


def test_c_of_any_label_compiles_and_says_it(hostile: Path, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    name = tomllib.loads((hostile / "recipe.toml").read_text(encoding="utf-8"))["name"]
    (tmp_path / "main.c").write_text(MAIN.replace("NAME", name))
    flags = ["-std=c99", "-trigraphs", "-Wall", "-Wpedantic", "-Werror", f"-I{hostile / 'c'}"]
    sources = [tmp_path / "main.c", hostile / "c" / f"{name}_model.c"]
    subprocess.run([compiler, *flags, *sources, "-o", tmp_path / "said"], check=True)
    said = subprocess.run([tmp_path / "said"], capture_output=True, check=True).stdout.decode()
    assert said.replace("\x00", "") == "".join(f"{label.partition(chr(0))[0]}\n" for label in LABELS)


def test_json_and_toml_say_the_texts_as_they_are(hostile: Path) -> None:
    recipe = tomllib.loads((hostile / "recipe.toml").read_text(encoding="utf-8"))
    report = json.loads((hostile / "report.json").read_text(encoding="utf-8"))
    assert recipe["source"]["licence"] == report["recipe"]["data"]["licence"] == LICENCE
