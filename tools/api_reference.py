"""The API reference, from the docstrings of what `import edgecut` offers and of the records that it returns.

    python tools/api_reference.py [-o FOLDER]          (pip install '.[docs]')

pdoc draws the pages. edgecut loads its public names on first use, so they are loaded here before pdoc looks.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import edgecut
from edgecut.graph.quiet import import_keras_quietly
from edgecut.rooms import CallableRoom

RECORDS = ("recipe", "profile", "artifact", "measurement", "report", "comparison", "explanation", "front")


def write_reference(folder: Path) -> None:
    """Writes an HTML page for the package, and one for each module of records."""
    import_keras_quietly()
    import pdoc

    for name in edgecut.__all__:
        value = getattr(edgecut, name)
        # A callable room is a package to pdoc; the function that calling it runs is what a reader looks for.
        setattr(edgecut, name, value.function if isinstance(value, CallableRoom) else value)
    records = [f"edgecut.records.{name}" for name in RECORDS]
    for module in (*records, "edgecut.errors"):
        import_module(module)
    pdoc.render.configure(docformat="markdown", show_source=False, footer_text=f"edgecut {edgecut.__version__}")
    pdoc.pdoc("edgecut", *records, "edgecut.errors", output_directory=folder)


def main() -> int:
    """Writes the pages and says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("api"))
    out = parser.parse_args().out
    write_reference(out)
    print(f"wrote {out / 'edgecut.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
