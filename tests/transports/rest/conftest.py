"""The real services over a real database, served on a real socket; only the model is scripted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.engine.fakes import FakeModels, FakeObserver, FakeProvider, FakeRetriever, FakeTools
from tests.services.conftest import db, stage
from tests.services.stage import PASSWORD, Models, Stage
from tests.transports.http.harness import World, served
from tests.transports.rest.ada import Ada
from twinspeak.domain.people import User
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.ports import TurnPorts
from twinspeak.engine.registry import TurnRegistry
from twinspeak.services.assistants import Assistants
from twinspeak.services.conversations import Conversations
from twinspeak.services.histories import Histories
from twinspeak.services.memory import Memories
from twinspeak.services.moderation import Moderation
from twinspeak.services.origins import Origins
from twinspeak.services.policy import Policy
from twinspeak.services.profiles import Profiles
from twinspeak.services.transcripts import Transcripts

__all__ = ["db", "stage"]  # fixtures of the services' tests


@dataclass
class House:
    """A server and what it stands on."""

    client: httpx.AsyncClient
    stage: Stage
    world: World
    provider: FakeProvider
    turns: TurnRegistry

    async def sign_in(self, email: str = "ada@example.org", password: str = PASSWORD) -> dict[str, str]:
        """Return the header that speaks for a person."""
        answer = await self.client.post("/api/auth/signin", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return {"x-access-token": answer.json()["token"]}

    async def newcomer(self, email: str = "ada@example.org") -> tuple[User, dict[str, str]]:
        """Make a person who has signed in."""
        user = self.stage.person(email)
        return user, await self.sign_in(email)


@pytest.fixture
async def house(stage: Stage) -> AsyncIterator[House]:
    provider = FakeProvider()
    ports = TurnPorts(
        resolver=stage.resolver(),
        store=stage.turns,
        moderator=None,
        retriever=FakeRetriever(),
        tools=FakeTools(),
        models=FakeModels(provider),
        observer=FakeObserver(),
    )
    turns = TurnRegistry(ports, TurnLimits(), keep_s=0.05)
    stage.auth.revocations.on_ended(turns.revoke)
    world = World(
        auth=stage.auth,
        profiles=Profiles(stage.db),
        histories=Histories(stage.db),
        moderation=Moderation(stage.db),
        transcripts=Transcripts(stage.db),
        memories=Memories(stage.db),
        conversations=Conversations(stage.db),
        assistants=Assistants(stage.db, Models()),
        policy=Policy(stage.db),
        limits=stage.limits,
        turns=turns,
        records=stage.turns,
        origins=Origins(stage.db),
    )
    async with served(world) as client:
        yield House(client, stage, world, provider, turns)
        await turns.aclose()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return (status, code) of a failed request."""
    body: dict[str, Any] = answer.json()
    assert body["success"] is False
    return answer.status_code, body["error"]["code"]


@pytest.fixture
async def ada(house: House) -> Ada:
    stage = house.stage
    person = stage.person()
    elm, oak = stage.twin("Elm"), stage.twin("Oak")
    stage.join(person, elm)
    stage.join(person, oak)
    header = await house.sign_in()
    made = Ada(house.client, stage, header, await stage.auth.authenticate(header["x-access-token"]))
    made.oak, made.elm = oak, elm
    return made
