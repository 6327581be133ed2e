"""What moderation found, for the administrators of its twin."""

from typing import Annotated

from fastapi import Body, Request
from pydantic import Field

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.services.moderation import Kept
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Listing, ListOf, page_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: moderation", failures=(401, 403))


class FindingShape(Shape):
    """What one judge found."""

    engine: str = Field(examples=["rules"])
    categories: list[str] = Field(examples=[["phrase"]])


class ModerationShape(Shape):
    """What was found in one text."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    institution: str | None = Field(examples=[ID])
    user: str = Field(examples=[ID])
    history_id: str = Field(serialization_alias="historyId", examples=[ID])
    side: str = Field(description="`input` or `output`.")
    action: str = Field(description="`block`: refused or withdrawn; `record`: it passed.")
    findings: list[FindingShape]
    created: str


class Moderations(ListOf):
    """A page of them, newest first."""

    data: list[ModerationShape]


@ROUTER.post("/api/admin/moderations", summary="List what moderation found", responses=failures(400))
async def list_moderations(
    request: Request,
    caller: Annotated[Caller, administers(Verb.HISTORIES_LIST)],
    wanted: Annotated[Listing | None, Body()] = None,
) -> Moderations:
    """Return what was found in questions and answers of your twins, whether it was blocked or let pass."""
    wanted = wanted or Listing()
    page = await services_of(request).moderation.listing(
        caller, within=(wanted.institution, wanted.account), limit=wanted.page_size, offset=wanted.wanted.skip
    )
    return page_of(Moderations, [_shown(kept) for kept in page.rows], page.total, wanted)


def _shown(kept: Kept) -> ModerationShape:
    return ModerationShape(
        id=kept.id,
        institution=kept.institution_id,
        user=kept.user_id,
        history_id=kept.turn_id,
        side=kept.side,
        action=kept.action,
        findings=[FindingShape(engine=one.engine, categories=list(one.categories)) for one in kept.findings],
        created=iso(kept.created),
    )
