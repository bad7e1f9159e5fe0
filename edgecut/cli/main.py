"""The command line's root: a table of commands, each imported when it is asked for."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Sequence

import click

from edgecut.cli.failures import Failures
from edgecut.cli.groups import WORDS, Group
from edgecut.errors import RequestError
from edgecut.graph.threads import hold_threads
from edgecut.memory import check_room
from edgecut.version import __version__
from edgecut.whole import naming

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole pipeline on the embedded model and images, offline."),
    "build": ("build", "A recipe, or a model with flags, to a checked bundle."),
    "plan": ("plan", "What would run, and every fault of the request."),
    "inspect": ("inspect", "Layers, legal cuts and costs of a model; operators of a file."),
    "import": ("import_model", "An .onnx file to a Keras model that is proven equal."),
    "cut": ("cut", "A part of a model, or a model with layers dropped, replaced or inserted."),
    "stem": ("stem", "A model made to take gray, another order or size, or raw bytes."),
    "export": ("export", "A Keras model to one .tflite or .onnx file."),
    "head": ("head", "A new head behind a layer, fitted or trained."),
    "search": ("search", "Choose the cut: a front of accuracy, latency, memory and size."),
    "explain": ("explain", "Quantization error by layer, in the source model's names, and why."),
    "run": ("run", "A file or bundle run on pictures, arrays or a camera's bytes."),
    "bench": ("bench", "Latency, memory and arena of a file, measured or estimated."),
    "compare": ("compare", "Two bundles or files: size, outputs, accuracy, latency, recipe."),
    "verify": ("verify", "A bundle's hashes and signature checked, its golden vectors re-run."),
    "sign": ("sign", "A signature over a bundle, by minisign, OpenSSH or sigstore."),
    "ui": ("ui", "A local page over the builds and searches of a folder."),
    "cache": ("cache", "What builds keep, so that no step runs twice."),
    "profile": ("profile", "The devices that edgecut knows."),
    "new": ("new", "A commented recipe to start from."),
    "doctor": ("doctor", "Which runtimes are here, and what each is for."),
}
"""name -> (module in edgecut.cli, what the list of commands says). The module's `command` is the command."""


class Table(Group):
    """The commands of COMMANDS. Listing them imports none of their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        check_room("NumPy", "import numpy")
        command = importlib.import_module(f"edgecut.cli.{COMMANDS[cmd_name][0]}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])


@click.command(
    cls=Table,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `edgecut demo`, or `edgecut inspect MODEL` and `edgecut new MODEL --profile P`.",
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="edgecut")
def edgecut() -> None:
    """Cut a pretrained Keras model, fit it to a device, and prove it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process with the exit code of interface.md."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with Failures(words) as failures:
        _complete()
        hold_threads()
        _check_words(words)
        # click's help pages are at least 50 wide by themselves.
        narrow = min(shutil.get_terminal_size().columns, 50)
        width = narrow if narrow < 50 else None
        with edgecut.make_context("edgecut", words, terminal_width=width, obj=failures) as context:
            context.meta[WORDS] = words
            code = edgecut.invoke(context)
        with naming("standard output"):
            sys.stdout.flush()
        raise SystemExit(code if isinstance(code, int) else 0)


def _check_words(words: Sequence[str]) -> None:
    """Raises RequestError for a name that no report, no JSON and no runtime could hold."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as exc:
            raise RequestError(f"{word!a}: isn't UTF-8, and names are expected to be; rename it") from exc


def _complete() -> None:
    """Answers a shell that completes a command line, and ends the process; nothing otherwise."""
    instruction = os.environ.get("_EDGECUT_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        raise SystemExit(shell_complete(edgecut, {}, "edgecut", "_EDGECUT_COMPLETE", instruction))
