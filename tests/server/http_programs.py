"""Servers as real processes that serve HTTP, and clients on bare sockets: what tests of signals and processes share."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

__all__ = ["META", "Program", "children_of", "initialize", "is_alive", "listen", "modern", "until"]

ROOT = Path(__file__).parents[2]
WAIT = 20.0
"""Seconds after which a wait fails."""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "process", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
}
_PORT = re.compile(r"http://[^ ]*:(\d+)/")


def until(condition: Callable[[], Any], what: str) -> Any:
    """What the condition gives once it is true; it is about another process, so asking again is all there is."""
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {WAIT:g} s: {what}"
        time.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """The living ones."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if is_alive(child)]


class Program:
    """A process that was started, what it says on stderr, and requests to it."""

    def __init__(self, *command: str, cwd: Path | None = None, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            cwd=cwd,
            text=True,
        )
        self.said = ""
        self.port = 0

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [*children_of(self.process.pid)] if self.process.poll() is None else []:
            kill(pid)
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def wait_for(self, text: str) -> str:
        """The next line of stderr that holds this text."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}: {self.said}")

    def serving(self) -> Program:
        """It listens; the port is known from now on."""
        line = self.wait_for("serving MCP at")
        found = _PORT.search(line)
        self.port = int(found[1]) if found is not None else 0
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Signal it; the exit status, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.ended(), time.monotonic() - began

    def ended(self) -> int:
        code = self.process.wait(timeout=WAIT)
        assert self.process.stderr is not None
        self.said += self.process.stderr.read()
        return code

    @property
    def pid(self) -> int:
        return self.process.pid

    # -- requests ------------------------------------------------------------------------------------------------------

    @contextmanager
    def connection(self) -> Iterator[HTTPConnection]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            yield connection
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        with self.connection() as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def post(self, message: dict[str, Any], **fields: str) -> tuple[int, Any]:
        """The status and what the body says, on a connection of its own."""
        with self.connection() as connection:
            send(connection, message, **fields)
            return read(connection.getresponse())

    def call(self, tool: str, arguments: dict[str, Any] | None = None, **params: Any) -> Any:
        """The result of a modern call."""
        status, answer = self.post(modern("tools/call", name=tool, arguments=arguments or {}, **params))
        assert status == 200, answer
        return answer["result"]

    def refuses(self) -> bool:
        """Whether nobody listens any more."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=WAIT).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def modern(method: str, id: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": META, **params}}


def initialize(revision: str = "2025-11-25") -> dict[str, Any]:
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}


def headers_of(message: dict[str, Any], fields: dict[str, str]) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if "_meta" in message.get("params", {}):
        headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": message["method"]}
        if "name" in message["params"]:
            headers["Mcp-Name"] = message["params"]["name"]
    return headers | {name.replace("_", "-"): value for name, value in fields.items()}


def send(connection: HTTPConnection, message: dict[str, Any], **fields: str) -> None:
    connection.request("POST", "/mcp", json.dumps(message), headers_of(message, fields))


def read(answer: HTTPResponse) -> tuple[int, Any]:
    body = answer.read()
    return answer.status, json.loads(body) if body else None


class Stream:
    """An open ``subscriptions/listen``, on a bare socket."""

    def __init__(self, port: int, id: int) -> None:
        message = modern("subscriptions/listen", id, notifications={"toolsListChanged": True})
        body = json.dumps(message).encode()
        fields = {**headers_of(message, {}), "Host": f"127.0.0.1:{port}", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.socket.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        self.received = b""

    def acknowledged(self) -> None:
        self._read_until(b"notifications/subscriptions/acknowledged")

    def heard(self, text: str) -> None:
        self._read_until(text.encode())

    def rest(self) -> str:
        """Everything up to the end of the connection, or of its answer."""
        self._read_until(b"\r\n0\r\n\r\n")
        return self.received.decode()

    def _read_until(self, text: bytes) -> None:
        while text not in self.received:
            data = self.socket.recv(65536)
            assert data, f"closed without {text!r}: {self.received!r}"
            self.received += data

    def close(self) -> None:
        self.socket.close()


@contextmanager
def listen(port: int, count: int) -> Iterator[list[Stream]]:
    """So many open streams, each of which the server has confirmed."""
    streams: list[Stream] = []
    try:
        for number in range(count):
            streams.append(Stream(port, number))  # noqa: PERF401 - those that were opened are closed, whatever happens
        for stream in streams:
            stream.acknowledged()
        yield streams
    finally:
        for stream in streams:
            stream.close()
