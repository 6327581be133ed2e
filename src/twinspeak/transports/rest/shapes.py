"""How people, twins and history records look on the wire (reference 1.1, 2.1, 4.2). `render` fills these.

Fields of the vendor's that have no meaning here (billing, Google) are left out rather than made up.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from twinspeak.transports import wire_names as wire

ID = "6920a1b2c3d4e5f60718293a"
"""An id for examples."""
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI…"  # noqa: S105 - an example, cut short
"""A token for examples."""


class Shape(BaseModel):
    """Filled by attribute name, written by wire name."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Preferences(Shape):
    """What clients keep in the profile and the server only remembers."""

    browser_voice: str = ""
    browser_voices: list[str] = []
    rt_voice: str = ""
    gemini_rt_voice: str = ""
    xai_rt_voice: str = ""
    use_location: bool = False
    use_memory: bool = True
    use_stt: bool = False
    pin_ui: bool = False
    show_side_bar: bool = Field(default=True, alias="showSideBar")
    gallery_as_grid: bool = Field(default=False, alias="galleryAsGrid")
    show_pria_options: bool = Field(default=True, alias="showPriaOptions")
    dark_mode: bool = False
    rag_kag_mode: bool = Field(default=False, alias="ragKagMode")
    update_password_on_sso: bool = Field(default=False, alias="updatePasswordOnSSO")
    lxp_user_id: str = Field(default="", description="`lxp_…` is what the last launch from another site said.")
    lxp_user_type: int = 0
    lxp_partner_id: str = ""
    lxp_partner_name: str = ""
    lxp_role_id: int = 0
    lxp_role_name: str = ""


class InstitutionShape(Shape):
    """The active twin, as its members see it."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    public_id: str = Field(serialization_alias="publicId", examples=["f831501f-b645-481a-9cbb-331509aaf8c1"])
    name: str
    ainame: str
    about: str
    picture: str
    status: str
    created: str
    contact_email: str = Field(serialization_alias="contactEmail")
    credits: int = Field(description="The twin's own balance.")
    pool_credits: bool = Field(serialization_alias="poolCredits", description="True: the twin pays for its members.")
    public_authorized_urls: list[str] = Field(serialization_alias="publicAuthorizedUrls")
    conversation_model: str = Field(serialization_alias="conversationModel")
    max_completion_tokens: int = Field(serialization_alias="maxCompletionTokens")
    reasoning_effort: str = Field(serialization_alias="reasoningEffort")
    rag_ignore: bool = Field(serialization_alias="ragIgnore")
    rag_only: bool = Field(serialization_alias="ragOnly")
    rag_limit_chunks: int = Field(serialization_alias="ragLimitChunks")
    display_thinking_details: bool = Field(serialization_alias="displayThinkingDetails")
    chat_completion_enabled: bool = Field(serialization_alias="chatCompletionEnabled")
    history_notice: str = Field(
        default="The administrators of this digital twin can read conversations; each time they do is recorded.",
        serialization_alias="historyNotice",
        description="To be shown to whoever asks here.",
    )


class ProfileShape(Preferences):
    """A signed-in person."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    email: str = Field(examples=["ada@example.org"])
    fname: str
    lname: str
    picture: str
    account_type: str = Field(
        serialization_alias="accountType", description="super, admin or user; in the active twin."
    )
    permissions: list[str] = Field(description="Verbs like `institutions.edit`, held in the active twin.")
    status: str
    plan: str = Field(description="`sdk` in a twin.")
    credits: int
    credits_used: int = Field(serialization_alias="creditsUsed")
    institution: InstitutionShape | None = Field(description="The active twin; null in a personal profile.")
    remember_history_count: int
    rag_only_search: bool | None = Field(serialization_alias="ragOnlySearch", description="null says nothing.")
    rag_ignore: bool | None = Field(serialization_alias="ragIgnore", description="null says nothing.")
    must_change_password: bool = Field(serialization_alias="mustChangePassword")
    mfa_enabled: bool = Field(default=False, serialization_alias="mfaEnabled")
    reset_code_id: str = Field(serialization_alias="resetCodeId", description="To be sent with a password change.")
    referral_id: str = Field(serialization_alias="referralId")
    created: str


class SignedInShape(Shape):
    """A token and whose it is."""

    token: str = Field(examples=[TOKEN])
    profile: ProfileShape


class AssistantShape(Shape):
    """The assistant of a dialogue."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    liked_count: int
    picture_url: str


class AskedShape(Shape):
    """The question."""

    input: str
    inputs: list[str]


class AnsweredShape(Shape):
    """The answer."""

    output: str
    outputs: list[str]


class ToolUseShape(Shape):
    """A tool that ran."""

    id: str
    same_id: str = Field(serialization_alias="_id", description="The same.")
    name: str
    arguments: dict[str, Any] | None
    response: str
    response_length: int = Field(serialization_alias="responseLength", description="Before any cut.")
    response_duration_ms: int = Field(serialization_alias="responseDurationMs")
    success: bool
    refusal: str | None = Field(default=None, description="Which rule forbade the call, where one did.")


class PlaceShape(Shape):
    """Where a dialogue was held, in lists across twins: a twin, or the personal space."""

    id: str | None = Field(default=None, serialization_alias="_id", examples=[ID])
    name: str | None = None
    ainame: str | None = None
    personal: bool | None = None


class RecordShape(Shape):
    """One dialogue: a question and its answer."""

    id: str = Field(examples=[ID], description="Also the turn's id.")
    created: str = Field(examples=["2026-11-21T09:30:00.000Z"])
    state: str = Field(description="done, cancelled, failed, refused, interrupted or running.")
    success: bool
    user: str
    institution: str | PlaceShape | None
    course_id: int
    course_name: str
    role_id: int = Field(description="The conversation, by its older name.")
    role_name: str
    api: str = Field(examples=[wire.QANDA_PATH], description="The address that was asked.")
    asked: AskedShape = Field(serialization_alias="in")
    answered: AnsweredShape = Field(serialization_alias="out")
    conversation_model: str
    usage: int = Field(description="Tokens in and out.")
    cached: int
    completion: int
    usage_estimated: bool = Field(serialization_alias="usageEstimated")
    credits: int = Field(description="What this dialogue cost.")
    discount: int = 0
    latency_ms: int | None = Field(serialization_alias="latencyMs", description="To the first piece of the answer.")
    query_duration_ms: int
    assistant: AssistantShape | None
    tools: list[ToolUseShape]
    sources: list[dict[str, Any]] = Field(description="As in the reply of the turn.")
    has_thinking: bool = Field(serialization_alias="hasThinking")
    thinking_count: int = Field(serialization_alias="thinkingCount")
    moderated: bool
    truncated: bool = Field(description="The model's output limit cut the answer.")
    favorite: bool
    favorite_name: str
    thumb_up_down: str = Field(serialization_alias="thumbUpDown")
    forgotten: bool = False
    parent_id: str | None = Field(
        default=None, serialization_alias="parentId", description="The dialogue that it followed, where that is known."
    )
    replaces_id: str | None = Field(
        default=None, serialization_alias="replacesId", description="The dialogue in whose place it was asked."
    )
    branched: bool = Field(
        default=False,
        description="It follows `parentId` (null: it is a first one), and not what came before it in time.",
    )
    error: dict[str, Any] | None = Field(description="Of a failed dialogue: code, status, type and message.")
