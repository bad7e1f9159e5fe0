"""A bundle that somebody changed and sealed anew: what follows from its report, models and recipe is made anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edgecut
from edgecut.bench.judge import judge
from edgecut.bench.predict import predict_arena, predict_latency
from edgecut.handoff import native
from edgecut.handoff.bundle import LABELS, documents, write_bundle
from edgecut.handoff.seal import BundleFile, Release, files_in, finish
from edgecut.handoff.vectors import VECTORS, VectorSheet
from edgecut.handoff.verify import verify
from edgecut.records.profile_files import find_profile
from edgecut.records.report import Report, overall
from edgecut.tflite.flatbuffer import read
from tests.handoff.test_bundle import artifacts_in, bundle, recipe_of, report_of, vectors_of
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
    monkeypatch.setattr(native, "program_path", lambda program: None)
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


def board_bundle(folder: Path) -> Path:
    """A bundle for a board whose report is judged as a build judges it."""
    profile, artifacts = find_profile("nucleo-l4r5zi"), artifacts_in(folder, ("int8.tflite",))
    path, name = folder / artifacts[0].path, artifacts[0].name
    rows = [predict_latency(read(path), profile, name), predict_arena(read(path), profile, name)]
    figures = tuple(row for row in rows if row is not None)
    recipe = recipe_of({"budget": {"latency_s": 1.0}})
    report = report_of(artifacts, *figures)
    checks = judge(recipe, [profile], artifacts, figures)
    told = {"profiles": (profile.to_dict(),), "recipe": recipe.to_dict(), "checks": checks, "status": overall(checks)}
    report = report.model_copy(update=told)
    write_bundle(folder, Release(report, folder.parent), vectors=vectors_of(path), labels=())
    return folder


def forge(folder: Path, change: Callable[[dict], None]) -> tuple[str, ...]:
    """The faults of a bundle of which edgecut itself writes every document, for a report that says other figures."""
    tables = json.loads((folder / "report.json").read_text())
    change(tables)
    report = Report.model_validate(tables)
    sheet = VectorSheet.model_validate(json.loads((folder / VECTORS).read_text()))
    for name, text in documents(folder, report, None, sheet).items():
        (folder / name).write_text(text)
    for path in (folder / "provenance.json", *folder.glob("manifest.*")):
        path.unlink()
    finish(folder, Release(report, folder.parent))
    return verify(folder).faults


def test_figures_that_the_files_and_the_profiles_give_are_made_anew(tmp_path: Path) -> None:
    folder = board_bundle(tmp_path / "dist")
    assert forge(folder, lambda tables: None) == ()
    name = "bell.int8.tflite"

    def faster(tables: dict) -> None:
        tables["measurements"][0]["value"] = 1e-6
        tables["checks"] = [c | {"value": 1e-6} if c["metric"] == "latency" else c for c in tables["checks"]]

    (fault,) = forge(folder, faster)
    said = f"report.json: the latency of {name} on nucleo-l4r5zi is estimated as 1e-06, and the file and the profile "
    assert fault.startswith(f"{said}give ")


def test_verdicts_that_do_not_follow_from_the_figures_are_named(tmp_path: Path) -> None:
    folder = board_bundle(tmp_path / "dist")
    said = "isn't what its figures, the recipe and the profiles give"
    latency = f"report.json: the check of latency on bell.int8.tflite {said}"
    shutil.copytree(folder, tmp_path / "b")

    def looser(tables: dict) -> None:
        tables["checks"] = [c | {"limit": 9.0} if c["metric"] == "latency" else c for c in tables["checks"]]

    assert forge(folder, looser) == (latency,)
    assert forge(tmp_path / "b", lambda tables: tables.update(status="misses")) == (
        "report.json: has status 'misses', and its checks give 'meets'",
    )


def test_checks_that_are_left_out_are_named(tmp_path: Path) -> None:
    folder = board_bundle(tmp_path / "dist")
    (fault,) = forge(folder, lambda tables: tables["checks"].pop())
    assert fault.endswith("on bell.int8.tflite isn't what its figures, the recipe and the profiles give")
