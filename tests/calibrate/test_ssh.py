"""A machine is calibrated through a real ssh server on this host, with a handful of the files."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from edgecut.calibrate import cost_table
from edgecut.calibrate.specimens import specimens
from edgecut.records.profile_files import read_profile
from tests.bench.test_ssh import name_of
from tests.command_line import run
from tests.ssh_server import Server


def test_a_machine_is_calibrated_through_ssh_and_nothing_is_left(
    ssh: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = list(islice(specimens(["int8"]), 24))
    monkeypatch.setattr(cost_table, "specimens", lambda: iter(few))
    monkeypatch.setattr(cost_table, "NOISE_MOST", 10.0)
    path = tmp_path / "there.toml"
    answer = run(capsys, "profile", "calibrate", "--runner", ssh.runner, "-o", str(path), "--json")
    assert answer.code == 0, answer.err
    profile = read_profile(path)
    assert profile.to_dict() == json.loads(answer.out)["profile"]
    assert profile.latency is not None
    assert [(table.precision, table.files) for table in profile.latency.calibrated] == [("int8", 24)]
    assert f"--runner {name_of(ssh)}" in profile.sources[0].what
    assert ssh.left == []
