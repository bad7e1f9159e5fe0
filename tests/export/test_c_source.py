"""C source of a model: what the compiler sees is what the file holds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.engine.c_text import c_symbol
from edgecut.export.c_source import Camera, c_files, input_rule
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.escapes import c_comment
from edgecut.records.legend import NO_LEGEND, Legend
from edgecut.records.operating import Decision, OperatingPoint

CC = shutil.which("cc")
needs_compiler = pytest.mark.skipif(CC is None, reason="no C compiler (cc) is here")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def artifact(content: bytes, **changes: object) -> Artifact:
    given_spec = {"name": "image", "shape": (1, 4, 5, 2), "dtype": "int8", "scale": 0.0078431377,
                  "zero_point": -1, "expects": "normalized"}  # fmt: skip
    return Artifact(
        name="bell.int8.tflite", path="models/bell.int8.tflite", format="tflite", precision="int8",
        sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
        inputs=(TensorSpec.model_validate(given_spec | changes),),
        outputs=(TensorSpec(name="scores", shape=(1, 3), dtype="int8", scale=0.00390625, zero_point=-128),),
        operators={"CONV_2D": 1},
    )  # fmt: skip


def compiled(folder: Path, files: dict[str, str], main: str, *flags: str) -> str:
    """What `main` prints, compiled with the files strictly."""
    for name, text in {**files, "main.c": main}.items():
        (folder / name).write_text(text)
    sources = [name for name in (*files, "main.c") if name.endswith(".c")]
    subprocess.run([str(CC), *STRICT, *flags, "-o", "run", *sources], cwd=folder, check=True, timeout=120)
    return subprocess.run([folder / "run"], capture_output=True, text=True, check=True, timeout=30).stdout


@needs_compiler
def test_the_compiled_array_is_the_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3 + b"\x00\xffend"
    main = """#include <stdio.h>
#include <stdint.h>
#include "bell_model.h"
int main(void) {
    size_t i;
    printf("%u %u ", (unsigned)bell_model_len, (unsigned)((uintptr_t)bell_model % 16));
    for (i = 0; i < sizeof bell_model; i++) printf("%02x", bell_model[i]);
    printf(" %s", bell_model_sha256);
    return 0;
}
"""
    printed = compiled(tmp_path, c_files(content, "bell", artifact(content), None), main)
    assert printed == f"{len(content)} 0 {content.hex()} {hashlib.sha256(content).hexdigest()}"


@needs_compiler
def test_the_compiled_header_says_shapes_scales_labels_and_arena(tmp_path: Path) -> None:
    labels = ['say "no" na\u00efve', "back\\slash what??/", "1\n2"]
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) {
    BELL_INPUT_TYPE x = -128;
    int i;
    printf("%d %d %d %d %d ", x, BELL_INPUT_DIM_0, BELL_INPUT_DIM_1, BELL_INPUT_DIM_2, BELL_INPUT_DIM_3);
    printf("%d %d %.9g ", BELL_INPUT_COUNT, BELL_INPUT_BYTES, (double)BELL_INPUT_SCALE);
    printf("%d %d|", BELL_INPUT_ZERO_POINT, BELL_INPUT_EXPECTS_RAW);
    printf("%d %d %.9g %d|%d|", BELL_OUTPUT_RANK, BELL_OUTPUT_COUNT, (double)BELL_OUTPUT_SCALE,
           BELL_OUTPUT_ZERO_POINT, BELL_TFLM_ARENA_BYTES);
    for (i = 0; i < BELL_LABEL_COUNT; i++) printf("%s;", bell_labels[i]);
    return 0;
}
"""
    printed = compiled(tmp_path, c_files(b"abc", "bell", artifact(b"abc"), 12_345, Legend(labels)), main)
    assert printed == (
        "-128 1 4 5 2 40 40 0.00784313772 -1 0|2 3 0.00390625 -128|12345|" + "".join(f"{x};" for x in labels)
    )


@pytest.mark.parametrize("count", [2, 4])
def test_labels_of_another_count_than_the_outputs_are_no_array(count: int) -> None:
    labels = [f"class {k}" for k in range(count)]
    assert not [
        text
        for text in c_files(b"abc", "bell", artifact(b"abc"), 1, Legend(labels)).values()
        if "label" in text.lower()
    ]


@needs_compiler
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float32"])
def test_the_compiled_byte_table_is_the_given_one(tmp_path: Path, dtype: str) -> None:
    table = (np.arange(512).reshape(2, 256) / 3 - 60).astype(dtype)
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) {
    int c, b;
    for (c = 0; c < BELL_FROM_BYTE_ROWS; c++)
        for (b = 0; b < 256; b++) printf("%.9g ", (double)bell_from_byte[c][b]);
    return 0;
}
"""
    described = artifact(b"abc", dtype=dtype, scale=None, zero_point=None)
    files = c_files(b"abc", "bell", described, None, NO_LEGEND, Camera(table))
    printed = np.array(compiled(tmp_path, files, main).split(), float)
    assert (printed.astype(dtype) == table.ravel()).all()


@needs_compiler
def test_both_headers_are_fit_for_cpp(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler (c++) is here")
    files = c_files(b"abc", "bell", artifact(b"abc"), 1, Legend(["a", "b", "c"]))
    use = "int main() { return bell_labels[0][0] == 'a' && bell_model[0] == 'a' ? 0 : 1; }"
    includes = '#include "bell_io.h"\n#include "bell_model.h"\n'
    (tmp_path / "use.cc").write_text(includes + use)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    subprocess.run([str(CC), "-c", "bell_model.c"], cwd=tmp_path, check=True, timeout=60)
    subprocess.run([compiler, "-o", "run", "use.cc", "bell_model.o"], cwd=tmp_path, check=True, timeout=60)
    subprocess.run([tmp_path / "run"], check=True, timeout=30)


@needs_compiler
def test_labels_and_names_of_any_signs_are_what_they_are_in_the_program(tmp_path: Path) -> None:
    odd = "*/ /* ??/ ???/ \\ \" ' %s <script> \x1b[2J \u202e\ufeff a\\u12"
    labels = [odd, "é" * 2050, "\\"]
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) {
    int i;
    for (i = 0; i < BELL_LABEL_COUNT; i++) printf("%s\\n", bell_labels[i]);
    return 0;
}
"""
    described = artifact(b"abc", name=f"{odd}\x00\n#error x\\")
    files = c_files(b"abc", "bell", described.model_copy(update={"path": f"{odd}*"}), None, Legend(labels))
    assert compiled(tmp_path, files, main) == "".join(f"{label}\n" for label in labels)
    assert all(text.isascii() and text.replace("\n", "").isprintable() for text in files.values())


@given(st.text(st.sampled_from("*/?\\a\n\r\t\x00é\u202e"), max_size=12))
def test_a_comment_holds_any_text(text: str) -> None:
    """One line of printable ASCII without an end or beginning of a comment, and without a trigraph."""
    comment = c_comment(text)
    assert comment.isascii()
    assert comment == "" or comment.isprintable()
    assert not any(sign in comment for sign in ("*/", "/*", "??"))


@needs_compiler
@pytest.mark.parametrize("name", ["front-door", "_hidden", "__X", "int", "A9"])
def test_any_recipe_name_compiles(tmp_path: Path, name: str) -> None:
    files = c_files(b"abc", name, artifact(b"abc", name="in/*put*/ ??/\n"), None, Legend(["a"]))
    assert set(files) == {f"{name}_model.h", f"{name}_model.c", f"{name}_io.h"}
    main = f'#include "{name}_model.h"\nint main(void) {{ return {c_symbol(name)}_model[0] == 97 ? 0 : 1; }}\n'
    assert compiled(tmp_path, files, main) == ""


def test_an_unknown_arena_is_said_and_not_defined() -> None:
    text = c_files(b"abc", "bell", artifact(b"abc"), None)["bell_io.h"]
    assert "ARENA_BYTES" not in text
    assert "/* The size of the interpreter's tensor arena isn't known: no measurement answered it. */" in text


def test_the_rule_for_raw_bytes_into_int8_is_one_exclusive_or() -> None:
    spec = TensorSpec(name="x", shape=(1, 2, 2, 1), dtype="int8", scale=1.0, zero_point=-128, expects="raw")
    assert input_rule(spec) == "q = (int8_t)(camera byte ^ 0x80), which is the byte minus 128"


def test_the_rule_for_other_scales_is_the_formula() -> None:
    spec = TensorSpec(name="x", shape=(1, 2, 2, 1), dtype="int8", scale=0.5, zero_point=-1, expects="raw")
    assert input_rule(spec) == (
        "q = round(r / 0.5) - 1, kept within -128 and 127, where r is the camera's byte, 0 to 255"
    )


def test_the_rule_for_float_is_the_value_itself() -> None:
    spec = TensorSpec(name="x", shape=(1, 2, 2, 1), dtype="float32", expects="normalized")
    assert input_rule(spec) == "value = r, the value that the source model takes"


@given(st.binary(min_size=1, max_size=200))
def test_every_byte_is_written_once_in_order(content: bytes) -> None:
    """The array's literals are the content."""
    text = c_files(content, "bell", artifact(content), None)["bell_model.c"]
    rows = text[text.index("bell_model[BELL_MODEL_LEN] = {") :].split("{")[1].split("}")[0]
    assert bytes(int(word, 16) for word in rows.replace(",", " ").split()) == content


def decided(*thresholds: float, column: int | None = None, labels: str = "") -> Decision:
    points = tuple(
        OperatingPoint(threshold=t, code=round(t * 256) - 127, label=label)
        for t, label in zip(thresholds, labels or "-" * len(thresholds), strict=True)
    )
    return Decision(artifact="bell.int8.tflite", output="scores", column=column, rule="given", points=points)


@needs_compiler
def test_the_compiled_header_says_units_and_the_threshold_of_a_class(tmp_path: Path) -> None:
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) {
    printf("%d %.9g %d %d|%s %s %d %d", BELL_OUTPUT_THRESHOLD_VALUE, BELL_OUTPUT_THRESHOLD, BELL_OUTPUT_THRESHOLD_CODE,
           BELL_LABEL_OUTPUT, bell_units[0], bell_units[2], BELL_UNIT_COUNT, BELL_UNIT_OUTPUT);
    return 0;
}
"""
    legend = Legend(("a", "b", "c"), ("m/s */",), (decided(0.25, column=1, labels="b"),))
    files = c_files(b"abc", "bell", artifact(b"abc"), None, legend)
    assert compiled(tmp_path, files, main) == "1 0.25 -63 0|m/s */ m/s */ 3 0"
    said = "/* value 1 of scores above 0.25 (q >= -63) is b\n   threshold: given, not chosen; nothing was measured"
    assert f"{said} at it. */\n" in files["bell_io.h"]


@needs_compiler
def test_the_compiled_source_has_the_thresholds_of_tags_and_their_integers(tmp_path: Path) -> None:
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) {
    int k;
    for (k = 0; k < BELL_OUTPUT_THRESHOLD_COUNT; k++)
        printf("%.9g %ld ", bell_output_thresholds[k], (long)bell_output_threshold_codes[k]);
    return 0;
}
"""
    legend = Legend(("a", "b", "c"), (), (decided(0.25, 0.5, 1.0, labels="abc"),))
    printed = compiled(tmp_path, c_files(b"abc", "bell", artifact(b"abc"), None, legend), main)
    assert printed == "0.25 -63 0.5 1 1 129 "  # 129 is above all of int8: never


def test_tags_with_one_threshold_have_one_macro() -> None:
    legend = Legend((), (), (decided(0.5, 0.5, 0.5),))
    header = c_files(b"abc", "bell", artifact(b"abc"), None, legend)["bell_io.h"]
    assert "#define BELL_OUTPUT_THRESHOLD 0.5f\n#define BELL_OUTPUT_THRESHOLD_CODE (1)\n" in header


def test_units_of_another_count_than_the_values_are_left_out() -> None:
    files = c_files(b"abc", "bell", artifact(b"abc"), None, Legend((), ("m", "s")))
    assert not [text for text in files.values() if "unit" in text.lower()]
