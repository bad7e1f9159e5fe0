"""The command line, one file per command; the only home of click."""
