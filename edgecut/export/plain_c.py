"""An int8 .tflite file with the C that is generated from it, in one folder."""

from __future__ import annotations

from pathlib import Path

from edgecut.engine import Generated, generate
from edgecut.engine.c_text import c_symbol
from edgecut.errors import OutputError
from edgecut.whole import write_whole


def c_name(source: str) -> str:
    """What the C of a model is called: its file's name, or a source's own, without what is behind the first dot.

    >>> c_name("dist/models/my-net.int8.tflite")
    'my_net'
    """
    return c_symbol(Path(source.partition("?")[0].rpartition(":")[2]).name.partition(".")[0]).lower()


def c_paths(name: str, folder: Path) -> tuple[Path, ...]:
    """The files of a model's C in a folder: the model that it is generated from, the text, and its header."""
    return tuple(folder / file for file in (f"{name}.tflite", f"{name}_run.c", f"{name}_run.h"))


def write_c(content: bytes, name: str, folder: Path, where: str) -> Generated:
    """Write NAME.tflite, NAME_run.c and NAME_run.h; nothing is written if the content can't be C.

    where: what sentences call the content. Raises ExportError with a line for each operator without a kernel,
    OutputError if the folder can't be made.
    """
    made = generate(content, name, where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: can't be made ({exc.strerror}); name another folder") from exc
    write_whole(folder / f"{name}.tflite", content)
    for file, text in made.files.items():
        write_whole(folder / file, text.encode())
    return made
