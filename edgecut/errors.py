"""What can go wrong, each kind with the exit code that the command line gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar


class EdgecutError(Exception):
    """A failure that edgecut can name: where, what was found, what was expected, the remedy."""

    exit_code = 3
    faults: tuple[str, ...] = ()
    """Of several failures in one, a sentence each; none where the message is one sentence."""


class RequestError(EdgecutError):
    """The request is wrong; nothing was started."""

    exit_code = 2


class DocumentError(RequestError):
    """A recipe or a profile has faults; all of them are in `faults`, one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        """faults: at least one sentence, each beginning with the document and the dotted path."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class SourceError(RequestError):
    """A model can't be loaded."""


class DataError(RequestError):
    """Images or labels can't be used."""


class GraphError(RequestError):
    """A cut or an edit that the model's graph doesn't allow."""


class StemError(RequestError):
    """An input edit that would not be exact, or can't be made."""


class HeadError(RequestError):
    """A head that can't be attached or fitted."""


class OutputError(RequestError):
    """The output folder can't be used as asked."""


class StepError(EdgecutError):
    """A step was started and failed."""

    exit_code = 3


class ExportError(StepError):
    """A converter refused the model, or wrote a file that can't be used."""


class RunError(StepError):
    """An artifact could not be run in its runtime."""


class RefusedError(RunError):
    """A runtime refuses a file or dies of it: it would do so on a device, too."""


class RunnersError(RunError):
    """Several runners dropped out; what each failed with is in `faults`."""

    def __init__(self, faults: Sequence[str]) -> None:
        """faults: at least one sentence, each beginning with the file or the runner that it is about."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class VerifyError(StepError):
    """A bundle is not what its manifest says; all differences are in `faults`."""

    exit_code = 1

    def __init__(self, faults: Sequence[str]) -> None:
        """faults: at least one sentence, each beginning with the file it is about."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class MissingRuntimeError(EdgecutError):
    """An optional runtime is absent; the message names the package or extra that brings it."""

    exit_code = 4


Failure = TypeVar("Failure", bound=EdgecutError)


def several(kind: type[Failure], faults: Sequence[str]) -> Failure:
    """An error of several faults, one sentence each. A line end in a sentence, as of a file's name, ends none."""
    error = kind("\n".join(faults))
    error.faults = tuple(faults)
    return error


def faults_of(error: EdgecutError) -> tuple[str, ...]:
    """The sentences of an error: its faults, or the message."""
    return error.faults or (str(error),)
