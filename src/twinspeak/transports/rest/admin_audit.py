"""The log of administrative and security actions: search, export, and whether it is whole."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import orjson
from fastapi import Body, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from twinspeak.domain.audit import KeptEntry
from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.services.audit import Wanted
from twinspeak.transports.http.routes import SuperAdmin, Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Ids, Text
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: audit", failures=(401, 403))

Reads = Annotated[Caller, administers(Verb.AUDIT_LIST)]
EXPORT_PAGE = 1_000
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": '{"id": 1, "action": "…"}\n'}},
        "description": "One entry a line, the newest first",
    }
}


class AuditWanted(BaseModel):
    """Which entries; what is left out does not matter."""

    model_config = ConfigDict(json_schema_extra={"example": {"action": "user.changed", "limit": 50}})

    institution: Ids = Field(default="", description="Twins' ids, parted by blanks.")
    account: Ids = Field(default="", description="Accounts' ids, parted by blanks.")
    actor: Text = Field(default="", description="Who did it: an id.")
    target: Text = Field(default="", description="To what it was done: an id.")
    action: Text = Field(default="", examples=["user.changed"])
    search: Text = Field(default="", description="In addresses, actions and what was changed.")
    after: AwareDatetime | None = None
    before: AwareDatetime | None = None

    def chosen(self) -> Wanted:
        """Return what the service takes."""
        return Wanted(
            institution=self.institution,
            account=self.account,
            actor_id=self.actor.lower(),
            target_id=self.target,
            action=self.action,
            search=self.search,
            after=None if self.after is None else int(self.after.timestamp() * 1000),
            before=None if self.before is None else int(self.before.timestamp() * 1000),
        )


class AuditPage(AuditWanted):
    """Which page of them; `cursor` is the `next` of the page before."""

    limit: int = Field(default=100, ge=1, le=1_000)
    cursor: int | None = Field(default=None, ge=1, le=2**62)


class EntryShape(Shape):
    """What happened."""

    id: int
    at: str
    actor: str | None = Field(examples=[ID])
    actor_email: str = Field(serialization_alias="actorEmail")
    acted_as: str | None = Field(serialization_alias="actedAs", description="Whom the actor acted as.")
    action: str = Field(examples=["user.changed"])
    target_kind: str = Field(serialization_alias="targetKind")
    target: str
    institution: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    ip: str
    user_agent: str = Field(serialization_alias="userAgent")
    hash: str = Field(description="Binds this entry to the one before it.")
    previous: str


class Entries(BaseModel):
    """The newest first; `next` is null at the end."""

    success: Literal[True] = True
    data: list[EntryShape]
    next: int | None


class Checked(BaseModel):
    """Whether every entry is what it was, and none is missing."""

    success: Literal[True] = True
    entries: int
    intact: bool
    broken_at: int | None = Field(serialization_alias="brokenAt")


@ROUTER.post("/api/admin/audit", summary="Search the audit log", responses=failures(400))
async def search_audit(request: Request, caller: Reads, wanted: Annotated[AuditPage | None, Body()] = None) -> Entries:
    """Return entries of the twins where you hold `audit.list`; super administrators see everything."""
    wanted = wanted or AuditPage()
    found = await services_of(request).audit.search(
        caller, wanted.chosen(), limit=wanted.limit, before_id=wanted.cursor
    )
    following = found[-1].id if len(found) == wanted.limit else None
    return Entries(data=[_shown(kept) for kept in found], next=following)


@ROUTER.post(
    "/api/admin/audit/export", summary="Export the audit log", response_class=StreamingResponse, responses=_LINES
)
async def export_audit(
    request: Request, caller: Reads, wanted: Annotated[AuditWanted | None, Body()] = None
) -> StreamingResponse:
    """Return all entries that match as lines of JSON."""
    log, chosen = services_of(request).audit, (wanted or AuditWanted()).chosen()
    first = await log.search(caller, chosen, limit=EXPORT_PAGE)

    async def lines() -> AsyncGenerator[bytes]:
        page = first
        while page:
            yield b"".join(orjson.dumps(_shown(kept).model_dump(by_alias=True)) + b"\n" for kept in page)
            if len(page) < EXPORT_PAGE:
                return
            page = await log.search(caller, chosen, limit=EXPORT_PAGE, before_id=page[-1].id)

    headers = {"content-disposition": 'attachment; filename="audit.ndjson"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


@ROUTER.get("/api/admin/audit/check", summary="Check the audit log")
async def check_audit(request: Request, _caller: SuperAdmin) -> Checked:
    """Look at the whole log: each entry's hash covers the one before it, and the last one is noted apart."""
    found = await services_of(request).audit.check()
    return Checked(entries=found.entries, intact=found.intact, broken_at=found.broken_at)


def _shown(kept: KeptEntry) -> EntryShape:
    entry = kept.entry
    return EntryShape(
        id=kept.id,
        at=iso(entry.at),
        actor=entry.actor_id,
        actor_email=entry.actor_email,
        acted_as=entry.as_id,
        action=entry.action,
        target_kind=entry.target_kind,
        target=entry.target_id,
        institution=entry.institution_id,
        before=entry.details.get("before", {}),
        after=entry.details.get("after", {}),
        ip=entry.ip,
        user_agent=entry.user_agent,
        hash=kept.hash,
        previous=kept.previous,
    )
