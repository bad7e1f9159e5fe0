"""`python -m edgecut`, and the program `edgecut`."""

from edgecut.interrupts import SENTENCES, Interrupted, end_process, exit_code, leave, leave_on_signals


def main() -> None:
    """Run the command line. Signals are answered before its modules are imported, which takes a while."""
    leave_on_signals()
    try:
        from edgecut.cli.main import main as run

        run()
    except Interrupted as exc:  # it came while the command's own answer to signals was taken away
        leave(exc.number, None)
    except SystemExit as exc:
        if isinstance(exc.code, int) and exc.code in map(exit_code, SENTENCES):
            end_process(exc.code)
        raise


# Processes that this one starts import it again.
if __name__ == "__main__":
    main()
