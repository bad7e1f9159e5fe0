"""docs/guides/receiving-a-bundle.md: its commands check a bundle without Python, and find what was changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.handoff.signatures import sign
from tests.documents import ROOT, blocks
from tests.handoff.test_bundle import bundle

GUIDE = ROOT / "docs" / "guides" / "receiving-a-bundle.md"
NEEDED = ("ssh-keygen", "minisign", "sha256sum", "sed", "find", "diff")
pytestmark = pytest.mark.skipif(any(map(lambda name: shutil.which(name) is None, NEEDED)), reason="a program is absent")


def script(word: str) -> str:
    (text,) = [block for block in blocks(GUIDE.read_text(encoding="utf-8"), "sh") if block.startswith(word)]
    return text


def outcome(folder: Path, word: str) -> tuple[int, str]:
    """(exit code, output) of the guide's block that begins so, run in the bundle."""
    words = ["sh", "-e", "-c", script(word)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("received")
    for words in (
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh"],
        ["minisign", "-G", "-W", "-s", "minisign.key", "-p", "minisign.pub"],
    ):
        subprocess.run(words, cwd=place, check=True, capture_output=True)
    line = f'release@example.com namespaces="edgecut.bundle" {(place / "ssh.pub").read_text()}'
    (place / "allowed_signers").write_text(line)
    folder = bundle(place / "dist", ("float32.tflite", "int8.tflite"))
    sign(folder, str(place / "ssh"))
    sign(folder, str(place / "minisign.key"))
    return place


@pytest.fixture
def folder(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "received")) / "dist"


def test_the_commands_of_the_guide_pass_a_whole_bundle(folder: Path) -> None:
    assert outcome(folder, "ssh-keygen")[1].startswith('Good "edgecut.bundle" signature for release@example.com with ')
    assert outcome(folder, "minisign")[1].startswith("Signature and comment signature verified\n")
    assert outcome(folder, "sed") == (0, "")
    listed = (folder.parent / "sums").read_text().splitlines()
    assert len(listed) == len([path for path in folder.rglob("*") if path.is_file()]) - 4


@pytest.mark.parametrize("name", ["README.md", "models/bell.int8.tflite", "c/Makefile"])
def test_the_commands_of_the_guide_name_a_file_that_was_changed_or_is_gone(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code, said = outcome(folder, "sed")
    assert (code, f"{name}: FAILED" in said) == (1, True)
    (folder / name).unlink()
    code, said = outcome(folder, "sed")
    assert (code, f"{name}: FAILED open or read" in said) == (1, True)


def test_the_commands_of_the_guide_name_a_file_that_was_added(folder: Path) -> None:
    for name in ("c/evil.c", "c/manifest.json", "manifest.d/evil.c", "manifest.json.asc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("int evil;")
        code, said = outcome(folder, "sed")
        assert (code, said.splitlines()[1:]) == (1, [f"> {name}"])
        (folder / name).unlink()


def test_a_line_end_in_a_name_hides_no_file_from_the_commands_of_the_guide(folder: Path) -> None:
    (folder / "manifest.json.sig\nmanifest.sha256").write_text("int evil;")
    code, said = outcome(folder, "sed")
    assert (code, said.splitlines()[1:]) == (1, ["> manifest.json.sig?manifest.sha256"])


def test_the_commands_of_the_guide_refuse_another_manifest(folder: Path) -> None:
    with open(folder / "manifest.json", "a") as file:
        file.write(" ")
    assert outcome(folder, "ssh-keygen")[0] != 0
    assert outcome(folder, "minisign")[0] != 0
