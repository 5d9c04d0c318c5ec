"""Faults of our own behind the HTTP server: told to who asked, logged, and felt by nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.spec import codes
from mcpcore.transports.http_serving import HttpServing
from tests.transports.http_stage import Stage, echo, run, text_of
from tests.transports.http_wire import Served, serving


def broken(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("a fault of ours")


async def still_served(served: Served) -> None:
    assert text_of(await served.once(echo(served, "still"))) == "still"


def test_a_fault_before_the_answer_is_a_500_and_the_end_of_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(Stage().server, errors=True) as served:
            with monkeypatch.context() as patch:
                patch.setattr(served.endpoint, "post", broken)
                async with served.connect() as raw:
                    raw.send(echo(served, "x") * 2)
                    answer = await raw.answer()
                    assert (answer.status, answer.error["code"]) == (500, codes.INTERNAL_ERROR)
                    assert "fault of ours" not in answer.error["message"]
                    assert await raw.closed() == b""
            await still_served(served)

    run(main())


def test_a_fault_inside_a_stream_breaks_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(Stage().server, errors=True) as served:

            def broken_later(head: Any, body: bytes, sink: Any, *more: Any) -> Any:
                sink.open((("content-type", "text/event-stream"),))
                return broken()

            with monkeypatch.context() as patch:
                patch.setattr(served.endpoint, "post", broken_later)
                async with served.connect() as raw:
                    raw.send(echo(served, "x"))
                    received = await raw.closed()
                    assert b"500" not in received
                    assert not received.endswith(b"0\r\n\r\n")  # no proper end
            await still_served(served)

    run(main())


def test_a_fault_in_judging_a_head_breaks_its_connection_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(Stage().server, errors=True) as served:
            with monkeypatch.context() as patch:
                patch.setattr(served.http.site, "judge", broken)
                async with served.connect() as raw:
                    raw.send(echo(served, "x"))
                    assert await raw.closed() == b""
            await still_served(served)

    run(main())


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_fault_in_serving_a_message_is_the_answer_to_that_message(
    revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(Stage().server, errors=True) as served, served.talk(revision) as talk:
            params = {"name": "echo", "arguments": {"text": "x"}}
            assert (await talk.result("tools/call", params))["content"]
            talk.judge = None
            with monkeypatch.context() as patch:
                patch.setattr(HttpServing, "_serve", broken)
                answer = await (await talk.call("tools/call", params, "id")).answer()
                assert (answer.json["error"]["code"], answer.json["id"]) == (codes.INTERNAL_ERROR, "id")
            assert (await talk.result("tools/call", params, id="id"))["content"]

    run(main())
