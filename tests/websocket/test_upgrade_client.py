"""A client's side of the opening handshake: what it asks for, and which 101 it takes."""

from __future__ import annotations

import pytest

from mcpcore.core.limits import Limits
from mcpcore.errors import ProtocolViolation, UsageError
from mcpcore.http.h1 import read_request_head
from mcpcore.websocket.deflate import OFFER, Deflate
from mcpcore.websocket.upgrade import Accepted, Offer, accept_upgrade

LIMITS = Limits(max_head_bytes=2000, max_headers=12)
ANSWER = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "Sec-WebSocket-Protocol: mcp",
]
DEFLATED = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"


def offer(*, deflate: bool = False) -> Offer:
    return Offer(lambda size: b"the sample nonce", deflate=deflate)


def answer(*more: str, without: str = "", status: str = ANSWER[0]) -> bytes:
    lines = [status, *[line for line in ANSWER[1:] if not without or not line.startswith(without)], *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def test_a_request_asks_for_mcp() -> None:
    assert offer().headers == (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "mcp"),
    )


def test_a_request_offers_compression_where_that_is_wanted() -> None:
    assert offer(deflate=True).headers == (*offer().headers, ("Sec-WebSocket-Extensions", OFFER))


def test_a_source_that_gives_another_number_of_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="gave 2 bytes"):
        Offer(lambda size: b"ab")


def test_an_ordinary_answer_is_taken() -> None:
    assert offer().check(answer("Date: today", "Server: x", "X-Empty:"), LIMITS) == Accepted("mcp", None)


@pytest.mark.parametrize("status", ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 Whatever \xe9"])
def test_the_reason_says_nothing(status: str) -> None:
    offer().check(answer(status=status), LIMITS)


@pytest.mark.parametrize(
    ("without", "instead"),
    [
        ("Upgrade", "upgrade: WebSocket"),
        ("Connection", "connection: keep-alive, UPGRADE"),
        ("Sec-WebSocket-Accept", "SEC-WEBSOCKET-ACCEPT:\ts3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t "),
        ("Sec-WebSocket-Protocol", "sec-websocket-protocol:mcp"),
    ],
)
def test_names_and_what_is_no_secret_are_compared_in_any_case(without: str, instead: str) -> None:
    offer().check(answer(instead, without=without), LIMITS)


@pytest.mark.parametrize("deflate", [True, False])
def test_what_a_server_of_ours_answers_is_taken(deflate: bool) -> None:
    asked = offer(deflate=deflate)
    lines = ["GET /ws HTTP/1.1", "Host: a", *[f"{name}: {value}" for name, value in asked.headers], "", ""]
    accepted = accept_upgrade(read_request_head("\r\n".join(lines).encode(), LIMITS), deflate=deflate)
    assert isinstance(accepted, Accepted)
    assert asked.check(accepted.response(), LIMITS) == Accepted("mcp", Deflate() if deflate else None)


REFUSED = {
    "no Upgrade": (answer(without="Upgrade"), "Upgrade: websocket"),
    "another Upgrade": (answer("Upgrade: h2c", without="Upgrade"), "Upgrade: websocket"),
    "two Upgrades": (answer("Upgrade: websocket"), "upgrade"),
    "no Connection": (answer(without="Connection"), "Connection: Upgrade"),
    "another Connection": (answer("Connection: close", without="Connection"), "Connection: Upgrade"),
    "no Accept": (answer(without="Sec-WebSocket-Accept"), "our key"),
    "another Accept": (answer("Sec-WebSocket-Accept: AAAA", without="Sec-WebSocket-Accept"), "our key"),
    "Accept in another case": (
        answer("Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=", without="Sec-WebSocket-Accept"),
        "our key",
    ),
    "two Accepts": (answer(ANSWER[3]), "sec-websocket-accept"),
    "no subprotocol": (answer(without="Sec-WebSocket-Protocol"), "subprotocol none"),
    "another subprotocol": (
        answer("Sec-WebSocket-Protocol: graphql-ws", without="Sec-WebSocket-Protocol"),
        'subprotocol "graphql-ws"',
    ),
    "the subprotocol in another case": (
        answer("Sec-WebSocket-Protocol: MCP", without="Sec-WebSocket-Protocol"),
        'subprotocol "MCP"',
    ),
    "two subprotocols": (answer("Sec-WebSocket-Protocol: mcp"), "sec-websocket-protocol"),
    "an extension nobody asked for": (answer(DEFLATED), "asked for was none"),
    "an extension that is none": (answer("Sec-WebSocket-Extensions:"), "asked for was none"),
    "another status": (answer(status="HTTP/1.1 200 OK"), "begins with"),
    "another version": (answer(status="HTTP/1.0 101 Switching"), "begins with"),
    "no status": (answer(status="hello"), "begins with"),
    "a folded line": (answer("X: y", " z"), "no header field"),
    "a space in front of the colon": (answer("X : y"), "no header field"),
    "no colon": (answer("X"), "no header field"),
    "a control character": (answer("X: \x01"), "no header field"),
    "a lone line feed": (answer("X: a\nY: b"), "no header field"),
    "no empty line": (answer()[:-2], "empty line"),
    "too many bytes": (answer("X: " + "y" * 2000), "at most 2000"),
    "too many fields": (answer(*["X: y"] * 9), "and 13 fields"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_none_is_a_violation(name: str) -> None:
    head, said = REFUSED[name]
    with pytest.raises(ProtocolViolation, match=said):
        offer().check(head, LIMITS)


def test_compression_is_taken_where_it_was_asked_for() -> None:
    assert offer(deflate=True).check(answer(DEFLATED), LIMITS) == Accepted("mcp", Deflate())
    assert offer(deflate=True).check(answer(), LIMITS) == Accepted("mcp", None)


@pytest.mark.parametrize("said", ["permessage-deflate", "permessage-bzip2", "permessage-deflate; =", ","])
def test_an_extension_that_does_not_fit_what_was_asked_for_is_a_violation(said: str) -> None:
    with pytest.raises(ProtocolViolation, match="asked for was permessage-deflate"):
        offer(deflate=True).check(answer(f"Sec-WebSocket-Extensions: {said}"), LIMITS)
