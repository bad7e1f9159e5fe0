"""Pictures as Parquet, Arrow and WebDataset files, for tests."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.images.device import PictureForm

FORM = PictureForm(6, 5, 3)
NAMES = ("ant", "bee")


def png_bytes(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (7, 6, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = [(f"{k:03}", png_bytes(k), int(k >= 5)) for k in range(10)]
"""(key, bytes, class), in the order that class folders have."""


def write_tar(path: Path, members: Mapping[str, bytes | str]) -> str:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def tar_members(pictures: Sequence[tuple[str, bytes, int]], *, named: bool = True) -> dict[str, bytes | str]:
    return {
        name: content
        for key, picture, label in pictures
        for name, content in ((f"{key}.png", picture), (f"{key}.cls", NAMES[label] if named else str(label)))
    }


def picture_table(
    pictures: Sequence[tuple[str, bytes | None, Any]] = PICTURES, *, declared: bool = True, **more: Any
) -> Any:
    """A table as Hugging Face's datasets writes one of pictures."""
    pa = pytest.importorskip("pyarrow", reason="pip install 'edgecut[parquet]'")
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(NAMES)}}
    columns = {
        "image": pa.array(
            [{"bytes": content, "path": f"{key}.png"} for key, content, _ in pictures],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "label": [label for _, _, label in pictures],
        **more,
    }
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata(metadata) if declared else table


def write_parquet(path: Path, table: Any, rows: int = 3) -> str:
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path, row_group_size=rows)
    return str(path)


def write_arrow(path: Path, table: Any, *, stream: bool) -> str:
    import pyarrow as pa

    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return str(path)
