"""What firmware tools install: each package has what its tool reads, and its example compiles."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from edgecut import __version__
from edgecut.bench.image import absent
from edgecut.export.package_example import Meaning, main_c
from edgecut.records.programs import QEMU_ARM
from edgecut.runtime.files import FileRunner
from tests.command_line import run

INT8 = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"
KINDS = ("arduino", "esp-idf", "zephyr", "cmsis-pack", "platformio")
C_FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
FILES = {"tiny_camera.c", "tiny_camera.h", "tiny_run.c", "tiny_run.h"}
# What a sketch needs of Arduino's core.
ARDUINO_H = """
#pragma once
#include <cstdio>
struct Port { void begin(long) {} void println(int value) { std::printf("%d\\n", value); } };
static Port Serial;
static void delay(unsigned long) {}
void setup(); void loop();
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


@pytest.fixture
def package(request: pytest.FixtureRequest, made: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a kind, with a camera's C."""
    kind = request.param
    if not (made / kind).is_dir():
        words = ["--package", kind, "--camera", "48x64x3", "--crop", "48x48", "-o", str(made / kind)]
        answer = run(capsys, "export", str(INT8), "--format", "c", *words)
        assert answer.code == 0, answer.err
        assert f"wrote tiny_run.c and tiny_run.h, tiny_camera.c and tiny_camera.h, for {kind}: " in answer.out
    return made / kind


def of(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("package", [kind], indirect=True)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is here")
@pytest.mark.parametrize("package", KINDS, indirect=True)
def test_the_example_compiles_and_runs(package: Path, tmp_path: Path) -> None:
    sources = [path for path in package.rglob("*.c") if path.name in FILES]
    assert {path.name for path in package.rglob("tiny_*") if path.suffix in {".c", ".h"}} == FILES
    include = f"-I{sources[0].parent}"
    (main,) = [path for path in package.rglob("*") if path.name in {"main.c", "tiny_once.ino"}]
    objects = []
    for source in sources:
        objects.append(tmp_path / f"{source.stem}.o")
        subprocess.run(["cc", *C_FLAGS, include, "-c", str(source), "-o", str(objects[-1])], check=True)
    if main.suffix == ".ino":
        (tmp_path / "Arduino.h").write_text(ARDUINO_H)
        text = '#include "Arduino.h"\n' + main.read_text() + "\nint main() { setup(); loop(); return 0; }\n"
        (tmp_path / "sketch.cpp").write_text(text)
        compiler = ["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-variable"]
        command = [*compiler, include, f"-I{tmp_path}", str(tmp_path / "sketch.cpp")]
    else:
        # ESP-IDF calls app_main instead of main.
        starts = [] if "int main(" in main.read_text() else ["-Dapp_main=start", str(_starter(tmp_path))]
        command = ["cc", *C_FLAGS, include, str(main), *starts]
    text = main.read_text()
    assert all(call in text for call in ("tiny_begin(work);", "tiny_camera_row(frame, y, pixels);", "tiny_push_row("))
    assert ran([*command, *map(str, objects)], tmp_path) == class_of_black()


def ran(command: list[str], folder: Path) -> str:
    """What the program prints that the command builds; a sketch's port says nothing."""
    subprocess.run([*command, "-o", str(folder / "once")], check=True)
    return subprocess.run([str(folder / "once")], check=True, capture_output=True, text=True).stdout.strip()


def class_of_black() -> str:
    """The class that LiteRT gives for a frame of zeros, which is a picture of -128."""
    return str(int(FileRunner(INT8).predict(np.full((1, 12, 12, 1), -128, np.int8)).argmax()))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is here")
def test_an_example_without_rows_or_without_a_camera_runs(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that has no rows to push gets the whole picture; without a camera it is an empty one."""
    out = tmp_path / "plain"
    assert run(capsys, "export", str(INT8), "--format", "c", "--package", "platformio", "-o", str(out)).code == 0
    assert "tiny_run_in(work, input, output);" in (out / "examples/tiny/main.c").read_text()
    sources = [str(path) for path in out.rglob("*.c")]
    black = str(int(FileRunner(INT8).predict(np.zeros((1, 12, 12, 1), np.int8)).argmax()))
    assert ran(["cc", *C_FLAGS, f"-I{out / 'src'}", *sources], tmp_path) == black
    answer = run(
        capsys,
        "export",
        str(INT8),
        "--format",
        "c",
        "--package",
        "platformio",
        "--camera",
        "48x64x3",
        "-o",
        str(tmp_path / "c"),
    )
    assert answer.code == 0
    text = main_c("tiny", Meaning(4), camera=True, by_rows=False)
    assert "tiny_camera(frame, picture);" in text
    (tmp_path / "c/examples/tiny/main.c").write_text(text)
    sources = [str(path) for path in (tmp_path / "c").rglob("*.c")]
    assert ran(["cc", *C_FLAGS, f"-I{tmp_path / 'c' / 'src'}", *sources], tmp_path) == class_of_black()


@of("esp-idf")
def test_the_readme_says_what_it_takes_and_how_that_is_known(package: Path) -> None:
    lines = (package / "README.md").read_text().splitlines()
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| ")][1:]
    counted = "exact: the plan of its memory"
    known = [row for row in rows if "flash" not in row[0] and "stack" not in row[0]]
    assert known == [
        ("RAM: work buffer, `TINY_ARENA_BYTES`", "1680 bytes (1.64 KiB)", counted),
        ("RAM: work buffer where rows are pushed, `TINY_ROWS_ARENA_BYTES`", "1690 bytes (1.65 KiB)", counted),
        ("RAM: input, unless it is written into the work buffer", "144 bytes", counted),
        ("RAM: output", "4 bytes", counted),
        ("RAM: the camera's frame", "9216 bytes (9 KiB)", "exact: height x width x channels"),
    ]
    others = {row[0]: row[2].partition(":")[0] for row in rows if row not in known}
    assert others.keys() == {"flash: code and constants", "RAM: stack"}
    assert set(others.values()) == {"not measured" if absent() else "measured"}


def _starter(folder: Path) -> Path:
    path = folder / "starter.c"
    path.write_text("void start(void);\nint main(void) { start(); return 0; }\n")
    return path


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc is here")
@of("platformio")
def test_the_example_links_for_a_cortex_m4(package: Path, tmp_path: Path) -> None:
    sources = [str(path) for path in package.rglob("*.c")]
    cpu = ["-mcpu=cortex-m4", "-mthumb", "-Os", "--specs=nosys.specs"]
    words = ["arm-none-eabi-gcc", *cpu, f"-I{package / 'src'}", *sources, "-o", str(tmp_path / "image.elf")]
    subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "image.elf").stat().st_size > 0


@of("arduino")
def test_an_arduino_library_has_its_properties(package: Path) -> None:
    rows = dict(line.split("=", 1) for line in (package / "library.properties").read_text().splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"} <= rows.keys()
    assert (rows["name"], rows["version"], rows["architectures"]) == ("tiny", __version__, "*")
    assert rows["category"] == "Data Processing"
    assert (package / "src" / rows["includes"]).is_file()


@of("platformio")
def test_a_platformio_library_has_its_manifest(package: Path) -> None:
    manifest = json.loads((package / "library.json").read_text())
    assert (manifest["name"], manifest["version"]) == ("tiny", __version__)
    assert all((package / "src" / header).is_file() for header in manifest["headers"])
    (example,) = manifest["examples"]
    assert all((package / example["base"] / file).is_file() for file in example["files"])


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake is here")
@of("esp-idf")
def test_an_esp_idf_component_registers_its_sources(package: Path, tmp_path: Path) -> None:
    assert yaml.safe_load((package / "idf_component.yml").read_text())["version"] == __version__
    said = registered(package / "CMakeLists.txt", "idf_component_register", tmp_path)
    assert said == "SRCS;tiny_camera.c;tiny_run.c;INCLUDE_DIRS;."
    main = registered(package / "examples/tiny/main/CMakeLists.txt", "idf_component_register", tmp_path)
    assert main.startswith("SRCS;main.c")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake is here")
@of("zephyr")
def test_a_zephyr_module_names_its_sources_and_its_option(package: Path, tmp_path: Path) -> None:
    module = yaml.safe_load((package / "zephyr/module.yml").read_text())
    assert module == {"name": "tiny", "build": {"cmake": ".", "kconfig": "Kconfig"}}
    assert (package / "Kconfig").read_text().startswith("config TINY\n\tbool ")
    assert "CONFIG_TINY=y\n" in (package / "samples/tiny/prj.conf").read_text()
    said = registered(package / "CMakeLists.txt", "zephyr_library_sources", tmp_path, "CONFIG_TINY")
    assert said == "src/tiny_camera.c;src/tiny_run.c"


def registered(lists: Path, function: str, folder: Path, *options: str) -> str:
    """What a CMakeLists.txt passes to a function of its tool, by CMake itself."""
    stubs = "".join(f"function({name})\nendfunction()\n" for name in ("zephyr_library", "zephyr_include_directories"))
    switched = "".join(f"set({option} y)\n" for option in options)
    script = f'{stubs}{switched}function({function})\nmessage(NOTICE "${{ARGN}}")\nendfunction()\ninclude("{lists}")\n'
    (folder / "probe.cmake").write_text(script)
    words = ["cmake", "-P", str(folder / "probe.cmake")]
    return subprocess.run(words, check=True, capture_output=True, text=True).stderr.strip()


@of("cmsis-pack")
def test_a_cmsis_pack_describes_what_it_holds(package: Path) -> None:
    tree = ElementTree.parse(package / "edgecut.tiny.pdsc").getroot()
    assert [tree.findtext(tag) for tag in ("vendor", "name")] == ["edgecut", "tiny"]
    names = [each.get("name") for each in tree.iter("file")]
    with zipfile.ZipFile(io.BytesIO((package / f"edgecut.tiny.{__version__}.pack").read_bytes())) as archive:
        assert archive.testzip() is None
        assert {*names, "edgecut.tiny.pdsc"} == set(archive.namelist())
        for name in names:
            assert archive.read(str(name)) == (package / str(name)).read_bytes()
    releases = tree.findall("releases/release")
    assert [release.get("version") for release in releases] == [__version__]


def test_what_cannot_be_measured_here_is_unknown_in_the_readme(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecut.bench.image.absent", lambda: (QEMU_ARM,))
    out = tmp_path / "c"
    assert run(capsys, "export", str(INT8), "--format", "c", "--package", "zephyr", "-o", str(out)).code == 0
    why = "not measured: qemu-system-arm isn't here, and this needs it; install the package qemu-system-arm"
    text = (out / "README.md").read_text()
    assert f"| flash: code and constants | unknown | {why} |\n| RAM: stack | unknown | {why} |\n" in text
    assert "which the flash above has in it" not in text


def test_what_is_no_camera_or_isnt_for_c_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for words, sentence in [
        (("--camera", "48"), "'--camera': '48' is no frame; height x width x channels (1 or 3) is expected, such as "
                             "240x320x3"),
        (("--camera", "8x8", "--crop", "8x8x3"),
         "'--crop': '8x8x3' is no part of a frame; height x width is expected, such as 240x240"),
        (("--camera", "8x8", "--crop", "0x8"),
         "'--crop': '0x8' is no part of a frame; height x width is expected, such as 240x240"),
        (("--crop", "8x8"), "--crop: is a part of the camera's frame; pass --camera, too"),
        (("--camera", "8x8", "--crop", "9x8"), "--crop: 9x8 is larger than the camera's frame of 8x8"),
    ]:  # fmt: skip
        answer = run(capsys, "export", str(INT8), "--format", "c", *words, "-o", str(out))
        assert answer.code == 2
        assert sentence in answer.err
        assert not out.exists()
    answer = run(capsys, "export", str(INT8), "--package", "arduino", "-o", str(tmp_path / "m.tflite"))
    assert (answer.code, answer.err) == (
        2, "edgecut: error: --package, --camera, --crop: are for --format c; pass it, too\n",
    )  # fmt: skip
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    answer = run(capsys, "export", str(INT8), "--format", "c", "--package", "arduino", "-o", str(out))
    assert (answer.code, [path.name for path in out.iterdir()]) == (2, ["mine.txt"])
