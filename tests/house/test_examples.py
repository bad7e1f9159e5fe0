"""The examples for continuous integration work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edgecut.cli.main import edgecut as root
from edgecut.records.report import Report
from edgecut.tflite.flatbuffer import parse
from tests.command_line import run
from tests.demo import DEMO

pytestmark = pytest.mark.tensorflow

EXAMPLES = Path(__file__).parents[2] / "examples"
PROFILES = Path(__file__).parents[2] / "profiles"


def github_lines() -> list[str]:
    (job,) = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


def gitlab_lines() -> list[str]:
    script = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())["model"]["script"]
    return [re.sub(r"^if .*? then (.*);\s*fi$", r"\1", line.strip(), flags=re.DOTALL) for line in script]


def commands(lines: list[str]) -> list[list[str]]:
    words = [shlex.split(line) for line in lines]
    return [each[1:] for each in words if each[0] == "edgecut"]


@pytest.mark.parametrize("lines", [github_lines(), gitlab_lines()], ids=["github", "gitlab"])
def test_the_workflow_s_commands_pass_for_the_demo(
    demo: tuple[Path, Report],
    lines: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The build itself is tested elsewhere; here its words are read, and the rest is run on what it gives."""
    bundle, _ = demo
    for file in DEMO.iterdir():
        (tmp_path / file.name).symlink_to(file)
    shutil.copytree(bundle, tmp_path / "dist")
    shutil.copytree(bundle, tmp_path / "released")
    monkeypatch.chdir(tmp_path)
    ran = []
    for name, *words in commands(lines):
        command = root.get_command(None, name)
        assert command.make_context(name, list(words)).params
        if name != "build":
            answer = run(capsys, name, *words)
            assert answer.code == 0, answer.err
        ran.append(name)
    assert ran == ["plan", "build", "compare", "verify"]


def test_the_pre_commit_hooks_pass_sound_files_and_stop_faults(tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    (tmp_path / "profiles").mkdir()
    shutil.copy(PROFILES / "nucleo-l4r5zi.toml", tmp_path / "profiles")
    shutil.copy(EXAMPLES / "pre-commit-config.yaml", tmp_path / ".pre-commit-config.yaml")
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(tmp_path / "pc")}

    def hooks() -> subprocess.CompletedProcess[str]:
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
        words = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    sound = hooks()
    assert sound.returncode == 0, sound.stdout
    recipe = (tmp_path / "recipe.toml").read_text()
    (tmp_path / "recipe.toml").write_text(recipe.replace("block_2_relu", "block_2_rel"))
    (tmp_path / "profiles" / "nucleo-l4r5zi.toml").write_text("schema = 'edgecut.profile/1'\n")
    faulty = hooks()
    assert faulty.returncode == 1
    assert "no layer 'block_2_rel'" in faulty.stdout
    assert "nucleo-l4r5zi.toml: runtime: is missing" in faulty.stdout


def test_the_script_of_the_three_ways_makes_its_file(tmp_path: Path) -> None:
    """What the guide compares with does the job: the cut, ten classes, int8; on as many lines as the guide says."""
    script = EXAMPLES / "first-hour" / "to_litert.py"
    words = [sys.executable, script, DEMO / "cifar10_backbone.keras", DEMO / "fashion_mnist.npz", tmp_path]
    child = subprocess.run(words, capture_output=True, text=True, check=True)
    answers = dict(line.split(": ", 1) for line in child.stdout.splitlines() if ": " in line)
    content = (tmp_path / "model.tflite").read_bytes()
    assert answers["size"] == f"{len(content)} bytes"
    assert float(answers["int8 accuracy"]) > 0.7
    file = parse(content, "the file")
    (camera,) = [file.tensors[each] for each in file.inputs]
    assert (camera.dtype, camera.shape) == ("uint8", (1, 32, 32, 1))
    guide = (EXAMPLES.parent / "docs" / "guides" / "three-ways.md").read_text("utf-8")
    assert f": {len(script.read_text('utf-8').splitlines())} lines" in guide
