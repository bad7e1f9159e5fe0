"""The model files in a bundle's folder, for whoever gives the folder in a file's place."""

from __future__ import annotations

from pathlib import Path


def model_hint(folder: Path, *suffixes: str) -> str:
    """ ", such as dist/models/bell.int8.tflite": the end of a sentence, for a bundle's folder; "" for any other."""
    if not (folder / "manifest.json").is_file():
        return ""
    models = sorted(path for path in (folder / "models").glob("*") if path.suffix in suffixes)
    return f", such as {models[0]}" if models else ""
