"""What the numbers of a run depend on beside its request."""

from __future__ import annotations

from pydantic import Field

from edgecut.records.facts import Facts


class Environment(Facts):
    """The interpreter, the system and the installed packages, {distribution: version}.

    threads: TensorFlow's, where a training's last bits depend on their number.
    """

    python: str = ""
    platform: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    threads: int | None = None
