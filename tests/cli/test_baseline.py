"""`build --baseline` refuses a bad gate before anything is built, and a build writes its verdicts for a CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.render.build_summary import build_markdown
from edgecut.render.junit import build_junit
from tests.command_line import run
from tests.reports import report

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data" / "recipe.toml"


def test_limits_without_a_baseline_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = run(capsys, "build", str(DEMO), "-o", str(tmp_path / "out"), "--fail-on", "size>+2%")
    assert (answer.code, answer.err) == (
        2, "edgecut: error: --fail-on: needs a bundle to compare with; pass --baseline\n",
    )  # fmt: skip


def test_a_baseline_that_is_no_bundle_is_refused_before_the_build(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = run(capsys, "build", str(DEMO), "-o", str(tmp_path / "out"), "--baseline", str(tmp_path))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {tmp_path}: is no bundle: it has no manifest.json\n")
    assert not (tmp_path / "out").exists()


def test_a_build_writes_its_test_cases_and_its_summary(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecut.pipeline.run.run", lambda *args, **more: report())
    pages = tmp_path / "gate.xml", tmp_path / "gate.md"
    words = ["--junit", str(pages[0]), "--markdown", str(pages[1])]
    answer = run(capsys, "build", str(DEMO), "--profile", "host", "-o", str(tmp_path / "out"), *words)
    assert answer.code == 1, answer.err
    assert pages[0].read_text() == build_junit(report())
    assert pages[1].read_text() == build_markdown(report())
    refused = run(capsys, "build", str(DEMO), "-o", str(tmp_path / "out"), "--junit", str(tmp_path / "no" / "x.xml"))
    assert (refused.code, refused.err) == (
        2, f"edgecut: error: {tmp_path / 'no' / 'x.xml'}: there is no folder {str(tmp_path / 'no')!r}; make it first\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pages", "fault"),
    [
        (("same", "./same"), "same: is to be written twice; name another file for each"),
        (("recipe.toml", "a.md"), "recipe.toml: is part of what this command reads or builds; name a file elsewhere"),
        (("a.xml", "out/a.md"), "out/a.md: is part of what this command reads or builds; name a file elsewhere"),
    ],
)
def test_a_page_is_no_other_page_and_no_part_of_what_is_read_or_built(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pages: tuple[str, str],
    fault: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_bytes(DEMO.read_bytes())
    words = ["--root", str(DEMO.parent), "--junit", pages[0], "--markdown", pages[1]]
    answer = run(capsys, "build", "recipe.toml", "-o", "out", *words)
    assert (answer.code, answer.err) == (2, f"edgecut: error: {fault}\n")
    assert (tmp_path / "recipe.toml").read_bytes() == DEMO.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
    named = "recipe.toml" if pages[0] == "recipe.toml" else "out"
    answer = run(capsys, "compare", named, "out", "--force", *words[2:])
    assert (answer.code, answer.err.splitlines()[-1]) == (2, f"edgecut: error: {fault}")
