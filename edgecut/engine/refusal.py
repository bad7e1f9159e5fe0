"""Why an operator isn't written as C."""

from __future__ import annotations


class Refused(Exception):
    """What about an operator isn't supported, as a sentence's end; gathered over all operators of a file."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        """reason: "has a kernel of ...". remedy: what to do instead, "" for cutting before it."""
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
