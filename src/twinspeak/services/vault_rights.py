"""Who reads and who changes what in the vaults (reference content 3.2). The one module that decides it.

    personal   its owner
    instance   read by the twin's active members, changed by its administrators
    account    read by the active members of every twin of the account, changed by the account's managers
    is_private beside that: its owner alone, while he is a member; not even administrators

What somebody may not read is not found, whatever is asked about it.
"""

import msgspec
from sqlalchemy import ColumnElement

from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.errors import (
    AccountManagerRequired,
    AdminRequired,
    CallerError,
    InvalidId,
    NotAMember,
    NotFound,
    OwnerRequired,
)
from twinspeak.domain.ids import parse_id
from twinspeak.domain.vault import Collection, Document, Status, Vault, shelves_of
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import collections, documents, memberships, shelves
from twinspeak.persistence.repos import reach as reach_rows
from twinspeak.services import policy


class Target(msgspec.Struct, frozen=True):
    """A vault that a caller may add to."""

    caller: Caller
    institution_id: str | None
    account_shared: bool

    @property
    def scope(self) -> Scope:
        """The scope that is written in."""
        return Scope(user_id=self.caller.user_id, institution_id=self.institution_id)

    @property
    def vault(self) -> Vault:
        """Which of the three kinds."""
        if self.institution_id is None:
            return Vault.PERSONAL
        return Vault.ACCOUNT if self.account_shared else Vault.INSTANCE


def target(tx: Tx, caller: Caller, institution: str | None, *, shared: bool) -> Target:
    """Return the vault that a caller may add to: the own one (None), a twin's, or its account's.

    Raises InvalidId, NotAMember (unknown and foreign twins alike), AdminRequired, AccountManagerRequired.
    """
    if not institution:
        return Target(caller, None, account_shared=False)
    wanted = parse_id(institution)
    if wanted is None:
        raise InvalidId(param="institution")
    if not _belongs(tx, caller, wanted):
        raise NotAMember
    _require(tx, caller, wanted, shared=shared)
    return Target(caller, wanted, account_shared=shared)


def readable(tx: Tx, caller: Caller, document: Document) -> bool:
    """Tell whether a caller may read a document."""
    if document.institution_id is None:
        return document.user_id == caller.user_id
    if document.is_private:
        own = document.owner_id == caller.user_id and caller.actor_id is None
        return own and memberships.twin(tx, caller.user_id, document.institution_id) is not None
    return _sees(tx, caller, document.institution_id, shared=document.account_shared)


def writable(tx: Tx, caller: Caller, document: Document) -> None:
    """Make sure that a caller who may read a document may also change it.

    Raises OwnerRequired, AdminRequired, AccountManagerRequired.
    """
    if document.institution_id is None or document.is_private:
        if caller.user_id not in (document.user_id, document.owner_id):
            raise OwnerRequired
        return
    _require(tx, caller, document.institution_id, shared=document.account_shared)


def read(tx: Tx, caller: Caller, document_id: str, *, param: str = "id", hidden: bool = False) -> Document:
    """Return a document that a caller may read. Raises InvalidId and NotFound, unknown and foreign alike."""
    parsed = parse_id(document_id)
    if parsed is None:
        raise InvalidId(param=param)
    found = documents.by_id(tx, parsed, hidden=hidden)
    if found is None or not readable(tx, caller, found):
        raise NotFound(param=param)
    return found


def enclosed(tx: Tx, caller: Caller, document_id: str, *, institution_id: str | None, param: str) -> Document:
    """Return a document that a caller may hand to the model of a twin: his own, or what that twin answers from.

    What he reads in another twin stays there. Raises as `read` does.
    """
    found = read(tx, caller, document_id, param=param)
    place = found.institution_id
    inside = place in (None, institution_id)
    if not inside and not (found.account_shared and institution_id and place in shelves.siblings(tx, institution_id)):
        raise NotFound(param=param)
    return found


def write(tx: Tx, caller: Caller, document_id: str, *, param: str = "id", hidden: bool = False) -> Document:
    """Return a document that a caller may change. Raises as `read` and `writable` do.

    What is hidden is there for nobody who may not get it back: NotFound.
    """
    found = read(tx, caller, document_id, param=param, hidden=hidden)
    try:
        writable(tx, caller, found)
    except CallerError:
        if found.status == Status.DELETED:
            raise NotFound(param=param) from None
        raise
    return found


def folder(tx: Tx, caller: Caller, collection_id: str, *, param: str = "id", change: bool = False) -> Collection:
    """Return a folder that a caller may look into, or `change`. Raises as `read` and `writable` do."""
    parsed = parse_id(collection_id)
    if parsed is None:
        raise InvalidId(param=param)
    found = collections.by_id(tx, parsed)
    if found is None or not _sees_folder(tx, caller, found):
        raise NotFound(param=param)
    if change and found.institution_id is not None:
        _require(tx, caller, found.institution_id, shared=found.account_shared)
    return found


def places(
    tx: Tx, caller: Caller, institution_id: str | None, vault: Vault | None
) -> list[tuple[Vault, Scope, tuple[ColumnElement[bool], ...]]]:
    """Return the parts of vaults that a caller reads: whose rows, and the conditions that keep to what is for him.

    The twin must be one that he belongs to; `vault` narrows to one kind.
    """
    siblings = shelves.siblings(tx, institution_id) if institution_id else ()
    found: list[tuple[Vault, Scope, tuple[ColumnElement[bool], ...]]] = []
    for shelf in shelves_of(caller.user_id, institution_id, siblings):
        kind = {"personal": Vault.PERSONAL, "shared": Vault.ACCOUNT}.get(shelf.kind, Vault.INSTANCE)
        if vault not in (None, kind) or (shelf.kind == "own" and caller.actor_id is not None):
            continue
        scope = Scope(user_id=caller.user_id, institution_id=shelf.institution_id)
        found.append((kind, scope, shelves.on_shelf(shelf)))
    return found


def place_of(tx: Tx, caller: Caller, institution: str | None) -> str | None:
    """Return the twin that a request is about: the one named, else the active one. Raises InvalidId, NotAMember."""
    if not institution:
        active = caller.institution_id
        return active if active and memberships.twin(tx, caller.user_id, active) else None
    wanted = parse_id(institution)
    if wanted is None:
        raise InvalidId(param="institution")
    if not _belongs(tx, caller, wanted):
        raise NotAMember
    return wanted


def administers(tx: Tx, caller: Caller, institution_id: str) -> bool:
    """Tell whether a caller administers a twin, whatever the verbs."""
    return caller.account_type in ("admin", "super") and policy.reach(tx, caller, None).covers(institution_id)


def _sees_folder(tx: Tx, caller: Caller, found: Collection) -> bool:
    if found.institution_id is None:
        return found.user_id == caller.user_id
    return _sees(tx, caller, found.institution_id, shared=found.account_shared)


def _sees(tx: Tx, caller: Caller, institution_id: str, *, shared: bool) -> bool:
    if _belongs(tx, caller, institution_id):
        return True
    if not shared:
        return False
    others = shelves.siblings(tx, institution_id)
    return any(memberships.twin(tx, caller.user_id, other) is not None for other in others)


def _belongs(tx: Tx, caller: Caller, institution_id: str) -> bool:
    if memberships.twin(tx, caller.user_id, institution_id) is not None:
        return True
    return administers(tx, caller, institution_id) and bool(reach_rows.existing(tx, [institution_id]))


def _require(tx: Tx, caller: Caller, institution_id: str, *, shared: bool) -> None:
    if not administers(tx, caller, institution_id):
        raise AdminRequired
    if not shared or policy.is_super(caller):
        return
    managed = reach_rows.of_accounts(tx, policy.managed_accounts(tx, caller))
    if institution_id not in managed:
        raise AccountManagerRequired
