"""URLs of servers and proxies: taken apart, never shown with their secrets, joined within their origin."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mcpcore.http.proxies import proxy_from, proxy_in_environment
from mcpcore.http.url import parse_url


@pytest.mark.parametrize(
    ("text", "authority", "port", "target"),
    [
        ("http://h/mcp", "h", 80, "/mcp"),
        ("http://H", "h", 80, "/"),
        ("https://h:443/mcp", "h", 443, "/mcp"),
        ("http://h:443/mcp", "h:443", 443, "/mcp"),
        ("https://h:8443/a?b=c&d", "h:8443", 8443, "/a?b=c&d"),
        ("http://[::1]:8000/x", "[::1]:8000", 8000, "/x"),
        ("http://127.0.0.1:0/x", "127.0.0.1:0", 0, "/x"),
        ("http://h/ä b".replace(" ", "%20"), "h", 80, "/%C3%A4%20b"),
        ("http://h/a%2Fb?q=ü", "h", 80, "/a%2Fb?q=%C3%BC"),
        ("http://h/a#fragment", "h", 80, "/a"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/"),
        ("http://u:p@h/x", "h", 80, "/x"),
        ("HTTP://h/x", "h", 80, "/x"),
    ],
)
def test_what_a_url_says(text: str, authority: str, port: int, target: str) -> None:
    url = parse_url(text)
    assert (url.authority, url.port, url.target) == (authority, port, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mcp",
        "h/mcp",
        "ftp://h/",
        "http:///x",
        "http://",
        "http://:80/",
        "http://a b/",
        "http://h/\r\nX: y",
        "http://h/\0",
        "http://h:x/",
        "http://h:70000/",
        "http://[::1/",
        "http://h\u2028/",
        "http://h%00/",
        "http://a\\b/",
        "http+unix:///x",
    ],
)
def test_what_is_no_url_of_a_server_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_url(text)
    assert len(text) < 8 or text not in str(caught.value)


def test_what_is_shown_holds_neither_credentials_nor_query() -> None:
    url = parse_url("https://user:secret@h:8443/mcp?key=secret")
    assert str(url) == "https://h:8443/mcp?…" and "secret" not in repr(url)
    assert url.authorization == "Basic " + base64.b64encode(b"user:secret").decode()
    assert str(parse_url("http://h/mcp")) == "http://h/mcp"


def test_a_unix_socket_is_a_url_too() -> None:
    url = parse_url("http+unix://%2Frun%2Fa.sock/mcp?x=1")
    assert (url.socket, url.target, url.authority) == ("/run/a.sock", "/mcp?x=1", "localhost")
    assert str(url) == "http+unix://%2Frun%2Fa.sock/mcp?…"
    assert (url.joined("/b").socket, url.joined("/b").target) == ("/run/a.sock", "/b")
    with pytest.raises(ValueError, match="another origin"):
        url.joined("http://localhost/x")


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("/b?c", "/b?c"),
        ("b", "/a/b"),
        ("?x", "/a/mcp?x"),
        ("../b", "/b"),
        ("http://h:8000/x", "/x"),
        (" /x ", "/x"),
    ],
)
def test_what_stays_in_the_origin_is_joined(reference: str, target: str) -> None:
    url = parse_url("http://u:p@h:8000/a/mcp?q").joined(reference)
    assert (url.authority, url.target) == ("h:8000", target)
    assert url.authorization is not None


@pytest.mark.parametrize(
    "reference", ["http://h/x", "https://h:8000/x", "//evil/x", "http://h:8000@evil/x", "http://h.evil:8000/x", "//h"]
)
def test_what_leads_out_of_the_origin_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="another origin"):
        parse_url("http://h:8000/a/mcp").joined(reference)


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("http://p:3128", "p", 3128, False),
        ("p:3128", "p", 3128, False),
        ("http://p", "p", 80, False),
        ("https://p", "p", 443, True),
        ("http://[::1]:1/", "::1", 1, False),
    ],
)
def test_a_proxy_by_its_url(text: str, host: str, port: int, tls: bool) -> None:
    proxy = proxy_from(text)
    assert (proxy.host, proxy.port, proxy.tls, proxy.authorization) == (host, port, tls, None)


def test_the_credentials_of_a_proxy_are_not_shown() -> None:
    proxy = proxy_from("http://user:secret@p:1")
    assert proxy.authorization == "Basic " + base64.b64encode(b"user:secret").decode()
    assert str(proxy) == "the proxy p:1"


HTTP, HTTPS = "http://mcp.example/x", "https://mcp.example/x"


@pytest.mark.parametrize(
    ("url", "environ", "host"),
    [
        (HTTP, {}, None),
        (HTTP, {"HTTP_PROXY": "http://p:1"}, "p"),
        (HTTP, {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "p"),
        (HTTP, {"http_proxy": "", "HTTP_PROXY": "http://q:1"}, None),
        (HTTP, {"HTTPS_PROXY": "http://p:1"}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1"}, "p"),
        (HTTPS, {"HTTP_PROXY": "http://p:1"}, None),
        (HTTPS, {"ALL_PROXY": "http://p:1"}, "p"),
        (HTTPS, {"all_proxy": "p:1"}, "p"),
        (HTTP, {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        (HTTP, {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "p"),
        ("http://localhost:1/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://a.localhost/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://127.9.9.9/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://[::1]/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http+unix://%2Fx/", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, None),
    ],
)
def test_the_proxy_of_the_environment(url: str, environ: dict[str, str], host: str | None) -> None:
    proxy = proxy_in_environment(parse_url(url), environ)
    assert (proxy.host if proxy is not None else None) == host


@pytest.mark.parametrize(
    ("url", "exceptions", "excepted"),
    [
        (HTTP, "*", True),
        (HTTP, "mcp.example", True),
        (HTTP, "MCP.EXAMPLE", True),
        (HTTP, "example", True),
        (HTTP, ".example", True),
        (HTTP, "*.example", True),
        (HTTP, "cp.example", False),
        (HTTP, "other, mcp.example", True),
        (HTTP, " , ", False),
        (HTTP, "mcp.example:80", True),
        (HTTP, "mcp.example:81", False),
        ("http://10.1.2.3/", "10.0.0.0/8", True),
        ("http://10.1.2.3/", "11.0.0.0/8", False),
        ("http://10.1.2.3/", "10.1.2.3", True),
        ("http://10.1.2.3:8/", "10.1.2.3:8", True),
        ("http://10.1.2.3/", "2.3", False),
        ("http://10.1.2.3/", "10.1.2.3/x", False),
        ("http://[fd00::1]/", "fd00::1", True),
        ("http://[fd00::1]/", "[fd00::1]:80", True),
        ("http://[fd00::1]/", "[fd00::1]:81", False),
        ("http://[fd00::1]/", "fd00::/8", True),
    ],
)
def test_what_is_excepted_from_the_proxy(url: str, exceptions: str, excepted: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        environ = {"http_proxy": "http://p:1", name: exceptions}
        assert (proxy_in_environment(parse_url(url), environ) is None) is excepted


@pytest.mark.parametrize("bad", ["socks5://p:1", "http://p:x", "http://", "p q"])
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(bad: Any) -> None:
    with pytest.raises(ValueError, match="HTTP_PROXY"):
        proxy_in_environment(parse_url(HTTP), {"http_proxy": bad})
