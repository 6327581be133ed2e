"""What an error of the database means to who wanted the work done: again at once, again later, or never."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from twinspeak.domain.errors import Overloaded


class Fault(Enum):
    """Kinds of failure of a transaction."""

    CONFLICT = auto()
    """Others were in the way, and the database undid the transaction: run it again."""
    DUPLICATE = auto()
    """The same key was written: by another transaction at the same moment, or long ago."""
    LOST = auto()
    """The connection is gone, or could not be made: nothing was done, unless it went during the commit."""
    BUSY = auto()
    """The database did not come to it in time, or has no room for it now."""
    OTHER = auto()


_CONFLICTS = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_BUSY = frozenset({"55P03", "57014", "53200", "53300"})  # a lock's or a statement's time, memory, connections
_LOST = ("08", "57P", "25P03")  # no connection, shut down, closed for idling
_READ_ONLY = "25006"
_DUPLICATE = "23505"
_SAYINGS = {
    "locked": Fault.BUSY,
    "busy": Fault.BUSY,
    "is full": Fault.BUSY,
    "unable to open": Fault.LOST,
    "disk i/o error": Fault.LOST,
}
"""What SQLite says, where it has no code for its driver. A disk that comes back wants a new connection."""


def fault_of(error: BaseException, *, writing: bool) -> Fault:
    """Tell what a transaction's failure means. `writing`: it was meant to write."""
    if not isinstance(error, DBAPIError):
        return Fault.OTHER
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return _without_state(error)
    if state in _CONFLICTS:
        return Fault.CONFLICT
    if state in _BUSY:
        return Fault.BUSY
    if state == _DUPLICATE:
        return Fault.DUPLICATE
    # A server that took writes and takes none any more has made way for another, which the next connection may reach.
    return Fault.LOST if state.startswith(_LOST) or (writing and state == _READ_ONLY) else Fault.OTHER


def is_duplicate(error: IntegrityError) -> bool:
    """Tell whether a row is there already, rather than that another rule of the tables was broken."""
    return getattr(error.orig, "sqlstate", None) == _DUPLICATE or "UNIQUE constraint" in str(error.orig)


def translated(error: BaseException, fault: Fault) -> BaseException:
    """Turn the database's own busy answers into ours; everything else stays what it is."""
    if fault in (Fault.OTHER, Fault.DUPLICATE):
        return error
    busy = Overloaded(retry_after_s=2 if fault is Fault.LOST else 1)
    busy.__cause__ = error
    return busy


def _without_state(error: DBAPIError) -> Fault:
    """Judge SQLite's errors, and those of a driver that could not ask any server."""
    if not isinstance(error, OperationalError):
        return Fault.OTHER
    if type(error.orig).__module__.startswith("psycopg"):
        return Fault.LOST
    text = str(error.orig).lower()
    if "readonly database" in text and (error.statement or "").startswith("BEGIN"):
        return Fault.LOST  # the file; a reader that writes is told the same, in its own statement
    return next((fault for words, fault in _SAYINGS.items() if words in text), Fault.OTHER)
