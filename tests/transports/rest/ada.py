"""Somebody with dialogues in two twins and at home, over HTTP."""

from typing import Any

import httpx

from tests.services.stage import Stage
from twinspeak.domain.caller import Caller


class Ada:
    """A member of two twins, with records in both and at home."""

    def __init__(self, client: httpx.AsyncClient, stage: Stage, header: dict[str, str], caller: Caller) -> None:
        self.client, self.stage, self.header, self.caller = client, stage, header, caller
        self.oak: Any = None
        self.elm: Any = None

    async def turn(self, place: Any = "oak", **fields: Any) -> str:
        """Ask in the active twin (oak), in elm, or (None) at home."""
        if place == "oak":
            return await self.stage.turn(self.caller, **fields)
        if place == "elm":
            return await self.stage.turn(self.caller, institution_public_id=self.elm.public_id, **fields)
        self.stage.edit(self.user, active_institution_id=None)
        try:
            return await self.stage.turn(self.caller, **fields)
        finally:
            self.stage.edit(self.user, active_institution_id=self.oak.id)

    @property
    def user(self) -> Any:
        return type("U", (), {"id": self.caller.user_id})()

    async def somebody_else(self) -> Caller:
        """Return another member of oak."""
        self.stage.join(self.stage.person("bob@example.org"), self.oak)
        return await self.stage.caller("bob@example.org")

    async def post(self, path: str, body: Any = None) -> Any:
        return await self.client.post(f"/api/user/{path}", headers=self.header, json=body or {})

    async def done(self, path: str, body: Any = None) -> dict[str, Any]:
        answer = await self.post(path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def outputs(self, path: str = "histories", **body: Any) -> list[str]:
        return [record["out"]["output"] for record in (await self.done(path, body))["data"]]

    async def courses(self, **body: Any) -> dict[int, str]:
        return {one["course_id"]: one["course_name"] for one in (await self.done("courses", body))["data"]}

    async def put(self, turn_id: str, **body: Any) -> Any:
        return await self.client.put(f"/api/user/history/{turn_id}", headers=self.header, json=body)

    async def record(self, turn_id: str) -> dict[str, Any]:
        return (await self.done("histories", {"historyId": turn_id}))["data"][0]
