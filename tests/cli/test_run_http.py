"""``mcpcore run --transport http``: its options, and what it says where it cannot."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Server
from tests.server.http_programs import Program, modern

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")

Run = Callable[..., Any]
ECHO = modern("tools/call", name="echo", arguments={"text": "hello"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    directory = tmp_path_factory.mktemp("tls")
    return make_certificate(directory, "one")


def make_certificate(directory: Path, name: str, *more: str) -> tuple[str, str]:
    certificate, key = str(directory / f"{name}.pem"), str(directory / f"{name}.key")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    try:
        subprocess.run([*words, *(more or ["-nodes"])], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate, and is not installed here")
    return certificate, key


@pytest.fixture
def options_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, dict[str, Any]]]:
    """What ``Server.run`` is called with for these words."""

    def command(*words: str) -> tuple[str, dict[str, Any]]:
        seen: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(Server, "run", lambda self, transport, **options: seen.append((transport, options)))
        run("run", *words)
        (found,) = seen
        return found

    return command


def test_the_file_is_served_over_http(server: str) -> None:
    with Program("-m", "mcpcore", "run", server, "--transport", "http", "--port", "0") as program:
        status, answer = program.serving().post(ECHO)
        assert (status, answer["result"]["content"][0]["text"]) == (200, "hello")
        assert program.end()[0] == 0


def test_workers_are_an_option(server: str) -> None:
    with Program("-m", "mcpcore", "run", server, "--transport", "http", "--port", "0", "--workers", "2") as program:
        program.serving().wait_for("2 processes")
        assert program.end()[0] == 0


def test_a_certificate_and_its_key_make_it_https(server: str, certificate: tuple[str, str]) -> None:
    tls = ("--tls-cert", certificate[0], "--tls-key", certificate[1])
    with Program("-m", "mcpcore", "run", server, "--transport", "http", "--port", "0", *tls) as program:
        line = program.wait_for("serving MCP at https://")
        port = int(line.split("127.0.0.1:")[1].partition("/")[0])
        connection = HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=certificate[0]))
        try:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok\n"
        finally:
            connection.close()


def test_every_option_reaches_the_server(server: str, options_of: Any) -> None:
    words = "--host 127.0.0.1 --host ::1 --port 9000 --path /x --workers 2 --cors https://a.example --cors https://b.example"
    more = "--allowed-host a.example --allowed-origin https://c.example --stateless --tls-cert c.pem --tls-key c.key"
    assert options_of(server, "--transport", "http", *words.split(), *more.split()) == (
        "http",
        {
            "host": ["127.0.0.1", "::1"],
            "port": 9000,
            "path": "/x",
            "workers": 2,
            "cors": ["https://a.example", "https://b.example"],
            "allowed_hosts": ["a.example"],
            "allowed_origins": ["https://c.example"],
            "sessions": False,
            "tls": ("c.pem", "c.key"),
        },
    )


def test_what_is_not_given_is_left_to_the_server(server: str, options_of: Any) -> None:
    assert options_of(server, "--transport", "http") == ("http", {})
    assert options_of(server) == ("stdio", {})


def test_a_unix_socket_is_an_option(server: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Program("-m", "mcpcore", "run", server, "--transport", "http", "--unix", path) as program:
        assert path in program.wait_for("serving MCP at unix:")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_file_that_runs_its_server_over_http_while_it_is_loaded_is_served_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "unguarded.py"
    path.write_text("from mcpcore import Server\nServer('x').run('http', port=1)\n", encoding="utf-8")
    with Program("-m", "mcpcore", "run", str(path), "--transport", "http", "--port", "0") as program:
        assert program.serving().get("/healthz") == (200, "ok\n")


MISTAKES = {
    "an option without HTTP": (["--port", "9000"], "such options belong to HTTP: add --transport http"),
    "reload without HTTP": (["--reload"], "such options belong to HTTP: add --transport http"),
    "a port that is none": (["--transport", "http", "--port", "70000"], "70000 is no port"),
    "a port that is no number": (["--transport", "http", "--port", "http"], "invalid int value: 'http'"),
    "a host that is none": (["--transport", "http", "--host", "no.such.invalid"], "no such host name or address"),
    "no processes": (["--transport", "http", "--workers", "0"], "no number of processes"),
    "a path that is none": (["--transport", "http", "--path", "x"], 'is no path such as "/mcp"'),
    "an origin that is none": (["--transport", "http", "--cors", "example.com"], "is no origin"),
    "a certificate without a key": (["--transport", "http", "--tls-cert", "x"], "https takes both: --tls-cert FILE"),
    "another transport": (["--transport", "smoke"], "invalid choice: 'smoke'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_status_2_and_says_what_to_do(case: str, run: Run, server: str) -> None:
    words, complaint = MISTAKES[case]
    ran = run("run", server, *words)
    assert ran.status == 2 and complaint in ran.err, ran
    assert "Traceback" not in ran.err


def test_a_port_in_use_is_told_in_one_line(run: Run, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("run", server, "--transport", "http", "--port", str(port))
    assert ran.status == 2
    assert ran.err.splitlines()[-1] == (
        f"mcpcore: 127.0.0.1:{port} is in use already; choose another port, or 0 for a free one"
    )


def test_certificates_that_cannot_be_used_are_told_by_their_names(
    run: Run, server: str, certificate: tuple[str, str], tmp_path: Path
) -> None:
    _, other_key = make_certificate(tmp_path, "other")
    _, locked_key = make_certificate(tmp_path, "locked", "-passout", "pass:secret")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    pem, key = certificate

    def said(certificate: str, key: str) -> str:
        ran = run("run", server, "--transport", "http", "--port", "0", "--tls-cert", certificate, "--tls-key", key)
        assert ran.status == 2
        return str(ran.err)

    assert f"tls: the certificate '{tmp_path}/none' cannot be read: No such file" in said(f"{tmp_path}/none", key)
    assert f"tls: the key '{tmp_path}/none' cannot be read: No such file" in said(pem, f"{tmp_path}/none")
    assert f"tls: the key '{other_key}' does not belong to the certificate '{pem}'" in said(pem, other_key)
    assert f"tls: '{text}' is no certificate in PEM form" in said(str(text), key)
    assert f"tls: '{text}' is no key in PEM form" in said(pem, str(text))
    assert f"tls: the key '{locked_key}' is encrypted; decrypt it" in said(f"{tmp_path}/locked.pem", locked_key)
