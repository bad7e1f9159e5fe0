"""A bundle that somebody changed and sealed anew: what follows from its report, models and recipe is made anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edgecut
from edgecut.handoff import native
from edgecut.handoff.bundle import LABELS
from edgecut.handoff.seal import BundleFile, files_in
from edgecut.handoff.verify import verify
from tests.handoff.test_bundle import bundle
from tests.handoff.test_plain_c import needs_compiler
from tests.handoff.test_plain_c import whole as plain
from tests.handoff.test_verify import TOLD, adopt, reseal

__all__ = ["plain"]
OTHER = "isn't what edgecut writes for this bundle's report, models and lock"
C = "isn't what edgecut writes for this bundle's model, recipe and vectors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("whole") / "dist", ("int8.tflite",))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def replace(folder: Path, name: str, before: str, after: str) -> None:
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after, 1))
    adopt(folder, name)


@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        ("README.md", "Budgets: **", "Budgets met: **", OTHER),
        ("MODEL_CARD.md", "## Limits", "## No limits", OTHER),
        ("report.html", "</body>", "<script>alert(1)</script></body>", "isn't what edgecut writes for this report"),
        ("recipe.toml", 'name = "bell"', 'name = "bell" # ours', OTHER),
        ("c/Makefile", "test:", "test:\n\ttouch ran\n", C),
        ("c/bell_io.h", "/* bell", "/* not bell", C),
        ("c/bell_ops.h", "/* bell", "/* not bell", C),
        ("provenance.json", "urn:edgecut:builder:own", "https://builder.example.com", OTHER),
    ],
)
def test_a_document_that_does_not_follow_from_the_bundle_is_named(
    name: str, before: str, after: str, fault: str, folder: Path
) -> None:
    replace(folder, name, before, after)
    assert verify(folder).faults == (f"{name}: {fault}",)


def test_an_empty_bill_of_materials_is_named(folder: Path) -> None:
    empty = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}
    (folder / "sbom.cdx.json").write_text(json.dumps(empty))
    adopt(folder, "sbom.cdx.json")
    assert verify(folder).faults == (f"sbom.cdx.json: {OTHER}",)


def list_all(folder: Path) -> None:
    """Make the manifest list what is there."""

    def change(tables: dict) -> None:
        tables["files"] = [row.to_dict() for row in files_in(folder)]

    reseal(folder, change)


@pytest.mark.parametrize("name", ["c/evil.c", "install.sh", "models/other.tflite", "vectors/more.bin"])
def test_a_file_that_nothing_names_is_none_of_the_bundles(name: str, folder: Path) -> None:
    (folder / name).write_text("int evil;\n")
    list_all(folder)
    assert verify(folder).faults == (f"{name}: is no file of a bundle; nothing in it names it",)


def test_a_document_that_left_is_missed(folder: Path) -> None:
    for name in ("provenance.json", "c/Makefile"):
        (folder / name).unlink()
    list_all(folder)
    assert verify(folder).faults == (f"c/Makefile: {C}", f"provenance.json: {OTHER}")


@pytest.mark.parametrize(
    ("key", "value"),
    [("profiles", ["other"]), ("plain_c", {"files": ["c/bell_run.c"], "equal_to": "anything"})],
)
def test_a_manifest_that_says_other_than_the_report_is_named(key: str, value: object, folder: Path) -> None:
    reseal(folder, lambda tables: tables.update({key: value}))
    assert verify(folder).faults == (
        f"manifest.json: has another {key} than edgecut writes for this report and these files",
    )


def test_what_may_vary_is_edgecuts_to_say(folder: Path) -> None:
    reseal(folder, lambda tables: tables["reproducible"]["varies"].update({"README.md": "it does"}))
    assert verify(folder).faults == ("manifest.json: reproducible.sha256 isn't the hash of the files that it lists",)
    reseal(folder, lambda tables: tables["reproducible"]["varies"].update({"other.md": "it does"}))
    reseal(folder, lambda tables: tables["reproducible"]["varies"].pop("README.md"))
    assert verify(folder).faults == (
        "manifest.json: has another reproducible than edgecut writes for this report and these files",
    )


def another_version(folder: Path, version: str = "0.0.9") -> None:
    """Say that another edgecut wrote the bundle, in all the places that say it."""
    for name in ("report.json", "README.md", "report.html", "sbom.cdx.json", "provenance.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(edgecut.__version__, version))
        adopt(folder, name)
    reseal(folder, lambda tables: tables.update(edgecut=version))


def wrote(version: str = "0.0.9") -> str:
    return f"(edgecut {version} wrote it, and this one, {edgecut.__version__}, writes another)"


def test_of_another_version_what_is_equal_is_verified(folder: Path) -> None:
    another_version(folder)
    result = verify(folder)
    assert (result.faults, result.not_verified) == ((), TOLD)


@pytest.mark.parametrize("version", ["0.0.9", "9.0.0"])
def test_of_another_version_what_differs_is_not_verified_and_nothing_of_it_is_recommended(
    version: str, folder: Path
) -> None:
    another_version(folder, version)
    replace(folder, "c/Makefile", "test:", "test:\n\ttouch ran\n")
    replace(folder, "report.html", "</body>", "<script>alert(1)</script></body>")
    (folder / "c" / "evil.c").write_text("int evil;\n")
    list_all(folder)
    result = verify(folder)
    assert result.faults == ()
    assert result.not_verified == (
        f"report.html {wrote(version)}",
        f"c/Makefile {wrote(version)}",
        f"c/evil.c (no file that this edgecut, {edgecut.__version__}, knows)",
        *TOLD,
    )
    assert not any("make" in sentence for sentence in result.notes)


def no_child(*words: object, **options: object) -> None:
    raise AssertionError(f"{words} was started")


@needs_compiler
def test_no_c_is_compiled_where_nobody_asked(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.subprocess, "run", no_child)
    assert verify(plain).faults == ()


@needs_compiler
def test_of_another_version_other_c_is_not_compiled(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(plain, tmp_path / "dist"))
    another_version(folder)
    assert verify(folder, run_c=True).plain_c
    replace(folder, "c/Makefile", "test:", "test:\n\ttouch ran\n")
    monkeypatch.setattr(native.subprocess, "run", no_child)
    result = verify(folder, run_c=True)
    assert (result.faults, result.plain_c) == ((), False)
    assert result.notes == (f"c/Makefile: isn't verified {wrote()}, so that nothing of the C was compiled",)


def test_without_a_compiler_the_plain_c_is_said_not_to_have_run(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "COMPILERS", ("no-such-compiler",))
    result = verify(plain, run_c=True)
    assert (result.faults, result.plain_c) == ((), False)
    assert result.notes == ("c: the test wasn't compiled, since no C compiler (cc) is here",)


def test_labels_of_which_none_can_be_an_outputs_are_named(folder: Path) -> None:
    (folder / LABELS).write_text("a\nb\n")
    adopt(folder, LABELS)
    assert {fault.partition(":")[0] for fault in verify(folder).faults} == {
        "README.md",
        "c/bell_io.h",
        "c/bell_model.c",
    }


def damaged(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tables = json.loads((folder / "report.json").read_text())
        change(tables)
        (folder / "report.json").write_text(json.dumps(tables))
        adopt(folder, "report.json")
        reseal(folder, lambda manifest: manifest.update(recipe=tables["recipe"], name=tables["recipe"].get("name", "")))

    return apply


@pytest.mark.parametrize(
    "change",
    [
        damaged(lambda tables: tables.update(recipe={})),
        damaged(lambda tables: tables.update(recipe={"name": "../x", **tables["recipe"]} | {"name": "../x"})),
        damaged(lambda tables: tables.update(profiles=[{"title": "without an id"}])),
        damaged(lambda tables: tables["artifacts"].clear()),
    ],
)
def test_a_report_of_which_no_document_can_be_made_is_a_fault_and_no_crash(
    change: Callable[[Path], None], folder: Path
) -> None:
    change(folder)
    assert verify(folder).faults != ()


def test_rows_of_files_are_sorted_by_path(folder: Path) -> None:
    rows = files_in(folder)
    assert all(isinstance(row, BundleFile) for row in rows)
    assert [row.path for row in rows] == sorted(row.path for row in rows)
