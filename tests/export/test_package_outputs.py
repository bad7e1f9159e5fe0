"""What the outputs of exported C mean: names and thresholds of the bundle around the file, or as they are told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.export.c_source import outputs_files
from edgecut.export.package_example import Meaning, main_c, sketch
from edgecut.export.plain_c import meaning_of
from edgecut.pipeline import file_legend
from edgecut.records.artifact import Artifact
from edgecut.records.data import Data
from edgecut.records.legend import Legend
from edgecut.records.operating import Decision, OperatingPoint
from tests.command_line import run
from tests.export.test_c_source import artifact
from tests.export.test_packages import ARDUINO_H, C_FLAGS, INT8
from tests.handoff.test_bundle import LABELS, bundle
from tests.handoff.test_thresholds import decision

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C compiler (cc, c++) is here")
NET_RUN_H = """
#pragma once
#include <stdint.h>
#define NET_ARENA_BYTES 1
#define NET_INPUT_BYTES 1
#define NET_OUTPUT_BYTES {count}
static inline void net_run_in(int8_t *work, const int8_t *input, int8_t *output) {{
    static const int8_t values[{count}] = {{{values}}};
    int k;
    (void)work, (void)input;
    for (k = 0; k < {count}; k++) output[k] = values[k];
}}
"""


def net(*widths: int) -> Artifact:
    """An int8 file with outputs of so many values."""
    base = artifact(b"abc")
    spec = base.outputs[0]
    outputs = tuple(spec.model_copy(update={"name": f"out{k}", "shape": (1, n)}) for k, n in enumerate(widths))
    return base.model_copy(update={"outputs": outputs})


def decided(*codes: int, column: int | None = None, place: int = 0) -> Decision:
    points = tuple(OperatingPoint(threshold=(code + 128) / 256, code=code) for code in codes)
    return Decision(artifact="net", output="out", place=place, column=column, rule="given", points=points)


CASES = {
    "largest": ((3,), Legend(), (1, 5, 2), "1"),
    "largest, named": ((3,), Legend(("a", "b", "c")), (1, 5, 2), "b"),
    "softmax of two, yes": ((2,), Legend(("no", "yes"), (), (decided(-100, column=1),)), (99, -99), "yes"),
    "softmax of two, no": ((2,), Legend(("no", "yes"), (), (decided(-98, column=1),)), (99, -99), "no"),
    "softmax of two, its first": ((2,), Legend(("good", "bad"), (), (decided(100, column=0),)), (99, -99), "bad"),
    "softmax of two, unnamed": ((2,), Legend((), (), (decided(-100, column=1),)), (99, -99), "1"),
    "one score": ((1,), Legend(("no", "yes"), (), (decided(7),)), (7,), "yes"),
    "one score, below": ((1,), Legend(("no", "yes"), (), (decided(8),)), (7,), "no"),
    "tags": ((3,), Legend(("a", "b", "c"), (), (decided(2, 9, 2),)), (2, 8, 5), "a\nc"),
    "tags of one threshold": ((3,), Legend(("a", "b", "c"), (), (decided(5, 5, 5),)), (2, 8, 5), "b\nc"),
    "tags, unnamed": ((3,), Legend((), (), (decided(2, 9, 2),)), (2, 8, 5), "0\n2"),
    "second output": ((3, 2), Legend(("x", "y"), (), (decided(50, column=0, place=1),)), (9, 9, 9, 60, 1), "x"),
    "second output, largest": ((3, 2), Legend(("x", "y")), (9, 9, 9, 1, 60), "y"),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["main.c", "sketch"])
def test_the_example_decides_as_the_legend_says(case: str, kind: str, tmp_path: Path) -> None:
    widths, legend, values, said = CASES[case]
    files = outputs_files("net", net(*widths), legend)
    files["net_run.h"] = NET_RUN_H.format(count=len(values), values=", ".join(map(str, values)))
    meaning = meaning_of(net(*widths), legend)
    sources = [str(tmp_path / name) for name in files if name.endswith(".c")]
    if kind == "main.c":
        files["main.c"] = main_c("net", meaning, camera=False, by_rows=False)
        command = ["cc", *C_FLAGS, *sources, str(tmp_path / "main.c")]
    else:
        port = ARDUINO_H.replace(
            "struct Port {", 'struct Port { void println(const char *t) { std::printf("%s\\n", t); }'
        )
        files["main.cpp"] = (
            port.replace("#pragma once", "")
            + sketch("net", meaning, camera=False, by_rows=False)
            + "\nint main() { setup(); loop(); return 0; }\n"
        )
        command = ["c++", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", *sources, str(tmp_path / "main.cpp")]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    subprocess.run([*command, "-o", str(tmp_path / "once")], check=True)
    answer = subprocess.run([str(tmp_path / "once")], check=True, capture_output=True, text=True)
    assert answer.stdout == said + "\n"


def test_a_positive_class_that_the_score_says_anyway_changes_no_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_legend, "last_activation", lambda *_: "sigmoid")
    data = Data(labels=("cat", "dog"), positive="dog")
    legend = file_legend.file_legend(INT8, net(1), data)
    assert legend.labels == ("cat", "dog")
    assert [(own.rule, own.thresholds) for own in legend.decisions] == [("default", 0.5)]


def test_without_names_and_thresholds_there_is_nothing_of_them() -> None:
    assert outputs_files("net", net(3), Legend()) == {}
    assert meaning_of(net(3), Legend()) == Meaning(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("outputs") / "dist", ("int8.tflite",), decisions=(decision(),))


def exported(capsys: pytest.CaptureFixture[str], model: Path, out: Path, *words: str) -> tuple[str, str]:
    """(what is said, the text of the example)."""
    answer = run(capsys, "export", str(model), "--format", "c", "--package", "zephyr", "-o", str(out), *words)
    assert answer.code == 0, answer.err
    (example,) = out.rglob("main.c")
    return answer.out, example.read_text()


@pytest.mark.parametrize("model", ["", "models/bell.int8.tflite"])
def test_a_bundles_file_has_the_bundles_names_and_thresholds(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, example = exported(capsys, folder / model, tmp_path / "out")
    assert "wrote bell_run.c and bell_run.h, bell_outputs.h, for zephyr: " in said
    assert "if (output[k] >= bell_output_threshold_codes[k]) printf(" in example
    source = (tmp_path / "out/src/bell_outputs.c").read_text()
    assert all(f'    "{label}",\n' in source for label in LABELS)
    assert "    -102,\n    -76,\n    -51,\n    103,\n" in source


def test_a_file_that_left_its_bundle_says_that_nothing_is_known(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tmp_path / "bell.int8.tflite"
    shutil.copy(folder / "models/bell.int8.tflite", loose)
    said, example = exported(capsys, loose, tmp_path / "out")
    assert (
        "the example prints the number of the largest value: no names and no threshold of the outputs are known; "
        "--labels and --threshold tell them\n"
    ) in said
    assert "best" in example
    assert list((tmp_path / "out").rglob("*outputs*")) == []


def test_a_file_that_isnt_the_bundles_own_has_nothing_of_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "dist"
    shutil.copytree(folder, other)
    path = other / "models/bell.int8.tflite"
    path.write_bytes(path.read_bytes() + b"\0")
    said, _ = exported(capsys, path, tmp_path / "out")
    assert "no names and no threshold of the outputs are known" in said


def test_names_that_are_told_go_before_the_bundles(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(capsys, folder, tmp_path / "out", "--labels", "p,q,r,s")
    source = (tmp_path / "out/src/bell_outputs.c").read_text()
    assert '    "p",\n    "q",\n    "r",\n    "s",\n' in source
    assert "    -102,\n" in source


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--labels", "a,b,c"],
            f"--labels: holds 3 names, and {INT8} puts out 4; make them equal",
        ),
        (
            ["--threshold", "f1"],
            "--threshold: f1 is chosen on labelled data, which only a build measures; give a number",
        ),
        (
            ["--threshold", "0.3"],
            "data.threshold: is of one score for two classes, of tags, or of a softmax over two classes, and the "
            "model puts out (4,) by softmax; leave it out",
        ),
        (
            ["--labels", "a,b,c,D", "--positive", "d"],
            "data.positive: no class 'd' (closest: 'D')",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "export", str(INT8), "--format", "c", *words, "-o", str(tmp_path / "out"))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {sentence}\n")
    assert not (tmp_path / "out").exists()


def test_they_are_for_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "export", str(INT8), "--labels", "a,b,c,d", "-o", str(tmp_path / "m.tflite"))
    sentence = "edgecut: error: --labels, --threshold, --positive: are for --format c; pass it, too\n"
    assert (answer.code, answer.err) == (2, sentence)


def test_a_bundle_without_an_int8_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dist = bundle(tmp_path / "dist", ("float32.tflite",))
    answer = run(capsys, "export", str(dist), "--format", "c", "-o", str(tmp_path / "out"))
    sentence = f"edgecut: error: {dist}: C is made of an int8 .tflite file; it has bell.float32.tflite\n"
    assert (answer.code, answer.err) == (2, sentence)
