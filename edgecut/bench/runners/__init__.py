"""The runtimes and machines that a file can be measured on, one module each."""
