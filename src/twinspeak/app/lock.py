"""One server to a data directory: two would take each other's running turns for abandoned, and settle them."""

import fcntl
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twinspeak.domain.errors import OperatorError
from twinspeak.persistence.engines import parse_url
from twinspeak.settings import Settings

LOCK_NAME = "server.lock"


@contextmanager
def only_server(settings: Settings) -> Generator[None]:
    """Hold the lock of the data directory, and of an SQLite file outside of it, until the block ends.

    The system releases it when the process ends, however it ends. Raises OperatorError when a server runs there.
    """
    with ExitStack() as held:
        for path in _locks(settings):
            held.enter_context(_locked(path, settings.data_dir))
        yield


def is_served(settings: Settings) -> bool:
    """Tell whether a server, or a command that must not run beside one, has the data directory now."""
    try:
        with only_server(settings):
            return False
    except OperatorError:
        return True


def _locks(settings: Settings) -> list[Path]:
    folder = settings.data_dir.resolve()
    locks = [folder / LOCK_NAME]
    url = parse_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).resolve()
        if file.parent != folder:
            locks.append(file.with_name(f"{file.name}.{LOCK_NAME}"))
    return [path for path in locks if path.parent.is_dir()]


@contextmanager
def _locked(path: Path, data_dir: Path) -> Generator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperatorError(f"The data directory {data_dir} cannot be locked ({error.strerror}).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OperatorError(
            f"A server runs on the data directory {data_dir} already. Stop it first, or choose another directory with"
            " --data-dir."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
