"""Assistants: who sees, uses, makes and changes which (reference content 2).

Sharing decides who sees one, `status` whether it may be used, and the rights here who may change it: its owner;
administrators who hold the verb in its twin; for what is marked editable by others, everybody who may use it, but then
only what it says and how it works, never for whom it is.
"""

from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.assistant import Assistant, Listed, Sharing
from twinspeak.domain.caller import Caller, Scope, scope_of, scope_of_reach
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import (
    AdminRequired,
    Conflict,
    InvalidId,
    NotFound,
    OwnerRequired,
    SuperRequired,
    ValidationFailed,
)
from twinspeak.domain.ids import parse_id
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import assistants
from twinspeak.persistence.repos import cards as people
from twinspeak.persistence.repos.cards import Cards
from twinspeak.persistence.scope import SYSTEM
from twinspeak.services import policy
from twinspeak.services.ai_models import known
from twinspeak.services.passwords import field
from twinspeak.services.places import CURRENT, Place, scope_in
from twinspeak.services.ports import ModelCatalogue

LIST_MAX = 1_000
COPY = " (copy)"
NAME_MAX = 200

_NOT_FOR_OTHERS = frozenset({"status", "admin_only", "editable_others"})
"""What only who owns or administers an assistant may change."""


class Seen(msgspec.Struct, frozen=True):
    """An assistant as somebody may see it, with what is shown of its owner, twin and account."""

    listed: Listed
    cards: Cards
    may_edit: bool
    history_count: int = 0


class AdminFilter(msgspec.Struct, frozen=True):
    """Which page of what: ids parted by blanks (admin 1)."""

    institution: str = ""
    account: str = ""
    text: str = ""
    page: int = 1
    page_size: int = 100


class AdminPage(msgspec.Struct, frozen=True):
    """A page, and how many there are on all of them."""

    rows: list[Seen]
    total: int


class Wish(msgspec.Struct, frozen=True):
    """What to set of an assistant: fields of `Assistant`, and for whom it is to be; None leaves that."""

    fields: dict[str, Any]
    institution_shared: bool | None = None
    account_shared: bool | None = None


class Assistants:
    """One for the whole server."""

    def __init__(self, db: Database, models: ModelCatalogue) -> None:
        """Keep the parts."""
        self._db = db
        self._models = models

    async def list(self, caller: Caller, *, kind: str = "", text: str = "", limit: int = LIST_MAX) -> list[Seen]:
        """Return what the caller may see (reference 2.3), oldest first; `kind` is admin, user, instance or account."""
        return await self._db.read(lambda tx: _list(tx, caller, kind, text)[:limit])

    async def get(self, caller: Caller, assistant_id: str) -> Seen:
        """Return one (reference 2.5). Raises InvalidId, NotFound, and OwnerRequired for one seen but not one's own."""
        return await self._db.read(lambda tx: _get(tx, caller, assistant_id))

    async def create(self, caller: Caller, wish: Wish, place: Place = CURRENT, *, owner: str | None = None) -> str:
        """Make an assistant of the caller's in a place, or with "" as owner outside of any, everybody's; return its id.

        Raises Conflict (the name), AdminRequired (sharing), SuperRequired (everybody's), ValidationFailed, InvalidId,
        NotAMember.
        """
        if owner and owner != caller.user_id:
            raise _wrong("user", "can only be you")
        system = owner == "" and place is None

        def make(tx: Tx) -> str:
            scope = _place(tx, caller, place, system=system)
            _check_model(tx, self._models, scope.institution_id, wish)
            return _create(tx, caller, wish, scope)

        return await self._db.write(make)

    async def edit(self, caller: Caller, assistant_id: str, wish: Wish, *, whose: tuple[str, str] = ("", "")) -> None:
        """Change an assistant; status `deleted` deletes it. Raises as `get` and `create` do.

        `whose` are owner and twin as the client believes them to be: they cannot be changed.
        """

        def change(tx: Tx) -> None:
            listed = _edit(tx, caller, assistant_id, wish, whose)
            _check_model(tx, self._models, listed.institution_id, wish)

        await self._db.write(change)

    async def delete(self, caller: Caller, assistant_id: str) -> None:
        """Delete softly (reference 2.7): administrators what they own, super administrators whatever is no system's.

        Raises InvalidId, NotFound, AdminRequired, OwnerRequired, SuperRequired.
        """
        await self._db.write(lambda tx: _delete(tx, caller, assistant_id))

    async def like(self, caller: Caller, assistant_id: str, *, liked: bool) -> int:
        """Like an assistant, or no more; return how many do. Raises InvalidId and NotFound."""
        return await self._db.write(lambda tx: _like(tx, caller, assistant_id, liked=liked))

    async def clone(self, caller: Caller, assistant_id: str, name: str = "") -> str:
        """Make a personal copy in the active twin, under another name if need be; return its id.

        Raises as `get` does; a system assistant's instructions are hidden, so only super administrators copy those.
        """
        return await self._db.write(lambda tx: _clone(tx, caller, assistant_id, name))

    async def administered(self, caller: Caller, wanted: "AdminFilter") -> "AdminPage":
        """Return a page of the assistants in the twins that the caller administers (reference 2.8), newest first.

        Raises AdminRequired and InvalidId.
        """
        return await self._db.read(lambda tx: _administered(tx, caller, wanted))


def usable_by(tx: Tx, caller: Caller, assistant_id: str) -> Assistant | None:
    """Return an assistant that a turn of the caller may run under; `assistant_id` as `parse_id` gives it."""
    listed = assistants.visible(tx, _scope(caller), assistant_id)
    there = listed is not None and _usable(listed, caller, assistants.disabled(tx, caller.institution_id))
    return listed.assistant if listed is not None and there else None


def _usable(listed: Listed, caller: Caller, disabled: frozenset[str]) -> bool:
    """Tell whether a turn of the caller may run under an assistant that he sees."""
    assistant = listed.assistant
    mine = listed.owner_id == caller.user_id
    if assistant.status == "unpublished":
        return mine
    if assistant.status != "active" or (assistant.id in disabled and not mine):
        return False
    return mine or not assistant.admin_only or caller.kind in ("admin", "super")


class _Rights:
    """What the caller may do where, looked up once a twin."""

    def __init__(self, tx: Tx, caller: Caller) -> None:
        self._tx = tx
        self.caller = caller
        self._verbs: dict[str, tuple[str, ...]] = {}

    def administers(self, listed: Listed, verb: Verb) -> bool:
        """Tell whether the caller holds a verb where the assistant is."""
        if policy.is_super(self.caller):
            return True
        where = listed.institution_id
        if where is None:
            return False
        if where not in self._verbs:
            self._verbs[where] = policy.verbs(self._tx, self.caller, where)
        return verb in self._verbs[where]

    def owns(self, listed: Listed) -> bool:
        """Tell whether the caller may do everything with it."""
        if listed.sharing is Sharing.SYSTEM:
            return policy.is_super(self.caller)
        return listed.owner_id == self.caller.user_id or self.administers(listed, Verb.ASSISTANTS_EDIT)

    def may_edit(self, listed: Listed) -> bool:
        """Tell whether the caller may change what it says."""
        others = listed.assistant.editable_others and listed.sharing is not Sharing.SYSTEM
        return others or self.owns(listed)


def _scope(caller: Caller) -> Scope:
    return scope_of(caller, caller.institution_id)


def _list(tx: Tx, caller: Caller, kind: str, text: str) -> list[Seen]:
    off = assistants.disabled(tx, caller.institution_id)
    conditions = [assistants.like(text)] if text else []
    found = assistants.listing(tx, _scope(caller), *conditions)
    kept = [one for one in found if (not kind or KINDS[kind] == one.sharing) and _shown(one, caller, off)]
    cards = people.of(tx, kept)
    rights = _Rights(tx, caller)
    return [Seen(listed=_told(one, caller), cards=cards, may_edit=rights.may_edit(one)) for one in kept]


KINDS = {
    "admin": Sharing.SYSTEM,
    "user": Sharing.PERSONAL,
    "instance": Sharing.INSTITUTION,
    "account": Sharing.ACCOUNT,
}
"""The `type` filter's words."""


def _shown(listed: Listed, caller: Caller, off: frozenset[str]) -> bool:
    """Tell whether lists show it: what is usable, and one's own whatever its status."""
    return listed.owner_id == caller.user_id or _usable(listed, caller, off)


def _told(listed: Listed, caller: Caller) -> Listed:
    """Withhold a system assistant's instructions from everybody but super administrators."""
    if listed.sharing is not Sharing.SYSTEM or policy.is_super(caller):
        return listed
    return msgspec.structs.replace(listed, assistant=msgspec.structs.replace(listed.assistant, instructions=""))


def _found(tx: Tx, caller: Caller, assistant_id: str) -> Listed:
    """Return one that the caller sees, or administers. Raises InvalidId, and NotFound for all others alike."""
    parsed = parse_id(assistant_id)
    if parsed is None:
        raise InvalidId(param="assistantId")
    seen = assistants.visible(tx, _scope(caller), parsed)
    if seen is not None and _shown(seen, caller, assistants.disabled(tx, caller.institution_id)):
        return seen
    any_ones = assistants.by_id(tx, parsed)
    if any_ones is None or not _Rights(tx, caller).administers(any_ones, Verb.ASSISTANTS_LIST):
        raise NotFound("There is no such assistant.", param="assistantId")
    return any_ones


def _get(tx: Tx, caller: Caller, assistant_id: str) -> Seen:
    listed = _found(tx, caller, assistant_id)
    rights = _Rights(tx, caller)
    may_edit = rights.may_edit(listed)
    administers = rights.administers(listed, Verb.ASSISTANTS_LIST)
    if listed.sharing is not Sharing.SYSTEM and not may_edit and not administers:
        raise OwnerRequired
    return Seen(listed=_told(listed, caller), cards=people.of(tx, [listed]), may_edit=may_edit)


def _place(tx: Tx, caller: Caller, place: Place, *, system: bool) -> Scope:
    if system and not policy.is_super(caller):
        raise SuperRequired
    return SYSTEM if system else scope_in(tx, caller, place)


def _check_model(tx: Tx, models: ModelCatalogue, institution_id: str | None, wish: Wish) -> None:
    """Refuse a model that neither the assistant's twin nor the server has."""
    model = wish.fields.get("conversation_model")
    if model and not known(tx, models, institution_id, model):
        raise _wrong("conversationModel", "is no model of this server or of the digital twin")


def _create(tx: Tx, caller: Caller, wish: Wish, scope: Scope) -> str:
    sharing = Sharing.SYSTEM if scope.system else _sharing(wish, Sharing.PERSONAL)
    _check_sharing(tx, caller, scope.institution_id, sharing, before=None)
    made = Assistant(id="", **wish.fields)
    if assistants.taken(tx, scope.user_id, scope.institution_id, made.name):
        raise Conflict("You have an assistant by this name already.", param="name")
    return assistants.create(tx, scope, sharing.value, made).id


def _edit(tx: Tx, caller: Caller, assistant_id: str, wish: Wish, whose: tuple[str, str]) -> Listed:
    listed = _found(tx, caller, assistant_id)
    rights = _Rights(tx, caller)
    if not rights.may_edit(listed):
        raise OwnerRequired
    is_now = (("user", listed.owner_id), ("institution", listed.institution_id))
    for (name, now), told in zip(is_now, whose, strict=True):
        if told and told != now:
            raise _wrong(name, "cannot be changed")
    after = msgspec.structs.replace(listed.assistant, **wish.fields)
    sharing = listed.sharing if listed.sharing is Sharing.SYSTEM else _sharing(wish, listed.sharing)
    if not rights.owns(listed):
        kept = all(getattr(after, name) == getattr(listed.assistant, name) for name in _NOT_FOR_OTHERS)
        if not kept or sharing is not listed.sharing:
            raise OwnerRequired
    _check_sharing(tx, caller, listed.institution_id, sharing, before=listed.sharing)
    if after.status == "deleted":
        after = _deleted(after)
    elif assistants.taken(tx, listed.owner_id, listed.institution_id, after.name, but=after.id):
        raise Conflict("There is an assistant by this name already.", param="name")
    assistants.edit(tx, after, sharing)
    return listed


def _sharing(wish: Wish, before: Sharing) -> Sharing:
    """Return for whom it is to be, of the two flags as they will be (reference 2.2)."""
    account = before is Sharing.ACCOUNT if wish.account_shared is None else wish.account_shared
    if account:
        return Sharing.ACCOUNT
    shared = before in (Sharing.INSTITUTION, Sharing.ACCOUNT)
    if wish.institution_shared is not None:
        shared = wish.institution_shared
    return Sharing.INSTITUTION if shared else Sharing.PERSONAL


def _check_sharing(
    tx: Tx, caller: Caller, institution_id: str | None, sharing: Sharing, *, before: Sharing | None
) -> None:
    """Let administrators share, and everybody else keep what is shared as it is, or take it back."""
    if sharing in (Sharing.SYSTEM, Sharing.PERSONAL, before) or before is Sharing.ACCOUNT:
        return
    if institution_id is None:
        field = "account_shared" if sharing is Sharing.ACCOUNT else "institution_shared"
        raise _wrong(field, "needs a digital twin: this one is in the personal space")
    verb = Verb.ASSISTANTS_ADD if before is None else Verb.ASSISTANTS_EDIT
    if not policy.is_super(caller) and verb not in policy.verbs(tx, caller, institution_id):
        raise AdminRequired("Only administrators of the digital twin may share assistants in it.")


def _delete(tx: Tx, caller: Caller, assistant_id: str) -> None:
    listed = _found(tx, caller, assistant_id)
    if caller.kind not in ("admin", "super") and not policy.is_super(caller):
        raise AdminRequired
    if listed.sharing is Sharing.SYSTEM:
        raise SuperRequired("System assistants cannot be deleted.")
    if listed.owner_id != caller.user_id and not policy.is_super(caller):
        raise OwnerRequired
    assistants.edit(tx, _deleted(listed.assistant), listed.sharing)


def _deleted(assistant: Assistant) -> Assistant:
    """Put the time in front of the name, so that the name is free again."""
    name = f"{iso(now_ms())} {assistant.name}"[:NAME_MAX]
    return msgspec.structs.replace(assistant, status="deleted", name=name)


def _like(tx: Tx, caller: Caller, assistant_id: str, *, liked: bool) -> int:
    listed = _found(tx, caller, assistant_id)
    return assistants.set_liked(tx, caller.user_id, listed.assistant.id, liked=liked)


def _clone(tx: Tx, caller: Caller, assistant_id: str, name: str) -> str:
    seen = _get(tx, caller, assistant_id)
    source = seen.listed.assistant
    if seen.listed.sharing is Sharing.SYSTEM and not policy.is_super(caller):
        raise OwnerRequired("The instructions of a system assistant are not shown, so it cannot be copied.")
    scope = _scope(caller)
    wanted = name.strip() or source.name[: NAME_MAX - 20] + COPY
    number = 1
    made = wanted
    while assistants.taken(tx, scope.user_id, scope.institution_id, made):
        number += 1
        made = f"{wanted[: NAME_MAX - 10]} {number}"
    copy = msgspec.structs.replace(
        source, id="", name=made, status="active", admin_only=False, editable_others=False, liked_count=0
    )
    return assistants.create(tx, scope, Sharing.PERSONAL.value, copy).id


def _administered(tx: Tx, caller: Caller, wanted: AdminFilter) -> AdminPage:
    reach = policy.narrowed(
        tx,
        policy.reach(tx, caller, Verb.ASSISTANTS_LIST),
        institution=wanted.institution,
        account=wanted.account,
    )
    scope = scope_of_reach(reach)
    conditions = [assistants.like(wanted.text)] if wanted.text else []
    skip = (wanted.page - 1) * wanted.page_size
    found, total = assistants.page(tx, scope, conditions, skip=skip, most=wanted.page_size)
    cards = people.of(tx, found)
    counts = assistants.history_counts(tx, scope, [one.assistant.id for one in found])
    rights = _Rights(tx, caller)
    rows = [
        Seen(
            listed=_told(one, caller),
            cards=cards,
            may_edit=rights.may_edit(one),
            history_count=counts.get(one.assistant.id, 0),
        )
        for one in found
    ]
    return AdminPage(rows=rows, total=total)


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(param=name, details=field(name, message))
