"""Changes one thing of a signed bundle after the other, and counts what `edgecut verify --key` misses.

python tools/tamper.py BUNDLE PUBLIC_KEY [SEED]: each file with a bit flipped, cut, made longer, removed, renamed, and
one added beside it. A change counts as missed if verify accepts the bundle, or names another file.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecut.errors import RequestError
from edgecut.handoff.seal import MANIFEST, SEAL
from edgecut.handoff.signature import Trust
from edgecut.handoff.verify import verify

ADDED = "added.bin"


def main(arguments: list[str]) -> int:
    """1 if a change was missed."""
    bundle, key, seed = Path(arguments[0]), Path(arguments[1]), int(arguments[2]) if len(arguments) > 2 else 0
    chosen, tried, missed = random.Random(seed), 0, []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(bundle, Path(scratch) / "dist"))
        if faults_of(folder, key):
            sys.exit(f"{bundle}: isn't signed by {key}, or differs already")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            for change, blamed in changes(path, chosen):
                tried += 1
                names = {fault.partition(": ")[0].removeprefix(f"{folder}/") for fault in faults_of(folder, key)}
                expected = {name, blamed.relative_to(folder).as_posix(), *({MANIFEST} if name == SEAL else ())}
                if not names & expected:
                    missed.append(f"{name} {change}: named were {sorted(names)}")
    sys.stdout.write("".join(f"missed: {line}\n" for line in missed))
    sys.stdout.write(f"{tried} changes of {bundle} (seed {seed}): {len(missed)} missed\n")
    return 1 if missed else 0


def faults_of(folder: Path, key: Path) -> tuple[str, ...]:
    """What verify refuses; of a folder that is no bundle any more, what it says of the manifest."""
    try:
        return verify(folder, trust=Trust((key,))).faults
    except RequestError as exc:
        return (f"{MANIFEST}: {exc}",) if MANIFEST in str(exc) else (str(exc),)


def changes(path: Path, chosen: random.Random) -> Iterator[tuple[str, Path]]:
    """(one change, the file that may be named for it), each undone when the next is asked for."""
    content, aside, added = path.read_bytes(), path.with_name("renamed.bin"), path.with_name(ADDED)
    flipped = bytearray(content)
    flipped[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
    for change, changed in (("flipped", bytes(flipped)), ("cut", content[:-1]), ("made longer", content + b"\n")):
        path.write_bytes(changed)
        yield change, path
    path.unlink()
    # Without its only signature the manifest is what is named.
    yield "removed", path.parent / MANIFEST if path.name.startswith(MANIFEST) else path
    path.with_name(aside.name).write_bytes(content)
    yield "renamed", aside
    aside.rename(path)
    added.write_bytes(content)
    yield "added beside", added
    added.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
