"""What a release needs says one version, and workflow files are what they claim."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import edgecut
from tools.release import notes, version_faults, version_of

ROOT = Path(__file__).parents[2]


def test_the_version_is_said_in_one_place_and_the_others_follow() -> None:
    assert version_of(ROOT) == edgecut.__version__
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    assert list(version_faults(ROOT, edgecut.__version__, None)) == []
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == edgecut.__version__


def test_a_tag_of_another_version_or_without_a_dated_section_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text("version: 1.0.0\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.1.0 (unreleased)\n\n- new\n\n## 1.0.0\n\n- old\n")
    assert list(version_faults(tmp_path, "1.1.0", "v1.0.0")) == [
        "the tag is 'v1.0.0', and the version 1.1.0",
        "CITATION.cff: says version 1.0.0, expected 1.1.0",
        "CHANGELOG.md: the section of 1.1.0 says '(unreleased)'; it needs a date",
    ]
    assert list(version_faults(tmp_path, "2.0.0", None))[1:] == ["CHANGELOG.md: has no section for 2.0.0"]
    assert notes(tmp_path, "1.1.0") == "- new\n"
    assert notes(tmp_path, "1.0.0") == "- old\n"


def test_workflows_hold_no_token_and_run_what_is_there() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        jobs = yaml.safe_load(text)["jobs"]
        assert "secrets." not in text
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"} or path.name == "docs.yml"
        lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
        for program in re.findall(r"(?:tools/[\w.]+|\.ci/run)", "\n".join(lines)):
            assert program.endswith(".py") or (ROOT / program).stat().st_mode & 0o111, program
            assert (ROOT / program).is_file(), program
