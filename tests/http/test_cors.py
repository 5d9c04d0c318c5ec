"""What a browser is told before and after it lets a page of another origin use the server."""

from __future__ import annotations

import pytest

from mcpcore.errors import UsageError
from mcpcore.http.cors import Cors
from mcpcore.http.messages import RequestHead

APP = "https://app.example.com"
EVIL = "https://evil.example"


def head(method: str = "POST", **fields: str) -> RequestHead:
    return RequestHead(method, "/mcp", {name.replace("_", "-"): value for name, value in fields.items()})


def told(cors: Cors, **fields: str) -> dict[str, str]:
    headers = cors.headers_for(head(**fields))
    assert len({name.lower() for name, _ in headers}) == len(headers), "a field comes once"
    return dict(headers)


def asked(cors: Cors, **fields: str) -> dict[str, str]:
    status, headers = cors.preflight(head("OPTIONS", access_control_request_method="POST", **fields))
    assert status == 204
    assert len({name.lower() for name, _ in headers}) == len(headers), "a field comes once"
    return dict(headers)


def names(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


def test_an_allowed_origin_is_named_exactly_and_may_read_what_a_client_needs() -> None:
    for _ in range(2):  # looked up, and remembered
        found = told(Cors([APP]), origin=APP)
        assert found["Access-Control-Allow-Origin"] == APP
        exposed = names(found["Access-Control-Expose-Headers"])
        assert exposed >= {"mcp-session-id", "mcp-protocol-version", "www-authenticate", "retry-after"}
        assert found["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", [EVIL, "null", "", f"{APP}.evil.example", f"{APP}:8443", "http://app.example.com", APP.upper()]
)
def test_another_origin_is_told_nothing_and_caches_are_warned(origin: str) -> None:
    assert told(Cors([APP]), origin=origin) == {"Vary": "Origin"}


def test_without_an_origin_there_is_nothing_to_tell_but_caches_are_warned() -> None:
    assert told(Cors([APP])) == {"Vary": "Origin"}


def test_every_origin_is_a_star_whoever_asks() -> None:
    cors = Cors("*")
    for fields in ({"origin": EVIL}, {"origin": "null"}, {}):
        found = told(cors, **fields)
        assert found["Access-Control-Allow-Origin"] == "*"
        assert "Vary" not in found
    assert told(Cors(["*", APP]), origin=APP)["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("cors", [Cors([APP]), Cors("*"), Cors(["https://*.example.com"])])
def test_credentials_are_never_allowed(cors: Cors) -> None:
    assert "Access-Control-Allow-Credentials" not in told(cors, origin=APP)
    assert "Access-Control-Allow-Credentials" not in asked(cors, origin=APP)


def test_of_many_origins_the_one_that_asks_is_named() -> None:
    cors = Cors([APP, "http://localhost:*", "https://*.preview.example"])
    for origin in (APP, "http://localhost:5173", "https://pr-7.preview.example"):
        assert told(cors, origin=origin)["Access-Control-Allow-Origin"] == origin
    assert told(cors, origin=EVIL) == {"Vary": "Origin"}


def test_one_origin_may_be_given_as_a_string() -> None:
    assert told(Cors(APP), origin=APP)["Access-Control-Allow-Origin"] == APP


def test_a_page_cannot_write_into_the_answer() -> None:
    injected = f"{APP}\r\nSet-Cookie: a=b"
    assert told(Cors([APP, "https://*.example.com"]), origin=injected) == {"Vary": "Origin"}
    assert injected not in str(told(Cors("*"), origin=injected))


def test_what_is_remembered_of_many_origins_is_bounded() -> None:
    cors = Cors(["http://localhost:*"])
    for port in range(1, 2000):
        assert told(cors, origin=f"http://localhost:{port}")["Access-Control-Allow-Origin"].endswith(f":{port}")
    assert len(cors._remembered) <= 256


def test_a_preflight_of_an_allowed_origin_gets_methods_headers_and_a_long_life() -> None:
    found = asked(Cors([APP]), origin=APP, access_control_request_headers="content-type,mcp-session-id")
    assert found["Access-Control-Allow-Origin"] == APP
    assert names(found["Access-Control-Allow-Methods"]) == {"post", "get", "delete"}
    assert names(found["Access-Control-Allow-Headers"]) == {
        *("content-type", "accept", "authorization", "last-event-id"),
        *("mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"),
    }
    assert int(found["Access-Control-Max-Age"]) >= 600
    assert "origin" in names(found["Vary"])


@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_a_preflight_of_another_origin_gets_no_permission(origin: str) -> None:
    found = asked(Cors([APP]), origin=origin, access_control_request_private_network="true")
    assert [name for name in found if name.startswith("Access-Control")] == []


def test_a_preflight_may_ask_for_the_mirrored_parameters_of_tools() -> None:
    wanted = "content-type, mcp-param-region,Mcp-Param-Tenant ,x-evil, mcp-param-region"
    found = asked(Cors([APP]), origin=APP, access_control_request_headers=wanted)
    allowed = found["Access-Control-Allow-Headers"]
    assert allowed.endswith(", mcp-param-region, mcp-param-tenant")
    assert "evil" not in allowed


@pytest.mark.parametrize(
    "name", ["mcp-param-", "mcp-param-a b", "mcp-param-a\r\nx: y", "mcp-param-\xfc", "mcp-param-*/", "*"]
)
def test_what_is_no_field_name_is_not_repeated(name: str) -> None:
    found = asked(Cors([APP]), origin=APP, access_control_request_headers=f"{name},mcp-param-ok")
    assert found["Access-Control-Allow-Headers"].endswith("mcp-name, mcp-param-ok")


def test_no_more_fields_are_allowed_than_a_request_may_have() -> None:
    wanted = ",".join(f"mcp-param-{number}" for number in range(5000))
    found = asked(Cors([APP]), origin=APP, access_control_request_headers=wanted)
    assert found["Access-Control-Allow-Headers"].count("mcp-param-") == 100


def test_a_private_network_is_opened_where_that_was_asked() -> None:
    name = "Access-Control-Allow-Private-Network"
    assert asked(Cors([APP]), origin=APP, access_control_request_private_network="true")[name] == "true"
    assert name not in asked(Cors([APP]), origin=APP)


def test_what_is_no_origin_is_refused_when_the_server_is_made() -> None:
    with pytest.raises(UsageError, match=r'cors: .* Write "https://example\.com"'):
        Cors(["app.example.com"])
    with pytest.raises(UsageError, match="cors: any page can have"):
        Cors(["null"])
