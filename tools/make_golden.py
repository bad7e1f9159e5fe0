"""Writes the golden files of the tables that commands print: `python -m tools.make_golden`, then look at `git diff`."""

from __future__ import annotations

from tests.render.command_tables import COMMANDS, GOLDEN, golden_text


def main() -> None:
    """Writes a file for each command that prints a table; files of commands that are no more go."""
    for path in GOLDEN.glob("*.txt"):
        if path.stem not in COMMANDS:
            path.unlink()
    for name in COMMANDS:
        (GOLDEN / f"{name}.txt").write_text(golden_text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
