"""`python -m edgecut`, and the program `edgecut`."""

from edgecut.interrupts import Interrupted, leave, leave_on_signals


def main() -> None:
    """Run the command line. Signals are answered before its modules are imported, which takes a while."""
    leave_on_signals()
    try:
        from edgecut.cli.main import main as run

        run()
    except Interrupted as exc:  # it came while the command's own answer to signals was taken away
        leave(exc.number, None)


# Processes that this one starts import it again.
if __name__ == "__main__":
    main()
