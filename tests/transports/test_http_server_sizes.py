"""What is too large or ambiguous for the HTTP server, on the wire, each with its nearest neighbour that is served."""

from __future__ import annotations

import pytest

from mcpcore.spec import codes
from tests.transports.http_stage import Stage, echo, run, text_of
from tests.transports.http_wire import Raw, Served, serving

SPARE = 100_000


def split(data: bytes) -> tuple[bytes, bytes]:
    """Head, with its empty line, and body."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def with_line(data: bytes, line: bytes) -> bytes:
    """The request with one more header line."""
    return data.replace(b"\r\naccept:", b"\r\n" + line + b"\r\naccept:", 1)


def chunked(data: bytes, chunks: bytes | None = None) -> bytes:
    """The request with a chunked body: in one chunk, or in these."""
    head, body = split(data)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    head = b"\r\n".join(lines).replace(b"\r\naccept:", b"\r\ntransfer-encoding: chunked\r\naccept:", 1)
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunks is None else chunks)


async def refused(raw: Raw, *statuses: int) -> None:
    """Answered with one of these, and nothing more is read from the connection."""
    answer = await raw.answer()
    assert answer.status in statuses, answer
    assert answer.error["code"] == codes.INVALID_REQUEST
    assert answer.fields["connection"] == "close"
    raw.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    raw.half_close()
    assert await raw.closed() == b""


async def served_or_refused(served: Served, data: bytes, *statuses: int) -> None:
    """200 as the only status means that it is served."""
    async with served.connect() as raw:
        raw.send(data)
        if statuses == (200,):
            assert text_of(await raw.answer()) == "x"
        else:
            await refused(raw, *statuses)


# -- heads -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
def test_header_fields_are_counted(fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage(max_headers=20).server, fast_heads=fast) as served:
            data = echo(served, "x")
            own = split(data)[0].count(b"\r\n") - 2
            for count, status in ((20, 200), (21, 431)):
                more = b"\r\n".join(b"x-%d: y" % number for number in range(count - own))
                await served_or_refused(served, with_line(data, more), status)

    run(main())


@pytest.mark.parametrize("fast", [True, False])
def test_bytes_of_a_head_are_counted_wherever_they_stand(fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage(max_head_bytes=2000).server, fast_heads=fast) as served:
            data = echo(served, "x")
            spare = 2000 - len(split(data)[0]) - len("\r\nx-a: ")
            await served_or_refused(served, with_line(data, b"x-a: " + b"y" * spare), 200)
            await served_or_refused(served, with_line(data, b"x-a: " + b"y" * (spare + 1)), 431)
            await served_or_refused(served, with_line(data, b"x-a: " + b"y" * SPARE), 431)
            await served_or_refused(served, with_line(data, b"y" * SPARE + b": x"), 431)
            async with served.connect() as raw:  # the end of it never comes
                raw.send(b"POST /mcp HTTP/1.1\r\nx: " + b"y" * SPARE)
                await refused(raw, 431)

    run(main())


@pytest.mark.parametrize("fast", [True, False])
def test_a_target_has_a_length(fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server, fast_heads=fast) as served:
            for length, status in ((8192, 200), (8193, 414)):
                target = b"/mcp?" + b"a" * (length - 5)
                await served_or_refused(served, echo(served, "x").replace(b"/mcp", target, 1), status)

    run(main())


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            length = len(split(echo(served, "x"))[1])
        async with serving(Stage(max_message_bytes=length).server) as served:
            await served_or_refused(served, echo(served, "x"), 200)
            head, _ = split(echo(served, "xx"))
            await served_or_refused(served, head, 413)
            for digits in ("9" * 15, "9" * 16, "9" * 30):
                answer = await served.once(split(echo(served, "x", content_length=digits))[0])
                assert answer.status in (400, 413)

    run(main())


@pytest.mark.parametrize("fast", [True, False])
def test_a_chunked_body_is_counted_while_it_comes(fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            length = len(split(echo(served, "x"))[1])
        async with serving(Stage(max_message_bytes=length).server, fast_heads=fast) as served:
            await served_or_refused(served, chunked(echo(served, "x")), 200)
            await served_or_refused(served, chunked(echo(served, "x"), b"%x\r\n" % (length + 1)), 413)
            await served_or_refused(served, chunked(echo(served, "x"), b"1\r\na\r\n" * (length + 1)), 413)

    run(main())


def test_json_has_a_depth() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for depth, status in ((900, 200), (5000, 400)):
                head, body = split(echo(served, "x"))
                body = body.replace(b'"_meta"', b'"deep": ' + b"[" * depth + b"]" * depth + b', "_meta"', 1)
                length = b"content-length: %d\r\n" % len(body)
                lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
                raw.send(b"\r\n".join([*lines[:-2], length]) + b"\r\n" + body)
                answer = await raw.answer()
                assert answer.status == status
                assert status == 200 or answer.error["code"] == codes.PARSE_ERROR

    run(main())


def test_a_body_may_be_empty_and_is_then_no_message() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for data in (
                echo(served, "x", content_length="0").partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
                echo(served, "x", content_length=None).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
                chunked(echo(served, "x"), b"0\r\n\r\n"),
            ):
                raw.send(data)
                answer = await raw.answer()
                assert (answer.status, answer.error["code"]) == (400, codes.PARSE_ERROR)
            raw.send(echo(served, "x"))
            assert text_of(await raw.answer()) == "x"

    run(main())


# -- where one request could be read as two ----------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"transfer-encoding: chunked", 400),  # beside the content-length
        (b"content-length: 5", 400),
        (b"content-length: +5", 400),
        (b"content-length: 5, 5", 400),
        (b"content-length : 5", 400),
        (b"transfer-encoding: gzip, chunked", 400),
        (b"transfer-encoding: identity", 400),
        (b" folded", 400),
        (b"x-a: b\r\n folded", 400),
        (b"x-a: b\nx-c: d", 400),
        (b"x-a: b\rc", 400),
        (b"x-a: b\0c", 400),
        (b"x a: b", 400),
        (b": b", 400),
        (b"no colon", 400),
        (b"x-a: b", 200),
        (b"x-a:b", 200),
        (b"x-a: b c", 200),
        (b"x-a:", 200),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(line: bytes, status: int, fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server, fast_heads=fast) as served:
            await served_or_refused(served, with_line(echo(served, "x"), line), status)

    run(main())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("chunks", "fine"),
    [
        (b"%X\r\n%b\r\n0\r\n\r\n", True),
        (b"000%x\r\n%b\r\n0\r\n\r\n", True),
        (b"%x;name=value\r\n%b\r\n0;last\r\n\r\n", True),
        (b"%x\r\n%b\r\n0\r\nx-trailer: y\r\n\r\n", True),
        (b"+%x\r\n%b\r\n0\r\n\r\n", False),
        (b"-%x\r\n%b\r\n0\r\n\r\n", False),
        (b"0x%x\r\n%b\r\n0\r\n\r\n", False),
        (b" %x\r\n%b\r\n0\r\n\r\n", False),
        (b"%x \r\n%b\r\n0\r\n\r\n", False),
        (b"%x\n%b\r\n0\r\n\r\n", False),
        (b"%x\r\n%b0\r\n\r\n", False),
        (b"%x\r\n%bx\r\n0\r\n\r\n", False),
        (b"1%015x0\r\n%b\r\n0\r\n\r\n", False),
        (b"\r\n%x\r\n%b\r\n0\r\n\r\n", False),
        (b"%x\r\n%b\r\n0\r\ncontent-length: 5\r\n\r\n", False),
        (b"%x\r\n%b\r\n0\r\nbad trailer\r\n\r\n", False),
        (b"%x\r\n%b\r\nzz\r\n\r\n", False),
    ],
)
def test_chunks_are_read_strictly(chunks: bytes, fine: bool, fast: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server, fast_heads=fast) as served:
            data = echo(served, "x")
            body = split(data)[1]
            await served_or_refused(
                served, chunked(data, chunks % (len(body), body)), *((200,) if fine else (400, 413))
            )

    run(main())


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (b"POST /mcp HTTP/1.1", (200,)),
        (b"POST /mcp HTTP/2.0", (400,)),
        (b"POST /mcp HTTP/0.9", (400,)),
        (b"POST /mcp HTTP/1.2", (200, 400)),
        (b"POST /mcp", (400,)),
        (b"POST  /mcp HTTP/1.1", (400,)),
        (b"POST /m cp HTTP/1.1", (400,)),
        (b" POST /mcp HTTP/1.1", (400,)),
        (b"POST /mcp HTTP/1.1 ", (400,)),
        (b"P\xd6ST /mcp HTTP/1.1", (400,)),
        (b"PRI * HTTP/2.0", (400,)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),
    ],
)
def test_what_is_no_request_line_is_refused(line: bytes, statuses: tuple[int, ...]) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            raw.send(echo(served, "x").replace(b"POST /mcp HTTP/1.1", line, 1))
            answer = await raw.answer()
            assert answer.status in statuses
            assert answer.status == 200 or answer.fields["connection"] == "close"

    run(main())


def test_what_follows_a_refused_request_is_never_served() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            smuggled = echo(served, "smuggled")
            raw.send(with_line(echo(served, "x"), b"transfer-encoding: chunked") + smuggled)
            await refused(raw, 400)

    run(main())
