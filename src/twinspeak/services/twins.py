"""Digital twins, as administrators manage them (reference: admin 3).

Whoever holds `institutions.edit` in a twin changes its settings; its status and its credits are the super
administrators', its public id nobody's. A twin that is closed or deleted lets nobody in from that moment.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from twinspeak.domain.access import ALL_VERBS, Verb
from twinspeak.domain.administration import TwinRow
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import InvalidId, NotFound, SuperRequired, ValidationFailed
from twinspeak.domain.ids import new_id, new_uuid, parse_id
from twinspeak.domain.origins import ANY, origin_of
from twinspeak.domain.people import STARTING_CREDITS, Membership
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration, launches, people, reach
from twinspeak.persistence.repos.administration import TwinFilter
from twinspeak.services import audit, policy
from twinspeak.services.administered import Page
from twinspeak.services.ai_models import known
from twinspeak.services.audit import Target
from twinspeak.services.members import enrol
from twinspeak.services.passwords import check_email, field
from twinspeak.services.ports import ModelCatalogue
from twinspeak.services.revocations import Revocations

CLONED = frozenset(
    {
        "ai_name", "prompt", "about", "picture", "contact_email", "conversation_model", "max_completion_tokens",
        "reasoning_effort", "display_thinking_details", "pool_credits", "rag_ignore", "rag_only", "rag_limit_chunks",
        "tool_results_max_chars", "chat_completion_enabled", "chat_completion_openai_compat", "chat_completion_model",
        "chat_completion_max_completion_tokens", "chat_completion_reasoning_effort", "public_authorized_urls",
        "assistants_disabled", "fallback_models", "allow_joining", "joining_admin_only", "entitle_new_admins",
        "credit_award", "question_type", "appearance", "summary_model", "compact_history", "location_enabled",
        "enable_moderation", "moderation_action", "moderation_phrases", "cap_h24", "cap_institution",
        "disable_file_upload_for_user", "max_files", "budget",
        "tools_disabled", "mcp_enabled", "require_second_factor",
    }
)  # fmt: skip
"""What a copy takes over: settings, but neither people nor history, vault, join id or credits."""
_MODELS = {
    "conversation_model": "conversationModel",
    "chat_completion_model": "chatCompletionModel",
    "fallback_models": "fallbackModels",
    "summary_model": "summaryModel",
}
MAX_CONTACTS = 10
MAX_CONTEXT = 500


class TwinsFilter(msgspec.Struct, frozen=True):
    """Which twins; ids parted by blanks. `status` is active, inactive or all."""

    institution: str = ""
    account: str = ""
    search: str = ""
    status: str = "active"
    page: Page = Page()


class Twins:
    """Managing twins. One for the whole server."""

    def __init__(self, db: Database, models: ModelCatalogue, revocations: Revocations) -> None:
        """Keep the parts."""
        self._db = db
        self._models = models
        self._revocations = revocations

    async def search(self, caller: Caller, wanted: TwinsFilter) -> tuple[list[TwinRow], int]:
        """Return a page of the twins where the caller may list. Raises InvalidId."""

        def read(tx: Tx) -> tuple[list[TwinRow], int]:
            found = policy.reach(tx, caller, Verb.INSTITUTIONS_LIST)
            within = policy.narrowed(tx, found, institution=wanted.institution, account=wanted.account)
            return administration.search_twins(
                tx,
                TwinFilter(
                    within=None if within.everything else within.institutions,
                    search=wanted.search,
                    status=wanted.status,
                    skip=wanted.page.skip,
                    most=wanted.page.size,
                ),
            )

        return await self._db.read(read)

    async def get(self, caller: Caller, institution_id: str) -> TwinRow:
        """Return a twin. Raises as `policy.require` does."""

        def read(tx: Tx) -> TwinRow:
            return _one(tx, policy.require(tx, caller, Verb.INSTITUTIONS_LIST, institution_id, param="institutionId"))

        return await self._db.read(read)

    async def get_to_edit(self, caller: Caller, institution_id: str) -> TwinRow:
        """Return a twin that the caller may change. Raises as `policy.require` does, ActingAsSomebody."""
        policy.as_oneself(caller)

        def read(tx: Tx) -> TwinRow:
            return _one(tx, policy.require(tx, caller, Verb.INSTITUTIONS_EDIT, institution_id, param="institutionId"))

        return await self._db.read(read)

    async def change(self, by: Actor, institution_id: str, changes: Mapping[str, Any]) -> str:
        """Set columns of a twin; return its id.

        Raises as `policy.require` does, ValidationFailed, SuperRequired (another status).
        """
        _check(changes)

        def store(tx: Tx) -> tuple[str, list[str]]:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="institutionId")
            row = _one(tx, twin)
            merged = _merged(row, changes)
            if "status" in merged and not policy.is_super(by.caller):
                raise SuperRequired
            before = {name: row.fields[name] for name in merged}
            _check_models(tx, self._models, twin, merged)
            if merged:
                administration.change_twin(tx, twin, merged)
                audit.note(tx, by, "institution.changed", _target(twin), before=before, after=merged)
            closed = merged.get("status", "active") != "active"
            return twin, people.members_of(tx, twin) if closed else []

        twin, out = await self._db.write(store)
        self._revocations.left(out, twin)
        return twin

    async def add(self, by: Actor, fields: Mapping[str, Any], account_id: str | None) -> TwinRow:
        """Add a twin to an account. Raises InvalidId, NotFound, SuperRequired (to no account), ValidationFailed."""
        _check(fields)

        def store(tx: Tx) -> TwinRow:
            account = _account_to_add_to(tx, by.caller, account_id)
            _check_models(tx, self._models, None, fields)
            return _add(tx, by, {**fields, "account_id": account}, action="institution.added")

        return await self._db.write(store)

    async def clone(self, by: Actor, institution_id: str, name: str) -> TwinRow:
        """Add a twin with the settings of another one, in its account. Raises as `policy.require` does."""

        def store(tx: Tx) -> TwinRow:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_ADD, institution_id, param="institutionId")
            kept = {key: value for key, value in _one(tx, twin).fields.items() if key in CLONED or key == "account_id"}
            return _add(tx, by, {**kept, "name": name}, action="institution.cloned")

        return await self._db.write(store)

    async def move(self, by: Actor, institution_id: str, account_id: str | None) -> TwinRow:
        """Put a twin into another account, or None: into none, which only super administrators may.

        Raises as `policy.require` and `policy.require_account` do, SuperRequired.
        """
        if account_id is None and not policy.is_super(by.caller):
            raise SuperRequired

        def store(tx: Tx) -> TwinRow:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="institutionId")
            target = None if account_id is None else policy.require_account(tx, by.caller, account_id, param="account")
            before = {"account_id": _one(tx, twin).fields["account_id"]}
            administration.change_twin(tx, twin, {"account_id": target})
            audit.note(tx, by, "institution.moved", _target(twin), before=before, after={"account_id": target})
            return _one(tx, twin)

        return await self._db.write(store)

    async def delete(self, by: Actor, institution_id: str) -> None:
        """Delete a twin softly: nobody is let in any more, what runs there ends. Raises as `policy.require` does."""

        def store(tx: Tx) -> tuple[str, list[str]]:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_DELETE, institution_id, param="institutionId")
            administration.change_twin(tx, twin, {"status": "deleted", "join_id": None, "lti_context_ids": ()})
            launches.forget_secret(tx, twin)
            audit.note(tx, by, "institution.deleted", _target(twin))
            return twin, people.members_of(tx, twin)

        twin, members = await self._db.write(store)
        self._revocations.left(members, twin)


def _check(fields: Mapping[str, Any]) -> None:
    """Raise ValidationFailed for values that no schema can judge."""
    contacts = [one.strip() for one in str(fields.get("contact_email", "")).split(",") if one.strip()]
    if len(contacts) > MAX_CONTACTS:
        raise _wrong("contactEmail", f"must have at most {MAX_CONTACTS} addresses")
    for contact in contacts:
        try:
            check_email(contact)
        except ValidationFailed:
            raise _wrong("contactEmail", "must be e-mail addresses, parted by commas") from None
    if any(len(context) > MAX_CONTEXT for context in fields.get("lti_context_ids", ())):
        raise _wrong("ltiContextIds", f"must have at most {MAX_CONTEXT} characters each")
    for url in fields.get("public_authorized_urls", ()):
        if url != ANY and origin_of(url) is None:
            raise _wrong("publicAuthorizedUrls", "must be web addresses")


def _check_models(tx: Tx, models: ModelCatalogue, twin: str | None, fields: Mapping[str, Any]) -> None:
    """Raise ValidationFailed for a model that neither the server nor the twin (None: a new one) has."""
    for column, name in _MODELS.items():
        given = fields.get(column, ())
        for model in [given] if isinstance(given, str) else given:
            if model and not known(tx, models, twin, model):
                raise _wrong(name, f"is no model that this digital twin can call: {model[:100]}")


def _merged(row: TwinRow, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what really changes; `appearance` is merged into what there is."""
    wanted = dict(changes)
    if "appearance" in wanted:
        wanted["appearance"] = {**row.fields["appearance"], **wanted["appearance"]}
    return {name: value for name, value in wanted.items() if row.fields[name] != value}


def _account_to_add_to(tx: Tx, caller: Caller, account_id: str | None) -> str | None:
    """Return the account: any for super administrators, else one managed, or one of whose twins one may add to."""
    if account_id is None:
        if not policy.is_super(caller):
            raise SuperRequired("Only super administrators may add a digital twin outside of accounts.")
        return None
    wanted = parse_id(account_id)
    if wanted is None:
        raise InvalidId(param="account")
    if not policy.is_super(caller) and policy.reach(tx, caller, Verb.INSTITUTIONS_ADD).institutions & reach.of_accounts(
        tx, [wanted]
    ):
        return wanted
    return policy.require_account(tx, caller, wanted, param="account")


def _add(tx: Tx, by: Actor, fields: Mapping[str, Any], *, action: str) -> TwinRow:
    """Add a twin; whoever would not reach it otherwise becomes its administrator, with no verb that is new to him."""
    values = {"id": new_id(), "public_id": new_uuid(), **fields}
    twin = administration.add_twin(tx, values, credits=STARTING_CREDITS)
    audit.note(tx, by, action, _target(twin), after={name: fields[name] for name in ("name", "account_id")})
    caller = by.caller
    if not policy.reach(tx, caller, Verb.INSTITUTIONS_ADD).covers(twin):
        within = reach.of_accounts(tx, [values["account_id"]])
        held = {verb for one in within for verb in policy.verbs(tx, caller, one)}
        made = Membership(
            id=new_id(),
            user_id=caller.user_id,
            institution_id=twin,
            created=now_ms(),
            joined=now_ms(),
            account_type="admin",
            entitlements=tuple(verb for verb in ALL_VERBS if verb in held),
        )
        enrol(tx, by, made)
    return _one(tx, twin)


def _one(tx: Tx, institution_id: str) -> TwinRow:
    row = administration.twin(tx, institution_id)
    if row is None:
        raise NotFound(param="institutionId")
    return row


def _target(institution_id: str) -> Target:
    return Target("institution", institution_id, institution_id)


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(param=name, details=field(name, message))
