"""Files that are damaged or hostile end in one sentence that names them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper

from edgecut.errors import SourceError
from edgecut.graph.saved import config_of, keras_version, kind_of
from edgecut.runtime.onnx_graph import read_onnx

FIXTURES = Path(__file__).parent.parent / "fixtures"


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.json", content)
    return path


def test_an_archive_that_unpacks_to_very_much_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.keras", config=b" " * (65 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(SourceError) as caught:
        kind_of(str(path))
    assert str(caught.value) == (
        f"{path}: its config.json unpacks to 68,157,440 bytes, and at most 67,108,864 are read; get the file from a "
        "source that you trust"
    )


def test_an_archive_of_very_many_members_is_not_unpacked(tmp_path: Path) -> None:
    """Keras unpacks each by itself: 20,000 take 20 s and more."""
    members = {f"assets/{number}": b"" for number in range(20_000)}
    path = archive(tmp_path / "m.keras", config=b"{}", **members)
    with pytest.raises(SourceError) as caught:
        kind_of(str(path))
    assert str(caught.value) == (
        f"{path}: its archive has 20,001 members, and at most 1,000 are read; get the file from a source that you trust"
    )


@pytest.mark.parametrize("metadata", [b"{", b"\xff", b""])
def test_damaged_metadata_is_said_to_be_damaged(tmp_path: Path, metadata: bytes) -> None:
    path = archive(tmp_path / "m.keras", config=json.dumps({}).encode(), metadata=metadata)
    with pytest.raises(SourceError) as caught:
        keras_version(str(path))
    assert str(caught.value).startswith(f"{path}: is truncated or damaged (")


def test_metadata_without_a_version_says_none(tmp_path: Path) -> None:
    assert keras_version(str(archive(tmp_path / "m.keras", config=b"{}", metadata=b"[1]"))) is None
    assert keras_version(str(archive(tmp_path / "n.keras", config=b"{}"))) is None


def test_an_archive_whose_member_is_overwritten_is_damaged(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", config=b"{}", metadata=b"{}")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x03\x04")] = 0
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        keras_version(str(path))
    assert str(caught.value) == (
        f"{path}: is truncated or damaged (Bad magic number for file header); fetch or save it again"
    )


def test_an_onnx_file_with_a_name_that_is_no_text_is_damaged(tmp_path: Path) -> None:
    model = onnx.load(FIXTURES / "tiny.float32.onnx")
    name = model.graph.node[0].output[0].encode()
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString().replace(name, b"\xff" * len(name)))
    with pytest.raises(SourceError) as caught:
        read_onnx(path)
    assert str(caught.value) == f"{path}: is a damaged .onnx file (a name in it is no text); get it again"


def test_an_onnx_function_that_calls_itself_is_no_sound_file(tmp_path: Path) -> None:
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    call = helper.make_node("Again", ["x"], ["y"], domain="own")
    again = helper.make_function("own", "Again", ["x"], ["y"], [call], versions)
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([call], "g", ends[:1], ends[1:])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=versions, functions=[again]), path)
    with pytest.raises(SourceError) as caught:
        read_onnx(path)
    assert str(caught.value).startswith(f"{path}: is a damaged .onnx file (Cycle detected in model-local function ref")


@pytest.mark.parametrize("config", [np.arange(3), np.void(b"\xff"), "[" * 60_000, "{"],
                         ids=["numbers", "bytes", "deep", "cut off"])  # fmt: skip
def test_an_h5_file_whose_configuration_is_no_text_of_one_is_damaged(tmp_path: Path, config: object) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config
        file.attrs["keras_version"] = np.arange(3)
    with pytest.raises(SourceError) as caught:
        config_of(str(path))
    assert str(caught.value).startswith(f"{path}: is truncated or damaged (")
    assert keras_version(str(path)) is None
