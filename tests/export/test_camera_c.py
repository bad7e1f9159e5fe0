"""A camera's frame becomes the picture in C as in Python, to the byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecut.export.camera_c import Frame, camera_files, spans
from edgecut.images.device import to_device

FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-O1", "-fsanitize=address,undefined"]
MAIN = """
#include <stdio.h>
#include "{name}_camera.h"
static uint8_t frame[{frame}], picture[{picture}];
int main(void) {{
    while (fread(frame, 1, sizeof frame, stdin) == sizeof frame) {{
        int y;
        {name}_camera(frame, picture);
        for (y = 0; y < {height}; y++) {{
            uint8_t row[{row}];
            int x;
            {name}_camera_row(frame, y, row);
            for (x = 0; x < {row}; x++) if (row[x] != picture[y * {row} + x]) return 1;
        }}
        fwrite(picture, 1, sizeof picture, stdout);
    }}
    return 0;
}}
"""
CASES = [
    (Frame((240, 320), 3, (240, 240)), (96, 96, 1)),
    (Frame((120, 160), 1), (96, 96, 1)),
    (Frame((120, 160), 3), (120, 160, 3)),
    (Frame((31, 47), 3, (29, 31)), (17, 40, 3)),
    (Frame((20, 20), 1, (11, 20)), (33, 7, 3)),
    (Frame((9, 5), 3), (1, 1, 1)),
]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is here")
@pytest.mark.parametrize(("frame", "picture"), CASES)
def test_every_byte_is_that_of_the_picture_in_python(
    frame: Frame, picture: tuple[int, int, int], tmp_path: Path
) -> None:
    for name, text in camera_files("net", frame, picture).items():
        (tmp_path / name).write_text(text)
    height, width, channels = picture
    sizes = {"frame": frame.size[0] * frame.size[1] * frame.channels, "picture": height * width * channels}
    (tmp_path / "main.c").write_text(MAIN.format(name="net", height=height, row=width * channels, **sizes))
    subprocess.run(["cc", *FLAGS, "main.c", "net_camera.c", "-o", "run"], cwd=tmp_path, check=True)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (6, *frame.size, frame.channels), dtype=np.uint8)
    frames[0], frames[1, ::2], frames[2, :, ::2] = 255, 0, 255
    said = subprocess.run([tmp_path / "run"], input=frames.tobytes(), capture_output=True, check=True).stdout
    top, left, crop_height, crop_width = frame.part
    cropped = frames[:, top : top + crop_height, left : left + crop_width]
    expected = b"".join(to_device(each, *picture).tobytes() for each in cropped)
    assert said == expected


@pytest.mark.parametrize(("source", "target"), [(240, 96), (96, 240), (7, 7), (5, 1), (1, 5), (1000, 3)])
def test_the_weights_are_pillows(source: int, target: int) -> None:
    """A frame with one bright position tells each weight that Pillow gives it, to the byte."""
    for bright in range(0, source, max(1, source // 20)):
        line = np.zeros((1, source), np.uint8)
        line[0, bright] = 255
        resized = np.asarray(Image.fromarray(line).resize((target, 1), Image.Resampling.BILINEAR))[0]
        rows = spans(source, target)
        own = [row.weights[bright - row.first] if 0 <= bright - row.first < len(row.weights) else 0 for row in rows]
        assert [min(255, ((1 << 21) + 255 * weight) >> 22) for weight in own] == resized.tolist()
