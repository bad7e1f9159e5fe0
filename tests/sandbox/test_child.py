"""A child process that answers messages."""

from __future__ import annotations

import pytest

from edgecut.sandbox.child import Child, ChildDied


def test_a_child_that_has_ended_answers_nothing_and_it_is_said() -> None:
    child = Child()
    child.end()
    with pytest.raises(ChildDied) as caught:
        child.ask({"do": "anything"})
    assert str(caught.value) == "the child process that was to run it has ended; run the same command again"
