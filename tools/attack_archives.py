"""Hostile archives for tools/attack: links and storage outside of HDF5 files, flipped bytes, tricks of zip archives."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from attack_case import ROOT, Case, Place, model_commands
from attack_keras import GADGETS, archive_of, base, with_gadget, write_h5


def hdf5_cases(rng: random.Random) -> Iterator[Case]:
    """Links and storage outside of the file, objects that aren't what they should be, and flipped bytes."""
    for name in _LINKS:
        for container in ("keras", "h5"):
            yield Case("hdf5", f"{name} in .{container}", partial(_put_link, name, container))
    for k in range(24):
        place, bit = rng.random(), rng.randrange(8)
        yield Case("hdf5", f"flip {k}", partial(_put_flip, place, bit))
    yield Case("hdf5", "a flip that HDF5 walks for ever", _put_known_flip)


def zip_cases(rng: random.Random) -> Iterator[Case]:
    """Archives that say other than they hold."""
    for name in _ZIPS:
        yield Case("zip", name, partial(_put_zip, name))
    for k in range(12):
        yield Case("zip", f"directory damaged {k}", partial(_put_zip_damage, rng.random(), rng.randrange(256)))


_LINKS = (
    "external link",
    "external storage",
    "virtual",
    "soft loop",
    "hard loop",
    "huge dataset",
    "named type",
    "object for a group",
    "reference",
    "filter",
    "huge attribute",
    "string weights",
)


def _put_link(name: str, container: str, place: Place) -> list[list[str]]:
    import h5py
    import numpy as np

    config, members = base()
    raw = place.input / "weights.h5"
    if container == "keras":
        raw.write_bytes(members.pop("model.weights.h5"))
    else:
        write_h5(raw, config)
    with h5py.File(place.box / "other.h5", "w") as other:
        other.create_dataset("x", data=np.frombuffer(Path(place.secret).read_bytes(), np.uint8))
    with h5py.File(raw, "r+") as file:
        found: list[str] = []
        file.visititems(lambda path, item: found.append(path) if isinstance(item, h5py.Dataset) else None)
        target = next(path for path in found if "stem_conv" in path or "conv" in path)
        shape = file[target].shape
        if name != "huge attribute":
            del file[target]
        match name:
            case "external link":
                file[target] = h5py.ExternalLink(str(place.box / "other.h5"), "/x")
            case "external storage":
                file.create_dataset(target, shape, "f4", external=[(place.secret, 0, h5py.h5f.UNLIMITED)])
            case "virtual":
                layout = h5py.VirtualLayout(shape, "f4")
                layout[...] = h5py.VirtualSource(str(place.box / "other.h5"), "x", shape)
                file.create_virtual_dataset(target, layout)
            case "soft loop":
                file[target] = h5py.SoftLink(f"/{target}")
            case "hard loop":
                file[target] = file["/"]
            case "huge dataset":
                file.create_dataset(target, (1 << 20, 1 << 20), "f4", chunks=(1, 1 << 10))
            case "named type":
                file[target] = np.dtype("f4")
            case "object for a group":
                file.create_group(target)
            case "reference":
                file.create_dataset(target, data=file["/"].ref, dtype=h5py.ref_dtype)
            case "filter":
                file.create_dataset(target, (1 << 28,), "u1", chunks=(1 << 28,), compression="gzip", fillvalue=1)
                file[target][:1] = 0
            case "huge attribute":
                file[target].attrs["x"] = np.zeros(8000)
            case "string weights":
                file.create_dataset(target, data=["x"], dtype=h5py.string_dtype())
    path = place.input / f"m.{container}"
    if container == "keras":
        content = {"config.json": json.dumps(config).encode(), **members, "model.weights.h5": raw.read_bytes()}
        path.write_bytes(archive_of(content))
    else:
        raw.rename(path)
    return model_commands(path, place)


def _put_flip(place_in_file: float, bit: int, place: Place) -> list[list[str]]:
    path = place.input / "m.h5"
    write_h5(path, base()[0])
    content = bytearray(path.read_bytes())
    content[int(place_in_file * len(content))] ^= 1 << bit
    path.write_bytes(content)
    return model_commands(path, place)[:2]


def _put_known_flip(place: Place) -> list[list[str]]:
    real = ROOT / "real" / "rock_paper_scissors.h5"
    if not real.is_file():
        return []
    content = bytearray(real.read_bytes())
    content[7409] = 8
    path = place.input / "m.h5"
    path.write_bytes(content)
    return [["inspect", str(path), "--json"]]


_ZIPS = (
    "parent",
    "absolute",
    "link",
    "twice",
    "bomb",
    "lying size",
    "many",
    "encrypted",
    "unknown method",
    "nested",
    "prefix",
    "NUL in a name",
    "windows name",
    "config elsewhere",
    "directory named config.json",
    "zip64 lie",
)


def _put_zip(name: str, place: Place) -> list[list[str]]:
    config, members = base()
    members["config.json"] = json.dumps(config).encode()
    path, out = place.input / "m.keras", io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        match name:
            case "parent":
                archive.writestr("../../canary", "x")
            case "absolute":
                archive.writestr(place.canary, "x")
            case "windows name":
                archive.writestr("..\\..\\canary", "x")
            case "link":
                info = zipfile.ZipInfo("assets")
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, str(place.box))
                archive.writestr("assets/canary", "x")
            case "twice":
                other = with_gadget(base()[0], "class", GADGETS["lambda"](place))
                archive.writestr("config.json", json.dumps(other))
            case "bomb":
                archive.writestr("metadata.json ", b"\0" * (1 << 29))
            case "many":
                for k in range(20_000):
                    archive.writestr(f"assets/{k}", "")
            case "nested":
                archive.writestr("config.json.zip", archive_of(members))
            case "NUL in a name":
                archive.writestr("config.json\0x", "{}")
            case "directory named config.json":
                archive.writestr("config.json/", "")
    content = out.getvalue()
    at = content.rindex(b"PK\x01\x02", 0, len(content))
    match name:
        case "lying size":
            content = content[: at + 24] + struct.pack("<I", 1 << 31) + content[at + 28 :]
        case "zip64 lie":
            content = content[: at + 24] + struct.pack("<I", 0xFFFFFFFF) + content[at + 28 :]
        case "encrypted":
            content = content[: at + 8] + b"\x01\x00" + content[at + 10 :]
        case "unknown method":
            content = content[: at + 10] + struct.pack("<H", 77) + content[at + 12 :]
        case "prefix":
            content = b"#!/bin/sh\ntouch canary\n" + content
        case "config elsewhere":
            content = content.replace(b"config.json", b"confih.json")
    path.write_bytes(content)
    return model_commands(path, place)


def _put_zip_damage(where: float, value: int, place: Place) -> list[list[str]]:
    content = bytearray(archive_of({"config.json": json.dumps(base()[0]).encode(), **base()[1]}))
    start = content.index(b"PK\x01\x02")
    content[start + int(where * (len(content) - start))] = value
    (place.input / "m.keras").write_bytes(content)
    return model_commands(place.input / "m.keras", place)[:2]


CASES: Sequence[Callable[[random.Random], Iterator[Case]]] = (hdf5_cases, zip_cases)
