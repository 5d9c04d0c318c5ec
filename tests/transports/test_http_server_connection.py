"""One connection of the HTTP server: kept alive, pipelined, cut anywhere, half closed, in HTTP/1.0, refused, closed."""

from __future__ import annotations

import asyncio
import json

import pytest

from mcpcore import Context
from tests.transports.http_script import Script
from tests.transports.http_stage import Stage, call, echo, run, text_of
from tests.transports.http_wire import BOTH, MODERN, Talk, request, serving

# -- one after the other -----------------------------------------------------------------------------------------------


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for number in range(5):
                raw.send(echo(served, f"text {number}", number))
                answer = await raw.answer()
                assert (answer.status, answer.json["id"], text_of(answer)) == (200, number, f"text {number}")
                assert "connection" not in answer.fields

    run(main())


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close"])
def test_a_client_that_says_close_gets_its_answer_and_the_end(value: str) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "last", connection=value))
            answer = await raw.answer()
            assert (text_of(answer), answer.fields["connection"]) == ("last", "close")
            assert await raw.closed() == b""

    run(main())


def test_keep_alive_may_be_said() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for _ in range(2):
                raw.send(echo(served, "more", connection="keep-alive"))
                assert text_of(await raw.answer()) == "more"

    run(main())


def test_an_http_1_0_client_is_answered_whole_and_the_connection_ends() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for data in (echo(served, "old"), echo(served, "old", host=None)):
                async with served.connect() as raw:
                    raw.send(data.replace(b"HTTP/1.1", b"HTTP/1.0"))
                    answer = await raw.answer()
                    assert text_of(answer) == "old"
                    assert answer.fields["connection"] == "close"
                    assert await raw.closed() == b""

    run(main())


def test_an_http_1_0_client_gets_a_stream_without_chunks_which_its_connection_ends() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(
                call(served, "echo", {"text": "old"}, accept="text/event-stream").replace(b"1.1\r\n", b"1.0\r\n", 1)
            )
            head = await raw.stream()
            assert "transfer-encoding" not in head.fields
            assert head.fields["connection"] == "close"
            assert [event.message["id"] for event in await raw.rest()] == [1]

    run(main())


# -- cut anywhere ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
def test_requests_that_come_byte_by_byte_are_served(fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server, fast_heads=fast) as served, served.connect() as raw:
            raw.writer.transport.set_write_buffer_limits(0)
            chunked = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            body = echo(served, "chunks").partition(b"\r\n\r\n")[2]
            fields = (
                echo(served, "chunks", host=None, content_length=None).partition(b"\r\n\r\n")[0].partition(b"\r\n")[2]
            )
            chunks = b"%x;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
            for data, text in ((echo(served, "bytes"), "bytes"), (chunked + fields + b"\r\n\r\n" + chunks, "chunks")):
                for at in range(len(data)):
                    raw.send(data[at : at + 1])
                    await raw.writer.drain()
                assert text_of(await raw.answer()) == text

    run(main())


def test_an_empty_line_before_a_request_is_passed_over() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "one") + b"\r\n" + echo(served, "two"))
            assert [text_of(await raw.answer()) for _ in range(2)] == ["one", "two"]

    run(main())


# -- pipelining --------------------------------------------------------------------------------------------------------


def test_ten_requests_in_one_write_are_answered_in_their_order() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(b"".join(echo(served, f"text {number}", number) for number in range(10)))
            answers = [await raw.answer() for _ in range(10)]
            assert [answer.json["id"] for answer in answers] == list(range(10))
            assert [text_of(answer) for answer in answers] == [f"text {number}" for number in range(10)]

    run(main())


def test_answers_keep_their_order_where_one_of_them_is_slow() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            waits = call(served, "wait", {"name": "slow"}, 3)
            raw.send(b"".join([echo(served, "a", 1), echo(served, "b", 2), waits, echo(served, "c", 4)]))
            assert [(await raw.answer()).json["id"] for _ in range(2)] == [1, 2]
            await stage.until(stage.begun, "slow")
            await raw.quiet()
            stage.open("slow")
            assert [text_of(await raw.answer()) for _ in range(2)] == ["slow", "c"]

    run(main())


def test_answers_keep_their_order_where_one_of_them_is_a_stream() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            talk = Talk(served, MODERN, {})
            message = talk.message(
                "tools/call", {"name": "speak_and_wait", "arguments": {"name": "s"}}, 2, logLevel="info"
            )
            raw.send(echo(served, "a", 1) + talk.bytes_of(message) + echo(served, "c", 3))
            assert text_of(await raw.answer()) == "a"
            await raw.stream()
            assert (await raw.event()).message["params"]["data"] == "s begins"
            stage.open("s")
            assert [event.message.get("id") for event in await raw.rest()] == [None, 2]
            assert text_of(await raw.answer()) == "c"

    run(main())


def test_refusals_keep_their_place_among_answers() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            odd = [request("GET", "/nothing"), request("HEAD", "/healthz"), request("OPTIONS"), request("PUT", "/mcp")]
            raw.send(b"".join([echo(served, "a"), *odd, echo(served, "b")]))
            statuses = [(await raw.answer(to=to)).status for to in ("POST", "GET", "HEAD", "OPTIONS", "PUT", "POST")]
            assert statuses == [200, 404, 200, 204, 405, 200]

    run(main())


def test_many_pipelined_requests_let_other_connections_have_their_turn() -> None:
    async def main() -> None:
        async with serving(Stage(turn_messages=4).server) as served:
            script = Script(served.http)
            script.connection.data_received(b"".join(echo(served, "x", number) for number in range(10)))
            for count in (4, 8, 10):
                assert script.written.count(b"HTTP/1.1 200 OK") == count
                await asyncio.sleep(0)
            script.close()

    run(main())


def test_a_client_that_sends_on_while_it_is_served_is_not_read_without_end() -> None:
    async def main() -> None:
        stage = Stage(pipelined_bytes=4096)
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(call(served, "wait", {"name": "slow"}))
            await stage.until(stage.begun, "slow")
            many = [echo(served, "y" * 1000, number) for number in range(2000)]
            raw.send(b"".join(many))
            (connection,) = served.http.connections
            async with asyncio.timeout(5):
                while not connection._paused:
                    await asyncio.sleep(0)
            assert connection._reader.buffered <= 4096 + 256 * 1024
            stage.open("slow")
            assert text_of(await raw.answer()) == "slow"
            for number in range(2000):
                assert (await raw.answer()).json["id"] == number

    run(main())


def test_a_client_that_asks_on_and_takes_no_answers_is_not_answered_without_end() -> None:
    async def main() -> None:
        stage = Stage(stream_bytes=64 * 1024)
        async with serving(stage.server) as served, served.connect() as raw:
            transport = raw.writer.transport
            transport.pause_reading()  # type: ignore[attr-defined]
            count = 2000
            raw.send(call(served, "large", {"size": 50_000}) * count)
            (connection,) = served.http.connections
            async with asyncio.timeout(5):
                while not (connection._paused and connection._clogged is not None):
                    await asyncio.sleep(0)
            assert connection.unsent < 150_000
            assert connection._reader.buffered < 1024 * 1024
            transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(count):
                assert len(text_of(await raw.answer())) == 50_000

    run(main())


# -- half closed, and gone ---------------------------------------------------------------------------------------------


def test_a_request_that_is_served_at_once_is_answered_although_its_client_has_half_closed() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "half"))
            raw.half_close()
            assert text_of(await raw.answer()) == "half"
            assert await raw.closed() == b""

    run(main())


def test_a_client_that_half_closes_while_it_waits_counts_as_gone() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(call(served, "wait", {"name": "half"}))
            await stage.until(stage.begun, "half")
            raw.half_close()
            await stage.until(stage.cancelled, "half")
            assert await raw.closed() == b""

    run(main())


def test_a_client_that_half_closes_counts_as_gone_although_it_has_much_to_read() -> None:
    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def flood(ctx: Context) -> str:
            await ctx.info("x" * 12_000_000)
            return ""

        async with serving(stage.server) as served, served.talk() as talk:
            post = await talk.call("tools/call", {"name": "flood", "arguments": {}}, logLevel="info")
            await post.stream()
            post.raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            post.raw.half_close()
            async with asyncio.timeout(5):
                while served.endpoint.open:
                    await asyncio.sleep(0)
            (connection,) = served.http.connections
            assert connection.unsent > 0
            post.raw.reset()

    run(main())


@pytest.mark.parametrize("part", [b"POST /m", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_is_cut_off_is_only_closed(part: bytes) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(part)
            raw.half_close()
            assert await raw.closed() == b""

    run(main())


def test_a_body_that_is_cut_off_is_never_served() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(call(served, "wait", {"name": "cut"})[:-1])
            raw.half_close()
            assert await raw.closed() == b""
        assert stage.begun == []

    run(main())


# -- Expect: 100-continue ----------------------------------------------------------------------------------------------


def test_a_client_that_expects_to_be_told_is_told_to_continue() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            head, _, body = echo(served, "patient", expect="100-continue").partition(b"\r\n\r\n")
            raw.send(head + b"\r\n\r\n")
            assert (await raw.head()).status == 100
            raw.send(body)
            assert text_of(await raw.answer()) == "patient"
            raw.send(echo(served, "again"))
            assert text_of(await raw.answer()) == "again"

    run(main())


def test_a_client_that_does_not_wait_to_be_told_is_not_told() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "eager", expect="100-continue"))
            answer = await raw.answer()
            assert (answer.status, text_of(answer)) == (200, "eager")

    run(main())


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"host": "evil.example"}, 421), ({"content_type": "text/plain"}, 415), ({"accept": "x/y"}, 406)],
)
def test_a_client_that_expects_to_be_told_and_is_refused_is_not_told_to_continue(
    fields: dict[str, str], status: int
) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "no", expect="100-continue", **fields).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            answer = await raw.answer()
            assert (answer.status, answer.fields["connection"]) == (status, "close")
            assert await raw.closed() == b""

    run(main())


def test_a_refused_body_is_not_read_and_its_sender_still_gets_the_answer() -> None:
    """Closing at once would reset the connection, and what was answered would be lost with it."""

    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            body = b"x" * 4_000_000
            raw.send(request(body=body, content_type="text/plain"))
            answer = await raw.answer()
            assert (answer.status, answer.fields["connection"]) == (415, "close")
            (connection,) = served.http.connections
            assert connection._reader.buffered < 1_000_000
            raw.half_close()
            assert await raw.closed() == b""

    run(main())


# -- methods and paths -------------------------------------------------------------------------------------------------


def test_methods_that_the_endpoint_has_not_are_told_those_that_it_has() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for method in ("PUT", "PATCH", "HEAD", "TRACE", "BREW"):
                answer = await served.once(request(method), to=method)
                assert (answer.status, answer.fields["allow"]) == (405, "POST, GET, DELETE, OPTIONS")
                assert (answer.body == b"") is (method == "HEAD")

    run(main())


def test_options_is_answered_without_a_body() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for _ in range(2):
                raw.send(request("OPTIONS", accept=None))
                answer = await raw.answer()
                assert (answer.status, answer.body) == (204, b"")
                assert answer.fields["allow"] == "POST, GET, DELETE, OPTIONS"
                assert "content-length" not in answer.fields

    run(main())


def test_head_of_a_health_route_is_its_answer_without_the_body() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for path in ("/healthz", "/readyz"):
                raw.send(request("HEAD", path))
                head = await raw.answer(to="HEAD")
                raw.send(request("GET", path))
                assert (await raw.answer()).body == b"ok\n"
                assert (head.status, head.fields["content-length"]) == (200, "3")
            raw.send(request("POST", "/healthz"))
            refused = await raw.answer()
            assert (refused.status, refused.fields["allow"]) == (405, "GET, HEAD, OPTIONS")

    run(main())


def test_the_endpoint_is_served_with_and_without_a_slash_and_nowhere_else() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for target in ("/mcp", "/mcp/", "/mcp?x=1", "http://localhost:8000/mcp"):
                data = echo(served, target).replace(b"POST /mcp ", f"POST {target} ".encode(), 1)
                assert text_of(await served.once(data)) == target
            for target in ("/", "/mcp/x", "/MCP", "/%6dcp", "//mcp", "/mcp/../mcp"):
                data = echo(served, target).replace(b"POST /mcp ", f"POST {target} ".encode(), 1)
                answer = await served.once(data)
                assert answer.status == 404
                assert b"/mcp" in answer.body

    run(main())


def test_the_path_is_the_one_that_was_given() -> None:
    async def main() -> None:
        async with serving(Stage().server, path="/deep/api") as served:
            assert text_of(await served.once(echo(served, "a").replace(b"/mcp", b"/deep/api", 1))) == "a"
            assert (await served.once(echo(served, "a"))).status == 404

    run(main())


def test_every_answer_has_a_date_and_says_what_it_is() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            answer = await served.once(echo(served, "a"))
            assert answer.fields["content-type"] == "application/json"
            assert answer.fields["date"].endswith(" GMT")
            assert json.loads(answer.body)["jsonrpc"] == "2.0"

    run(main())


def test_what_comes_with_a_wish_to_switch_protocols_is_served_as_it_is() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for _ in range(2):
                raw.send(echo(served, "here", upgrade="h2c", connection="upgrade", accept=BOTH))
                assert text_of(await raw.answer()) == "here"

    run(main())
