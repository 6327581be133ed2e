"""How assistants look on the wire (reference content 2.1)."""

from typing import Any, TypeVar

from pydantic import Field

from twinspeak.domain.assistant import Sharing
from twinspeak.domain.clock import iso
from twinspeak.services.assistants import Seen
from twinspeak.transports.rest.shapes import ID, Shape


class UserData(Shape):
    """Of the owner."""

    email: str
    fname: str
    lname: str
    institution: str | None
    account_type: str = Field(serialization_alias="accountType")


class InstitutionData(Shape):
    """Of the twin."""

    name: str
    ainame: str
    status: str
    picture: str


class AccountData(Shape):
    """Of the account."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    status: str


class ListedAssistant(Shape):
    """An assistant as lists show it."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    description: str
    instructions: str = Field(description="Empty for system assistants, but to super administrators.")
    status: str
    picture_url: str
    liked_count: int
    liked: bool = Field(description="By you.")
    may_edit: bool = Field(serialization_alias="mayEdit")
    admin_only: bool
    institution_shared: bool
    account_shared: bool
    editable_others: bool
    remember_history: int | None
    rag_enabled: bool = Field(serialization_alias="ragEnabled")
    bypass_system_context: bool = Field(serialization_alias="bypassSystemContext")
    conversation_model: str = Field(serialization_alias="conversationModel")
    sts_conversation_model: str = Field(serialization_alias="stsConversationModel")
    rag_collections: list[str] = Field(serialization_alias="ragCollections")
    assistant_tool_mode: str = Field(serialization_alias="assistantToolMode")
    assistant_tools: list[dict[str, str]] = Field(serialization_alias="assistantTools")
    argument_5: str | None
    user: str | None
    institution: str | None
    created: str
    user_data: UserData | None
    institution_data: InstitutionData | None
    account_data: AccountData | None


class WholeAssistant(ListedAssistant):
    """With all free slots."""

    argument_1: str | None
    argument_2: str | None
    argument_3: str | None
    argument_4: str | None


class AdminAssistant(ListedAssistant):
    """As administrators see it."""

    history_count: int


class LeanAssistant(Shape):
    """With `minimum`."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    status: str


S = TypeVar("S", bound=ListedAssistant)


def shown(seen: Seen, kind: type[S], **more: Any) -> S:
    """Render an assistant in one of the shapes here; `more` are the fields that only that one has."""
    listed, assistant = seen.listed, seen.listed.assistant
    owner = seen.cards.users.get(listed.owner_id or "")
    twin = seen.cards.twins.get(listed.institution_id or "")
    account = seen.cards.accounts.get(twin.account_id or "") if twin else None
    return kind(
        id=assistant.id,
        name=assistant.name,
        description=assistant.description,
        instructions=assistant.instructions,
        status=assistant.status,
        picture_url=assistant.picture_url,
        liked_count=assistant.liked_count,
        liked=listed.liked,
        may_edit=seen.may_edit,
        admin_only=assistant.admin_only,
        institution_shared=listed.sharing in (Sharing.INSTITUTION, Sharing.ACCOUNT),
        account_shared=listed.sharing is Sharing.ACCOUNT,
        editable_others=assistant.editable_others,
        remember_history=assistant.remember_history,
        rag_enabled=assistant.rag_ignore is not True,
        bypass_system_context=assistant.bypass_system_context,
        conversation_model=assistant.conversation_model,
        sts_conversation_model=assistant.sts_conversation_model,
        rag_collections=list(assistant.rag_collections),
        assistant_tool_mode=assistant.tool_mode,
        assistant_tools=[
            {"tool": chosen.tool, "instructionsOverride": chosen.instructions} for chosen in assistant.tools
        ],
        argument_5=assistant.arguments[4],
        user=listed.owner_id,
        institution=listed.institution_id,
        created=iso(listed.created),
        user_data=owner
        and UserData(
            email=owner.email,
            fname=owner.fname,
            lname=owner.lname,
            institution=listed.institution_id,
            account_type=owner.account_type,
        ),
        institution_data=twin
        and InstitutionData(name=twin.name, ainame=twin.ai_name, status=twin.status, picture=twin.picture),
        account_data=account and AccountData(id=account.id, name=account.name, status=account.status),
        **more,
    )
