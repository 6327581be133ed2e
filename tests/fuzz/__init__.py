"""Fuzzing of what reads a peer's bytes: `make fuzz`, or `python -m tests.fuzz --help`."""
