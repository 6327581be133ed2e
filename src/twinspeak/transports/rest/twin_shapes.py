"""How twins and accounts look to who administers them, and what may be changed (reference: admin 3.8, 4.1).

Every documented field of a twin is one of: a setting with an effect (`TwinSettings`), told to clients which act on it
(`Appearance`), read only, or not built: then only its neutral value is taken (`NEUTRAL`), so that nobody believes to
have switched something on.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.administration import AccountRow, TwinRow
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import ValidationFailed
from twinspeak.domain.moderation import PHRASE_CHARS, PHRASES
from twinspeak.transports.rest.shapes import ID, Shape

Url = Annotated[str, StringConstraints(max_length=2_048, pattern=r"^(https?://|/|data:image/|$)")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Long = Annotated[str, StringConstraints(max_length=100_000)]
Model = Annotated[str, StringConstraints(max_length=200)]
Effort = Literal["", "none", "low", "medium", "high", "max"]
Tokens = Annotated[int, Field(ge=-1, le=10_000_000)]
Urls = Annotated[list[Annotated[str, StringConstraints(max_length=2_048)]], Field(max_length=100)]
Objects = Annotated[list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]], Field(max_length=500)]
Phrases = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=PHRASE_CHARS, strip_whitespace=True)]],
    Field(max_length=PHRASES),
]
ToolNames = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=200)]
Models = Annotated[list[Model], Field(max_length=5)]
Cap = Annotated[int, Field(ge=-1, le=1_000_000_000)]

OFF: tuple[Any, ...] = (None, False)
EMPTY: tuple[Any, ...] = (None, "", [], {})
NEUTRAL: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        (
            "disableAudioNotesForUser", "disableAssistantsForUser", "kagFusionEnabled",
            "rtEnabled", "rtTextInputEnabled", "guestUI", "extendedContext",
            "disableToolUseInstructions", "kalturaIsAdminSecret",
        ),
        OFF,
    ),
    **dict.fromkeys(
        (
            "css", "theme", "elevenlabs_agent_id", "canvasClientId", "canvasClientSecret", "kalturaUserId", "rtModel",
            "rtVoice", "gemini_rt_voice", "xai_rt_voice", "rtVADEagerness", "rtNoiseReduction", "invoices_urls",
            "rtTranscriptionLanguage", "agent",
        ),
        EMPTY,
    ),
    "rtAdminOnly": (None, True),
    "alwaysCiteSources": (None, True),
    "kmeanScore": (None, 0.45),
    "canvasAPIScope": (None, [], ["url:GET|/api/v1/courses/:course_id/smartsearch"]),
}  # fmt: skip
"""Fields of twins that this server does not act on, and the values that ask for nothing."""


class Appearance(Shape):
    """What clients show, kept for them: the server itself does not act on it."""

    picture_bg: Url | None = None
    picture_dark_bg: Url | None = None
    picture_animated: Url | None = None
    display_thinking_execution: bool | None = Field(default=None, alias="displayThinkingExecution")
    display_tool_execution: bool | None = Field(default=None, alias="displayToolExecution")
    display_agent_details: bool | None = Field(default=None, alias="displayAgentDetails")
    disable_clipboard_for_user: bool | None = Field(default=None, alias="disableClipboardForUser")
    personalisation_asked: bool | None = Field(default=None, alias="personalisationAsked")


DEFAULTS: dict[str, Any] = {
    "picture_bg": "", "picture_dark_bg": "", "picture_animated": "", "displayThinkingExecution": True,
    "displayToolExecution": True, "displayAgentDetails": True, "disableClipboardForUser": False,
    "personalisationAsked": False,
}  # fmt: skip
"""Of `Appearance`, for a twin that says nothing."""


class OwnSettings(Appearance):
    """What `PUT /api/user/institution` takes; null leaves a field as it is."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"ainame": "Ada", "ragLimitChunks": 4}})

    ai_name: Line | None = Field(default=None, alias="ainame")
    about: Long | None = None
    picture: Url | None = None
    conversation_model: Model | None = Field(default=None, alias="conversationModel")
    max_completion_tokens: Tokens | None = Field(
        default=None, alias="maxCompletionTokens", description="-1 inherit, 0 as much as the model can."
    )
    reasoning_effort: Effort | None = Field(default=None, alias="reasoningEffort")
    rag_limit_chunks: Annotated[int, Field(ge=1, le=50)] | None = Field(default=None, alias="ragLimitChunks")
    tool_results_max_chars: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, alias="toolResultsMaxChars"
    )
    display_thinking_details: bool | None = Field(
        default=None, alias="displayThinkingDetails", description="Off: reasoning is neither sent nor stored."
    )
    assistants_disabled: Objects | None = Field(default=None, alias="assistantsDisabled")
    summary_model: Model | None = Field(
        default=None, alias="summaryModel", description="Sums up long conversations; empty leaves that to rules."
    )
    compact_history: bool | None = Field(
        default=None, alias="compactHistory", description="Off: what is remembered goes to the model as it was said."
    )
    enable_moderation: bool | None = Field(
        default=None, alias="enableModeration", description="Questions and answers are judged by rules."
    )
    moderation_action: Literal["block", "record"] | None = Field(
        default=None, alias="moderationAction", description="`record` lets pass what was found, and notes it."
    )
    moderation_phrases: Phrases | None = Field(
        default=None, alias="moderationPhrases", description="Found as whole words, whatever case and punctuation."
    )
    disable_file_upload_for_user: bool | None = Field(
        default=None, alias="disableFileUploadForUser", description="Only administrators bring files."
    )
    require_second_factor: bool | None = Field(
        default=None,
        alias="requireSecondFactor",
        description="Members who sign in with a password need a code, too: a mailed one, if they chose nothing else.",
    )
    location_enabled: bool | None = Field(
        default=None, alias="locationEnabled", description="Tells the model where those are who let it be told."
    )


class TwinSettings(OwnSettings):
    """What an administrator changes; null leaves a field as it is."""

    name: Name | None = None
    status: Literal["active", "inactive"] | None = Field(default=None, description="For super administrators.")
    prompt: Long | None = Field(default=None, description="Instructions that every question is sent with.")
    contact_email: Line | None = Field(
        default=None, alias="contactEmail", description="Addresses, parted by commas: who is asked to approve."
    )
    pool_credits: bool | None = Field(default=None, alias="poolCredits", description="The twin pays for its members.")
    credit_award: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, alias="creditAward", description="To a new member, from the twin, where members pay."
    )
    rag_ignore: bool | None = Field(default=None, alias="ragIgnore")
    max_files: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, alias="maxFiles", description="Documents in the twin's vault, at most."
    )
    rag_only: bool | None = Field(default=None, alias="ragOnly")
    chat_completion_enabled: bool | None = Field(default=None, alias="chatCompletionEnabled")
    chat_completion_openai_compat: bool | None = Field(default=None, alias="chatCompletionOpenAICompat")
    chat_completion_model: Model | None = Field(default=None, alias="chatCompletionModel")
    chat_completion_max_completion_tokens: Tokens | None = Field(
        default=None, alias="chatCompletionMaxCompletionTokens"
    )
    chat_completion_reasoning_effort: Effort | None = Field(default=None, alias="chatCompletionReasoningEffort")
    public_authorized_urls: Urls | None = Field(
        default=None, alias="publicAuthorizedUrls", description="Pages that may talk to the twin."
    )
    lti_context_ids: Urls | None = Field(
        default=None, alias="ltiContextIds", description="Places on other sites that the twin stands for."
    )
    fallback_models: Models | None = Field(default=None, alias="fallbackModels")
    tools_disabled: ToolNames | None = Field(
        default=None, alias="toolsDisabled", description="Names or ids of tools that nobody has here."
    )
    mcp_enabled: bool | None = Field(
        default=None, alias="mcpEnabled", description="Lets others use the twin with its MCP secret."
    )
    allow_joining: Literal["disabled", "account", "public"] | None = Field(default=None, alias="allowJoining")
    joining_admin_only: bool | None = Field(
        default=None, alias="joiningAdminOnly", description="Who joins by himself waits for an approval."
    )
    entitle_new_admins: bool | None = Field(
        default=None, alias="entitleNewAdmins", description="New administrators may list everything."
    )
    question_type: Literal["CORPORATE", "INSTITUTION"] | None = Field(default=None, alias="questionType")
    cap_h24: Cap | None = Field(
        default=None,
        alias="creditCapH24",
        description="Credits of the twin that a member may spend in any 24 hours; -1 any, beside the account's caps.",
    )
    cap_institution: Cap | None = Field(
        default=None,
        alias="creditCapInstitution",
        description="Credits of the twin that a member may spend in all; -1 any, beside the account's caps.",
    )
    budget: Cap | None = Field(
        default=None,
        alias="monthlyBudget",
        description="Dollars a month; -1 none. The contacts are written to at 80 and at 100 %, and nobody is stopped.",
    )


class NewTwin(TwinSettings):
    """A name, an account (which super administrators may leave out), and any of the settings."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"name": "Biology", "account": ID}})

    name: Name = Field(description="What administrators call it.")  # pyright: ignore[reportIncompatibleVariableOverride]
    account: Annotated[str, StringConstraints(max_length=100)] | None = None


class AccountShape(Shape):
    """An account."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    status: str
    manager_email: str = Field(serialization_alias="managerEmail", description="The main manager's.")
    manager_emails: list[str] = Field(serialization_alias="managerEmails")
    credits: int
    domain_urls: list[str] = Field(serialization_alias="domainUrls")
    qualification: str
    institutions: int = Field(description="How many digital twins it has.")
    transfer_mode: int = Field(
        serialization_alias="transferMode",
        description="How credits get to its twins: 0 its managers move them, 1 the twins' administrators may pull "
        "some, 2 twins that run low are filled up too.",
    )
    credits_used: int = Field(serialization_alias="creditsUsed", description="What its twins' members have used.")
    cap_h24: int = Field(serialization_alias="creditCapH24", description="-1: none; so with the other caps.")
    cap_institution: int = Field(serialization_alias="creditCapInstitution")
    cap_account: int = Field(serialization_alias="creditCapAccount")
    created: str


class TwinShape(Shape):
    """A digital twin, as its administrators see it."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(serialization_alias="_id", examples=[ID])
    same_id: str = Field(serialization_alias="id")
    public_id: str = Field(serialization_alias="publicId")
    name: str
    status: str
    credits: int
    credits_used: int = Field(serialization_alias="creditsUsed")
    credits_awarded: int = Field(serialization_alias="creditsAwarded")
    credits_total: int = Field(serialization_alias="creditsTotal")
    credits_usage_pct: float = Field(serialization_alias="creditsUsagePct")
    account: AccountShape | None
    created: str
    last_activity: str | None = Field(serialization_alias="lastActivityAt")


class LeanTwin(Shape):
    """With `minimum`."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    ainame: str
    status: str
    public_id: str = Field(serialization_alias="publicId")


_APPEARANCE = frozenset(Appearance.model_fields)
_WIRE = {name: info.alias or name for name, info in TwinSettings.model_fields.items()}


def changes_of(sent: BaseModel, row: TwinRow | None = None) -> dict[str, Any]:
    """Return columns to set.

    A field that this server does not act on, or that cannot be set, must ask for nothing: its neutral value, or the
    one it has. Raises ValidationFailed, naming each that does not.
    """
    shown = {} if row is None else twin(row).model_dump(by_alias=True)
    extras = {name: value for name, value in (sent.model_extra or {}).items() if name not in shown}
    same = {name: value for name, value in (sent.model_extra or {}).items() if name in shown}
    wrong = [_wrong(name) for name, value in extras.items() if not _asks_nothing(name, value)]
    wrong += [_wrong(name, "cannot be set here") for name, value in same.items() if not _same(value, shown[name])]
    if wrong:
        raise ValidationFailed(param=wrong[0]["field"], details={"fields": wrong})
    given = sent.model_dump(include=set(_WIRE) & sent.model_fields_set, exclude_none=True)
    appearance = {_WIRE[name]: given.pop(name) for name in _APPEARANCE & given.keys()}
    if "status" in given:
        given["status"] = "suspended" if given["status"] == "inactive" else given["status"]
    return {**given, "appearance": appearance} if appearance else given


def twin(row: TwinRow) -> TwinShape:
    """Render a twin with all of its settings."""
    fields = row.fields
    settings: dict[str, Any] = {
        wire: fields[name] for name, wire in _WIRE.items() if name in fields and name not in ("name", "status")
    }
    total = row.credits + row.used
    return TwinShape(
        id=row.id,
        same_id=row.id,
        public_id=fields["public_id"],
        name=fields["name"],
        status=_status(fields["status"]),
        credits=row.credits,
        credits_used=row.used,
        credits_awarded=fields["credits_awarded"],
        credits_total=total,
        credits_usage_pct=round(100 * row.used / total, 2) if total else 0.0,
        account=account(row.account) if row.account else None,
        created=iso(fields["created"]),
        last_activity=None if row.last_activity is None else iso(row.last_activity),
        **{**DEFAULTS, **cast("dict[str, Any]", fields["appearance"]), **settings},
    )


def lean_twin(row: TwinRow) -> LeanTwin:
    """Render a twin in short."""
    fields = row.fields
    return LeanTwin(
        id=row.id,
        name=fields["name"],
        ainame=fields["ai_name"],
        status=_status(fields["status"]),
        public_id=fields["public_id"],
    )


def account(row: AccountRow) -> AccountShape:
    """Render an account."""
    return AccountShape(
        id=row.id,
        name=row.name,
        status=_status(row.status),
        manager_email=row.managers[0] if row.managers else "",
        manager_emails=list(row.managers),
        credits=row.credits,
        domain_urls=list(row.domain_urls),
        qualification=row.qualification,
        institutions=row.twins,
        transfer_mode=row.transfer_mode,
        credits_used=row.used,
        cap_h24=row.cap_h24,
        cap_institution=row.cap_institution,
        cap_account=row.cap_account,
        created=iso(row.created),
    )


def _status(kept: str) -> str:
    return "inactive" if kept == "suspended" else kept


def _asks_nothing(name: str, value: Any) -> bool:
    # By type too: 0 is not False here.
    return any(value == neutral and type(value) is type(neutral) for neutral in NEUTRAL.get(name, ()))


def _same(value: Any, shown: Any) -> bool:
    if isinstance(shown, dict):
        shown_fields = cast("dict[str, Any]", shown)
        return value in (shown_fields, shown_fields.get("_id"))
    return value == shown


def _wrong(name: str, message: str = "") -> dict[str, str]:
    known = "is not available on this server" if name in NEUTRAL else "is no field of a digital twin"
    return {"field": name[:100], "message": message or known}
