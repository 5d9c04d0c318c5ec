"""2026-07-28, server/utilities/caching, the client's side: what is reused, for how long, and what ends that."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from mcpcore import Client
from mcpcore.errors import RpcError
from mcpcore.testing import FakeClock
from tests.contract.wire import META, MODERN, Wire, accept, serving

CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
}


class Source:
    """A server whose every result is new, so that a reused one shows. ``hints`` go into each of them."""

    def __init__(self, **hints: Any) -> None:
        self.hints = {"ttlMs": 60_000, "cacheScope": "private"} | hints
        self.asked: Counter[tuple[str, Any]] = Counter()
        self.wire: Wire | None = None
        self.listening: dict[str, Any] | None = None
        self.pages = 1
        self.stale: set[str] = set()
        """Cursors that are no longer good."""

    async def script(self, wire: Wire) -> None:
        self.wire = wire
        await accept(wire, MODERN, CAPABILITIES)
        while True:
            try:
                request = await wire.hear()
            except TimeoutError:
                continue  # the test's clock jumped
            except AssertionError:
                if wire.ended.is_set():
                    return
                raise
            if "id" in request:
                self.serve(wire, request)

    def serve(self, wire: Wire, request: dict[str, Any]) -> None:
        method, params = request["method"], request["params"]
        key = params.get("uri", params.get("cursor"))
        self.asked[method, key] += 1
        number = str(self.asked.total())
        if method == "subscriptions/listen":
            self.listening = {"_meta": {f"{META}subscriptionId": request["id"]}}
            notifications = params["notifications"]
            wire.tell("notifications/subscriptions/acknowledged", {**self.listening, "notifications": notifications})
        elif key in self.stale:
            wire.refuse(request, -32602, "Invalid cursor")
        elif method == "tools/list":
            page = int((key or "page 0").split()[1])
            result = {"tools": [{"name": number, "inputSchema": {"type": "object"}}]}
            if page + 1 < self.pages:
                result["nextCursor"] = f"page {page + 1}"  # type: ignore[assignment]
            wire.reply(request, {"resultType": "complete", **result, **self.hints})
        elif method == "prompts/list":
            wire.reply(request, {"resultType": "complete", "prompts": [{"name": number}], **self.hints})
        elif method == "resources/read" and params["uri"] == "memo://asks" and "inputResponses" not in params:
            asks = {"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list", "params": {}}}}
            wire.reply(request, asks)
        elif method == "resources/read":
            contents = [{"uri": params["uri"], "text": number}]
            wire.reply(request, {"resultType": "complete", "contents": contents, **self.hints})
        elif method == "server/discover":
            wire.reply(
                request, {"resultType": "complete", "supportedVersions": [MODERN], "capabilities": {}, **self.hints}
            )
        else:
            wire.reply(request, {"resultType": "complete", "content": []})

    def tell(self, method: str, **params: Any) -> None:
        assert self.wire is not None and self.listening is not None
        self.wire.tell(method, {**self.listening, **params})


async def names(client: Client, **options: Any) -> list[str]:
    return [tool.name for tool in await client.list_tools(**options)]


async def text(client: Client, uri: str) -> Any:
    return (await client.read_resource(uri)).contents[0].text  # type: ignore[union-attr]


@pytest.mark.spec("2026-07-28/caching/S02", "2026-07-28/caching/S05", "2026-07-28/caching/S06")
def test_a_result_is_reused_for_exactly_as_long_as_the_server_said() -> None:
    source = Source(ttlMs=60_000)

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            first = await names(client)
            await asyncio.sleep(59.9)
            assert await names(client) == first
            assert source.asked["tools/list", None] == 1
            await asyncio.sleep(0.2)
            assert source.asked["tools/list", None] == 1  # time alone fetches nothing
            second = await names(client)
            assert second != first
            await asyncio.sleep(59.9)
            assert await names(client) == second
            await asyncio.sleep(86_400)
            assert source.asked["tools/list", None] == 2

    FakeClock().run(main())


@pytest.mark.spec("2026-07-28/caching/S01", "2026-07-28/caching/S03", "2026-07-28/caching/S04")
@pytest.mark.parametrize("ttl", [0, -1, -60_000, "absent", None, "60000"])
@pytest.mark.parametrize("scope", ["public", "private"])
def test_a_result_without_a_positive_hint_is_stale_at_once(ttl: Any, scope: str) -> None:
    source = Source(ttlMs=ttl, cacheScope=scope)
    if ttl == "absent":
        del source.hints["ttlMs"]

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            assert source.wire is not None
            source.wire.judge = None  # of a server of 2026-07-28 these would be breaches
            if ttl in (None, "60000"):
                await client.request("tools/list")  # not even readable as a typed page, so never stored
                await client.request("tools/list")
            else:
                assert await names(client) != await names(client)
                assert await text(client, "memo://one") != await text(client, "memo://one")
            assert source.asked["tools/list", None] == 2

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M08")
@pytest.mark.parametrize("scope", ["public", "private"])
def test_a_result_serves_only_the_request_that_it_answered(scope: str) -> None:
    source = Source(cacheScope=scope)

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            one, two = await text(client, "memo://one"), await text(client, "memo://two")
            assert one != two
            assert (await text(client, "memo://one"), await text(client, "memo://two")) == (one, two)
            assert await text(client, "memo://one/") not in (one, two)
            pages = [await client.list_tools_page(cursor) for cursor in (None, "page 1", "page 2", "page 1")]
            assert len({page.items[0].name for page in pages}) == 3
            assert {prompt.name for prompt in await client.list_prompts()}.isdisjoint(await names(client))
            assert max(source.asked.values()) == 1

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M08")
def test_what_is_asked_with_metadata_of_its_own_is_not_served_from_the_cache() -> None:
    source = Source()

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            first = await text(client, "memo://one")
            other = await client.read_resource("memo://one", meta={"com.example/for": "anna"})
            assert other.contents[0].text != first  # type: ignore[union-attr]
            assert await text(client, "memo://one") == first  # nor did it take the place of the other one

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M09")
def test_what_took_answers_is_never_stored() -> None:
    source = Source(cacheScope="public")

    async def main() -> None:
        async with serving(source.script) as target, Client(target, roots=[]) as client:
            first = await text(client, "memo://asks")
            assert await text(client, "memo://asks") != first
            assert source.asked["resources/read", "memo://asks"] == 4

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M12")
def test_nothing_is_shared_between_clients() -> None:
    source = Source()

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as one, Client(target) as other:
            assert await text(one, "memo://one") != await text(other, "memo://one")
            assert await names(one) != await names(other)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S07")
@pytest.mark.parametrize(
    ("method", "params", "tools", "prompts", "memo"),
    [
        ("notifications/tools/list_changed", {}, False, True, True),
        ("notifications/prompts/list_changed", {}, True, False, True),
        ("notifications/resources/list_changed", {}, True, True, True),
        ("notifications/resources/updated", {"uri": "memo://one"}, True, True, False),
        ("notifications/resources/updated", {"uri": "memo://two"}, True, True, True),
    ],
)
def test_a_change_makes_what_it_is_about_stale_at_once(
    method: str, params: dict[str, Any], tools: bool, prompts: bool, memo: bool
) -> None:
    source = Source()

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            listen = client.listen(tools=True, prompts=True, resources=True, uris=["memo://one", "memo://two"])
            async with listen as events:

                async def seen() -> list[Any]:
                    return [await names(client), await client.list_prompts(), await text(client, "memo://one")]

                before = await seen()
                source.tell(method, **params)
                await anext(events)
                assert [a == b for a, b in zip(before, await seen(), strict=True)] == [tools, prompts, memo]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S07", "2026-07-28/schema/Y02")
def test_a_change_of_a_part_makes_the_whole_stale() -> None:
    source = Source()

    async def main() -> None:
        uris = ["memo://one", "memo://one/", "memo://one-more", "memo://one/part", "memo://one/other"]
        async with (
            serving(source.script) as target,
            Client(target) as client,
            client.listen(uris=["memo://one"]) as events,
        ):
            before = [await text(client, uri) for uri in uris]
            source.tell("notifications/resources/updated", uri="memo://one/part")
            await anext(events)
            after = [await text(client, uri) for uri in uris]
            assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True, False, True]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S07")
def test_a_result_asked_for_before_the_change_is_not_stored_after_it() -> None:
    source = Source()

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client, client.listen(tools=True) as events:
            assert source.wire is not None
            serve, source.serve = source.serve, lambda wire, request: held.append(request)  # type: ignore[method-assign]
            held: list[dict[str, Any]] = []
            call = asyncio.ensure_future(names(client))
            while not held:
                await asyncio.sleep(0)
            source.tell("notifications/tools/list_changed")
            await anext(events)
            source.serve = serve  # type: ignore[method-assign]
            serve(source.wire, held[0])
            assert await call != await names(client)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S08")
def test_an_expired_page_is_fetched_again_with_its_cursor() -> None:
    source = Source()
    source.pages = 3

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            await client.list_tools_page()
            await asyncio.sleep(40)
            second = await client.list_tools_page("page 1")
            await asyncio.sleep(40)  # by now the first page is stale, and the second is not
            assert (await client.list_tools_page("page 1")).items == second.items
            await client.list_tools_page()
            await asyncio.sleep(40)
            await client.list_tools_page("page 1")
            assert source.asked == {("tools/list", None): 2, ("tools/list", "page 1"): 2}

    FakeClock().run(main())


@pytest.mark.spec("2026-07-28/caching/S09")
def test_a_consistent_list_is_fetched_from_its_beginning() -> None:
    source = Source()
    source.pages = 3

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            first = await names(client)
            assert await names(client) == first
            fresh = await names(client, refresh=True)
            assert set(fresh).isdisjoint(first)
            sent = [json.loads(line) for side, line in source.wire.lines if side == "client"]  # type: ignore[union-attr]
            cursors = [request["params"].get("cursor") for request in sent if request["method"] == "tools/list"]
            assert cursors == [None, "page 1", "page 2"] * 2
            assert await names(client) == fresh

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S10")
def test_a_cursor_that_is_no_longer_good_begins_the_list_anew() -> None:
    source = Source()
    source.pages = 3

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            first = await client.list_tools_page()  # stored, and its cursor dies
            source.stale.add("page 1")
            with pytest.raises(RpcError):  # a new first page that leads nowhere: told, and not tried for ever
                await names(client)
            assert source.asked["tools/list", None] == 2
            source.stale.clear()
            fresh = await names(client)
            assert first.items[0].name not in fresh
            assert source.asked["tools/list", None] == 2

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/S06", "2026-07-28/caching/M11")
def test_a_client_never_asks_by_itself() -> None:
    source = Source(ttlMs=1)

    async def main() -> None:
        async with serving(source.script) as target, Client(target) as client:
            await names(client)
            await text(client, "memo://one")
            await asyncio.sleep(86_400)
            assert source.asked.total() == 2

    FakeClock().run(main())
