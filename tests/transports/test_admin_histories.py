"""Everybody's history for administrators: what is found, by whom, and that every look leaves a trace."""

import csv
import io
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.faces import Face, ask
from tests.fakes.upstream import text_reply
from tests.organisation import Org, organisation
from tests.world import balances, world
from twinspeak.domain.clock import iso, now_ms

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

TALKS = [
    ("member", 1_750_000_000_001, "Trees", "What is an oak?", "A tree with lobed leaves."),
    ("member", 1_750_000_000_001, "Trees", "And an elm?", "=1+1 is no elm."),
    ("member", 1_750_000_000_002, "Birds", "What is a wren?", "A small bird."),
    ("admin", 1_750_000_000_003, "Trees", "How old does an oak get?", "A thousand years."),
    ("other", 1_750_000_000_004, "Elms", "What is an elm?", "Another tree."),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("histories")) as here:
        made = await organisation(here)
        for who, course, name, question, answer in TALKS:
            here.upstream.script(text_reply(answer))
            args = {"selectedCourse": {"course_id": course, "course_name": name}, "ragIgnore": True}
            told = await ask(here.server, made.tokens[who], Face.REST, question, **args)
            assert told.status == 200
            made.ids[question] = told.turn_id
        yield made


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


async def found(org: Org, who: str, **wanted: Any) -> set[str]:
    page = await org.good("POST", "/api/admin/histories", wanted, who)
    assert page["total"] == len(page["data"])
    return {row["input"] for row in page["data"]}


OAKS = {question for who, _, _, question, _ in TALKS if who != "other"}


async def test_records_are_found_within_reach_alone(org: Org) -> None:
    assert await found(org, "admin") == OAKS
    assert await found(org, "stranger") == await found(org, "manager") == {"What is an elm?"}
    assert await found(org, "admin", institution=org.ids["elm"]) == set()
    assert await found(org, "super", institution=org.ids["oak"]) == OAKS
    assert await found(org, "super", account=org.ids["south"]) == {"What is an elm?"}
    assert await found(org, "super", course_name="Elms") == {"What is an elm?"}
    assert await found(org, "super", keyword="wren") == {"What is a wren?"}
    assert await found(org, "super", hasFeedback=True, accountType="super") == set()
    assert await found(org, "super") > OAKS
    assert await org.code("POST", "/api/admin/histories", {}, "bare") == "entitlement_missing"
    assert await org.code("POST", "/api/admin/histories", {}, "member") == "admin_required"
    assert await org.code("POST", "/api/admin/histories", {"institution": "x"}, "admin") == "invalid_id"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"usersearch": "MEMBER@"}, {"What is an oak?", "And an elm?", "What is a wren?"}),
        ({"usersearch": "nobody"}, set()),
        ({"usersearch": "%"}, set()),
        ({"accountType": "admin"}, {"How old does an oak get?"}),
        ({"accountType": "user", "course_name": "Birds"}, {"What is a wren?"}),
        ({"course_name": "Trees"}, {"What is an oak?", "And an elm?", "How old does an oak get?"}),
        ({"course_name": "Tree"}, set()),
        ({"keyword": "elm"}, {"And an elm?"}),
        ({"keyword": "oak thousand"}, {"How old does an oak get?"}),
        ({"keyword": "oak", "usersearch": "member"}, {"What is an oak?"}),
        ({"keyword": "nothing of the kind"}, set()),
        ({"keyword": "???"}, set()),
        ({"model": "no-such"}, set()),
        ({"assistant": "0" * 24}, set()),
        ({"hasFeedback": True}, set()),
        ({"daterange": ["2020-01-01", "2020-12-31"]}, set()),
        ({"daterange": ["2020-01-01", "2999-12-31"]}, OAKS),
        ({"daterange": ["2020-01-01", "2999-12-31"], "accountType": "admin"}, {"How old does an oak get?"}),
    ],
    ids=lambda given: str(given) if isinstance(given, dict) else "",
)
async def test_every_filter_finds_what_it_says(org: Org, wanted: dict[str, Any], expected: set[str]) -> None:
    assert await found(org, "admin", **wanted) == expected


async def test_feedback_is_found(org: Org) -> None:
    for question, mark in (("What is an oak?", {"thumb": "up"}), ("And an elm?", {"thumb": "down"})):
        await org.good("POST", "/api/user/feedback", {"historyId": org.ids[question], "text": "Hm", **mark}, "member")
    assert await found(org, "admin", hasFeedback=True) == {"What is an oak?", "And an elm?"}
    assert await found(org, "stranger", hasFeedback=True) == set()
    today = iso(now_ms())[:10]
    assert await found(org, "admin", hasFeedback=True, daterange=[today, today], model="no-such") == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"daterange": ["2020-01-01"]},
        {"daterange": ["2020-02-01", "2020-01-01"]},
        {"daterange": ["x", "y"]},
        {"pageSize": 5_001},
        {"page": 0},
        {"accountType": "king"},
        {"usersearch": "x" * 201},
    ],
    ids=str,
)
async def test_wrong_filters_are_refused(org: Org, wrong: dict[str, Any]) -> None:
    for path in ("/api/admin/histories", "/api/admin/histories/export"):
        assert await org.code("POST", path, wrong, "admin") == "validation_failed"


async def test_pages_go_through_all_of_it_newest_first(org: Org) -> None:
    seen: list[str] = []
    for page in (1, 2, 3):
        wanted = {"pageSize": 2, "page": page}
        answer = await org.good("POST", "/api/admin/histories", wanted, "admin")
        assert (answer["total"], answer["hasMore"]) == (4, page < 2)
        seen += [row["input"] for row in answer["data"]]
    assert seen == [question for who, _, _, question, _ in reversed(TALKS) if who != "other"]
    by_person = [
        (await org.good("POST", "/api/admin/histories", {"usersearch": "member", "pageSize": 1, "page": page}, "admin"))
        for page in (1, 2, 3)
    ]
    assert [one["data"][0]["input"] for one in by_person] == ["What is a wren?", "And an elm?", "What is an oak?"]


async def test_a_record_is_read_whole_and_the_look_is_noted(org: Org) -> None:
    path = f"/api/admin/history/{org.ids['What is an oak?']}"
    read = (await org.good("GET", path, who="admin"))["data"]
    assert read["user"]["email"] == "member@example.org"
    assert read["institution"]["name"] == "oak"
    assert (read["output"], read["outputLength"]) == (TALKS[0][4], len(TALKS[0][4]))
    assert (read["creditsPooled"], read["credits"], read["record"]["id"]) == (True, 1, read["_id"])
    for who in ("stranger", "manager"):
        assert await org.code("GET", path, who=who) == "not_found"
    assert await org.code("GET", "/api/admin/history/x", who="admin") == "invalid_id"
    await found(org, "admin", usersearch="member")
    noted = await org.good("POST", "/api/admin/audit", {"limit": 2}, "admin")
    listed, looked = noted["data"]
    assert (looked["action"], looked["target"]) == ("history.read", read["_id"])
    assert looked["after"] == {"user": org.ids["member"]}
    assert (listed["action"], listed["after"]["people"], listed["after"]["found"]) == ("histories.listed", "member", 3)
    assert (await org.good("GET", "/api/admin/audit/check", who="super"))["intact"] is True


async def exported(org: Org, who: str, **wanted: Any) -> str:
    headers = org.here.server.auth(org.tokens[who])
    async with org.here.server.http.post("/api/admin/histories/export", json=wanted, headers=headers) as response:
        assert response.status == 200
        assert "attachment" in response.headers["content-disposition"]
        return await response.text()


async def test_all_of_it_can_be_taken_away(org: Org) -> None:
    lines = list(csv.DictReader(io.StringIO(await exported(org, "admin"))))
    assert [line["input"] for line in lines] == [
        question for who, _, _, question, _ in reversed(TALKS) if who != "other"
    ]
    assert lines[2]["output"] == "'=1+1 is no elm."  # no spreadsheet runs it
    assert (lines[0]["email"], lines[0]["creditsPooled"]) == ("chief@example.org", "true")
    assert await exported(org, "admin", format="json", keyword="nothing") == "[]"
    rows = orjson.loads(await exported(org, "stranger", format="json"))
    assert [(row["input"], row["output"]) for row in rows] == [("What is an elm?", "Another tree.")]
    noted = await org.good("POST", "/api/admin/audit", {"limit": 1}, "stranger")
    assert noted["data"][0]["action"] == "histories.exported"


async def test_the_twins_model_sums_a_selection_up(org: Org) -> None:
    org.here.upstream.script(text_reply("People asked about trees."))
    wanted = {
        "summary": True,
        "summaryInstruction": "Which trees?",
        "institution": org.ids["oak"],
        "usersearch": "member",
    }
    answer = await org.good("POST", "/api/admin/histories", wanted, "admin")
    assert (answer["summary"]["text"], answer["summary"]["records"]) == ("People asked about trees.", 3)
    sent = str(org.here.upstream.exchanges[-1].json)
    assert "Which trees?" in sent
    assert "What is a wren?" in sent
    assert "How old" not in sent
    assert await org.code("POST", "/api/admin/histories", {"summary": True}, "super") == "validation_failed"


async def test_charts_tell_what_was_used(org: Org) -> None:
    spent = 4
    for granularity in ("hour", "day", "week", "month"):
        body = {"granularity": granularity, "range": -2, "dimension": "credits"}
        data = (await org.good("POST", "/api/admin/histories/charts/timeline", body, "admin"))["data"]
        assert sum(point["credits"] for point in data) == spent
        assert {point["_id"]["institution"] for point in data} == {org.ids["oak"]}
        assert all(granularity in point["_id"] for point in data)
        body = {"granularity": granularity, "range": -2}
        people = (await org.good("POST", "/api/admin/histories/charts/users", body, "admin"))["data"]
        assert sum(point["count"] for point in people) >= 2
    together = {"granularity": "day", "range": -2, "dimension": "count", "aggregate": True}
    [point] = (await org.good("POST", "/api/admin/histories/charts/timeline", together, "super"))["data"]
    assert (point["count"], "institution" in point["_id"]) == (5, False)
    totals = await org.good("POST", "/api/admin/histories/charts/totals", {"range": -2, "dimension": "count"}, "super")
    assert [(one["_id"]["institution"], one["count"]) for one in totals["data"]] == [
        (org.ids["oak"], 4),
        (org.ids["elm"], 1),
    ]
    [model] = (await org.good("POST", "/api/admin/histories/charts/model-distribution", {}, "admin"))["data"]
    assert model["count"] == 4
    for by in ("user", "institution", "model", "assistant"):
        data = (await org.good("POST", "/api/admin/usage", {"by": by}, "admin"))["data"]
        assert sum(row["credits"] for row in data) == spent
    assert (await org.good("POST", "/api/admin/usage", {"by": "tool"}, "admin"))["data"] == []
    assert await org.code("POST", "/api/admin/usage", {"by": "weather"}, "admin") == "validation_failed"


async def test_the_extract_names_who_used_how_much(org: Org) -> None:
    await org.good("PUT", f"/api/admin/institution/{org.ids['oak']}", {"creditCapInstitution": 6}, "admin")
    body = {"granularity": "month"}
    answer = await org.good("POST", "/api/admin/histories/charts/user-stats", body, "admin")
    rows = {row["email"]: row for row in answer["data"]}
    member = rows["member@example.org"]
    assert (member["queryCount"], member["creditsUsed"], member["lifetimeUsed"]) == (3, 3, 3)
    assert (member["capLimit"], member["capUsedPct"], member["atCap"]) == (6, 50.0, False)
    assert (answer["truncated"], answer["defaultDaysApplied"]) == (False, 30)
    assert answer["summary"] == {
        "meanCreditsPerUserAccount": 2.0,
        "meanCreditsPerUserInstitution": 2.0,
        "usersAtCap": 0,
    }
    headers = org.here.server.auth(org.tokens["admin"])
    path = "/api/admin/histories/charts/user-stats/export"
    async with org.here.server.http.post(path, json=body, headers=headers) as response:
        lines = list(csv.DictReader(io.StringIO(await response.text())))
    assert {line["email"]: line["creditsUsed"] for line in lines} == {
        "member@example.org": "3",
        "chief@example.org": "1",
    }
    await org.good("PUT", f"/api/admin/institution/{org.ids['oak']}", {"creditCapInstitution": -1}, "admin")


async def test_ones_own_use_is_told(org: Org) -> None:
    mine = await org.good("GET", "/api/user/usage-history?window=7&interval=daily", who="member")
    assert (len(mine["buckets"]), mine["totals"]["credits"], mine["totals"]["messages"]) == (7, 3, 3)
    assert (mine["instanceId"], mine["currency"], mine["scope"]) == (org.ids["oak"], "usd", "own")
    everybody = await org.good("GET", "/api/user/usage-history?scope=all&interval=monthly&window=30", who="admin")
    assert everybody["totals"]["credits"] == 4
    assert await org.code("GET", "/api/user/usage-history?scope=all", who="member") == "admin_required"
    assert await org.code("GET", "/api/user/usage-history?window=8", who="member") == "validation_failed"


async def test_the_gauge_says_what_stops_the_next_question(org: Org) -> None:
    twin, ids = f"/api/admin/institution/{org.ids['elm']}", org.ids
    await org.good("PUT", twin, {"creditCapH24": 2}, "stranger")
    gauge = await org.good("GET", "/api/user/credit-cap-status", who="other")
    assert (gauge["capsEnabled"], gauge["blocked"], gauge["capType"], gauge["source"]) == (
        True,
        False,
        None,
        "institution",
    )
    assert (gauge["h24"]["used"], gauge["h24"]["cap"], gauge["accountWide"]["cap"]) == (1, 2, None)
    assert (await ask(org.here.server, org.tokens["other"], Face.REST)).status == 200
    gauge = await org.good("GET", "/api/user/credit-cap-status", who="other")
    assert (gauge["blocked"], gauge["capType"], gauge["h24"]["used"]) == (True, "h24", 2)
    for face in (Face.REST, Face.SSE):
        refused = await ask(org.here.server, org.tokens["other"], face)
        assert refused.status == 402
        assert refused.error
        assert refused.error["code"] == "usage_cap_reached"
        details = refused.error["details"]
        assert (details["capType"], details["used"], details["cap"]) == ("h24", 2, 2)
        assert details["resetAt"] == gauge["h24"]["resetAt"]
    limits = await org.good(
        "GET", f"/api/admin/usage-limits?userId={ids['other']}&institutionId={ids['elm']}", who="stranger"
    )
    assert limits["h24"] == {"used": 2, "cap": 2, "over": True}
    assert (limits["totals"]["credits"], limits["perInstitution"]["over"]) == (2, False)
    counted = await org.good("GET", f"/api/admin/usage-limits?accountId={ids['south']}", who="manager")
    assert (counted["usersAtCap"], counted["membershipsAtCap"], counted["users"]) == (1, 1, 2)
    assert await org.code("GET", f"/api/admin/usage-limits?accountId={ids['north']}", who="manager") == "not_found"
    assert await org.code("GET", "/api/admin/usage-limits", who="stranger") == "validation_failed"
    await org.good("PUT", twin, {"creditCapH24": -1}, "stranger")
    assert (await org.good("GET", "/api/user/credit-cap-status", who="other"))["blocked"] is False
    balances(org.here.database)


async def test_people_are_told_that_administrators_can_read(org: Org) -> None:
    profile = (await org.good("POST", "/api/user/refresh/profile", {}, "member"))["profile"]
    assert "can read" in profile["institution"]["historyNotice"]


async def test_a_refund_is_for_super_administrators(org: Org) -> None:
    path = f"/api/admin/history/{org.ids['What is a wren?']}/refund"
    assert await org.code("POST", path, {"note": "X"}, "admin") == "super_required"
    assert await org.code("POST", path, {}, "super") == "validation_failed"
    assert (await org.good("POST", path, {"note": "Wrong bird"}, "super"))["credits"] == 1
    assert await org.code("POST", path, {"note": "Wrong bird"}, "super") == "conflict"
    mine = await org.good("GET", "/api/user/usage-history?window=7", who="member")
    assert (mine["totals"]["credits"], mine["totals"]["messages"]) == (2, 3)
    balances(org.here.database)
