"""2024-11-05 to 2025-11-25, basic/lifecycle, the client's side: the handshake and what it settles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpcore.client import Client, ConnectTimeout, Timeouts
from mcpcore.errors import CallTimeout, ConnectFailed, McpError, MissingCapability, UnsupportedRevision
from mcpcore.testing import FakeClock
from tests.contract.wire import LEGACY, MODERN, Wire, accept, serving

INFO = {"name": "wire", "version": "1"}


def agreed(version: Any, **more: Any) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": {}, "serverInfo": INFO, **more}


async def to_end(wire: Wire) -> list[Any]:
    """Everything until the client closes its end."""
    await wire.end()
    return [await wire.hear() for _ in range(len(wire._unread))]


async def everybody(request: Any) -> None: ...


def every_callback() -> dict[str, Any]:
    return {"sampling": everybody, "elicitation": everybody, "roots": ["file:///a"]}


# -- what the client opens with ----------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/lifecycle/M01", "2024-11-05/lifecycle/M02", "2024-11-05/lifecycle/M03")
@pytest.mark.spec("2024-11-05/lifecycle/M04", "2024-11-05/lifecycle/M06", "2024-11-05/lifecycle/M07")
@pytest.mark.spec("2025-03-26/lifecycle/M05", "2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10")
@pytest.mark.spec("2024-11-05/messages/M08", "2024-11-05/transports/M10")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_first_message_is_initialize_and_the_second_initialized(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            request = await wire.hear("initialize")
            assert request["jsonrpc"] == "2.0" and type(request["id"]) in (int, str)
            params = request["params"]
            assert params["protocolVersion"] == revision
            assert params["clientInfo"]["name"] == "contract"
            assert params["clientInfo"]["version"] == "7"
            assert ("title" in params["clientInfo"]) == (revision >= "2025-06-18")
            able = {"sampling", "roots"} | ({"elicitation"} if revision >= "2025-06-18" else set())
            assert set(params["capabilities"]) == able
            wire.reply(request, agreed(revision))
            assert "id" not in await wire.hear("notifications/initialized")
            wire.reply(await wire.hear("ping"), {})
            assert await to_end(wire) == []

        options = {"name": "contract", "version": "7", "title": "The contract", **every_callback()}
        async with serving(script) as target, Client(target, revisions=revision, **options) as client:
            assert client.revision == revision
            await client.ping()

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M03", "2024-11-05/lifecycle/S07", "2025-06-18/lifecycle/M11")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_client_without_callbacks_declares_nothing_and_refuses_what_it_did_not_declare(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            opening = await accept(wire, revision)
            assert opening["params"]["capabilities"] == {}
            wire.judge = None  # it is we who ask for what was not agreed
            params = {"messages": [], "maxTokens": 1, "message": "?", "requestedSchema": {"type": "object"}}
            for method in ("sampling/createMessage", "elicitation/create", "roots/list", "tools/list", "acme/x"):
                assert (await wire.error(method, params))["code"] == -32601
            assert await wire.result("ping") == {}

        async with serving(script) as target, Client(target, revisions=revision):
            await target.tasks[0]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S03", "2024-11-05/lifecycle/M07")
@pytest.mark.parametrize(
    ("spoken", "offer"),
    [
        (None, "2025-11-25"),
        (LEGACY, "2025-11-25"),
        (LEGACY[:3], "2025-06-18"),
        (["2024-11-05", MODERN], "2024-11-05"),
    ],
    ids=str,
)
def test_the_client_offers_its_newest_version(spoken: Any, offer: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            assert (await accept(wire, offer))["params"]["protocolVersion"] == offer

        async with serving(script) as target, Client(target, revisions=spoken) as client:
            assert client.revision == offer

    asyncio.run(main())


# -- the counter-offer -------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10", "2024-11-05/lifecycle/S11")
@pytest.mark.parametrize("offer", LEGACY)
def test_the_client_speaks_the_older_version_that_the_server_offers(offer: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            wire.revision = offer
            request = await wire.hear("initialize")
            assert request["params"]["protocolVersion"] == "2025-11-25"
            wire.reply(request, agreed(offer))
            await wire.hear("notifications/initialized")
            # what came after 2025-03-26 is not spoken in it, although it was declared for another revision
            if offer < "2025-06-18":
                wire.judge = None
                form = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
                assert (await wire.error("elicitation/create", form))["code"] == -32601
            wire.say(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]')
            if offer == "2025-03-26":
                assert await wire.hear() == [{"jsonrpc": "2.0", "id": 1, "result": {}}]
            assert await wire.result("ping", id="after") == {}

        async with serving(script) as target, Client(target, revisions=LEGACY, **every_callback()) as client:
            assert client.revision == offer
            await target.tasks[0]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S05", "2024-11-05/schema/M01", "2024-11-05/lifecycle/S11")
@pytest.mark.parametrize("offer", ["2024-10-07", "1.0.0", "2099-01-01", "", "2024-11-05", 5, None, MODERN])
def test_a_version_that_the_client_does_not_speak_ends_the_connection(offer: Any) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            request = await wire.hear("initialize")
            wire.judge = None
            wire.reply(request, agreed(offer))
            assert await to_end(wire) == []  # no notifications/initialized, no cancellation, no further try

        async with serving(script) as target:
            with pytest.raises(UnsupportedRevision) as caught:
                await Client(target, revisions=LEGACY[1:]).connect()
            assert not isinstance(offer, str) or offer in str(caught.value)
            assert caught.value.offered == ((offer,) if isinstance(offer, str) else ())

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S11", "2024-11-05/lifecycle/S05")
def test_a_refusal_that_names_versions_leads_to_one_of_them_or_to_the_end() -> None:
    async def main() -> None:
        async def polite(wire: Wire) -> None:
            request = await wire.hear("initialize")
            data = {"supported": ["2024-11-05", "2023-01-01"], "requested": request["params"]["protocolVersion"]}
            wire.refuse(request, -32602, "Unsupported protocol version", data)
            again = await wire.hear("initialize")
            assert again["params"]["protocolVersion"] == "2024-11-05"
            assert again["id"] != request["id"]
            wire.reply(again, agreed("2024-11-05"))
            await wire.hear("notifications/initialized")

        async with serving(polite) as target, Client(target, revisions=LEGACY) as client:
            assert client.revision == "2024-11-05"

        async def final(wire: Wire) -> None:
            wire.refuse(await wire.hear("initialize"), -32602, "Unsupported", {"supported": ["2023-01-01"]})
            assert await to_end(wire) == []

        async with serving(final) as target:
            with pytest.raises(UnsupportedRevision, match="2023-01-01"):
                await Client(target, revisions=LEGACY).connect()

    asyncio.run(main())


# -- until it is answered ----------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/lifecycle/S01", "2024-11-05/lifecycle/M06", "2024-11-05/ping/M01")
def test_until_initialize_is_answered_the_client_sends_nothing_and_answers_pings() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            wire.revision = "2025-11-25"
            request = await wire.hear("initialize")
            for _ in range(3):
                assert await wire.result("ping") == {}
            wire.say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hi"}})
            assert await wire.result("ping") == {}
            wire.reply(request, agreed("2025-11-25", capabilities={"tools": {}}))
            await wire.hear("notifications/initialized")
            wire.reply(await wire.hear("tools/list"), {"tools": []})

        async with serving(script) as target:
            client = Client(target, revisions=LEGACY)
            connecting = asyncio.ensure_future(client.connect())
            asking = asyncio.ensure_future(_after(connecting, client.list_tools))
            assert await asking == []
            await client.close()

    asyncio.run(main())


async def _after(first: Awaitable[object], then: Callable[[], Awaitable[Any]]) -> Any:
    await first
    return await then()


@pytest.mark.spec("2024-11-05/cancellation/M03", "2024-11-05/lifecycle/S13", "2025-03-26/lifecycle/S17")
@pytest.mark.spec("2024-11-05/lifecycle/S15", "2025-03-26/lifecycle/S11")
@pytest.mark.parametrize("revisions", [LEGACY, None], ids=["legacy", "dual"])
def test_a_handshake_that_is_never_answered_times_out_and_is_not_cancelled(revisions: Any) -> None:
    async def main() -> None:
        heard: list[Any] = []

        async def script(wire: Wire) -> None:
            await wire.end()
            heard.extend(wire._unread)

        async with serving(script) as target:
            client = Client(target, revisions=revisions, timeout=Timeouts(connect=7))
            with pytest.raises(ConnectTimeout) as caught:
                await client.connect()
            assert isinstance(caught.value, CallTimeout) and isinstance(caught.value, ConnectFailed)
        expected = ["initialize"] if revisions else ["server/discover", "initialize"]
        assert [message["method"] for message in heard] == expected

    FakeClock().run(main())


@pytest.mark.spec("2024-11-05/cancellation/M03")
def test_a_cancelled_connect_does_not_cancel_initialize() -> None:
    async def main() -> None:
        heard: list[Any] = []
        asked = asyncio.Event()

        async def script(wire: Wire) -> None:
            heard.append(await wire.hear("initialize"))
            asked.set()
            heard.extend(await to_end(wire))

        async with serving(script) as target:
            connecting = asyncio.ensure_future(Client(target, revisions=LEGACY).connect())
            await asked.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        assert len(heard) == 1

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M06", "2024-11-05/lifecycle/S12")
@pytest.mark.parametrize("code", [-32600, -32601, -32602, -32603, -32002, 0])
def test_a_refused_handshake_is_an_error_and_no_session(code: int) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            wire.refuse(await wire.hear("initialize"), code, "come back tomorrow")
            assert [m for m in await to_end(wire) if m.get("method") != "server/discover"] == []

        async with serving(script) as target:
            with pytest.raises(McpError, match="come back tomorrow"):
                await Client(target, revisions=LEGACY).connect()

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/Y01", "2025-03-26/basic/Y01", "2025-11-25/basic/Y01")
@pytest.mark.parametrize("revision", LEGACY)
def test_unknown_capabilities_and_members_of_the_server_are_tolerated(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            request = await wire.hear("initialize")
            odd = {"acme": {"x": 1}, "tools": {"acme": [], "listChanged": True}, "experimental": {"a": {"b": 1}}}
            wire.reply(request, agreed(revision, capabilities=odd, acme={"x": None}, _meta={"acme.example/a": 1}))
            await wire.hear("notifications/initialized")
            wire.reply(await wire.hear("ping"), {"acme": 1})

        async with serving(script) as target, Client(target, revisions=revision) as client:
            assert client.server_capabilities.tools is not None
            await client.ping()

    asyncio.run(main())


# -- capabilities ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/lifecycle/S12")
@pytest.mark.parametrize("revision", LEGACY)
def test_what_the_server_did_not_declare_is_not_subscribed_to_nor_set(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"resources": {}, "tools": {}})
            assert await to_end(wire) == []

        async with serving(script) as target, Client(target, revisions=revision, log=print) as client:
            with pytest.raises(MissingCapability):
                await client.set_log_level("info")
            with pytest.raises(MissingCapability):
                await client.subscribe("a://b")
            await client.notify_roots_changed()  # roots were not declared: there is nothing to tell

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/lifecycle/M11")
def test_the_client_requests_nothing_that_the_server_did_not_declare() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, "2025-11-25", {"tools": {}})
            heard: list[Any] = []
            while not wire.ended.is_set() or wire._unread:
                try:
                    request = await wire.hear()
                except AssertionError:
                    break
                heard.append(request["method"])
                wire.refuse(request, -32601, "Method not found")
            assert heard == []

        async with serving(script) as target, Client(target, revisions="2025-11-25") as client:
            for ask in (client.list_prompts, client.list_resources, client.list_resource_templates):
                with pytest.raises(McpError):
                    await ask()

    asyncio.run(main())
