"""Exports, and links that show a conversation to others: secret, expiring, revocable."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from tests.transports.rest.ada import Ada
from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.errors import NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import TurnState
from twinspeak.persistence.conversation_tables import shares
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.services.transcripts import PAGE, Transcripts

COURSE = 7


async def export(ada: Ada, **body: Any) -> httpx.Response:
    return await ada.post("exportHistory", {"course_id": COURSE, **body})


async def shared(ada: Ada, **body: Any) -> dict[str, Any]:
    return (await ada.done("share", body or {"course_id": COURSE}))["data"]


async def opened(ada: Ada, token: str, **query: str) -> httpx.Response:
    return await ada.client.get(f"/api/shared/{token}", params=query)


# -- export -----------------------------------------------------------------------------------------------------------


async def test_a_conversation_is_exported_as_markdown(ada: Ada):
    await ada.turn(course_id=COURSE, question="# Why?\n\n---\n**Answer**", answer="Because.")
    await ada.turn(course_id=COURSE, question="And?", answer="Half", state=TurnState.CANCELLED)
    answer = await export(ada)
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation.md"'
    text = answer.text
    assert text.startswith("# \\# Why? --- \\*\\*Answer\\*\\*\n\nA conversation with Oak, as of ")
    assert "> # Why?\n>\n> ---\n> **Answer**\n" in text
    assert "**Answer**\n\nBecause.\n" in text
    assert "**Answer** (stopped)\n\nHalf\n" in text


async def test_a_conversation_is_exported_as_json_in_order(ada: Ada):
    guide = ada.stage.assistant("Guide")
    for number in range(3):
        await ada.turn(course_id=COURSE, question=f"Q{number} مرحبا 🌳?", answer=f"A{number}", assistant_id=guide)
    await ada.turn(course_id=8, answer="elsewhere")
    body = json.loads((await export(ada, format="json")).content)
    assert (body["format"], body["version"], body["twin"]) == ("twinspeak-conversation", 1, "Oak")
    assert [one["answer"] for one in body["exchanges"]] == ["A0", "A1", "A2"]
    assert body["exchanges"][0]["question"] == "Q0 مرحبا 🌳?"
    assert body["exchanges"][0]["assistant"] == "Guide"


async def test_a_long_conversation_is_exported_whole(ada: Ada):
    first = await ada.turn(course_id=COURSE, answer="A")
    row = dict(ada.stage.row_of(first)._mapping)
    hour = 3_600_000
    earlier = {**row, "created": row["created"] - hour, "number": row["number"] - (hour << 20)}
    ada.stage.copies(earlier, PAGE * 2 + 3)
    body = json.loads((await export(ada, format="json")).content)
    ids = [one["id"] for one in body["exchanges"]]
    assert len(ids) == len(set(ids)) == PAGE * 2 + 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"course_id": 8}, (404, "not_found")),
        ({"institution": "x"}, (400, "invalid_id")),
        ({"institution": new_id()}, (403, "not_a_member")),
        ({"format": "pdf"}, (422, "validation_failed")),
        ({"course_id": "seven"}, (422, "validation_failed")),
    ],
)
async def test_an_export_that_makes_no_sense_is_refused(ada: Ada, body: dict[str, Any], expected: tuple[int, str]):
    await ada.turn(course_id=COURSE)
    assert refusal(await export(ada, **body)) == expected


# -- links ------------------------------------------------------------------------------------------------------------


async def test_a_link_shows_the_conversation_as_it_was_without_signing_in(ada: Ada):
    await ada.turn(course_id=COURSE, answer="Shown.")
    link = await shared(ada)
    await ada.turn(course_id=COURSE, answer="Said later.")
    answer = await opened(ada, link["token"])
    assert [one["answer"] for one in answer.json()["exchanges"]] == ["Shown."]
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "ada@example.org" not in answer.text
    assert "Shown." in (await opened(ada, link["token"], format="markdown")).text
    assert link["url"].endswith(f"/api/shared/{link['token']}")


async def test_a_link_shows_one_record(ada: Ada):
    turn_id = await ada.turn("elm", course_id=COURSE, answer="This.")
    await ada.turn("elm", course_id=COURSE, answer="Not this.")
    link = await shared(ada, id=turn_id)
    assert [one["id"] for one in (await opened(ada, link["token"])).json()["exchanges"]] == [turn_id]


async def test_the_secret_is_told_once_and_kept_nowhere(ada: Ada):
    await ada.turn(course_id=COURSE)
    link = await shared(ada)
    [listed] = (await ada.client.get("/api/user/shares", headers=ada.header)).json()["data"]
    assert listed["_id"] == link["_id"]
    assert "token" not in listed
    assert link["token"] not in str(ada.stage.row(shares))
    assert len(link["token"]) >= 43


async def test_a_link_that_was_ended_shows_nothing(ada: Ada):
    await ada.turn(course_id=COURSE)
    link = await shared(ada)
    path = f"/api/user/share/{link['_id']}"
    assert (await ada.client.delete(path, headers=ada.header)).status_code == 200
    assert refusal(await opened(ada, link["token"])) == (404, "not_found")
    assert refusal(await ada.client.delete(path, headers=ada.header)) == (404, "not_found")
    assert (await ada.client.get("/api/user/shares", headers=ada.header)).json()["data"] == []


@pytest.mark.parametrize("why", ["expired", "forgotten", "left", "suspended", "unknown", "its id"])
async def test_a_link_ends_with_what_it_rests_on(house: House, ada: Ada, why: str):
    turn_id = await ada.turn("elm", course_id=COURSE)
    link = await shared(ada, course_id=COURSE, institution=ada.elm.id)
    token = link["token"]
    if why == "expired":
        change = update(shares).values(expires=1)
        ada.stage.db.write_sync(lambda tx: tx.run(scoped(SYSTEM, change)))
    elif why == "forgotten":
        await ada.done("clearHistory", {"id": turn_id})
    elif why == "left":
        ada.stage.leave(ada.caller.user_id, ada.elm.id)
    elif why == "suspended":
        ada.stage.edit(ada.user, status="suspended")
    else:
        token = "x" * 43 if why == "unknown" else link["_id"]
    assert refusal(await opened(ada, token)) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"course_id": COURSE, "id": new_id()}, (400, "invalid_request")),
        ({"course_id": 8}, (404, "not_found")),
        ({"course_id": 0}, (422, "validation_failed")),
        ({"id": "x"}, (400, "invalid_id")),
        ({"id": new_id()}, (404, "not_found")),
        ({"course_id": COURSE, "days": 0}, (422, "validation_failed")),
        ({"course_id": COURSE, "days": 366}, (422, "validation_failed")),
    ],
)
async def test_a_link_that_makes_no_sense_is_not_made(ada: Ada, body: dict[str, Any], expected: tuple[int, str]):
    await ada.turn(course_id=COURSE)
    assert refusal(await ada.post("share", body)) == expected
    assert ada.stage.column(shares.c.id) == []


async def test_links_of_others_cannot_be_ended_and_there_are_not_endlessly_many(
    ada: Ada, monkeypatch: pytest.MonkeyPatch
):
    await ada.turn(course_id=COURSE)
    link = await shared(ada)
    bob = await ada.somebody_else()
    with pytest.raises(NotFound):
        await Transcripts(ada.stage.db).revoke(bob, link["_id"])
    monkeypatch.setattr("twinspeak.services.transcripts.MOST_SHARES", 1)
    assert refusal(await ada.post("share", {"course_id": COURSE})) == (409, "conflict")
    assert (await opened(ada, link["token"])).status_code == 200
