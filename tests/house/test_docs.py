"""The commands that the documentation shows are run as printed there, on one build of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.records.profile_files import read_profile
from edgecut.records.report import Report
from tests.documents import ROOT, blocks, check_commands, pages, shown

pytestmark = pytest.mark.tensorflow

PAGES = [page for page in pages() if page.is_relative_to(ROOT / "docs")]
RUN = [page for page in PAGES if any(shown(page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_commands_run_and_print_what_is_shown(
    page: Path,
    demo: tuple[Path, Report],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A page's profile lies where its commands look for it; `dist` and `released` are the demo's bundle. The one
    of arrays has its models and arrays beside it.
    """
    text = page.read_text(encoding="utf-8")
    for name, target in {"edgecut": ROOT / "edgecut", "profiles": ROOT / "profiles", "dist": demo[0]}.items():
        (tmp_path / name).symlink_to(target)
    (tmp_path / "released").symlink_to(demo[0])
    for file in request.getfixturevalue("sounds").iterdir() if page.stem == "arrays-and-sensors" else ():
        (tmp_path / file.name).symlink_to(file)
    for profile in blocks(text, "toml"):
        (tmp_path / "doorbell.toml").write_text(profile, "utf-8")
        assert read_profile(tmp_path / "doorbell.toml").extends == "nicla-vision"
    monkeypatch.chdir(tmp_path)
    assert check_commands(text, monkeypatch, capsys) > 0
