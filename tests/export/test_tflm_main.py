"""The minimal program around TFLM compiles with stand-ins of its headers, and gives the class of a picture."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecut.engine import generate
from edgecut.export.c_ops import METHODS
from tests.export.test_c_test import STUB
from tests.handoff.test_bundle import FIXTURES, bundle

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler (c++) is here")
ARENA = "-DBELL_TFLM_ARENA_BYTES=4096"
# TFLM's calls, over the model's plain C.
INTERPRETER = """
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "bell_run.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#define TFLITE_SCHEMA_VERSION (3)
struct TfLiteTensor { union { void* data; int8_t* int8; } data; size_t bytes; };
namespace tflite {
struct Model { int version() const { return 3; } };
inline const Model* GetModel(const void*) { static Model model; return &model; }
inline void InitializeTarget() {}
class MicroInterpreter {
 public:
  template <typename Resolver>
  MicroInterpreter(const Model*, const Resolver& resolver, uint8_t*, size_t) : used_(resolver.used) {
    in_.data.data = input_; in_.bytes = sizeof(input_); out_.data.data = output_; out_.bytes = sizeof(output_);
  }
  TfLiteStatus AllocateTensors() { return used_ == BELL_OP_COUNT ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus Invoke() { return bell_run(input_, output_) == 0 ? kTfLiteOk : kTfLiteError; }
  size_t inputs_size() const { return 1; }
  TfLiteTensor* input(size_t) { return &in_; }
  TfLiteTensor* output(size_t) { return &out_; }
 private:
  unsigned int used_;
  int8_t input_[BELL_INPUT_BYTES];
  int8_t output_[BELL_OUTPUT_BYTES];
  TfLiteTensor in_, out_;
};
}
"""


def built(folder: Path, file: str, *flags: str, vector: int = 0) -> subprocess.CompletedProcess[str]:
    """The program of a bundle's c folder, with the interpreter's stand-in, on the picture of a golden vector."""
    here = bundle(folder / "dist", (file,)) / "c"
    picture = ", ".join(map(str, (here.parent / f"vectors/camera_{vector}.bin").read_bytes()))
    text = (here / "bell_tflm.cc").read_text()
    assert "picture[BELL_INPUT_COUNT] = {0};" in text
    (here / "bell_tflm.cc").write_text(text.replace("= {0};", f"= {{{picture}}};"))
    for name, text in generate(FIXTURES / "tiny.int8.tflite", "bell").files.items():
        (here / name).write_text(text)
    lite = folder / "tensorflow" / "lite"
    (lite / "micro").mkdir(parents=True)
    (lite / "schema").mkdir()
    methods = "".join(f"  TfLiteStatus {method}() {{ return Add(); }}\n" for method in METHODS.values())
    (lite / "micro/micro_mutable_op_resolver.h").write_text(STUB.replace("METHODS", methods))
    (lite / "micro/micro_interpreter.h").write_text(INTERPRETER.replace("BELL_OP_COUNT", "5"))
    for name in ("micro/system_setup.h", "schema/schema_generated.h"):
        (lite / name).write_text("#pragma once\n")
    for name in ("bell_model", "bell_run"):
        subprocess.run(["cc", "-c", f"{here / name}.c", "-o", str(folder / f"{name}.o")], check=True)
    words = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", *flags, f"-I{folder}", f"-I{here}"]
    parts = [str(here / "bell_tflm.cc"), str(folder / "bell_model.o"), str(folder / "bell_run.o")]
    return subprocess.run(
        [*words, *parts, "-o", str(folder / "once")], capture_output=True, text=True, timeout=120, check=False
    )


def test_it_prints_the_class_of_the_picture_that_takes_the_place(tmp_path: Path) -> None:
    made = built(tmp_path, "int8.tflite", ARENA, vector=0)
    assert (made.returncode, made.stderr) == (0, "")
    said = subprocess.run([tmp_path / "once"], capture_output=True, text=True, check=True, timeout=60).stdout
    expected = np.fromfile(tmp_path / "dist/vectors/expected_0.bin", np.int8)
    assert said == f"{expected.argmax()}\n"


def test_without_a_known_arena_the_compiler_says_what_to_define(tmp_path: Path) -> None:
    made = built(tmp_path, "int8.tflite")
    assert made.returncode != 0
    assert '"define BELL_TFLM_ARENA_BYTES: nothing has measured or estimated the tensor arena"' in made.stderr
