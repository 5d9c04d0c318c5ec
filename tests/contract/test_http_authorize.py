"""Who asks, as far as the transport has a hand in it: refusals of the hook, sessions of one principal, tokens.

The framework of OAuth itself is not here: the hook is where it will stand.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Context, Server
from mcpcore.client import Client
from mcpcore.errors import Unauthorized
from tests.contract.http_judged import JudgedToy
from tests.transports.http_stage import run
from tests.transports.http_wire import LEGACY, MODERN, Served, Talk, serving

SESSIONS = LEGACY[1:]
TOKENS = {"Bearer ann": "ann", "Bearer bob": "bob"}


def authorize(head: Any) -> str:
    token = head.headers.get("authorization")
    if token == "Bearer narrow":
        raise Unauthorized("this needs more", status=403, www_authenticate='Bearer error="insufficient_scope"')
    if token not in TOKENS:
        raise Unauthorized("who are you?", www_authenticate='Bearer error="invalid_token"')
    return TOKENS[token]


def toy() -> Server:
    """What there is depends on who asks."""
    server = Server("toy")

    @server.tool
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("name?", {"type": "object", "properties": {"name": {"type": "string"}}})
        return str(answer.content)

    @server.prompt
    async def secret() -> str:
        return "psst"

    @server.resource("toy://secret")
    async def hidden() -> str:
        return "psst"

    @server.middleware
    async def by_principal(message: Any, call_next: Any) -> Any:
        result = await call_next(message)
        if message.method.endswith("/list") and message.principal == "bob":
            return {**result, message.method.partition("/")[0]: []}
        return result

    return server


def as_(talk: Talk, token: str | None) -> Talk:
    talk.fields["authorization"] = token
    return talk


@pytest.mark.spec(
    "2025-03-26/authorization/M05",
    "2025-03-26/authorization/M16",
    "2025-06-18/authorization/M22",
    "2025-11-25/authorization/M40",
    "2026-07-28/authorization/M28",
    "2025-03-26/authorization/M21",
)
@pytest.mark.parametrize("revision", (*SESSIONS, MODERN))
def test_no_credentials_or_bad_ones_get_401_lesser_ones_403_and_bad_requests_400(revision: str) -> None:
    async def main() -> None:
        async with (
            serving(toy(), authorize=authorize) as served,
            served.talk(revision, fields={"authorization": "Bearer ann"}) as talk,
        ):
            talk.judge = None
            for token, status in ((None, 401), ("Bearer old", 401), ("ann", 401), ("Bearer narrow", 403)):
                answer = await (await as_(talk, token).post(talk.message("tools/list"))).answer()
                assert answer.status == status
                assert answer.fields["www-authenticate"].startswith("Bearer error=")
            assert (await (await as_(talk, "Bearer ann").post({"jsonrpc": "1.0"})).answer()).status == 400
            assert "tools" in await talk.result("tools/list")

    run(main())


@pytest.mark.spec("2025-03-26/authorization/Y01")
@pytest.mark.parametrize("revision", (*SESSIONS, MODERN))
def test_authorization_is_there_only_where_it_is_wanted(revision: str) -> None:
    async def main() -> None:
        async with serving(toy()) as served:
            url = f"http://127.0.0.1:{served.http.port}/mcp"
            async with Client(url, revisions=revision) as client:
                assert [tool.name for tool in await client.list_tools()] == ["ask"]

    run(main())


@pytest.mark.spec("2026-07-28/tools/Y02", "2026-07-28/prompts/Y02", "2026-07-28/resources/Y02")
@pytest.mark.parametrize("revision", (*SESSIONS, MODERN))
def test_lists_may_depend_on_who_asks(revision: str) -> None:
    async def main() -> None:
        async def lengths(served: Served, token: str) -> list[int]:
            async with served.talk(revision, fields={"authorization": token}) as talk:
                return [len((await talk.result(f"{kind}/list"))[kind]) for kind in ("tools", "prompts", "resources")]

        async with serving(toy(), authorize=authorize) as served:
            assert await lengths(served, "Bearer ann") == [1, 1, 1]
            assert await lengths(served, "Bearer bob") == [0, 0, 0]

    run(main())


@pytest.mark.spec("2025-11-25/elicitation/M26")
@pytest.mark.parametrize("revision", SESSIONS[1:])
def test_the_id_of_a_session_alone_gives_nobody_its_questions(revision: str) -> None:
    async def main() -> None:
        async with (
            serving(toy(), authorize=authorize) as served,
            served.talk(revision, {"elicitation": {}}, fields={"authorization": "Bearer ann"}) as talk,
        ):
            call = await talk.call("tools/call", {"name": "ask", "arguments": {}})
            question = await call.message()
            answer = {"action": "accept", "content": {"name": "bob"}}
            reply = {"jsonrpc": "2.0", "id": question["id"], "result": answer}
            judge, talk.judge = talk.judge, None
            stranger = await (await as_(talk, "Bearer bob").post(reply)).answer()
            unknown = await (await talk.post(reply, mcp_session_id="x" * 32)).answer()
            assert (stranger.status, stranger.body) == (unknown.status, unknown.body)
            assert stranger.status == 404
            assert (await (await talk.get(call.last_id)).answer()).status == 404
            talk.judge = judge
            await as_(talk, "Bearer ann").reply(question, {"action": "accept", "content": {"name": "ann"}})
            (final,) = await call.rest()
            assert "ann" in final["result"]["content"][0]["text"]

    run(main())


@pytest.mark.spec(
    "2025-03-26/authorization/M11",
    "2025-03-26/authorization/M12",
    "2025-03-26/authorization/M13",
    "2026-07-28/authorization/M23",
)
@pytest.mark.parametrize("revision", (*SESSIONS, MODERN))
def test_the_token_is_in_the_header_of_every_request_and_never_in_its_url(revision: str) -> None:
    async def main() -> None:
        async with JudgedToy(revision) as served:
            async with Client(served.url, revisions=revision, auth=lambda: {"Authorization": "Bearer t0k3n"}) as client:
                await asyncio.gather(*[client.call_tool("x") for _ in range(5)])
                await client.notify("notifications/vendor")
                await served.seen("notifications/vendor")
                if revision != MODERN:
                    await served.seen("GET")
            verbs = {asked.verb for asked in served.asked}
            assert verbs == ({"POST"} if revision == MODERN else {"POST", "GET", "DELETE"})
            for asked in served.asked:
                assert asked.headers["authorization"] == "Bearer t0k3n"
                assert "t0k3n" not in asked.target and b"t0k3n" not in asked.body

    run(main())
