"""The bundle's C program: strict compilers take it, it passes on a whole bundle, and it names what isn't whole."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.export.c_ops import METHODS, operators_of, ops_header
from edgecut.export.c_source import Camera, c_files
from edgecut.handoff.bundle import write_bundle
from edgecut.handoff.seal import Release
from edgecut.records.legend import NO_LEGEND
from tests.export.test_c_source import artifact, compiled
from tests.handoff.test_bundle import FIXTURES, artifacts_in, bundle, report_of

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
needs_make = pytest.mark.skipif(not COMPILERS or shutil.which("make") is None, reason="no make and C compiler are here")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("c") / "dist")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def make(folder: Path, *words: str, compiler: str = "") -> tuple[int, str]:
    """(exit code, the last line) of `make test`."""
    child = subprocess.run(
        ["make", "-s", "test", f"CC={compiler or COMPILERS[0]}", *words],
        cwd=folder / "c", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "warning" not in child.stderr
    return child.returncode, child.stdout.strip()


def size_of(folder: Path) -> int:
    return (folder / "models" / "bell.int8.tflite").stat().st_size


@needs_make
@pytest.mark.parametrize("flags", ["-O1", "-O2 -Wconversion -Wshadow -Wstrict-prototypes"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_whole_bundle_passes_and_stays_as_it_was(folder: Path, compiler: str, flags: str) -> None:
    before = sorted(os.listdir(folder / "c"))
    assert make(folder, f"CFLAGS={flags}", compiler=compiler) == (
        0, f"bell: the model ({size_of(folder)} bytes) and 3 golden vectors are whole; no runtime is linked, "
        "so they weren't run",
    )  # fmt: skip
    assert sorted(os.listdir(folder / "c")) == before


@needs_make
@pytest.mark.parametrize("name", ["camera_0.bin", "input_1.bin", "expected_2.bin"])
def test_a_flipped_bit_of_a_vector_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / "vectors" / name).read_bytes())
    content[0] ^= 1
    (folder / "vectors" / name).write_bytes(bytes(content))
    code, output = make(folder)
    assert (code, output) == (
        2, f"../vectors/{name}: isn't the file that this test was written for (its SHA-256 differs)",
    )  # fmt: skip


@needs_make
def test_a_shorter_vector_is_named(folder: Path) -> None:
    (folder / "vectors" / "input_0.bin").write_bytes(b"short")
    assert make(folder) == (2, "../vectors/input_0.bin: has another size than the tensor's 144 bytes")


@needs_make
def test_a_flipped_bit_of_the_array_is_named(folder: Path) -> None:
    path = folder / "c" / "bell_model.c"
    text = path.read_text()
    start = text.index("0x", text.index("[BELL_MODEL_LEN] = {"))
    path.write_text(text[:start] + f"0x{int(text[start + 2 : start + 4], 16) ^ 1:02x}" + text[start + 4 :])
    assert make(folder) == (2, "bell_model.c: the array's SHA-256 isn't the one that is written beside it")


@needs_make
def test_a_changed_table_is_named(folder: Path) -> None:
    path = folder / "c" / "bell_model.c"
    head, middle, tail = path.read_text().partition("bell_from_byte[1][256] = {\n")
    path.write_text(head + middle + tail.replace("-", "", 1).replace("{12", "{11", 1))
    code, output = make(folder)
    assert code == 2
    assert "the table bell_from_byte doesn't turn the camera's bytes into the input" in output


def runtime(folder: Path, shift: int) -> None:
    """A runtime that gives what is expected of each vector, off by `shift`."""
    (folder / "c" / "runtime.c").write_text(
        """#include <stdio.h>
int bell_run(const void *input, void *output);
int bell_run(const void *input, void *output) {
    static int k = 0;
    char name[64];
    FILE *file;
    signed char *bytes = output;
    (void)input;
    sprintf(name, "../vectors/expected_%d.bin", k++);
    file = fopen(name, "rb");
    if (file == NULL || fread(output, 1, 4, file) != 4) return 1;
    fclose(file);
    bytes[1] = (signed char)(bytes[1] + SHIFT);
    return 0;
}
""".replace("SHIFT", str(shift))
    )


@needs_make
def test_the_runtime_that_is_linked_runs_the_vectors(folder: Path) -> None:
    runtime(folder, 1)
    code, output = make(folder, "RUNTIME=runtime.c")
    assert (code, output) == (
        0, f"bell: the model ({size_of(folder)} bytes) and 3 golden vectors are whole, and the runtime gives what "
        "they expect",
    )  # fmt: skip


@needs_make
def test_a_runtime_beyond_the_tolerance_is_named(folder: Path) -> None:
    runtime(folder, 3)
    code, output = make(folder, "RUNTIME=runtime.c")
    assert (code, output.splitlines()[0]) == (2, "vector 0: output 0, value 1: off by 3, and 1 is allowed")


@needs_make
def test_a_float_bundle_and_one_without_vectors_pass(tmp_path: Path) -> None:
    code, output = make(bundle(tmp_path / "float", ("float32.tflite",)))
    assert code == 0
    assert "3 golden vectors are whole" in output
    bare = tmp_path / "bare"
    artifacts = artifacts_in(bare)
    write_bundle(bare, Release(report_of(artifacts), tmp_path), vectors=None, labels=[])
    code, output = make(bare)
    assert code == 0
    assert "0 golden vectors are whole" in output


STUB = """#ifndef STUB_H
#define STUB_H
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int n> class MicroMutableOpResolver {
 public:
  unsigned int used = 0;
METHODS
 private:
  TfLiteStatus Add() { return used++ < n ? kTfLiteOk : kTfLiteError; }
};
}
#endif
"""


def compiled_resolver(folder: Path, header: str) -> subprocess.CompletedProcess[str]:
    """A C++ program that registers the operators in a stand-in for TFLM's resolver, which counts them."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler (c++) is here")
    home = folder / "tensorflow" / "lite" / "micro"
    home.mkdir(parents=True)
    methods = "".join(f"  TfLiteStatus {method}() {{ return Add(); }}\n" for method in METHODS.values())
    (home / "micro_mutable_op_resolver.h").write_text(STUB.replace("METHODS", methods))
    (folder / "bell_ops.h").write_text(header)
    (folder / "use.cc").write_text(
        '#include "bell_ops.h"\nint main() { tflite::MicroMutableOpResolver<BELL_OP_COUNT> r; '
        "return bell_add_ops(&r) == kTfLiteOk && r.used == BELL_OP_COUNT ? 0 : 1; }\n"
    )
    return subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", "-I.", "-o", "use", "use.cc"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_resolver_holds_exactly_the_operators_of_the_file(tmp_path: Path, whole: Path) -> None:
    header = (whole / "c" / "bell_ops.h").read_text()
    operators = operators_of((FIXTURES / "tiny.int8.tflite").read_bytes())
    assert set(operators) == set(artifacts_in(tmp_path / "a", ("int8.tflite",))[0].operators)
    assert [line.split("->")[1].split("(")[0] for line in header.splitlines() if "resolver->" in line] == [
        METHODS[operator] for operator in operators
    ]
    built = compiled_resolver(tmp_path, header)
    assert (built.returncode, built.stderr) == (0, "")
    subprocess.run([tmp_path / "use"], check=True, timeout=30)


def test_an_operator_without_a_kernel_stops_the_compiler_with_its_name(tmp_path: Path) -> None:
    built = compiled_resolver(tmp_path, ops_header("bell", ["CONV_2D", "TOPK_V2"]))
    assert built.returncode != 0
    assert "TensorFlow Lite Micro has no kernel for TOPK_V2" in built.stderr


def test_an_operator_of_an_odd_name_is_one_line_of_the_header() -> None:
    header = ops_header("bell", ['a"\n#include "x" */ \x1b\\'])
    sentence = "TensorFlow Lite Micro has no kernel for a' #include 'x' * / \\x1b\\"
    assert [line for line in header.splitlines() if "#" in line and "x1b" in line] == [f'#error "{sentence}"']


@needs_make
@pytest.mark.parametrize(
    ("order", "bgr", "channels", "printed", "pixel"),
    [
        (None, True, 3, "BGR 210", "R, G, B."),
        (None, False, 3, "RGB 012", "R, G, B."),
        ("bgr", False, 3, "BGR 012", "B, G, R."),
        ("yuv", False, 3, "YUV 012", "Y, U, V (ITU-R BT.601, full range)."),
        (None, False, 4, "RGBA 012", "R, G, B, A."),
    ],
)
def test_the_channels_of_an_input_are_those_that_the_image_is_said_to_have(
    tmp_path: Path, order: str | None, bgr: bool, channels: int, printed: str, pixel: str
) -> None:
    colour = artifact(b"abc", shape=(1, 4, 5, channels))
    main = """#include <stdio.h>
#include "bell_io.h"
int main(void) { printf("%s %d%d%d", BELL_INPUT_ORDER, BELL_CAMERA_CHANNEL(0), BELL_CAMERA_CHANNEL(1),
                        BELL_CAMERA_CHANNEL(2)); return 0; }
"""
    files = c_files(b"abc", "bell", colour, None, NO_LEGEND, Camera(order=order, bgr=bgr))
    assert compiled(tmp_path, files, main) == printed
    assert f"A pixel is:\n   {pixel}\n" in files["bell_io.h"]


def test_the_vectors_of_the_program_are_those_of_the_bundle(whole: Path) -> None:
    text = (whole / "c" / "bell_test.c").read_text()
    assert "@" not in text
    assert "#define VECTORS 3\n#define HAS_TABLE 1\n#define RUNS 1\n" in text
