"""How Host and Origin are read, and which of them a setting names. What is answered to them: test_guard.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import UsageError
from mcpcore.http.origins import AllowedHosts, AllowedOrigins, Authority, parse_authority, parse_origin

AUTHORITIES = {
    "localhost": ("localhost", None),
    "localhost:8000": ("localhost", 8000),
    "LocalHost:8000": ("localhost", 8000),
    "Example.COM.": ("example.com", None),
    "example.com.:443": ("example.com", 443),
    "example.com:": ("example.com", None),
    "my_service:80": ("my_service", 80),
    "xn--bcher-kva.example": ("xn--bcher-kva.example", None),
    "a.b.c.d.e": ("a.b.c.d.e", None),
    "127.0.0.1": ("127.0.0.1", None),
    "127.0.0.1.:1": ("127.0.0.1", 1),
    "0.0.0.0:65535": ("0.0.0.0", 65535),
    "[::1]": ("::1", None),
    "[::1]:8000": ("::1", 8000),
    "[0:0:0:0:0:0:0:1]:8000": ("::1", 8000),
    "[2001:DB8::A]": ("2001:db8::a", None),
    "[::ffff:127.0.0.1]:8000": ("127.0.0.1", 8000),
    "[::ffff:7f00:1]": ("127.0.0.1", None),
    f"{'a' * 63}.example": (f"{'a' * 63}.example", None),
}


@pytest.mark.parametrize("text", AUTHORITIES)
def test_a_host_is_read_as_name_and_port(text: str) -> None:
    found = parse_authority(text)
    assert found is not None
    assert (found.name, found.port) == AUTHORITIES[text]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ":8000",
            ".",
            ".example.com",
            "example..com",
            "example.com..",
            "exa mple.com",
            " localhost",
            "localhost ",
        ),
        *(
            "user@localhost",
            "user:pass@localhost",
            "localhost:80@evil.example",
            "localhost/",
            "http://localhost",
            "a,b",
        ),
        *("localhost, evil.example", "localhost\\evil", "localhost#", "localhost?", "%6cocalhost", "local%00host"),
        *(
            "b\xfccher.example",
            "localh\xf6st",
            "\xb9.0.0.1",
            "localhost\x00",
            "localhost\t",
            "localhost\n",
            "*",
            "*.example",
        ),
        *(
            "localhost:x",
            "localhost:-1",
            "localhost:+1",
            "localhost:80 ",
            "localhost:8_0",
            "localhost:65536",
            "localhost:\xb2",
        ),
        *("localhost:000080", "localhost:80:80", "::1", "::1:8000", "[::1", "[::1]8000", "[::1].evil.example", "::1]"),
        *(
            "[fe80::1%eth0]",
            "[fe80::1%25eth0]:80",
            "[127.0.0.1]",
            "[localhost]",
            "[]",
            "[::1]]",
            "[[::1]]",
            "[:::1]",
            "[::1]:x",
        ),
        *(
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.256",
            "1.2.3.4.5",
        ),
        *("evil.1", "evil.0x", "evil.0xff", f"{'a' * 64}.example", f"{'a.' * 126}aa"),
    ],
)
def test_what_is_no_host_is_none(text: str) -> None:
    assert parse_authority(text) is None


def test_a_name_may_have_253_letters_and_a_dot() -> None:
    longest = "a." * 126 + "a"
    assert parse_authority(longest + ".") == Authority(longest, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost", ("http", "localhost", 80)),
        ("https://example.com", ("https", "example.com", 443)),
        ("https://example.com:8443", ("https", "example.com", 8443)),
        ("http://[::1]:5173", ("http", "::1", 5173)),
        ("http://localhost.:1", ("http", "localhost", 1)),
        ("vscode-webview://1a2b", ("vscode-webview", "1a2b", None)),
        ("tauri://localhost", ("tauri", "localhost", None)),
    ],
)
def test_an_origin_is_read_as_scheme_name_and_port(text: str, expected: tuple[str, str, int | None]) -> None:
    found = parse_origin(text)
    assert found is not None
    assert found[:3] == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "null",
            "NULL",
            "localhost",
            "//localhost",
            "http:localhost",
            "http:/localhost",
            "://localhost",
            "file://",
        ),
        *("HTTP://localhost", "http://LOCALHOST", "http://localhost/", "http://localhost/a", "http://localhost:"),
        *("http://localhost@evil.example", "http://user:pass@localhost", "http://localhost#", "http://localhost?a"),
        *(
            "http://localhost http://evil.example",
            "http://localhost, http://localhost",
            " http://localhost",
            "1http://a",
        ),
        *("http://b\xfccher.example", "http://127.1", "http://[fe80::1%25a]", "http://*", f"http://{'a.' * 200}a"),
    ],
)
def test_what_a_browser_would_not_write_is_no_origin(text: str) -> None:
    assert parse_origin(text) is None


LETTERS = st.text(st.sampled_from("lLocalhost127.0:[]/@%*-_ x\\#?\x00\xfc"), max_size=40)


@given(LETTERS | st.text(max_size=60))
def test_reading_never_fails_and_what_was_read_reads_the_same_again(text: str) -> None:
    parse_origin(text)
    found = parse_authority(text)
    if found is not None:
        name = f"[{found.name}]" if ":" in found.name else found.name
        assert parse_authority(name if found.port is None else f"{name}:{found.port}") == found


@given(st.sampled_from(["http://", "https://", ""]), LETTERS)
def test_an_origin_that_passes_as_this_machine_names_it_to_another_reader_too(scheme: str, rest: str) -> None:
    origin = parse_origin(scheme + rest)
    if origin is not None and AllowedHosts(bound=["127.0.0.1"]).owns(origin, None):
        host = (urlsplit(scheme + rest).hostname or "").rstrip(".")
        assert host in {"localhost", "::1"} or host.endswith(".localhost") or host.startswith("127.")


def seconds(work: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        work(text)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize("part", ["a", "a.", "1", "1.", ":", "[", "::", "0x", "http://", "*.", "-", "@"])
def test_reading_a_megabyte_takes_no_time(part: str) -> None:
    for opening in ("", "[", "http://", "http://["):
        text = opening + part * (1024 * 1024 // len(part))
        assert seconds(parse_authority, text) < 0.1
        assert seconds(parse_origin, text) < 0.1


def serves(hosts: AllowedHosts, text: str) -> bool:
    found = parse_authority(text)
    assert found is not None
    return hosts.serves(found)


def owns(hosts: AllowedHosts, origin: str, host: str | None = None) -> bool:
    found = parse_origin(origin)
    assert found is not None
    return hosts.owns(found, None if host is None else parse_authority(host))


LOCAL = ["localhost", "localhost:1", "app.localhost", "127.0.0.1:8000", "127.255.0.9", "[::1]", "[::ffff:127.0.0.1]:1"]
ADDRESSES = ["192.168.1.7:8000", "203.0.113.5", "[2001:db8::1]:80", "0.0.0.0:8000", "[::]"]
NAMES = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost", "localhost.localdomain"]


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"])
def test_bound_to_this_machine_only_its_own_names_are_served(bound: str) -> None:
    hosts = AllowedHosts(bound=[bound])
    assert all(serves(hosts, text) for text in LOCAL)
    assert not any(serves(hosts, text) for text in ADDRESSES + NAMES)


@pytest.mark.parametrize("bound", [["0.0.0.0"], ["::"], [""], ["unix"], [], ["127.0.0.1", "::"]])
def test_bound_to_everything_what_no_page_can_rebind_is_served(bound: list[str]) -> None:
    hosts = AllowedHosts(bound=bound)
    assert all(serves(hosts, text) for text in LOCAL + ADDRESSES)
    assert not any(serves(hosts, text) for text in NAMES)


def test_the_machines_own_names_are_served_where_they_are_given() -> None:
    hosts = AllowedHosts(bound=["0.0.0.0", "Workstation", "workstation.lan", "a machine, named by a person"])
    assert serves(hosts, "workstation:8000")
    assert serves(hosts, "workstation.lan.")
    assert not serves(hosts, "workstation.evil.example")


@pytest.mark.parametrize(
    ("bound", "own"),
    [("example.com", "example.com:8000"), ("192.168.1.7", "192.168.1.7"), ("fe80::1%eth0", "[fe80::1]:8000")],
)
def test_bound_to_one_name_or_address_that_one_is_served(bound: str, own: str) -> None:
    hosts = AllowedHosts(bound=[bound])
    assert serves(hosts, own)
    assert not any(serves(hosts, text) for text in ["localhost", "203.0.113.5", "[fe80::2]", *NAMES])
    both = AllowedHosts(bound=[bound, "127.0.0.1"])
    assert serves(both, own)
    assert serves(both, "localhost:8000")


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (
            "example.com",
            ["example.com", "EXAMPLE.com.:99"],
            ["a.example.com", "example.com.evil.example", "xample.com"],
        ),
        ("Example.com:8000", ["example.com:8000"], ["example.com", "example.com:8001"]),
        ("example.com:443", ["example.com:443", "example.com"], ["example.com:80"]),
        ("example.com:*", ["example.com", "example.com:1"], ["a.example.com"]),
        (
            "*.example.com",
            ["a.example.com", "a.b.example.com:1"],
            ["example.com", "aexample.com", "a.example.com.evil"],
        ),
        ("*.example.com:8000", ["a.example.com:8000"], ["a.example.com", "a.example.com:8001"]),
        ("*.example.com:*", ["a.example.com:1"], ["example.com"]),
        ("*", ["evil.example", "203.0.113.5:1"], []),
        ("*:8000", ["evil.example:8000"], ["evil.example", "evil.example:8001"]),
        ("*:*", ["evil.example:8000"], []),
        ("203.0.113.5", ["203.0.113.5:9"], ["203.0.113.6"]),
        ("2001:db8::1", ["[2001:DB8:0::1]:8000"], ["[2001:db8::2]"]),
        ("[2001:db8::1]:80", ["[2001:db8::1]", "[2001:db8::1]:80"], ["[2001:db8::1]:81"]),
        (" example.com ", ["example.com"], []),
    ],
)
def test_a_pattern_names_hosts(pattern: str, accepted: list[str], refused: list[str]) -> None:
    hosts = AllowedHosts([pattern], bound=["127.0.0.1"])
    assert [text for text in accepted if not serves(hosts, text)] == []
    assert [text for text in refused if serves(hosts, text)] == []
    assert serves(hosts, "localhost:8000"), "what is safe by itself stays"


def test_of_one_name_several_ports_may_be_allowed() -> None:
    hosts = AllowedHosts(["example.com:1", "example.com:2"], bound=["127.0.0.1"])
    assert serves(hosts, "example.com:1")
    assert serves(hosts, "example.com:2")
    assert not serves(hosts, "example.com:3")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "https://example.com",
        "example.com/",
        "a*.example.com",
        "*example.com",
        "*.*.com",
        "*.127.0.0.1",
        "*.",
        "b\xfccher",
        "example.com:x",
        "example.com:80:*",
        "*:",
        "*:x",
        "[::1",
        "127.1",
        "::1%eth0",
        "user@example.com",
        "a, b",
    ],
)
def test_a_pattern_that_names_no_host_says_what_to_write(pattern: str) -> None:
    with pytest.raises(UsageError, match=r'allowed_hosts: .* Write "example\.com"'):
        AllowedHosts([pattern])


def test_pages_of_this_machine_are_own_on_any_port_and_by_http_only() -> None:
    hosts = AllowedHosts(bound=["127.0.0.1"])
    for origin in ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:1", "http://app.localhost:3000"]:
        assert owns(hosts, origin, "localhost:8000")
    for origin in ["tauri://localhost", "ftp://localhost", "http://localhost.evil.example", "http://192.168.1.7"]:
        assert not owns(hosts, origin, "localhost:8000")


def test_where_every_address_is_served_only_the_page_of_the_same_address_is_own() -> None:
    hosts = AllowedHosts(bound=["0.0.0.0"])
    assert owns(hosts, "http://192.168.1.7:8000", "192.168.1.7:8000")
    assert owns(hosts, "http://localhost:5173", "192.168.1.7:8000")
    assert not owns(hosts, "http://203.0.113.66", "192.168.1.7:8000")
    assert not owns(hosts, "http://203.0.113.66", None)
    assert not owns(hosts, "http://evil.example", "evil.example")


def test_the_pages_of_an_allowed_name_are_own() -> None:
    hosts = AllowedHosts(["example.com", "api.example.org:8443"], bound=["127.0.0.1"])
    assert owns(hosts, "https://example.com", "api.example.org:8443")
    assert owns(hosts, "https://api.example.org:8443", None)
    assert not owns(hosts, "https://api.example.org", "api.example.org:8443")
    assert not owns(hosts, "https://www.example.com", "example.com")


def test_of_a_zone_only_the_very_host_that_was_asked_for_is_own() -> None:
    hosts = AllowedHosts(["*.tunnel.example"], bound=["127.0.0.1"])
    assert owns(hosts, "https://mine.tunnel.example", "mine.tunnel.example")
    assert not owns(hosts, "https://evil.tunnel.example", "mine.tunnel.example")


def test_every_host_being_served_makes_no_page_own() -> None:
    hosts = AllowedHosts(["*"], bound=["127.0.0.1"])
    assert not owns(hosts, "http://evil.example", "evil.example")
    assert owns(hosts, "http://localhost:5173", "mcp.example.com")


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (
            "https://example.com",
            ["https://example.com", "https://example.com:443"],
            [
                "http://example.com",
                "https://example.com:8443",
                "https://a.example.com",
                "https://example.com.evil.example",
            ],
        ),
        ("HTTPS://Example.COM:8443", ["https://example.com:8443"], ["https://example.com"]),
        ("https://example.com:*", ["https://example.com:1", "https://example.com"], ["http://example.com"]),
        (
            "https://*.example.com",
            ["https://a.example.com", "https://a.b.example.com:443"],
            ["https://example.com", "https://a.example.com:1", "http://a.example.com", "https://aexample.com"],
        ),
        ("https://*.example.com:*", ["https://a.example.com:1"], ["https://example.com:1"]),
        ("http://[::1]:5173", ["http://[::1]:5173"], ["http://[::1]"]),
        ("vscode-webview://*", ["vscode-webview://1a2b"], ["https://1a2b"]),
        ("tauri://localhost", ["tauri://localhost"], ["http://localhost", "tauri://localhost:1"]),
        ("*", ["https://evil.example", "tauri://localhost"], []),
    ],
)
def test_a_pattern_names_origins(pattern: str, accepted: list[str], refused: list[str]) -> None:
    origins = AllowedOrigins([pattern])
    found = {text: parse_origin(text) for text in accepted + refused}
    assert None not in found.values()
    assert [text for text, origin in found.items() if origin and origins.allows(origin)] == accepted


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "example.com",
        "https://",
        "https://example.com/",
        "https://example.com/app",
        "https://example.com:",
        "//a",
        "*.a",
        "https://a*.example.com",
        "https://user@example.com",
        "https://b\xfccher.example",
        "https://127.1",
        "https://*:8000",
    ],
)
def test_a_pattern_that_names_no_origin_says_what_to_write(pattern: str) -> None:
    with pytest.raises(UsageError, match=r'allowed_origins: .* Write "https://example\.com"'):
        AllowedOrigins([pattern])


def test_null_and_a_whole_web_scheme_are_to_be_written_as_what_they_mean() -> None:
    with pytest.raises(UsageError, match=r'any page can have the origin "null"; write "\*"'):
        AllowedOrigins(["null"])
    with pytest.raises(UsageError, match=r'every page there is; write "\*"'):
        AllowedOrigins(["https://*"])
