"""Models that a twin brings itself: who may list, add, change, delete and try them (reference admin.md section 8).

Keys go in and never come out: `MASK` stands for what is there, and giving it back leaves that as it is. A stored key
goes to the address that it was given for and to no other, so an address is changed together with its key.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.ai_models import CONVERSATION, AiModel, OwnSecrets
from twinspeak.domain.caller import Actor, Caller, Scope, scope_of, scope_of_reach
from twinspeak.domain.clock import monotonic, now_ms
from twinspeak.domain.credits import Price
from twinspeak.domain.errors import (
    CodedError,
    Conflict,
    InvalidId,
    ModelUnavailable,
    NotFound,
    SuperRequired,
    ValidationFailed,
)
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.people import InstitutionCard
from twinspeak.egress.guard import Guard
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import ai_models as rows
from twinspeak.persistence.repos import institutions
from twinspeak.persistence.scope import SYSTEM
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable
from twinspeak.services import audit, policy
from twinspeak.services.administered import MASK, twin_within
from twinspeak.services.model_rules import faults_of
from twinspeak.services.passwords import field
from twinspeak.services.ports import ModelCatalogue, OwnModelCatalogue
from twinspeak.services.rate_limits import RateLimits, Rule

MAX_PER_TWIN = 200
TRIES = Rule("ai_model_tries", 10)
"""How often a person may try models in a minute: each try is a paid request."""

_PLAIN = (
    "name",
    "wire_name",
    "model_use",
    "description",
    "library",
    "api_url",
    "features",
    "input_media",
    "output_media",
    "max_input_tokens",
    "max_output_tokens",
    "reasoning_effort",
    "extended_context",
    "picture_url",
    "status",
    "price",
)
_SWITCHES = ("features", "input_media", "output_media")


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; UNSET leaves a field as it is. As `AiModel`, and the secrets.

    Switches not named stay as they are. `headers` replaces all headers; a value that is `MASK` stays what it was.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    wire_name: str | msgspec.UnsetType = msgspec.UNSET
    model_use: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    library: str | msgspec.UnsetType = msgspec.UNSET
    api_url: str | msgspec.UnsetType = msgspec.UNSET
    api_key: str | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    features: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    input_media: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    output_media: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    max_input_tokens: int | msgspec.UnsetType = msgspec.UNSET
    max_output_tokens: int | msgspec.UnsetType = msgspec.UNSET
    reasoning_effort: str | msgspec.UnsetType = msgspec.UNSET
    extended_context: bool | msgspec.UnsetType = msgspec.UNSET
    picture_url: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    price: Price | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        """Say nothing: keys are in here."""
        return "Changes()"


class Listed(msgspec.Struct, frozen=True):
    """A record, its twin, and the model as turns see it."""

    record: AiModel
    institution: Institution | None
    card: InstitutionCard | None
    model: ModelSpec


class Page(msgspec.Struct, frozen=True):
    """A part of a list; `page` counts from 1."""

    items: list[Listed]
    total: int
    page: int
    page_size: int


class Query(msgspec.Struct, frozen=True):
    """What a list is narrowed by: ids parted by blanks, "" for no filter."""

    institution: str = ""
    account: str = ""
    page: int = 1
    page_size: int = 100


class Tried(msgspec.Struct, frozen=True):
    """What came of trying a model: `code` and `message` say why it did not answer."""

    ok: bool
    latency_ms: int
    code: str = ""
    message: str = ""


class AiModels:
    """The use cases. `guard` holds the rules for addresses that a twin names."""

    def __init__(
        self, db: Database, box: SecretBox, models: OwnModelCatalogue, guard: Guard, limits: RateLimits
    ) -> None:
        """Keep the parts."""
        self._db = db
        self._box = box
        self._models = models
        self._guard = guard
        self._limits = limits

    @property
    def default_id(self) -> str:
        """The server's own choice of a model."""
        return self._models.default_id

    async def usable(self, caller: Caller) -> list[ModelSpec]:
        """Return what the caller's active twin can be set to: its own models, then the server's that these leave."""
        own: list[AiModel] = []
        if caller.institution_id:
            scope = scope_of(caller, caller.institution_id)
            own = await self._db.read(lambda tx: rows.answering(tx, scope))
        names = {record.name for record in own}
        found = [self._models.describe(record) for record in own if record.active]
        return [*found, *(spec for spec in self._models.available() if spec.id not in names)]

    async def search(self, caller: Caller, query: Query) -> Page:
        """Return records of the twins where the caller may list models. Raises InvalidId, AdminRequired.

        The filter by twins comes before that by accounts; without either an administrator sees the active twin's
        (admin 8.1). Foreign and unknown ids add nothing.
        """

        def read(tx: Tx) -> Page:
            scope = _within(tx, caller, query)
            first = (query.page - 1) * query.page_size
            found, total = rows.listing(tx, scope, first=first, limit=query.page_size)
            items = self._listed(tx, found)
            return Page(items=items, total=total, page=query.page, page_size=query.page_size)

        return await self._db.read(read)

    async def get(self, caller: Caller, model_id: str) -> Listed:
        """Return a record. Raises InvalidId, NotFound, EntitlementMissing."""
        return await self._db.read(lambda tx: self._listed(tx, [_one(tx, caller, Verb.AIMODELS_LIST, model_id)])[0])

    async def create(self, by: Actor, institution_id: str | None, changes: Changes) -> str:
        """Add a record to a twin, the caller's active one by default; return its id.

        Raises ValidationFailed, Conflict (its name is taken, or there are too many), and what `policy.require` does.
        """
        caller, model_id, created = by.caller, new_id(), now_ms()

        def write(tx: Tx) -> None:
            twin = twin_within(tx, caller, Verb.AIMODELS_ADD, institution_id)
            scope = _scope(caller, twin)
            secrets = _merged(OwnSecrets(), changes)
            blank = AiModel(id=model_id, institution_id=twin, name="", created=created)
            record = _judged(caller, blank, changes, secrets, self._guard)
            if rows.count(tx, scope) >= MAX_PER_TWIN:
                raise Conflict(f"A digital twin has at most {MAX_PER_TWIN} models.")
            rows.create(tx, scope, self._box, record, secrets)
            audit.note(tx, by, "ai_model.created", _target(record), after=_noted(record))

        await self._db.write(write)
        return model_id

    async def update(self, by: Actor, model_id: str, changes: Changes) -> None:
        """Change a record; what comes of it is judged as a new one would be (admin 8.3).

        Raises as `create` and `get` do.
        """
        caller = by.caller

        def write(tx: Tx) -> None:
            old = _one(tx, caller, Verb.AIMODELS_EDIT, model_id)
            kept = _kept(tx, self._box, old, changes)
            secrets = _merged(kept, changes)
            record = _judged(caller, old, changes, secrets, self._guard)
            _refuse_to_move(old, record, changes)
            given = [name for name in ("api_key", "headers") if getattr(changes, name) not in (msgspec.UNSET, MASK)]
            sealed = rows.seal(self._box, old.id, secrets, given)
            rows.change(tx, _scope(caller, old.institution_id), record, sealed)
            replaced = {"replaced": sorted(sealed)} if sealed else {}
            audit.note(
                tx, by, "ai_model.changed", _target(old), before=_noted(old), after={**_noted(record), **replaced}
            )

        await self._db.write(write)
        self._models.forget(model_id.lower())

    async def delete(self, by: Actor, model_id: str) -> None:
        """Delete a record; its key is gone at once. Raises as `get` does."""

        def write(tx: Tx) -> None:
            old = _one(tx, by.caller, Verb.AIMODELS_DELETE, model_id)
            rows.remove(tx, _scope(by.caller, old.institution_id), old.id)
            audit.note(tx, by, "ai_model.deleted", _target(old), before=_noted(old))

        await self._db.write(write)
        self._models.forget(model_id.lower())

    async def attempt(self, caller: Caller, model_id: str) -> Tried:
        """Ask a record's model for a word, to see whether key and address work. Raises as `get` does, and RateLimited.

        Costs no credits; the vendor may charge the key's owner for a few tokens.
        """
        record = await self._db.read(lambda tx: _one(tx, caller, Verb.AIMODELS_EDIT, model_id))
        if not record.active or record.model_use != CONVERSATION:
            raise Conflict("Only an active model that answers questions can be tried.")
        self._limits.take(caller.user_id, TRIES)
        began = monotonic()
        try:
            await self._models.probe(self._models.describe(record))
        except CodedError as error:
            return Tried(ok=False, latency_ms=_since(began), code=error.code, message=error.message)
        return Tried(ok=True, latency_ms=_since(began))

    def _listed(self, tx: Tx, found: list[AiModel]) -> list[Listed]:
        twins = {record.institution_id for record in found}
        known = {twin: (institutions.by_id(tx, twin), institutions.card(tx, twin)) for twin in sorted(twins)}
        return [Listed(record, *known[record.institution_id], self._models.describe(record)) for record in found]


def known(tx: Tx, models: ModelCatalogue, institution_id: str | None, name: str) -> bool:
    """Tell whether a setting of a twin (None: of no twin) may name a model: one of its own, or one of the server's."""
    # Whether the caller may look into this twin has been checked by who asks.
    twin = frozenset({institution_id} if institution_id else ())
    if rows.named(tx, Scope(user_id=None, institution_id=None, managed=twin), [name]):
        return True
    try:
        models.spec(name)
    except ModelUnavailable:
        return False
    return True


def spec_of(models: ModelCatalogue, name: str, own: AiModel | None) -> ModelSpec:
    """Return what a name stands for, where `own` is the twin's record of that name. Raises ModelUnavailable.

    A twin's own model that is switched off is not the server's of that name: that one would get what was meant for
    another vendor (contract section 6).
    """
    if own is None:
        return models.spec(name)
    if not own.active:
        raise ModelUnavailable(details={"model": name[:200]})
    return models.describe(own)


def _since(began: float) -> int:
    return int((monotonic() - began) * 1000)


def _scope(caller: Caller, institution_id: str) -> Scope:
    """Return the scope of a twin whose verb has been checked."""
    return Scope(user_id=caller.user_id, institution_id=institution_id)


def _target(record: AiModel) -> audit.Target:
    return audit.Target("ai_model", record.id, record.institution_id)


def _noted(record: AiModel) -> dict[str, Any]:
    """Return what the log keeps of a record; secrets are no part of it."""
    noted = {name: getattr(record, name) for name in (*_PLAIN, "header_names", "has_key")}
    return msgspec.to_builtins(noted)


def _within(tx: Tx, caller: Caller, query: Query) -> Scope:
    reach = policy.reach(tx, caller, Verb.AIMODELS_LIST)
    if query.institution.strip():
        reach = policy.narrowed(tx, reach, institution=query.institution)
    elif query.account.strip():
        reach = policy.narrowed(tx, reach, account=query.account)
    elif caller.institution_id and not policy.is_super(caller):
        reach = policy.narrowed(tx, reach, institution=caller.institution_id)
    return scope_of_reach(reach)


def _one(tx: Tx, caller: Caller, verb: Verb, model_id: str) -> AiModel:
    wanted = parse_id(model_id)
    if wanted is None:
        raise InvalidId(param="id")
    found = rows.by_id(tx, SYSTEM, wanted)
    if found is None:
        raise NotFound(param="id")
    policy.require(tx, caller, verb, found.institution_id, param="id")
    return found


def _kept(tx: Tx, box: SecretBox, old: AiModel, changes: Changes) -> OwnSecrets:
    """Return the stored secrets, where a change builds on them."""
    keeps_header = isinstance(changes.headers, dict) and MASK in changes.headers.values()
    try:
        found = rows.opened(tx, box, old.id) if keeps_header else None
    except SecretUnreadable:
        found = None
    # A key that nobody changes is not opened: that it is there is all there is to judge.
    return found[1] if found else OwnSecrets(api_key=MASK if old.has_key else "", headers={})


def _merged(kept: OwnSecrets, changes: Changes) -> OwnSecrets:
    """Return the secrets as they will be."""
    key, headers = changes.api_key, changes.headers
    if isinstance(key, msgspec.UnsetType) or key == MASK:
        key = kept.api_key
    if isinstance(headers, msgspec.UnsetType):
        headers = kept.headers
    else:
        headers = {name: kept.headers.get(name, value) if value == MASK else value for name, value in headers.items()}
    return OwnSecrets(api_key=key, headers=headers)


def _judged(caller: Caller, old: AiModel, changes: Changes, secrets: OwnSecrets, guard: Guard) -> AiModel:
    """Return the record as it will be. Raises ValidationFailed for all that is wrong, and SuperRequired."""
    given: dict[str, Any] = {
        name: value for name in _PLAIN if not isinstance(value := getattr(changes, name), msgspec.UnsetType)
    }
    if "price" in given and given["price"] != old.price and not policy.is_super(caller):
        raise SuperRequired(param="price")
    for name in _SWITCHES:
        given[name] = {**getattr(old, name), **given.get(name, {})}
    if not isinstance(changes.headers, msgspec.UnsetType):
        given["header_names"] = tuple(secrets.headers)
    given["has_key"] = bool(secrets.api_key)
    record = msgspec.structs.replace(old, **given, revision=old.revision + (1 if old.name else 0))
    if faults := faults_of(record, secrets, guard):
        raise ValidationFailed(param=faults[0]["field"], details={"fields": faults})
    return record


def _refuse_to_move(old: AiModel, new: AiModel, changes: Changes) -> None:
    """Raise ValidationFailed where a secret would go to another address than the one that it was given for."""
    if (old.library, old.api_url) == (new.library, new.api_url):
        return
    faults: list[dict[str, str]] = []
    stays = "must be given again, because it would go to another address"
    if old.has_key and changes.api_key in (msgspec.UNSET, MASK):
        faults += field("api_key", stays)["fields"]
    headers: Mapping[str, str] | msgspec.UnsetType = changes.headers
    if old.header_names and (isinstance(headers, msgspec.UnsetType) or MASK in headers.values()):
        faults += field("default_headers", stays)["fields"]
    if faults:
        raise ValidationFailed(param=faults[0]["field"], details={"fields": faults})
