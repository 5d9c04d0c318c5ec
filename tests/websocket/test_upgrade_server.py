"""A server's side of the opening handshake: what is accepted with which fields, what is refused with which status."""

from __future__ import annotations

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http.guard import Refusal
from mcpcore.http.h1 import read_request_head
from mcpcore.http.messages import RequestHead
from mcpcore.websocket.deflate import Deflate
from mcpcore.websocket.upgrade import Accepted, accept_upgrade, asks_for_upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ORDINARY = {
    "Host": "127.0.0.1:8000",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "mcp",
}


def head(*more: tuple[str, str], line: str = "GET /ws HTTP/1.1", without: str = "", **changed: str) -> RequestHead:
    """A request as it comes from the wire, with some fields changed (``sec_websocket_key=``), left out or added."""
    fields = {name.lower(): value for name, value in ORDINARY.items()}
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    fields.pop(without.lower(), None)
    lines = [line, *[f"{name}: {value}" for name, value in [*fields.items(), *more]], "", ""]
    return read_request_head("\r\n".join(lines).encode("latin-1"), Limits())


def accepted(request: RequestHead, *, deflate: bool = False) -> Accepted:
    answer = accept_upgrade(request, deflate=deflate)
    assert isinstance(answer, Accepted), answer
    return answer


def refused(request: RequestHead) -> Refusal:
    answer = accept_upgrade(request, deflate=True)
    assert isinstance(answer, Refusal), answer
    return answer


def test_an_ordinary_request_is_accepted() -> None:
    answer = accepted(head())
    assert (answer.subprotocol, answer.deflate) == ("mcp", None)
    assert answer.response() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mcp\r\n\r\n"
    )


@pytest.mark.parametrize("upgrade", ["WebSocket", "WEBSOCKET", "h2c, websocket", " websocket ,"])
@pytest.mark.parametrize("connection", ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive"])
def test_upgrade_and_connection_are_lists_in_any_case(upgrade: str, connection: str) -> None:
    accepted(head(upgrade=upgrade, connection=connection))


def test_upgrade_and_connection_may_come_in_several_fields() -> None:
    accepted(head(("Upgrade", "h2c"), ("Connection", "keep-alive")))


def test_an_empty_body_is_none() -> None:
    accepted(head(("Content-Length", "0")))


# -- subprotocols -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offered", ["mcp", "mcp, other", "other,mcp", "other , mcp ,"])
def test_mcp_is_chosen_among_what_is_offered(offered: str) -> None:
    answer = accepted(head(sec_websocket_protocol=offered))
    assert answer.subprotocol == "mcp"
    assert dict(answer.headers)["Sec-WebSocket-Protocol"] == "mcp"


def test_mcp_is_found_in_the_second_field_too() -> None:
    assert accepted(head(("Sec-WebSocket-Protocol", "mcp"), sec_websocket_protocol="other")).subprotocol == "mcp"


def test_a_client_that_names_no_subprotocol_is_accepted_without_one() -> None:
    answer = accepted(head(without="Sec-WebSocket-Protocol"))
    assert answer.subprotocol is None
    assert "Sec-WebSocket-Protocol" not in dict(answer.headers)


@pytest.mark.parametrize("offered", ["graphql-ws", "MCP", "mcp2, other"])
def test_a_client_that_names_only_other_subprotocols_is_refused(offered: str) -> None:
    refusal = refused(head(sec_websocket_protocol=offered))
    assert refusal.status == 400 and '"mcp"' in refusal.text


@pytest.mark.parametrize("offered", ["mcp, mcp", "mcp other", ",", "mcp;q=1", '"mcp"', "mcp\xe9"])
def test_a_list_of_subprotocols_that_is_none_is_refused(offered: str) -> None:
    refusal = refused(head(sec_websocket_protocol=offered))
    assert refusal.status == 400 and "Sec-WebSocket-Protocol" in refusal.text


# -- extensions -------------------------------------------------------------------------------------------------------


OFFERED = "permessage-deflate; client_max_window_bits"


def test_compression_is_agreed_on_where_both_want_it() -> None:
    answer = accepted(head(sec_websocket_extensions=OFFERED), deflate=True)
    assert answer.deflate == Deflate(15)
    assert dict(answer.headers)["Sec-WebSocket-Extensions"] == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    )


def test_compression_is_off_unless_it_is_asked_for_on_both_sides() -> None:
    for answer in (accepted(head(sec_websocket_extensions=OFFERED)), accepted(head(), deflate=True)):
        assert answer.deflate is None
        assert "Sec-WebSocket-Extensions" not in dict(answer.headers)


def test_an_offer_that_cannot_be_accepted_leaves_the_connection_without_compression() -> None:
    answer = accepted(head(sec_websocket_extensions=f"{OFFERED}=99, permessage-bzip2"), deflate=True)
    assert answer.deflate is None


@pytest.mark.parametrize("deflate", [True, False])
def test_a_list_of_extensions_that_is_none_is_refused(deflate: bool) -> None:
    answer = accept_upgrade(head(sec_websocket_extensions="permessage-deflate; ="), deflate=deflate)
    assert isinstance(answer, Refusal) and answer.status == 400


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE", "HEAD"])
def test_another_method_is_refused_with_405(method: str) -> None:
    refusal = refused(head(line=f"{method} /ws HTTP/1.1"))
    assert refusal.status == 405 and ("Allow", "GET") in refusal.headers


def test_an_older_http_is_refused() -> None:
    assert refused(head(line="GET /ws HTTP/1.0")).status == 400


@pytest.mark.parametrize("field", [("Content-Length", "1"), ("Transfer-Encoding", "chunked")])
def test_a_request_with_a_body_is_refused(field: tuple[str, str]) -> None:
    refusal = refused(head(field))
    assert refusal.status == 400 and "body" in refusal.text


@pytest.mark.parametrize("request_head", [head(without="Upgrade"), head(upgrade="h2c"), head(upgrade="websockets")])
def test_a_request_that_wants_no_websocket_is_told_to_upgrade(request_head: RequestHead) -> None:
    refusal = refused(request_head)
    assert refusal.status == 426
    assert {("Upgrade", "websocket"), ("Connection", "Upgrade")} <= set(refusal.headers)
    assert not asks_for_upgrade(request_head)


@pytest.mark.parametrize(
    "request_head", [head(without="Connection"), head(connection="keep-alive"), head(connection="upgraded")]
)
def test_an_upgrade_that_connection_does_not_name_is_refused(request_head: RequestHead) -> None:
    refusal = refused(request_head)
    assert refusal.status == 400 and "proxy" in refusal.text
    assert asks_for_upgrade(request_head)


@pytest.mark.parametrize("version", ["8", "0", "14", "013", "13, 8", "thirteen", ""])
def test_another_version_is_refused_with_426_and_the_one_that_is_spoken(version: str) -> None:
    refusal = refused(head(sec_websocket_version=version))
    assert refusal.status == 426
    assert {("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")} <= set(refusal.headers)


def test_a_request_without_version_is_refused() -> None:
    assert refused(head(without="Sec-WebSocket-Version")).status == 400


@pytest.mark.parametrize(
    "key",
    ["", "abc", "A" * 24, "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ==AAAA", "dGhlIHNhbXBsZSBub25j!Q==",
     "dGhlIHNhbXBsZSBub25jZQ= ", "\xe9hlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA=A"],
)  # fmt: skip
def test_a_key_that_is_none_is_refused(key: str) -> None:
    refusal = refused(head(sec_websocket_key=key))
    assert refusal.status == 400 and "Sec-WebSocket-Key" in refusal.text


def test_a_request_without_key_is_refused() -> None:
    assert refused(head(without="Sec-WebSocket-Key")).status == 400


@pytest.mark.parametrize("field", [("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")])
def test_a_field_that_has_one_value_is_refused_where_it_comes_twice(field: tuple[str, str]) -> None:
    refusal = refused(head(field))
    assert refusal.status == 400 and field[0].lower() in refusal.text


def test_a_refusal_shows_a_value_from_outside_on_one_line_and_not_for_ever() -> None:
    text = refused(head(sec_websocket_version='\x80"' * 400)).text
    assert len(text) < 700 and text.isascii() and '""' not in text
