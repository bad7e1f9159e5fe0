"""Verifying a bundle: whatever was changed is named, and what was not is re-run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecut.errors import RequestError
from edgecut.handoff.builds import label_names, read_side
from edgecut.handoff.compare import compare
from edgecut.handoff.rederived import Rederived
from edgecut.handoff.verify import VerifyResult, verify
from tests.command_line import run
from tests.handoff.test_bundle import arena, bundle

TOLD = ("report.json: the source, the machine and the versions, and git's state, as the builder tells them",)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("whole") / "dist")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def reseal(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the manifest and make its hashes right again, as somebody with an editor could."""
    tables = json.loads((folder / "manifest.json").read_text())
    change(tables)
    update_statement(folder, tables["files"])
    varies = tables["reproducible"]["varies"]
    lines = sorted(f"{row['path']}\0{row['sha256']}" for row in tables["files"] if row["path"] not in varies)
    text = "".join("{1}  {0}\n".format(*line.split("\0")) for line in lines)
    tables["reproducible"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    content = json.dumps(tables).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  manifest.json\n")


def update_statement(folder: Path, rows: list[dict]) -> None:
    """Make the provenance statement tell of these files, and their rows of the statement."""
    row = next((row for row in rows if row["path"] == "provenance.json"), None)
    if row is None:
        return
    statement = json.loads((folder / "provenance.json").read_text())
    subjects = [{"digest": {"sha256": each["sha256"]}, "name": each["path"]} for each in rows if each is not row]
    statement["subject"] = sorted(subjects, key=lambda subject: subject["name"])
    content = (json.dumps(statement, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    (folder / "provenance.json").write_bytes(content)
    row.update(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def adopt_all(folder: Path) -> None:
    """Make the manifest list all its files as they are now."""
    for row in json.loads((folder / "manifest.json").read_text())["files"]:
        adopt(folder, row["path"])


def adopt(folder: Path, name: str) -> None:
    """Make the manifest list a file as it is now."""
    content = (folder / name).read_bytes()

    def change(tables: dict) -> None:
        row = next(row for row in tables["files"] if row["path"] == name)
        row.update(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    reseal(folder, change)


def row_of(tables: dict, name: str) -> dict:
    return next(row for row in tables["files"] if row["path"] == name)


def test_a_whole_bundle_has_no_fault(whole: Path) -> None:
    assert verify(whole) == VerifyResult(files=29, vectors=3, faults=(), notes=(), not_verified=TOLD)


def test_a_copy_elsewhere_has_no_fault(folder: Path) -> None:
    assert verify(folder).faults == ()


def names(whole: Path) -> list[str]:
    return sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())


def test_one_flipped_bit_in_any_file_is_named(folder: Path, whole: Path) -> None:
    for name in names(whole):
        content = bytearray((whole / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))
        blamed = "manifest.json" if name == "manifest.sha256" else name
        found = verify(folder).faults
        assert any(fault.startswith(f"{blamed}: ") for fault in found), (name, found)
        shutil.copy(whole / name, folder / name)
    assert verify(folder).faults == ()


def test_a_changed_byte_of_a_model_is_one_sentence_and_its_vectors_are_not_run(folder: Path) -> None:
    path = folder / "models" / "bell.int8.tflite"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    result = verify(folder)
    assert result.faults == ("models/bell.int8.tflite: is not the file that the manifest lists (its SHA-256 differs)",)
    assert result.vectors == 0
    assert result.notes == ("the golden vectors were not run, since models/bell.int8.tflite differ from the manifest",)


def test_figures_of_the_report_that_the_file_itself_gives_are_read_from_it(folder: Path) -> None:
    """A report that was edited and sealed anew still has to be true of the files beside it."""
    path = folder / "report.json"
    tables = json.loads(path.read_text())
    tables["artifacts"][0]["size_bytes"] += 1
    tables["artifacts"][0]["operators"]["CONV_2D"] = 7
    tables["artifacts"][0]["outputs"][0]["scale"] = 0.5
    path.write_text(json.dumps(tables))
    adopt(folder, "report.json")
    name = tables["artifacts"][0]["path"]
    assert verify(folder).faults[0] == (
        f"report.json: has another size_bytes, outputs, operators of {name} than the file itself"
    )


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "labels.txt").unlink()
    assert verify(folder).faults == ("labels.txt: is missing",)


def test_a_longer_file_is_named_with_both_sizes(folder: Path) -> None:
    with open(folder / "labels.txt", "a") as file:
        file.write("x")
    assert verify(folder).faults == ("labels.txt: has 20 bytes, and the manifest says 19",)


def test_an_extra_file_is_named(folder: Path) -> None:
    (folder / "models" / "other.tflite").write_text("")
    assert verify(folder).faults == ("models/other.tflite: isn't in the manifest",)


def test_a_missing_seal_is_named(folder: Path) -> None:
    (folder / "manifest.sha256").unlink()
    assert verify(folder).faults == ("manifest.sha256: is missing",)


def test_a_manifest_that_is_no_text_any_more_is_named(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff\x00{")
    assert verify(folder) == VerifyResult(
        0, 0, ("manifest.json: is not the file whose hash manifest.sha256 holds",
               "manifest.json: is damaged, so nothing else could be checked"), (),
    )  # fmt: skip


def test_wrong_expected_outputs_are_found_by_running_the_file(folder: Path) -> None:
    path = folder / "vectors" / "expected_1.bin"
    content = bytearray(path.read_bytes())
    content[0] = (content[0] + 5) % 256
    path.write_bytes(bytes(content))
    adopt(folder, "vectors/expected_1.bin")
    assert verify(folder).faults == (
        "vectors/expected_1.bin: models/bell.int8.tflite puts out 'StatefulPartitionedCall_1:0' off by 5 LSB, "
        "and 1 LSB is allowed",
    )


def test_one_step_of_the_quantization_is_within_the_tolerance(folder: Path) -> None:
    path = folder / "vectors" / "expected_1.bin"
    content = bytearray(path.read_bytes())
    content[0] = (content[0] + 1) % 256
    path.write_bytes(bytes(content))
    adopt(folder, "vectors/expected_1.bin")
    assert verify(folder).faults == (
        "c/bell_test.c: isn't what edgecut writes for this bundle's model, recipe and vectors",
    )


def test_a_tolerance_that_lets_other_answers_pass_is_told(folder: Path) -> None:
    sheet = json.loads((folder / "vectors" / "vectors.json").read_text())
    sheet["outputs"][0]["tolerance"]["lsb"] = 131
    (folder / "vectors" / "vectors.json").write_text(json.dumps(sheet))
    adopt(folder, "vectors/vectors.json")
    (note,) = [note for note in verify(folder).notes if "131" in note]
    assert note == (
        "models/bell.int8.tflite: 'StatefulPartitionedCall_1:0' may be off by 131 steps, which counts as what "
        "the vectors expect: runtimes' kernels differ that much on this file, so its answers depend on the runtime"
    )


def test_source_of_another_hand_is_named_and_never_run(folder: Path, tmp_path: Path) -> None:
    path = folder / "c" / "bell_model.c"
    evil = '\n#include <stdlib.h>\n__attribute__((constructor)) static void run(void) { exit(system("touch %s")); }\n'
    path.write_text(path.read_text() + evil % (tmp_path / "ran"))
    adopt(folder, "c/bell_model.c")
    assert verify(folder).faults == (
        "c/bell_model.c: isn't what edgecut writes for this bundle's model, recipe and vectors",
    )
    assert not (tmp_path / "ran").exists()


def test_an_arena_that_tflm_finds_too_small_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not here")
    folder = bundle(tmp_path / "dist", ("int8.tflite",), arena(64 * 1024, "measured"))
    assert verify(folder) == VerifyResult(26, 3, (), (), TOLD)
    tables = json.loads((folder / "report.json").read_text())
    tables["measurements"][0]["value"] = 1024.0
    (folder / "report.json").write_text(json.dumps(tables, indent=2) + "\n")
    adopt(folder, "report.json")
    faults = verify(folder).faults
    assert "c/bell_io.h: isn't what edgecut writes for this bundle's model, recipe and vectors" in faults
    monkeypatch.setattr("edgecut.handoff.verify.rederived", lambda folder, manifest: Rederived(()))
    assert (
        verify(folder)
        .faults[0]
        .startswith(
            "models/bell.int8.tflite: doesn't run in TFLM with the arena of 1024 bytes that report.json gives: "
        )
    )


def test_an_onnx_file_of_another_model_is_found_by_running_it(folder: Path) -> None:
    shutil.copy(folder / "models" / "bell.int8.onnx", folder / "models" / "bell.float32.onnx")
    adopt(folder, "models/bell.float32.onnx")
    faults = verify(folder).faults
    assert faults[0] == "models/bell.float32.onnx: is not the file that report.json describes"
    assert faults[1].startswith("models/bell.float32.onnx: differs from models/bell.float32.tflite by ")


def test_a_model_that_is_no_model_is_a_fault_and_no_crash(folder: Path) -> None:
    (folder / "models" / "bell.int8.tflite").write_bytes(b"no model at all")
    adopt(folder, "models/bell.int8.tflite")
    faults = verify(folder).faults
    assert faults[0] == "models/bell.int8.tflite: is not the file that report.json describes"
    assert faults[1].startswith("models/bell.int8.tflite: the golden vectors can't be run: ")


def test_a_truncated_vector_is_a_fault_and_no_crash(folder: Path) -> None:
    (folder / "vectors" / "input_0.bin").write_bytes(b"short")
    adopt(folder, "vectors/input_0.bin")
    assert verify(folder).faults == ("vectors/vectors.json: says another input shape than the files have",)


def test_vectors_of_another_number_of_outputs_are_a_fault_and_no_crash(folder: Path) -> None:
    path = folder / "vectors" / "vectors.json"
    sheet = json.loads(path.read_text())
    path.write_text(json.dumps({**sheet, "outputs": []}))
    adopt(folder, "vectors/vectors.json")
    assert verify(folder).faults == (f"vectors/vectors.json: describes 0 outputs, and {sheet['artifact']} has 1",)


def test_vectors_for_another_input_are_a_fault_and_no_crash(folder: Path, whole: Path) -> None:
    path = "vectors/vectors.json"
    for key, value in (("dtype", "bogus"), ("shape", [1, -2, -2]), ("scale", 0.125), ("zero_point", 3)):
        sheet = json.loads((whole / path).read_text())
        sheet["input"][key] = value
        (folder / path).write_text(json.dumps(sheet))
        adopt(folder, path)
        assert verify(folder).faults == (f"{path}: describes another input than {sheet['artifact']} takes",), key


@pytest.mark.parametrize("name", ["manifest.json", "report.json", "vectors/vectors.json", "labels.txt"])
def test_a_document_that_never_ends_or_is_no_text_is_a_fault_and_no_crash(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\n" if name == "labels.txt" else b"[" * 100_000)
    if name == "manifest.json":
        digest = hashlib.sha256(b"[" * 100_000).hexdigest()
        (folder / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
        with pytest.raises(RequestError, match=r"manifest\.json is no manifest of edgecut"):
            verify(folder)
    else:
        adopt(folder, name)
        assert [fault.partition(":")[0] for fault in verify(folder).faults] == [name]


def test_vectors_that_name_a_file_outside_of_the_manifest_are_a_fault(folder: Path) -> None:
    for name in ("camera_1.bin", "expected_2.bin"):
        (folder / "vectors" / name).unlink()
        reseal(folder, lambda t, n=name: t.update(files=[r for r in t["files"] if r["path"] != f"vectors/{n}"]))
    sheet = json.loads((folder / "vectors" / "vectors.json").read_text())
    (folder / "vectors" / "vectors.json").write_text(json.dumps({**sheet, "artifact": "../secret.tflite"}))
    adopt(folder, "vectors/vectors.json")
    named = ("../secret.tflite", "vectors/camera_1.bin", "vectors/expected_2.bin")
    assert verify(folder).faults == tuple(
        f"vectors/vectors.json: names {name!r}, which isn't in the manifest" for name in named
    )


def test_a_manifest_that_contradicts_the_report_or_itself_is_a_fault(folder: Path) -> None:
    reseal(folder, lambda tables: tables.update(status="misses", recipe={**tables["recipe"], "name": "other"}))
    assert verify(folder).faults == (
        "manifest.json: has another status than report.json", "manifest.json: has another recipe than report.json",
    )  # fmt: skip
    tables = json.loads((folder / "manifest.json").read_text())
    tables["reproducible"]["sha256"] = 64 * "0"
    (folder / "manifest.json").write_text(json.dumps(tables))
    assert "manifest.json: reproducible.sha256 isn't the hash of the files that it lists" in verify(folder).faults


def test_line_ends_that_a_checkout_changed_are_said_to_be_the_reason(folder: Path) -> None:
    path = folder / "labels.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert verify(folder).faults == (
        "labels.txt: has 23 bytes, and the manifest says 19, since its line ends are CRLF now; copy the folder as it "
        "is (git: `* -text`)",
    )


def test_another_size_in_the_manifest_is_no_matter_of_line_ends(folder: Path) -> None:
    size = (folder / "labels.txt").stat().st_size
    reseal(folder, lambda t: next(row for row in t["files"] if row["path"] == "labels.txt").update(size_bytes=2**70))
    assert verify(folder).faults == (f"labels.txt: has {size} bytes, and the manifest says {2**70}",)


@pytest.mark.parametrize("name", ["manifest.json", "report.json"])
def test_a_pipe_in_the_place_of_a_document_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RequestError, match="is a damaged bundle" if name == "report.json" else "has no manifest.json"):
        read_side(folder, "none")


def test_a_pipe_in_the_place_of_the_labels_names_nothing_and_is_not_waited_for(folder: Path) -> None:
    (folder / "labels.txt").unlink()
    os.mkfifo(folder / "labels.txt")
    side = read_side(folder, "none")
    assert (label_names(side), side.faults) == ((), ("labels.txt: is missing",))


def test_a_path_that_leaves_the_bundle_is_a_fault(folder: Path) -> None:
    reseal(folder, lambda tables: tables["files"].append({"path": "../x", "sha256": "", "size_bytes": 0}))
    assert verify(folder).faults == ("../x: lies outside the bundle",)


def test_a_report_that_left_the_manifest_is_missed(folder: Path) -> None:
    (folder / "report.json").unlink()
    reseal(folder, lambda t: t.update(files=[row for row in t["files"] if row["path"] != "report.json"]))
    assert verify(folder).faults == ("report.json: isn't in the manifest",)
    (folder / "sbom.cdx.json").unlink()
    reseal(folder, lambda t: t.update(files=[row for row in t["files"] if row["path"] != "sbom.cdx.json"]))
    assert "sbom.cdx.json: isn't in the manifest" in verify(folder).faults


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        verify(tmp_path)
    assert str(error.value) == f"{tmp_path}: is no bundle: it has no manifest.json"


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        verify(tmp_path / "nowhere")
    assert str(error.value) == f"{tmp_path / 'nowhere'}: is no folder; the folder of a bundle is expected"


def test_a_bundle_of_a_later_schema_is_refused(folder: Path) -> None:
    reseal(folder, lambda tables: tables.update(schema="edgecut.bundle/2"))
    with pytest.raises(RequestError) as error:
        verify(folder)
    assert str(error.value) == (f"{folder}: is of schema 'edgecut.bundle/2', and this edgecut reads 'edgecut.bundle/1'")


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")
    digest = hashlib.sha256(b"[]").hexdigest()
    (tmp_path / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
    with pytest.raises(RequestError) as error:
        verify(tmp_path)
    assert str(error.value) == f"{tmp_path}: manifest.json is no manifest of edgecut"


def test_verifying_imports_no_tensorflow(whole: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from edgecut.handoff.verify import verify; "
        "result = verify(Path(sys.argv[1])); assert not result.faults; "
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras', 'tf_keras', 'tf2onnx')])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(whole)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_limits_that_let_nothing_run_are_the_callers_fault(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=0")
    assert run(capsys, "verify", str(whole)) == (
        2, "", "edgecut: error: EDGECUT_LIMITS: 'seconds=0' lets nothing run; give more than 0\n",
    )  # fmt: skip


def test_a_sealed_file_that_is_larger_than_the_limits_is_named_and_never_read(folder: Path, whole: Path) -> None:
    """Sparse, sealed anew by whoever made them so; compare refuses what verify names."""
    faults = []
    for name, size in (("models/bell.float32.tflite", 2 << 30), ("vectors/input_0.bin", 3 << 30)):
        os.truncate(folder / name, size)
        reseal(folder, lambda tables, name=name, size=size: row_of(tables, name).update(size_bytes=size))
        faults.append(
            f"{name}: has {size >> 30} GiB, and up to 1 GiB are read; EDGECUT_LIMITS='bytes=8GiB' raises the limit"
        )
    found = verify(folder).faults
    assert set(faults) <= set(found)
    with pytest.raises(RequestError) as caught:
        compare(whole, folder)
    assert str(caught.value) == f"{folder}: is a damaged bundle; `edgecut verify {folder}` says where"


@pytest.mark.parametrize("name", ["manifest.json", "report.json"])
def test_a_document_that_is_larger_than_any_is_never_read(name: str, folder: Path, whole: Path) -> None:
    os.truncate(folder / name, 1 << 30)
    text = f"{folder / name}: has 1,073,741,824 bytes, and at most 67,108,864 are read of a document"
    for check in (lambda: verify(folder), lambda: compare(whole, folder)):
        with pytest.raises(RequestError) as caught:
            check()
        assert str(caught.value) == text
