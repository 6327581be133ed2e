"""The command line: `twinspeak serve`, `chat`, `migrate`, `user add`, `doctor`. Above the composition root."""


def main() -> None:
    """Run the command that the arguments name; the process ends with one of `cli.exits`' codes."""
    from twinspeak.cli.commands import run

    run()
