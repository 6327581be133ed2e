"""`python -m twinspeak` is the command `twinspeak`."""

from twinspeak.cli import main

if __name__ == "__main__":
    main()
