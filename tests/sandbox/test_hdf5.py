"""HDF5 files that a child process reads first: what they reach for, and what they do to their reader."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgecut.errors import SourceError
from edgecut.graph.saved import config_of, keras_version
from edgecut.sandbox.hdf5 import are_zeros, check_hdf5


def whole(path: Path, *, deflated: bool = False) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": {"layers": []}}'
        numbers = np.arange(4096, dtype="float32")
        file.create_dataset("model_weights/dense/kernel", data=numbers, compression="gzip" if deflated else None)
    return path


def archive(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", content)
    return path


def archived(path: Path) -> Path:
    return archive(path.with_suffix(".keras"), path.read_bytes())


def plain(path: Path) -> Path:
    return path


BOTH = pytest.mark.parametrize("form", [plain, archived])
Form = Callable[[Path], Path]


@BOTH
def test_a_sound_file_reaches_for_nothing(form: Form, tmp_path: Path) -> None:
    assert check_hdf5(form(whole(tmp_path / "m.h5", deflated=True))) == ()


@BOTH
def test_links_and_numbers_elsewhere_are_named_and_not_opened(form: Form, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    os.mkfifo(secret)  # whoever opened it would wait
    path = whole(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file["model_weights/linked"] = h5py.ExternalLink(str(secret), "/x")
        file.create_dataset("model_weights/outside", (4,), "float32", external=[(str(secret), 0, 16)])
        layout = h5py.VirtualLayout((4,), "float32")
        layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
        file.create_virtual_dataset("model_weights/virtual", layout)
        file["model_weights/soft"] = h5py.SoftLink("/model_weights")
        file["model_weights/circle"] = file["model_weights"]
    assert sorted(check_hdf5(form(path))) == [
        f"its weights 'model_weights/linked' are a link to the file {str(secret)!r}",
        f"its weights 'model_weights/outside' lie in the file {str(secret)!r}",
        f"its weights 'model_weights/virtual' lie in the file {str(secret)!r}",
    ]


@BOTH
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_unpacks_to_more_than_the_room_is_refused_unread(
    compression: str | None, form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers that were never written."""
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=1GiB")
    path = whole(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("bomb", (1 << 40,), "float32", chunks=(1 << 20,), compression=compression)
    checked = form(path)
    with pytest.raises(SourceError) as refusal:
        check_hdf5(checked)
    assert str(refusal.value) == (
        f"{checked}: 'bomb' brings what it unpacks to over 536,870,912 bytes; "
        "EDGECUT_LIMITS='bytes=2GiB' raises the limit"
    )


def test_an_archive_that_unpacks_to_more_than_the_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=1GiB")
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.weights.h5", b"")
        file.getinfo("model.weights.h5").file_size = 1 << 40
    with pytest.raises(SourceError) as refusal:
        check_hdf5(path)
    assert str(refusal.value) == (
        f"{path}: 'model.weights.h5' brings what it unpacks to over 536,870,912 bytes; EDGECUT_LIMITS='bytes=2GiB' "
        "raises the limit"
    )


def test_a_file_that_is_damaged_in_h5pys_own_words_is_left_to_its_reader(tmp_path: Path) -> None:
    content = whole(tmp_path / "m.h5").read_bytes()
    (tmp_path / "m.h5").write_bytes(content[:1000])
    assert check_hdf5(tmp_path / "m.h5") == ()
    assert check_hdf5(archive(tmp_path / "m.keras", content[:1000])) == ()


@pytest.mark.parametrize("reader", [config_of, keras_version])
def test_a_configuration_is_read_by_a_child_alone_and_no_weights(
    reader: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=1GiB")
    path = whole(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = "2.8.0"
        file.create_dataset("bomb", (1 << 40,), "float32", chunks=(1024,))
    monkeypatch.setattr(h5py, "File", None)
    assert (
        reader(str(path))
        == {
            config_of: {"class_name": "Sequential", "config": {"layers": []}},
            keras_version: "2.8.0",
        }[reader]
    )


@pytest.mark.parametrize("member", ["", "model.weights.h5"])
def test_a_vector_of_zeros_is_found_where_it_is_and_of_its_layer(member: str, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for name, values in (("still", np.zeros(3)), ("moved", np.ones(3))):
            file.create_dataset(f"layers/{name}/vars/1", data=values)
            file[f"layers/{name}/vars"].attrs["name"] = name
        file["linked"] = h5py.ExternalLink("other.h5", "/layers")
    path = archived(path) if member else path
    asked = [
        (["layers/still/vars/1"], "still"), (["nowhere", "layers/moved/vars/1"], "moved"),
        (["layers/still/vars/1"], "moved"), (["linked"], "still"),
    ]  # fmt: skip
    assert are_zeros(path, member, asked) == (True, False, None, None)


def test_what_h5py_refuses_is_said(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(whole(path).read_bytes()[:1000])
    with pytest.raises(SourceError) as caught:
        config_of(str(path))
    assert str(caught.value).startswith(f"{path}: is truncated or damaged (Unable to synchronously open file")


@pytest.mark.real
def test_a_file_in_which_hdf5_finds_no_end_is_stopped(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte of the heap of texts."""
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=1")
    content = bytearray((real / "rock_paper_scissors.h5").read_bytes())
    content[7409] = 8
    path = tmp_path / "m.h5"
    path.write_bytes(content)
    with pytest.raises(SourceError) as refusal:
        config_of(str(path))
    assert str(refusal.value) == (
        f"{path}: the child process that ran it was stopped after 1 s; a loop in the file may have no end, else "
        "EDGECUT_LIMITS='seconds=2' raises the limit"
    )
