"""Which requests end at their head, with what answer, and that their nearest neighbours pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import UsageError
from mcpcore.http.cors import Cors
from mcpcore.http.guard import Guard, GuardRules, Refusal
from mcpcore.http.messages import RequestHead
from mcpcore.spec.codes import HEADER_MISMATCH, INVALID_REQUEST

BOTH = "application/json, text/event-stream"
LOCAL = Guard(GuardRules(bound=("127.0.0.1",)))
PUBLIC = Guard(GuardRules(bound=("0.0.0.0",)))


def head(
    method: str = "POST",
    target: str = "/mcp",
    *,
    repeated: tuple[str, ...] = (),
    version: str = "1.1",
    content_length: int | None = None,
    **fields: str | None,
) -> RequestHead:
    """An ordinary request; a field given as None is left out."""
    ordinary: dict[str, str | None] = {"host": "localhost:8000", "accept": BOTH, "content_type": "application/json"}
    headers = {name.replace("_", "-"): value for name, value in (ordinary | fields).items() if value is not None}
    return RequestHead(
        method, target, headers, repeated=frozenset(repeated), version=version, content_length=content_length
    )


def refused(refusal: Refusal | None, status: int, *parts: str) -> Refusal:
    assert refusal is not None
    assert refusal.status == status
    for part in parts:
        assert part in refusal.text
    assert "\n" not in refusal.text
    assert refusal.text.isprintable()
    return refusal


# -- Host ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "127.0.0.1:9999", "[::1]:8000", "app.localhost"])
def test_this_machines_own_names_pass_on_a_loopback_bind(host: str) -> None:
    for _ in range(2):  # judged, and remembered
        assert LOCAL.check(head(host=host)) is None


@pytest.mark.parametrize("guard", [LOCAL, PUBLIC, Guard(GuardRules(bound=("unix",))), Guard(GuardRules())])
def test_a_name_that_was_never_allowed_is_misdirected_and_the_text_says_what_would_allow_it(guard: Guard) -> None:
    refusal = guard.check(head(host="evil.example.com:8000"))
    refused(
        refusal,
        421,
        '"evil.example.com:8000"',
        'allowed_hosts=["evil.example.com"]',
        "MCPCORE_ALLOWED_HOSTS=evil.example.com",
    )


def test_what_the_text_names_is_what_helps() -> None:
    for host in ("mcp.example.com:8443", "192.168.1.7", "[2001:db8::1]:8000"):
        refusal = LOCAL.check(head(host=host))
        assert refusal is not None
        named = refusal.text.split('allowed_hosts=["')[1].split('"]')[0]
        assert Guard(GuardRules(bound=("127.0.0.1",), allowed_hosts=(named,))).check(head(host=host)) is None


def test_addresses_pass_on_a_bind_to_all_of_them() -> None:
    for host in ("192.168.1.7:8000", "[2001:db8::1]:8000", "localhost:8000"):
        assert PUBLIC.check(head(host=host)) is None
    refused(LOCAL.check(head(host="192.168.1.7:8000")), 421)


def test_the_bound_name_is_reachable() -> None:
    guard = Guard(GuardRules(bound=("mcp.example.com",)))
    assert guard.check(head(host="mcp.example.com:8000", origin="https://mcp.example.com")) is None
    refused(guard.check(head(host="www.example.com")), 421)


@pytest.mark.parametrize(
    "host", ["", "user@localhost", "localhost:x", "127.1", "[fe80::1%25eth0]", "b\xfccher", "a, b", "\x1b"]
)
def test_what_is_no_host_is_a_bad_request(host: str) -> None:
    refused(LOCAL.check(head(host=host)), 400, "Host")


def test_a_request_without_a_host_is_a_bad_request_unless_its_version_had_none() -> None:
    refused(LOCAL.check(head(host=None)), 400, "Host")
    assert LOCAL.check(head(host=None, version="1.0")) is None
    refused(LOCAL.check(head(host="evil.example", version="1.0")), 421)
    refused(LOCAL.check(head(host=None, version="1.0", origin="http://evil.example")), 403)
    refused(LOCAL.check(head(host=None)), 400, "Host")


@pytest.mark.parametrize("name", ["host", "origin"])
def test_two_of_what_decides_are_a_bad_request_even_where_both_would_do(name: str) -> None:
    assert LOCAL.check(head()) is None
    refused(LOCAL.check(head(repeated=(name, "accept"))), 400, name)
    assert LOCAL.check(head(repeated=("accept",))) is None


def test_a_target_that_names_a_host_is_held_to_the_same() -> None:
    assert LOCAL.check(head(target="http://localhost:8000/mcp?a")) is None
    assert LOCAL.check(head(target="HTTPS://[::1]/mcp")) is None
    refused(LOCAL.check(head(target="http://evil.example/mcp")), 421, "evil.example")
    refused(LOCAL.check(head(target="http://localhost/mcp", host="evil.example")), 421)
    refused(LOCAL.check(head(target="http://localhost@evil.example/mcp")), 400)
    refused(LOCAL.check(head(target="http://?localhost")), 400)


def test_allowing_every_host_allows_no_page() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), allowed_hosts=("*",)))
    assert guard.check(head(host="evil.example")) is None
    refused(guard.check(head(host="evil.example", origin="http://evil.example")), 403)


# -- Origin -------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M06",
    "2025-06-18/transports/M06",
    "2025-11-25/transports/M06",
    "2025-11-25/transports/M07",
    "2026-07-28/streamable-http/M02",
    "2026-07-28/streamable-http/M03",
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
def test_a_foreign_page_is_forbidden_by_every_method_although_the_host_is_right(method: str) -> None:
    refusal = LOCAL.check(head(method, origin="http://evil.example"))
    refused(
        refusal,
        403,
        '"http://evil.example"',
        'allowed_origins=["http://evil.example"]',
        "MCPCORE_ALLOWED_ORIGINS=http://evil.example",
        'cors=["http://evil.example"]',
    )
    assert LOCAL.check(head(method, origin="http://localhost:8000")) is None
    assert LOCAL.check(head(method)) is None


@pytest.mark.spec("2024-11-05/transports/M04")
@pytest.mark.parametrize("target", ["/sse", "/messages?session=1", "/healthz", "/", "*"])
def test_a_foreign_page_is_forbidden_on_every_route(target: str) -> None:
    refused(LOCAL.check(head("GET", target, origin="http://evil.example")), 403)
    assert LOCAL.check(head("GET", target, origin="http://127.0.0.1:8000")) is None


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "https://localhost:8443", "http://127.0.0.1:5173", "http://[::1]:1", "http://app.localhost"],
)
def test_pages_of_this_machine_pass_whatever_their_port(origin: str) -> None:
    for guard in (LOCAL, PUBLIC):
        for _ in range(2):
            assert guard.check(head(origin=origin)) is None


@pytest.mark.spec("2025-11-25/transports/M07", "2026-07-28/streamable-http/M03")
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "localhost",
        "file://",
        "http://localhost/",
        "http://localhost@evil.example",
        "HTTP://LOCALHOST:8000",
        "http://localhost.evil.example",
        "http://evil.example/localhost",
        "http://localhost http://evil.example",
        "http://127.0.0.1.evil.example",
        "http://evillocalhost",
        "ftp://localhost",
        "http://\x7f",
        "x" * 5000,
    ],
)
def test_an_origin_that_only_looks_right_is_forbidden(origin: str) -> None:
    for guard in (LOCAL, PUBLIC):
        refused(guard.check(head(origin=origin)), 403, "Origin")


def test_the_official_pair_of_evil_host_and_origin_is_refused_and_the_real_one_passes() -> None:
    for guard in (LOCAL, PUBLIC):
        evil = guard.check(head(host="evil.example.com", origin="http://evil.example.com"))
        assert evil is not None
        assert 400 <= evil.status < 500
        assert guard.check(head(host="localhost:8000", origin="http://localhost:8000")) is None


def test_where_every_address_is_served_the_page_of_another_address_is_forbidden() -> None:
    assert PUBLIC.check(head(host="192.168.1.7:8000", origin="http://192.168.1.7:8000")) is None
    refused(PUBLIC.check(head(host="192.168.1.7:8000", origin="http://203.0.113.66")), 403)


def test_an_allowed_origin_passes_and_its_neighbours_do_not() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), allowed_origins=("https://app.example.com",)))
    assert guard.check(head(origin="https://app.example.com")) is None
    assert guard.check(head(origin="http://localhost:1")) is None
    for origin in ("http://app.example.com", "https://app.example.com:8443", "https://example.com", "null"):
        refused(guard.check(head(origin=origin)), 403)


def test_an_origin_of_cors_passes() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",)), Cors(["https://app.example.com"]))
    assert guard.check(head(origin="https://app.example.com")) is None
    refused(guard.check(head(origin="https://evil.example")), 403)


@pytest.mark.parametrize(
    "guard",
    [Guard(GuardRules(bound=("127.0.0.1",), allowed_origins=("*",))), Guard(GuardRules(bound=("::1",)), Cors("*"))],
)
def test_every_page_passes_where_that_was_said_but_a_rebound_host_does_not(guard: Guard) -> None:
    for origin in ("http://evil.example", "null", "what is this"):
        assert guard.check(head(origin=origin)) is None
    refused(guard.check(head(host="evil.example", origin="http://evil.example")), 421)


def test_what_was_accepted_says_nothing_about_other_pairs() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), allowed_hosts=("a.example", "*.b.example")))
    assert guard.check(head(host="x.b.example", origin="https://x.b.example")) is None
    assert guard.check(head(host="y.b.example")) is None
    refused(guard.check(head(host="y.b.example", origin="https://x.b.example")), 403)
    refused(guard.check(head(host="b.example", origin="https://x.b.example")), 421)


def test_what_is_remembered_of_many_pairs_is_bounded() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), allowed_origins=("*",)))
    for number in range(2000):
        assert guard.check(head(host=f"a{number}.localhost", origin="x" * number)) is None
    assert 0 < len(guard._known) <= 256
    assert all(len(origin or "") < 1000 for _, origin in guard._known)


@given(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.none() | st.text(st.characters(max_codepoint=255), max_size=60),
)
def test_no_host_or_origin_is_too_odd_for_an_answer(host: str, origin: str | None) -> None:
    for target in ("/mcp", f"http://{host}/mcp"):
        refusal = LOCAL.check(head(target=target, host=host, origin=origin))
        if refusal is not None:
            assert refusal.status in {400, 403, 421}
            assert refusal.text.isprintable()


def test_a_long_value_is_not_repeated_in_full() -> None:
    refusal = refused(LOCAL.check(head(host="a" * 10_000)), 400, "...")
    assert len(refusal.text) < 300


# -- the path -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/transports/M05", "2026-07-28/streamable-http/M01")
def test_one_path_with_or_without_a_last_slash_is_the_endpoint_of_all_methods() -> None:
    for target in ("/mcp", "/mcp/", "/mcp?x=1", "/mcp/?x=/", "http://localhost:8000/mcp", "http://localhost/mcp/?x"):
        for method in ("POST", "GET", "DELETE"):
            assert LOCAL.is_endpoint(head(method, target))
            assert LOCAL.check_endpoint(head(method, target)) is None


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/mcp//",
        "//mcp",
        "/MCP",
        "/%6dcp",
        "/mcp%2F",
        "/mcp/..",
        "/x/../mcp",
        "/mcp;a",
        "/mcpx",
        "mcp",
        "*",
        "",
        "http://localhost",
        "http://localhost/%6dcp",
        "ftp://localhost/mcp",
        "localhost:8000",
    ],
)
def test_every_other_spelling_is_another_path(target: str) -> None:
    assert not LOCAL.is_endpoint(head(target=target))


def test_the_endpoint_may_be_anywhere() -> None:
    nested = Guard(GuardRules(path="/a/b%20c/", bound=("127.0.0.1",)))
    assert nested.is_endpoint(head(target="/a/b%20c"))
    assert nested.is_endpoint(head(target="/a/b%20c/"))
    assert not nested.is_endpoint(head(target="/a"))
    root = Guard(GuardRules(path="/", bound=("127.0.0.1",)))
    assert root.is_endpoint(head(target="/"))
    assert root.is_endpoint(head(target="http://localhost"))
    assert not root.is_endpoint(head(target="/mcp"))


@pytest.mark.parametrize("path", ["", "mcp", "/mcp?x", "/mcp#x", "/b c", "/b\xfccher", "/%zz", "http://localhost/mcp"])
def test_what_is_no_path_is_refused_when_the_server_is_made(path: str) -> None:
    with pytest.raises(UsageError, match="path: "):
        Guard(GuardRules(path=path))


# -- the MCP endpoint -----------------------------------------------------------------------------------------------


def test_an_ordinary_request_passes() -> None:
    assert LOCAL.check_endpoint(head(content_length=100)) is None
    assert LOCAL.check_endpoint(head("GET", content_type=None, accept="text/event-stream")) is None
    assert LOCAL.check_endpoint(head("DELETE", content_type=None, accept=None)) is None
    assert LOCAL.check_endpoint(head("OPTIONS", content_type=None, accept=None)) is None


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE", "CONNECT", "post", "POST ", "X" * 5000, "\x00"])
def test_another_method_is_not_allowed_and_hears_which_are(method: str) -> None:
    refusal = refused(LOCAL.check_endpoint(head(method)), 405, "POST, GET, DELETE, OPTIONS")
    assert refusal.headers == (("Allow", "POST, GET, DELETE, OPTIONS"),)


@pytest.mark.spec("2026-07-28/streamable-http/S12")
def test_without_sessions_there_is_nothing_to_get_or_delete() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), methods=("POST",)))
    for method in ("GET", "DELETE"):
        refusal = refused(guard.check_endpoint(head(method, accept="text/html")), 405)
        assert refusal.headers == (("Allow", "POST, OPTIONS"),)
    assert guard.check_endpoint(head("POST")) is None
    assert guard.options(head("OPTIONS")) == (204, (("Allow", "POST, OPTIONS"),))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("content-type", INVALID_REQUEST),
        ("content-length", INVALID_REQUEST),
        ("mcp-session-id", INVALID_REQUEST),
        ("authorization", INVALID_REQUEST),
        ("last-event-id", INVALID_REQUEST),
        ("mcp-protocol-version", HEADER_MISMATCH),
        ("mcp-method", HEADER_MISMATCH),
        ("mcp-name", HEADER_MISMATCH),
    ],
)
def test_two_of_what_has_one_value_are_a_bad_request(name: str, code: int) -> None:
    refusal = refused(LOCAL.check_endpoint(head(repeated=("accept", name))), 400, name)
    assert refusal.code == code


def test_what_may_be_a_list_may_come_in_several_fields() -> None:
    assert LOCAL.check_endpoint(head(repeated=("accept", "cookie", "via", "mcp-param-x"))) is None


def test_a_body_over_the_limit_is_refused_by_its_length_and_one_at_the_limit_is_not() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",), max_body_bytes=1000))
    refused(guard.check_endpoint(head(content_length=1001)), 413, "1001", "1000", "max_message_bytes")
    refused(guard.check_endpoint(head("DELETE", content_length=1001)), 413)
    assert guard.check_endpoint(head(content_length=1000)) is None
    assert guard.check_endpoint(head(content_length=None)) is None


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", 'Application/Json;charset="UTF-8"'],
)
def test_json_in_any_spelling_is_taken(content_type: str) -> None:
    assert LOCAL.check_endpoint(head(content_type=content_type)) is None


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "text/event-stream",
        "application/*",
    ],
)
def test_another_content_type_is_unsupported_and_hears_which_is(content_type: str | None) -> None:
    refusal = refused(LOCAL.check_endpoint(head(content_type=content_type)), 415, "application/json")
    assert refusal.headers == (("Accept", "application/json"),)


def test_a_compressed_body_is_unsupported() -> None:
    refusal = refused(LOCAL.check_endpoint(head(content_encoding="gzip")), 415, "gzip")
    assert refusal.headers == (("Accept-Encoding", "identity"),)
    assert LOCAL.check_endpoint(head(content_encoding="Identity")) is None


@pytest.mark.parametrize(
    "accept",
    [None, BOTH, "application/json", "text/event-stream", "*/*", "Application/*;q=0.1", "text/html, */*;q=0.5"],
)
def test_a_post_is_taken_where_either_answer_is_acceptable(accept: str | None) -> None:
    assert LOCAL.check_endpoint(head(accept=accept)) is None


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*", "application/json;q=0", "application/json;q=0, text/event-stream;q=0"]
)
def test_a_post_that_accepts_neither_answer_is_not_acceptable(accept: str) -> None:
    refused(LOCAL.check_endpoint(head(accept=accept)), 406, "application/json and text/event-stream")


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (None, True),
        ("text/event-stream", True),
        ("text/*", True),
        ("*/*", True),
        ("application/json", False),
        ("text/html", False),
        ("text/event-stream;q=0, */*", False),
    ],
)
def test_a_get_is_taken_where_a_stream_is_acceptable(accept: str | None, taken: bool) -> None:
    refusal = LOCAL.check_endpoint(head("GET", accept=accept, content_type=None))
    if taken:
        assert refusal is None
    else:
        refused(refusal, 406, "text/event-stream")


def test_a_delete_is_taken_whatever_it_accepts() -> None:
    assert LOCAL.check_endpoint(head("DELETE", accept="text/html", content_type="text/plain")) is None


# -- OPTIONS ------------------------------------------------------------------------------------------------------


def test_options_names_the_methods_and_without_cors_permits_nothing() -> None:
    preflight = head("OPTIONS", access_control_request_method="POST", origin="http://localhost:5173")
    assert LOCAL.options(preflight) == (204, (("Allow", "POST, GET, DELETE, OPTIONS"),))


def test_options_with_cors_answers_the_preflight_and_else_names_the_methods() -> None:
    guard = Guard(GuardRules(bound=("127.0.0.1",)), Cors(["https://app.example.com"]))
    preflight = head("OPTIONS", access_control_request_method="POST", origin="https://app.example.com")
    status, headers = guard.options(preflight)
    assert status == 204
    assert ("Access-Control-Allow-Origin", "https://app.example.com") in headers
    assert ("Access-Control-Allow-Methods", "GET, POST, DELETE") in headers
    status, headers = guard.options(head("OPTIONS", origin="https://app.example.com"))
    assert status == 204
    assert ("Allow", "POST, GET, DELETE, OPTIONS") in headers
    assert ("Access-Control-Allow-Origin", "https://app.example.com") in headers
