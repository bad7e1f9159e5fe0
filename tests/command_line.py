"""A command run in this process."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from edgecut.cli.main import main


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Answer:
    """What `edgecut WORDS` prints and returns."""
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return Answer(end.value.code, out, err)
