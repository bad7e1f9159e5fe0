"""Commands: what they print, write and return. What takes TensorFlow is stood in for at the library's edge."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from edgecut.cli.main import COMMANDS
from edgecut.engine import generate
from edgecut.errors import DataError, DocumentError
from edgecut.graph.threads import THREADS, threads
from edgecut.handoff.verify import VerifyResult
from edgecut.records.recipe import make_recipe
from tests.command_line import run
from tests.reports import report

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = FIXTURES / "tiny.int8.tflite"
GOOD = 'id = "board"\ntitle = "A board"\nclass = "linux"\n[runtime]\nname = "litert"\n'


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A pipeline that records what it is asked for, and reports report()."""
    asked: dict[str, Any] = {}

    def plan(
        recipe: Any, profiles: Any, out: Any = None, force: bool = False, recipe_file: Any = None, root: Any = None
    ) -> Any:
        asked.update(recipe=recipe, profiles=[p.id for p in profiles], out=out, force=force)
        return types.SimpleNamespace(
            recipe=recipe, steps=(("load", "m.keras"),), notes=("mind the gap",), unchecked=("the gap",)
        )

    def build(plan: Any, out: Path, *, force: bool, cache: bool, locked: bool, sign: Any, progress: Any) -> Any:
        asked.update(run=(out, force), cache=cache, locked=locked, sign=sign)
        return report()

    monkeypatch.setattr("edgecut.pipeline.run.run", build)  # first: the module is to be imported with the true plan
    monkeypatch.setattr("edgecut.pipeline.plan.plan", plan)
    monkeypatch.setattr("edgecut.pipeline.run.exit_code", lambda report, strict: 7 if strict else 1)
    return asked


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, name, "--help")
    assert answer.code == 0
    assert f"  edgecut {name}" in answer.out.partition("Example")[2]


def test_build_prints_the_report_and_returns_its_code(
    pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "build", "m.keras", "--classes", "4", "--profile", "host", "-o", "dist", "--force")
    assert (answer.code, answer.err) == (1, "edgecut: mind the gap\n")
    assert answer.out.startswith("clothes: misses (3 limits: 1 meets, 1 misses, 1 unknown)\n")
    assert answer.out.endswith("\nwrote dist\n")
    assert (pipeline["recipe"].head.classes, pipeline["profiles"]) == (4, ["host"])
    assert (pipeline["out"], pipeline["force"], pipeline["run"]) == (Path("dist"), True, (Path("dist"), True))


def test_build_prints_json_and_nothing_else(pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "build", "m.keras", "-o", "dist", "--json", "-q", "--strict")
    assert (answer.code, answer.err) == (7, "")
    assert json.loads(answer.out) == report().to_dict()


def test_a_build_with_faults_prints_them_as_json(
    monkeypatch: pytest.MonkeyPatch, pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*arguments: Any, **options: Any) -> None:
        raise DocumentError(["m: a", "m: b"])

    monkeypatch.setattr("edgecut.pipeline.plan.plan", plan)
    answer = run(capsys, "build", "m.keras", "-o", "dist", "--json")
    assert (answer.code, answer.err) == (2, "edgecut: error: m: a\nedgecut: error: m: b\n")
    assert json.loads(answer.out) == {"error": {"code": 2, "kind": "document", "message": "m: a\nm: b"}}


def test_plan_lists_steps_and_notes(pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "plan", "m.keras")
    assert (answer.code, answer.err) == (0, "")
    assert [line.rstrip() for line in answer.out.splitlines()[2:]] == [
        "1  load  m.keras", "notes", "· mind the gap", "not checked", "· the gap"
    ]  # fmt: skip


def test_quiet_commands_print_no_notes(pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("plan", "m.keras"), ("build", "m.keras", "-o", "dist")):
        loud, quiet = run(capsys, *words), run(capsys, *words, "-q")
        assert ("notes" in loud.out.split(), "notes" in quiet.out.split(), quiet.err) == (True, False, "")


def test_export_says_what_needs_no_images_for_channels_that_none_have() -> None:
    from edgecut.cli.export import _calibration
    from edgecut.cli.output import Output

    recipe = make_recipe({}, {"source.model": "m.keras", "data.train": "photos"}, where="test")
    with pytest.raises(DataError) as caught:
        _calibration(Output(), recipe, (8, 8, 6))
    assert str(caught.value) == (
        "export: the model takes 6 channels, and images that calibrate have 1, 3 or 4; write it in float32, float16 or "
        "dynamic (--precision), which need no images"
    )


def test_plan_in_json(pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "plan", "m.keras", "--profile", "host", "--json").out)
    assert document["steps"] == [{"name": "load", "what": "m.keras"}]
    assert (document["notes"], document["profiles"][0]["id"]) == (["mind the gap"], "host")
    assert document["unchecked"] == ["the gap"]


def test_demo_builds_its_recipe_for_a_microcontroller_and_this_machine(
    pipeline: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "demo", "-o", "x")
    recipe = pipeline["recipe"]
    assert (pipeline["profiles"], recipe.stem.channels, recipe.head.classes) == (["nucleo-l4r5zi", "host"], 1, 10)
    assert all(Path(name).is_file() for name in (recipe.source.model, recipe.data.train, recipe.data.labels))


def test_profile_show_prints_toml_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "profile", "show", "esp32-s3").out
    path = tmp_path / "esp32-s3.toml"
    path.write_text(shown)
    assert run(capsys, "profile", "show", str(path)).out == shown


def test_profile_show_says_where_each_number_is_from(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "profile", "show", "stm32h747i-disco").out
    sources = tomllib.loads(shown)["sources"]
    marked = re.findall(r'^\[\[sources\]\]  # (\[\d+\])\nfield = "(.*)"$', shown, flags=re.MULTILINE)
    marks = {field: mark for mark, fields in marked for field in fields.split(", ")}
    lines = dict(line.split(" = ", 1) for line in shown.splitlines() if " = " in line)
    assert [mark for mark, _ in marked] == [f"[{number}]" for number in range(1, len(sources) + 1)]
    assert lines["ram_bytes"] == f"1081344  # {marks['memory.ram_bytes']}"
    assert lines["itcm"] == f"65536  # {marks['memory.banks']}"
    assert lines["axi_sram"] == f"524288  # {marks['memory.banks']}"
    assert lines["reserved_ram_bytes"] == "0"


def test_profile_show_says_each_source_once(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("stm32h747i-disco", "nucleo-l4r5zi", "nucleo-l4r5zi-c"):
        shown = run(capsys, "profile", "show", name).out
        whole = {row["what"] for row in json.loads(run(capsys, "profile", "show", name, "--json").out)["sources"]}
        assert [what for what in whole if shown.count(f'"{what}"') != 1] == [], name


def test_profile_check_takes_ids_and_names_of_chips_and_files_and_tells_all_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("board.toml").write_text(GOOD)
    assert run(capsys, "profile", "check", "board.toml", "esp32-s3-c", "nrf52840") == (
        0, "board.toml: is a profile\nesp32-s3-c: is a profile\nnrf52840: is a profile, nano33ble\n", "",
    )  # fmt: skip
    answer = run(capsys, "profile", "check", "host", "xyzzy", "x.toml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        "edgecut: error: no profile 'xyzzy'; `edgecut profile list` shows all",
        "edgecut: error: x.toml: no such file",
    ]


def test_profile_list_leaves_out_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("profiles").mkdir()
    Path("profiles/board.toml").write_text(GOOD + "x = 1\n")
    answer = run(capsys, "profile", "list", "--json")
    assert answer.err == "edgecut: left out: profiles/board.toml: runtime.x: unknown key\n"
    assert "board" not in [profile["id"] for profile in json.loads(answer.out)["profiles"]]


def test_profile_check_names_the_faults_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, gone = (tmp_path / f"{name}.toml" for name in ("board", "bad", "gone"))
    good.write_text(GOOD)
    bad.write_text(GOOD.replace('"linux"', '"linus"') + 'kernel = "x"\n')
    answer = run(capsys, "profile", "check", str(good), str(bad), str(gone))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"edgecut: error: {bad}: class: expected one of 'microcontroller', 'linux', 'android', 'npu', 'host', "
        "found 'linus' (closest: 'linux')\n"
        f"edgecut: error: {bad}: runtime.kernel: unknown key (closest: 'kernels')\n"
        f"edgecut: error: {gone}: no such file\n"
    )
    assert run(capsys, "profile", "check", str(good)) == (0, f"{good}: is a profile\n", "")


def test_inspect_lists_the_operators_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "inspect", str(TINY), "--json", "--profile", "nucleo-l4r5zi").out)
    counted = document["artifact"]["operators"]
    assert sum(counted.values()) == len(document["operators"])
    assert sum(row["macs"] for row in document["operators"]) == document["artifact"]["macs"]
    assert [m["profile"] for m in document["measurements"]] == ["nucleo-l4r5zi"]


def test_the_work_buffer_of_the_c_is_told_to_the_byte(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(TINY, "tiny").arena_bytes == 1680
    assert run(capsys, "inspect", str(TINY)).out.splitlines()[-1] == (
        "arena, C: 1680 bytes (1.64 KiB), exact, in 2 stretches"
    )


def test_inspect_lists_the_nodes_of_an_onnx_file(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", str(FIXTURES / "tiny.int8.onnx"))
    assert (answer.code, answer.err) == (0, "")
    assert "onnx int8" in answer.out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["inspect", "gone.keras"], "gone.keras: no such file; give a .keras, .h5 or .onnx file, or keras:NAME such as "
         "keras:MobileNetV2"),
        (["inspect", "gone.tflite"], "gone.tflite: no such file"),
        (["bench", "gone.tflite"], "gone.tflite: no such file"),
        (["bench", str(TINY), "--runs", "0"], "--runs: bench.runs: expected a whole number of at least 1, found 0"),
        (["bench", str(TINY), "--runner", "jtag"],
         "--runner: 'local', 'ssh', 'adb', 'tflm', 'vela' and 'qemu' are known, found 'jtag'"),
        (["verify", "gone"], "gone: is no folder; the folder of a bundle is expected"),
        (["export", "m.keras", "-o", "m.bin"], "m.bin: ends in neither .tflite nor .onnx; pass --format or rename it"),
        (["export", "m.keras", "-o", "x/m.tflite"], "x/m.tflite: there is no folder 'x'; make it first"),
        (["new", "m.keras", "-o", "there.toml"], "there.toml: exists; pass --force to replace it"),
        (["new", "m.keras", "-o", "."], ".: is a folder; name a file"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.toml").write_text("")
    answer = run(capsys, *words)
    assert (answer.code, answer.out, answer.err) == (2, "", f"edgecut: error: {text}\n")


def test_bench_prints_report_measurements(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(
        capsys, "bench", str(TINY), "--runs", "3", "--warmup", "1", "--profile", "host,raspberry-pi-4", "--json"
    )
    assert (answer.code, answer.err) == (0, "")
    rows = json.loads(answer.out)["measurements"]
    keys = [(row["metric"], row["where"], row["kind"]) for row in rows]
    assert sorted(keys) == sorted(set(keys))
    assert ("latency", "raspberry-pi-4", "estimated") in keys
    assert [len(row["values"]) for row in rows if (row["metric"], row["where"]) == ("latency", "host")] == [3]


def test_verify_names_each_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = VerifyResult(files=9, vectors=2, faults=("a.bin: differs", "b.bin: is missing"), notes=(), plain_c=False)
    monkeypatch.setattr("edgecut.handoff.verify.verify", lambda folder, progress, run_c, trust: result)
    answer = run(capsys, "verify", "dist", "--json")
    assert (answer.code, answer.err) == (1, "edgecut: error: a.bin: differs\nedgecut: error: b.bin: is missing\n")
    assert json.loads(answer.out)["faults"] == ["a.bin: differs", "b.bin: is missing"]


def test_verify_counts_what_it_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result = VerifyResult(files=9, vectors=2, faults=(), notes=("onnx was not re-run",))
    monkeypatch.setattr("edgecut.handoff.verify.verify", lambda folder, progress, run_c, trust: result)
    answer = run(capsys, "verify", "dist")
    lines = [line.rstrip() for line in answer.out.splitlines()]
    assert (answer.code, lines) == (
        0,
        [
            "dist: 9 files and 2 golden vectors are as the manifest says",
            "unsigned: whole and consistent, origin unknown",
            "notes",
            "· onnx was not re-run",
        ],
    )


def test_flags_of_the_processor_that_a_product_raises_are_no_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some arm64 raise them whatever the product is."""

    def told(versions: object) -> str:
        warnings.warn("invalid value encountered in matmul", RuntimeWarning, stacklevel=1)
        return ""

    monkeypatch.setattr("edgecut.cli.doctor.package_table", told)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        answer = run(capsys, "doctor")
    assert (answer.code, answer.err, heard) == (0, "", [])


def test_doctor_knows_every_package(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "doctor", "--json")
    packages = {row["name"]: row["version"] for row in json.loads(answer.out)["packages"]}
    assert (answer.code, answer.err) == (0, "")
    assert packages["numpy"].split(".")[0].isdigit()
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    asked = {row.partition(">")[0] for name, rows in extras.items() if name not in {"docs", "test"} for row in rows}
    assert asked
    assert asked <= set(packages)
    rows = {row["name"]: row for row in json.loads(answer.out)["programs"]}
    assert set(rows["git"]) == {"name", "use", "install", "path", "version", "runs"}
    assert rows["git"]["version"][0].isdigit()


def test_a_command_trains_with_as_many_threads_on_any_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sums of a gradient are rounded by each number of threads in its own way."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert threads() == 3
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    run(capsys, "--version")
    assert threads() == THREADS


def test_a_build_that_trains_nothing_runs_on_as_many_threads_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    model = str(FIXTURES.parents[1] / "edgecut/demo_data/cifar10_backbone.keras")
    words = ["build", model, "--to", "no_such_layer", "--classes", "10", "-o", str(tmp_path / "out")]
    run(capsys, *words, "--set", "head.train=fit")
    assert threads() == THREADS
    run(capsys, *words)
    assert threads() == len(os.sched_getaffinity(0))


def test_profile_list_is_searched_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "profile", "list", "h743", "tinyengine", "--json").out)["profiles"]
    assert [profile["id"] for profile in found] == ["nucleo-h743zi-tinyengine", "nucleo-h743zi-tinyengine-c"]
    answer = run(capsys, "profile", "list", "h743", "xyz")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("edgecut: error: no profile matches 'h743 xyz' (by chip: 'nucleo-h743zi', ")
    table = run(capsys, "profile", "list", "h743").out
    assert "nucleo-h743zi-tinyengine " in table
    assert "nucleo-h743zi-c" not in table
    assert "each microcontroller is also ID-c" in table
