"""client/elicitation and client/roots of all revisions, the client's side: what it answers, what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client, ElicitParams, ElicitResult, Root
from mcpcore.errors import UsageError
from tests.contract.asking import ASKING, ELICITING, TOOLS
from tests.contract.wire import LEGACY, MODERN, Wire, accept, serving

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "portions": {"type": "integer", "minimum": 1, "default": 1},
        "mail": {"type": "string", "format": "email"},
    },
    "required": ["name"],
}
ASK: dict[str, Any] = {"message": "Name?", "requestedSchema": FORM}


async def put(wire: Wire, method: str, params: dict[str, Any]) -> Any:
    """Ask the client while it calls a tool: its result or its error. In 2026-07-28 ``None`` where no retry comes."""
    call = await wire.hear("tools/call")
    if wire.revision != MODERN:
        wire.say({"jsonrpc": "2.0", "id": "q", "method": method, "params": params})
        answer = await wire.answer("q")
        wire.reply(call, {"content": []})
        return answer.get("result", answer.get("error"))
    wire.reply(call, {"resultType": "input_required", "inputRequests": {"q": {"method": method, "params": params}}})
    try:
        retry = await wire.hear("tools/call")
    except AssertionError:
        return None  # the client has gone
    wire.reply(retry, {"resultType": "complete", "content": []})
    return retry["params"]["inputResponses"]["q"]


async def converse(revision: str, method: str, params: dict[str, Any], **options: Any) -> Any:
    """The client's answer to this question as it went over the wire, and what its call raised."""
    answers: list[Any] = []

    async def script(wire: Wire) -> None:
        await accept(wire, revision, {"tools": {}})
        answers.append(await put(wire, method, params))

    raised = None
    async with serving(script) as target, Client(target, revisions=revision, **options) as client:
        try:
            await client.call_tool("x")
        except Exception as error:
            raised = error
    return answers[0], raised


def url_params(revision: str, url: str = "https://example.com/") -> dict[str, Any]:
    params = {"mode": "url", "message": "Sign in", "url": url}
    return params if revision == MODERN else {**params, "elicitationId": "opaque \u2028 %00 {}"}


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/elicitation/M12", "2025-11-25/elicitation/Y01")
@pytest.mark.parametrize("revision", ELICITING)
def test_a_question_without_a_mode_is_a_form(revision: str) -> None:
    async def main() -> None:
        for params in (ASK, *([{"mode": "form", **ASK}] if revision in TOOLS else [])):
            seen: list[ElicitParams] = []

            def fill(question: ElicitParams, seen: list[ElicitParams] = seen) -> dict[str, Any]:
                seen.append(question)
                return {"name": "Anna"}

            answer, _ = await converse(revision, "elicitation/create", params, elicitation=fill)
            assert answer == {"action": "accept", "content": {"name": "Anna"}}
            assert seen[0].mode == "form" and seen[0].requested_schema == FORM

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/schema/M04", "2025-11-25/schema/M09")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_content_goes_with_accept_only(action: str, revision: str) -> None:
    async def main() -> None:
        def refuse(question: ElicitParams) -> ElicitResult:
            return ElicitResult(action, {"name": "Anna"})

        answer, _ = await converse(revision, "elicitation/create", ASK, elicitation=refuse)
        assert answer == {"action": action}

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/elicitation/S05", "2025-11-25/elicitation/S13")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"name": "A"},
        {"name": 7},
        {"name": "Anna", "portions": 0},
        {"name": "Anna", "portions": 1.5},
        {"name": "Anna", "portions": float("inf")},
        {"name": "Anna", "mail": "nowhere"},
        {"name": "Anna", "more": {"nested": 1}},
        {"name": "Anna", "more": None},
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_the_form_is_not_sent(
    content: dict[str, Any], revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        answer, raised = await converse(revision, "elicitation/create", ASK, elicitation=lambda question: content)
        if revision == MODERN:
            assert answer is None and isinstance(raised, UsageError) and "does not fit the form" in str(raised)
        else:
            assert answer["code"] == -32603

    with caplog.at_level(logging.CRITICAL, "mcpcore"):
        asyncio.run(main())


@pytest.mark.spec("2025-11-25/elicitation/M34", "2025-11-25/elicitation/M08")
@pytest.mark.parametrize(
    ("declared", "params"),
    [
        ({}, url_params("2025-11-25")),
        ({"form": {}}, url_params("2025-11-25")),
        ({"url": {}}, ASK),
        ({"url": {}}, {"mode": "form", **ASK}),
        ({"form": {}, "url": {}}, {"mode": "video", **ASK}),
    ],
    ids=str,
)
def test_an_undeclared_mode_is_invalid_and_reaches_nobody(declared: dict[str, Any], params: dict[str, Any]) -> None:
    async def main() -> None:
        asked: list[Any] = []

        async def script(wire: Wire) -> None:
            await accept(wire, "2025-11-25", {"tools": {}})
            wire.judge = None  # it is asked what it did not declare
            assert (await put(wire, "elicitation/create", params))["code"] == -32602

        async with serving(script) as target:
            options: dict[str, Any] = {"elicitation": asked.append, "capabilities": {"elicitation": declared}}
            async with Client(target, revisions="2025-11-25", **options) as client:
                await client.call_tool("x")
        assert asked == []

    asyncio.run(main())


# -- by URL ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/elicitation/M24", "2025-11-25/schema/M09")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
def test_the_answer_to_a_url_never_has_content(action: str, revision: str) -> None:
    async def main() -> None:
        def consent(question: ElicitParams) -> ElicitResult:
            return ElicitResult(action, {"name": "Anna"})

        answer, _ = await converse(revision, "elicitation/create", url_params(revision), elicitation=consent)
        assert answer == {"action": action}

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/elicitation/M39")
@pytest.mark.parametrize("revision", TOOLS)
def test_a_url_is_shown_to_the_user_as_it_is_and_fetched_by_nobody(
    revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name, **more: reached.append(name))

    async def main() -> None:
        url = "http://127.0.0.1:9/sign?in=1&x=%2F#now"
        seen: list[ElicitParams] = []

        def consent(question: ElicitParams) -> ElicitResult:
            seen.append(question)
            return ElicitResult("accept")

        answer, _ = await converse(revision, "elicitation/create", url_params(revision, url), elicitation=consent)
        assert answer == {"action": "accept"}
        assert seen[0].url == url and seen[0].mode == "url"

    asyncio.run(main())
    assert reached == []


@pytest.mark.spec(
    "2025-11-25/elicitation/M17",
    "2025-11-25/elicitation/Y02",
    "2025-11-25/elicitation/M20",
    "2025-11-25/schema/M07",
)
def test_consent_is_answered_at_once_and_the_notice_of_completion_is_taken_whenever_it_comes() -> None:
    heard: list[Any] = []

    async def script(wire: Wire) -> None:
        await accept(wire, "2025-11-25", {"tools": {}})
        complete = "notifications/elicitation/complete"
        wire.tell(complete, {"elicitationId": "of nobody"})
        params = url_params("2025-11-25")
        # The answer comes although nothing is completed yet.
        assert await put(wire, "elicitation/create", params) == {"action": "accept"}
        for id in (params["elicitationId"], params["elicitationId"], "of nobody"):
            wire.tell(complete, {"elicitationId": id})
        wire.reply(await wire.hear("ping"), {})

    async def main() -> None:
        options: dict[str, Any] = {"notifications": {"notifications/elicitation/complete": heard.append}}
        async with serving(script) as target:
            consent = lambda question: ElicitResult("accept")  # noqa: E731
            async with Client(target, revisions="2025-11-25", elicitation=consent, **options) as client:
                await client.call_tool("x")
                await client.ping()

    asyncio.run(main())
    assert [notice["elicitationId"] for notice in heard][1] == url_params("2025-11-25")["elicitationId"]
    assert len(heard) == 4


@pytest.mark.spec("2025-11-25/elicitation/M20")
def test_the_notice_of_completion_needs_no_callback() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, "2025-11-25", {"tools": {}})
        wire.tell("notifications/elicitation/complete", {"elicitationId": "of nobody"})
        wire.reply(await wire.hear("ping"), {})

    async def main() -> None:
        options: dict[str, Any] = {"elicitation": lambda question: None, "revisions": "2025-11-25"}
        async with serving(script) as target, Client(target, **options) as client:
            await client.ping()

    asyncio.run(main())


# -- roots -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/roots/M03")
@pytest.mark.parametrize("revision", ASKING)
def test_each_root_is_a_file_uri(revision: str, tmp_path: Path) -> None:
    async def main() -> None:
        roots = ["file:///a", tmp_path / "b c", Root(uri="file:///d", name="D")]
        answer, _ = await converse(revision, "roots/list", {}, roots=roots)
        uris = ["file:///a", (tmp_path / "b c").as_uri(), "file:///d"]
        assert [root["uri"] for root in answer["roots"]] == uris

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/roots/M03", "2024-11-05/roots/M05")
@pytest.mark.parametrize("revision", ASKING)
@pytest.mark.parametrize(
    "root",
    [
        "https://example.com/",
        "/home/anna",
        "file:a",
        "",
        "file:///home/anna/../../etc",
        "file:///home/anna/%2e%2E/etc",
        "file:///home/anna/..%2F..%2fetc",
        "file:///home/..\\etc",
        "file:///home/\x00",
        "file:///home/%00",
        7,
    ],
    ids=repr,
)
def test_what_is_no_file_uri_or_leaves_its_place_is_no_root(
    root: Any, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        answer, raised = await converse(revision, "roots/list", {}, roots=lambda: [root])
        if revision == MODERN:
            assert answer is None and isinstance(raised, UsageError)
        else:
            assert answer["code"] == -32603

    with caplog.at_level(logging.CRITICAL, "mcpcore"):
        asyncio.run(main())


@pytest.mark.spec("2024-11-05/roots/M02", "2024-11-05/schema/S11")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_change_of_roots_is_told_and_the_next_answer_has_it(revision: str) -> None:
    roots = ["file:///a"]

    async def script(wire: Wire) -> None:
        opening = await accept(wire, revision, {"tools": {}})
        assert opening["params"]["capabilities"]["roots"] == {"listChanged": True}
        for expected in (["file:///a"], ["file:///a", "file:///b"], []):
            if expected != ["file:///a"]:
                assert (await wire.hear()) == {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
            ping = await wire.hear("ping")
            wire.say({"jsonrpc": "2.0", "id": f"q{len(expected)}", "method": "roots/list"})
            answer = await wire.answer(f"q{len(expected)}")
            assert [root["uri"] for root in answer["result"]["roots"]] == expected
            wire.reply(ping, {})

    async def main() -> None:
        async with serving(script) as target, Client(target, revisions=revision, roots=lambda: roots) as client:
            await client.ping()
            roots.append("file:///b")
            await client.notify_roots_changed()
            await client.ping()
            roots.clear()
            await client.notify_roots_changed()
            await client.ping()

    asyncio.run(main())
