"""From what was asked to what will run: twin, assistant, conversation, model, payer (contract section 4).

`Resolver` is `engine.ports.Resolver`. Everything it looks up comes from one read, the session first: a turn is
registered before it is resolved, so a sign-out is either seen here or ends the turn through the registry.
"""

import msgspec

from twinspeak.domain.ai_models import AiModel
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Caller, Scope, scope_of
from twinspeak.domain.cascade import RagSwitches, Retrieval, choose_model, choose_retrieval
from twinspeak.domain.clock import now_ms
from twinspeak.domain.conversation import UNASSIGNED, CourseRef, Exchange, course_name_from
from twinspeak.domain.errors import (
    AttachmentUnsupported,
    ChatCompletionDisabled,
    InvalidId,
    InvalidToken,
    ModelUnavailable,
    NotAMember,
    NotFound,
    OriginNotAllowed,
)
from twinspeak.domain.ids import parse_id, parse_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.memory import Memory
from twinspeak.domain.models import ModelChoice, ModelSpec
from twinspeak.domain.origins import allows
from twinspeak.domain.people import User
from twinspeak.domain.tools import ToolGrants
from twinspeak.domain.turn import Ask, Face, Fallback, Sampling, TurnPlan
from twinspeak.domain.vault import Document
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.files import Files
from twinspeak.persistence.repos import (
    ai_models,
    memberships,
    memories,
    tool_records,
    turns,
    users,
    wallets,
)
from twinspeak.persistence.repos.turns import Conversation
from twinspeak.services import enclosures
from twinspeak.services.ai_models import spec_of
from twinspeak.services.assistants import usable_by
from twinspeak.services.auth import live_caller
from twinspeak.services.ports import ModelCatalogue
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.remembering import most_of, placed, recalled, uses_memory
from twinspeak.services.tool_records import grants_of

PERSONAL_PASSAGES = 6
"""How many passages a question outside any twin gets; a twin has a setting of its own."""
PERSONAL_TOOL_CHARS = 4_000
"""How much of a tool's result is shown outside any twin."""

MOST_FALLBACKS = 5
"""Models that a twin may fall back to."""


class Resolver:
    """Looks up and checks all that a question names, against who asks it.

    `cors_origins` are pages that may talk to every twin; `twin_rule` limits the turns of one twin; `files` are those of
    the vaults.
    """

    def __init__(
        self,
        db: Database,
        models: ModelCatalogue,
        limits: RateLimits,
        *,
        cors_origins: tuple[str, ...] = (),
        twin_rule: Rule,
        files: Files,
    ) -> None:
        """Keep the parts."""
        self._files = files
        self._db = db
        self._models = models
        self._limits = limits
        self._cors_origins = cors_origins
        self._twin_rule = twin_rule
        self._last_course = 0

    async def resolve(self, ask: Ask) -> TurnPlan:
        """Return the plan of a turn.

        Raises InvalidToken and AccountSuspended (the session ended meanwhile), NotAMember (unknown, foreign, malformed
        and inactive twins alike), NotFound and InvalidId (assistant), ChatCompletionDisabled, OriginNotAllowed,
        RateLimited (the twin's limit), ModelUnavailable and AttachmentUnsupported, and for files of a vault what
        `enclosures` raises.
        """
        if ask.course is None:
            ask = msgspec.structs.replace(ask, course=self._new_course(ask))
        found = await self._db.read(lambda tx: _look_up(tx, ask, self._models.default_id))
        self._admit(ask, found.institution)
        if found.institution:
            self._limits.take(found.institution.id, self._twin_rule)
        return self._plan(await self._with_files(ask, found), found)

    async def preview(self, ask: Ask) -> "Preview":
        """Return what would become of a question; it counts against no limit.

        Raises what `resolve` raises but RateLimited.
        """
        found = await self._db.read(lambda tx: _look_up(tx, ask, self._models.default_id))
        self._admit(ask, found.institution)
        plan = self._plan(await self._with_files(ask, found), found)
        pooled = plan.payer_institution_id
        kind, owner = ("user", plan.ask.caller.user_id) if pooled is None else ("institution", pooled)
        available = await self._db.read(lambda tx: wallets.available(tx, kind, owner))
        return Preview(plan=plan, payer=kind, available=available)

    async def _with_files(self, ask: Ask, found: "_Found") -> Ask:
        if not found.documents:
            return ask
        enclosed = await enclosures.fetch(self._files, ask, found.documents)
        return msgspec.structs.replace(ask, attachments=ask.attachments + enclosed)

    def _new_course(self, ask: Ask) -> CourseRef:
        """Begin a conversation, except on chat completions, which go to the unassigned bucket.

        Its id is the time, as clients choose theirs, and never one that this process gave before.
        """
        if ask.face is Face.OPENAI:
            return CourseRef(course_id=UNASSIGNED)
        self._last_course = max(self._last_course + 1, now_ms())
        return CourseRef(course_id=self._last_course, course_name=ask.new_course_name)

    def _admit(self, ask: Ask, institution: Institution | None) -> None:
        trusted = (*(institution.public_authorized_urls if institution else ()), *self._cors_origins)
        if ask.origin is not None and not allows(trusted, ask.origin):
            raise OriginNotAllowed
        if ask.face is Face.OPENAI and not (institution and institution.chat_completion_enabled):
            raise ChatCompletionDisabled

    def _plan(self, ask: Ask, found: "_Found") -> TurnPlan:
        twin = found.institution
        choice = found.choice
        retrieval = _retrieval(ask, found)
        sampling = ask.sampling if twin and twin.chat_completion_openai_compat else Sampling()
        shown = twin is None or twin.display_thinking_details
        first, *others = (
            Fallback(model, _output_limit(choice, model, sampling), model.shows_thinking and shown)
            for model in self._models_for(ask, found, retrieval)
        )
        return TurnPlan(
            ask=msgspec.structs.replace(ask, caller=found.caller, course=found.course, sampling=sampling),
            institution=twin,
            assistant=found.assistant,
            course=found.course,
            history=found.exchanges if ask.messages is None else ask.messages,
            model=first.model,
            output_limit=first.output_limit,
            effort=choice.effort,
            search_vault=retrieval.search,
            passages_only=retrieval.only,
            show_thinking=first.show_thinking,
            payer_institution_id=twin.id if twin and twin.pool_credits else None,
            tool_results_max_chars=twin.tool_results_max_chars if twin else PERSONAL_TOOL_CHARS,
            passages_limit=twin.rag_limit_chunks if twin else PERSONAL_PASSAGES,
            user_name=found.user.name,
            fallbacks=tuple(others),
            uses_memory=uses_memory(found.user),
            memories=found.memories,
            has_other_twins=found.has_other_twins,
            tool_grants=found.tool_grants,
            may_locate=found.user.preferences.get("use_location") is True and (twin is None or twin.location_enabled),
        )

    def _models_for(self, ask: Ask, found: "_Found", retrieval: Retrieval) -> list[ModelSpec]:
        """Return the model that was chosen, then the twin's fall-backs, as far as they are there.

        One that no provider serves any more is what a fall-back is for, too. Raises ModelUnavailable when none is left.
        """
        usable: dict[str, ModelSpec] = {}
        missing: list[ModelUnavailable] = []
        for name in found.wanted:
            try:
                spec = spec_of(self._models, name, found.own.get(name))
            except ModelUnavailable as error:
                missing.append(error)
            else:
                usable.setdefault(spec.id, spec)
        if not usable:
            raise missing[0]
        first, *others = usable.values()
        wanted = () if retrieval.only else ask.attachments
        unread = next((file.media_type for file in wanted if file.media_type not in first.reads), None)
        if unread:
            raise AttachmentUnsupported(details={"model": first.id, "mediaType": unread})
        return [first, *(model for model in others if model.takes(wanted))]


class Preview(msgspec.Struct, frozen=True):
    """The plan that a turn would have. `payer` is institution or user, `available` what it could hold now."""

    plan: TurnPlan
    payer: str
    available: int


class _Found(msgspec.Struct, frozen=True):
    """What the database said. `caller` is as of this read, with the twin of this request as the active one.

    `wanted` names the models that may answer, first choice first; `own` holds the twin's records among them, by name:
    they come before the server's models.
    """

    caller: Caller
    user: User
    institution: Institution | None
    assistant: Assistant | None
    course: CourseRef
    exchanges: tuple[Exchange, ...]
    memories: tuple[Memory, ...]
    choice: ModelChoice
    wanted: tuple[str, ...]
    own: dict[str, AiModel]
    has_other_twins: bool
    documents: tuple[Document, ...]
    tool_grants: ToolGrants


def _look_up(tx: Tx, ask: Ask, default_model: str) -> _Found:
    caller = live_caller(tx, ask.caller.session_id, ask.caller.user_id)
    user = users.by_id(tx, caller.user_id)
    if user is None:
        raise InvalidToken
    institution = _twin(tx, ask, caller, user)
    caller = _acting_in(tx, caller, institution)
    course = ask.course or CourseRef(course_id=UNASSIGNED)
    scope = scope_of(caller, caller.institution_id)
    inside = course.course_id != UNASSIGNED
    conversation = turns.conversation(tx, scope, course.course_id) if inside else None
    if inside:
        course = placed(tx, scope, course, conversation)
    assistant = _with_tool_names(tx, _assistant(tx, ask, caller, conversation))
    exchanges: tuple[Exchange, ...] = ()
    if conversation is not None and ask.messages is None:
        exchanges = recalled(tx, scope, course, most_of(user, assistant), institution)
    choice = choose_model(
        assistant=assistant,
        institution=institution,
        default=default_model,
        chat_completion=ask.face is Face.OPENAI,
    )
    wanted = (choice.model_id, *(institution.fallback_models[:MOST_FALLBACKS] if institution else ()))
    return _Found(
        caller=caller,
        user=user,
        institution=institution,
        assistant=assistant,
        choice=choice,
        wanted=wanted,
        own=ai_models.named(tx, scope, wanted) if institution else {},
        course=_called(tx, scope, ask, course, conversation),
        exchanges=exchanges,
        memories=tuple(memories.readable(tx, scope)) if uses_memory(user) else (),
        has_other_twins=memberships.has_others(tx, caller.user_id, caller.institution_id),
        documents=enclosures.look_up(tx, ask, caller, caller.institution_id) if ask.uploads else (),
        tool_grants=grants_of(tx, scope, institution),
    )


def _twin(tx: Tx, ask: Ask, caller: Caller, user: User) -> Institution | None:
    """Return the twin that is asked: the one named, else the one hinted at, else the active one; None is personal.

    Super administrators are no exception: who is no member gets no answer.
    """
    if ask.institution_public_id:
        public_id = parse_uuid(ask.institution_public_id)
        named = memberships.twin_by_public_id(tx, caller.user_id, public_id) if public_id else None
        if named is None:
            raise NotAMember
        return named
    hint = parse_uuid(ask.institution_hint or "")
    hinted = memberships.twin_by_public_id(tx, caller.user_id, hint) if hint else None
    if hinted is not None or user.active_institution_id is None:
        return hinted
    active = memberships.twin(tx, caller.user_id, user.active_institution_id)
    if active is None:
        # Falling back to the personal space would put this question, and its bill, where nobody meant it to be.
        raise NotAMember
    return active


def _acting_in(tx: Tx, caller: Caller, institution: Institution | None) -> Caller:
    """Return the caller with `institution` as the active twin, and the account type held there."""
    if institution is None or institution.id == caller.institution_id:
        return caller
    membership = memberships.get(tx, caller.user_id, institution.id)
    kind = caller.kind if membership is None or caller.kind == "super" else membership.account_type
    return msgspec.structs.replace(caller, institution_id=institution.id, kind=kind)


def _assistant(tx: Tx, ask: Ask, caller: Caller, conversation: Conversation | None) -> Assistant | None:
    """Return who answers: the one asked for, else the one of the conversation's last record while it may be used."""
    asked = ask.assistant_id or (ask.course.assistant_id if ask.course else None)
    if asked:
        assistant_id = parse_id(asked)
        if assistant_id is None:
            raise InvalidId(param="assistantId")
        found = usable_by(tx, caller, assistant_id)
        if found is None:
            raise NotFound("There is no such assistant.", param="assistantId")
        return found
    if conversation is None or conversation.assistant_id is None:
        return None
    return usable_by(tx, caller, conversation.assistant_id)


def _with_tool_names(tx: Tx, assistant: Assistant | None) -> Assistant | None:
    """Return an assistant whose tools are said by name, where it says them by their records' ids (content 2.1)."""
    ids = [chosen.tool for chosen in assistant.tools if parse_id(chosen.tool)] if assistant else []
    if assistant is None or not ids:
        return assistant
    names = tool_records.names_by_id(tx, ids)
    chosen = (msgspec.structs.replace(one, tool=names.get(one.tool, one.tool)) for one in assistant.tools)
    return msgspec.structs.replace(assistant, tools=tuple(chosen))


def _called(tx: Tx, scope: Scope, ask: Ask, course: CourseRef, conversation: Conversation | None) -> CourseRef:
    """Return a conversation with its name: the one given, else the one it has, else one made by rule.

    Clients send back what the first reply told: where that was the rule's, the name it has got since stays.
    """
    given, has = course.course_name, conversation.course_name if conversation else ""
    if course.course_id == UNASSIGNED:
        return course
    if given and has and given != has and given == course_name_from(turns.first_question(tx, scope, course.course_id)):
        given = has
    by_rule = not given and not has
    name = given or has or course_name_from(ask.question)
    return msgspec.structs.replace(course, course_name=name, named_by_rule=by_rule)


def _retrieval(ask: Ask, found: _Found) -> Retrieval:
    levels = [
        RagSwitches(ignore=ask.rag_ignore or None, only=ask.rag_only or None),
        RagSwitches(ignore=found.user.rag_ignore, only=found.user.rag_only),
    ]
    rest = (level for level in (found.assistant, found.institution) if level is not None)
    return choose_retrieval([*levels, *(RagSwitches(ignore=level.rag_ignore, only=level.rag_only) for level in rest)])


def _output_limit(choice: ModelChoice, model: ModelSpec, sampling: Sampling) -> int:
    """Return the output tokens allowed: what was chosen, within what the model can and what the client asked for."""
    limits = [model.max_output]
    limits += [limit for limit in (choice.max_tokens, sampling.max_tokens or 0) if limit > 0]
    return min(limits)
