"""Hostile and broken files for tools/fuzz.py, by kind: hypothesis strategies that write one input into a folder.

Each kind is a Surface: the strategy of its inputs, how one is written, and the commands that read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tomllib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_strategies import (
    WORDS,
    Payload,
    altered,
    altered_onnx,
    altered_tflite,
    archives,
    beyond_toml,
    damaged,
    model_archives,
)
from hypothesis import strategies as st
from PIL import Image

from edgecut.records.toml_text import toml_text

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "edgecut" / "demo_data"
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass(frozen=True)
class Surface:
    """One kind of input. put: (folder, input) -> the path; commands: path -> command lines of edgecut."""

    inputs: st.SearchStrategy[Any]
    put: Callable[[Path, Any], Path]
    commands: Callable[[Path], Sequence[Sequence[str]]]
    share: float
    heavy: bool = False


def surfaces(bundle: Path) -> Mapping[str, Surface]:
    """All kinds by name. bundle: a sound bundle, which is copied and damaged."""
    recipe = tomllib.loads((DEMO / "recipe.toml").read_text())
    full = {**recipe, "cut": {"from": "stem_relu", "drop": ["a..b"], "replace": [{"range": "a..b", "with": "f"}]}}
    profiles = [
        path.read_bytes().replace(f'id = "{path.stem}"'.encode(), b'id = "device"')
        for path in sorted((ROOT / "profiles").glob("*.toml"))[::6]
    ]
    model = (DEMO / "cifar10_backbone.keras").read_bytes()
    return {
        "recipe": Surface(
            damaged([(DEMO / "recipe.toml").read_bytes()]) | altered([recipe, full]).map(_toml) | beyond_toml(),
            lambda folder, content: _write_beside_the_demo(folder / "recipe.toml", content),
            lambda path: [["plan", str(path), "--json"]], .25,
        ),
        "profile": Surface(
            damaged(profiles) | altered([tomllib.loads(p.decode()) for p in profiles]).map(_toml) | beyond_toml(),
            lambda folder, content: _write(folder / "device.toml", content),
            lambda path: [["profile", "check", str(path)], ["profile", "show", str(path), "--json"]], .15,
        ),
        "tflite": Surface(
            damaged([path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite"))], 2)
            | altered_tflite([path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite"))]),
            lambda folder, content: _write(folder / "m.tflite", content),
            _inspected_and_run, .2,
        ),
        "onnx": Surface(
            damaged([path.read_bytes() for path in sorted(FIXTURES.glob("*.onnx"))], 2)
            | altered_onnx([path.read_bytes() for path in [*sorted(FIXTURES.glob("*.onnx")), *_node_tests()]]),
            lambda folder, content: _write(folder / "m.onnx", content),
            _inspected_and_run, .1,
        ),
        "npz": Surface(
            damaged([_npz()]) | archives(),
            lambda folder, content: _write(folder / "d.npz", content),
            lambda path: [
                ["plan", str(DEMO / "recipe.toml"), "--data", str(path)],
                ["fuzz-data", str(path)],
            ], .1,
        ),
        "image": Surface(
            damaged(_pictures(), 3) | st.sampled_from(_bombs())
            | st.sampled_from(["pipe", "loop", "nowhere", "folder"]),
            lambda folder, content: _class_folders(folder, content),
            lambda path: [["fuzz-data", str(path)]], .1,
        ),
        "bundle": Surface(
            _bundle_changes(bundle),
            lambda folder, content: _bundle(folder, bundle, *content),
            lambda path: [["verify", str(path)]], .05,
        ),
        "keras": Surface(
            damaged([model]) | model_archives(model),
            lambda folder, content: _write(folder / "m.keras", content),
            lambda path: [["inspect", str(path), "--json"]], .1, heavy=True,
        ),
    }  # fmt: skip


def _npz() -> bytes:
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    pixels = rng.integers(0, 256, (12, 8, 8, 3), np.uint8)
    np.savez(out, x_train=pixels, y_train=np.arange(12) % 3, x_test=pixels, y_test=np.arange(12) % 3)
    return out.getvalue()


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    colour = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "JPEG2000", "ICO", "DIB", "AVIF")
    for shape, kinds in (((8, 9, 3), colour), ((8, 9), ("PNG", "PPM", "TIFF", "JPEG2000"))):
        for kind in kinds:
            out = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(out, kind)
            found.append(out.getvalue())
    return found


def _bombs() -> list[bytes]:
    """PNG files of a few bytes that claim, or hold, very many pixels; and a pickle named as a picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def png(width: int, height: int, rows: int) -> bytes:
        lines = zlib.compress(bytes((width + 1) * rows), 9)
        start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", lines) + chunk(b"IEND", b"")

    return [png(2**31 - 1, 2**31 - 1, 0), png(30000, 30000, 1), png(12000, 12000, 100), png(0, 0, 0), png(1, 1, 1),
            pickle.dumps(Payload())]  # fmt: skip


def _bundle_changes(bundle: Path) -> st.SearchStrategy[Any]:
    """(which file or what else, its new content): documents altered, links and names from outside, models damaged."""
    documents = ("manifest.json", "report.json", "vectors/vectors.json")
    models = sorted((bundle / "models").iterdir())
    return (
        st.one_of(
            *(st.tuples(st.just(name), altered([json.loads((bundle / name).read_bytes())])) for name in documents)
        )
        | st.tuples(st.sampled_from(["link", "outside", "recipe"]), st.sampled_from(WORDS))
        | st.one_of(*(st.tuples(st.just(f"models/{path.name}"), damaged([path.read_bytes()])) for path in models))
    )


def _class_folders(folder: Path, content: bytes | str) -> Path:
    sound = _pictures()[0]
    for name in ("one", "two"):
        (folder / "images" / name).mkdir(parents=True)
        for k in range(3):
            (folder / "images" / name / f"{k}.png").write_bytes(sound)
    path = folder / "images" / "one" / "9.png"
    match content:
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(folder / "images")
        case "nowhere":
            path.symlink_to("nowhere")
        case "folder":
            path.mkdir()
        case bytes():
            path.write_bytes(content)
    return folder / "images"


def _bundle(folder: Path, sound: Path, what: str, value: Any) -> Path:
    copy = folder / "bundle"
    shutil.copytree(sound, copy)
    if what == "link":
        target = copy / "labels.txt"
        target.unlink()
        target.symlink_to("/etc/hostname" if value else ".")
    elif what == "outside":
        manifest = json.loads((copy / "manifest.json").read_bytes())
        manifest["files"].append({"path": f"../{value}", "sha256": "0" * 64, "size_bytes": 0})
        _write(copy / "manifest.json", json.dumps(manifest).encode())
    elif what == "recipe":
        _write(copy / "recipe.toml", value.encode())
    else:
        _write(copy / what, value if isinstance(value, bytes) else json.dumps(value).encode())
    _seal(copy)
    return copy


def _seal(bundle: Path) -> None:
    """Makes the hashes true again, as a forger would."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    files = manifest.get("files") if isinstance(manifest, dict) else None
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str) and entry["path"].isprintable():
            file = bundle / entry["path"]
            if len(entry["path"]) < 200 and bundle in file.resolve().parents and file.is_file():
                entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
                entry["size_bytes"] = file.stat().st_size
    path.write_bytes(json.dumps(manifest).encode())
    (bundle / "manifest.sha256").write_bytes(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  manifest.json\n".encode()
    )


def _inspected_and_run(path: Path) -> list[list[str]]:
    """inspect and two cuts, which run the whole file; of some files also what takes seconds."""
    part, name = path.with_stem("part"), str(path)
    commands = [
        ["inspect", name, "--json"],
        ["cut", name, "--to", "0", "-o", str(part)],
        ["cut", name, "--from", "0", "-o", str(part.with_stem("tail"))],
    ]
    if path.suffix == ".tflite":
        commands.append(["export", name, "--format", "c", "-o", str(path.with_name("plain_c"))])
    match hashlib.sha256(path.read_bytes()).digest()[0] % 16:
        case 0:
            commands.append(["bench", name, "--runs", "1", "--warmup", "0", "--profile", "esp32s3-esp-tflite-micro"])
        case 1:
            commands.append(["compare", str(FIXTURES / f"tiny.int8{path.suffix}"), name])
    return commands


def _node_tests() -> list[Path]:
    """The smaller models of ONNX's own operator tests, one of each kind of operator and more."""
    import onnx

    tests = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    return [path for path in sorted(tests.glob("*/model.onnx"))[::4] if path.stat().st_size < 20_000]


def _toml(tables: Any) -> bytes:
    # What TOML can't say (null in a list) is left as noise.
    try:
        return toml_text(tables).encode(errors="replace")
    except (TypeError, AttributeError):
        return repr(tables).encode(errors="replace")


def _write_beside_the_demo(path: Path, content: bytes) -> Path:
    for file in DEMO.iterdir():
        (path.parent / file.name).symlink_to(file)
    path.unlink(missing_ok=True)
    return _write(path, content)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
