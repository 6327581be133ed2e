"""Keys of twins' own models over restarts with other keys of the server's, and what the audit log keeps of changes."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import Upstream, text_reply
from tests.own_models import HEADER, KEY, Own, own_world
from tests.world import world

pytestmark = pytest.mark.usefixtures("database")

OLD, NEW, OTHER = "old-key-of-this-server-" * 2, "new-key-of-this-server-" * 2, "quite-another-key-" * 2


async def test_the_servers_own_key_can_be_changed_without_entering_theirs_again(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        upstream.default = lambda _: text_reply("Hello.")
        settings: dict[str, Any] = {"egress_allow": (f"127.0.0.1:{upstream.port}",)}
        async with world(tmp_path, secrets_key=OLD, **settings) as here:
            own = Own(here, upstream)
            await own.make(name="kept", default_headers={"X-Team": HEADER})
            await own.make(name="keyless", client_library="bedrock_cli", api_key=None, api_url=None)
            await own.choose("kept", await own.twin())
            before = own.dump()
        for keys, answers in ((f"{NEW},{OLD}", True), (NEW, True), (OTHER, False), (f"{OTHER},{NEW}", True)):
            async with world(tmp_path, secrets_key=keys, **settings) as here:
                own, count = Own(here, upstream), len(upstream.exchanges)
                answer = await own.ask()
                if answers:
                    headers = upstream.exchanges[-1].headers
                    assert (headers["authorization"], headers["x-team"]) == (f"Bearer {KEY}", HEADER)
                else:
                    assert (answer.status, "enter it again" in answer.json["message"]) == (503, True)
                assert len(upstream.exchanges) == count + answers
                assert (own.dump() != before) is True


async def test_the_audit_log_tells_of_every_change_and_of_no_secret(tmp_path: Path) -> None:
    async with own_world(tmp_path) as own:
        made = await own.make(default_headers={"X-Team": HEADER})
        path = f"/api/admin/aimodel/{made}"
        assert (await own.call("PUT", path, {"api_key": "another-key-1", "description": "Ours"}))[0] == 200
        assert (await own.call("PUT", path, {"name": ""}))[0] == 422
        assert (await own.call("DELETE", path))[0] == 200
        entries = [entry for entry in own.rows("audit_log") if entry["target_kind"] == "ai_model"]
        assert [entry["action"] for entry in entries] == ["ai_model.created", "ai_model.changed", "ai_model.deleted"]
        twin = await own.twin()
        assert {(entry["target_id"], entry["institution_id"]) for entry in entries} == {(made, twin)}
        assert '"description":"Ours"' in entries[1]["details"].replace(": ", ":")
        assert "api_key" in entries[1]["details"]
        for secret in (KEY, HEADER, "another-key-1"):
            assert secret not in repr(own.rows("audit_log"))
