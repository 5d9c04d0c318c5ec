"""The load generator of HTTP: keep-alive connections with one request outstanding on each. No SDK and no event loop.

While the clock runs it finds the end of each reply and sends the next request, nothing else; replies are kept and
checked afterwards. What is said lives in ``http_wire.py``.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from mcpcore_bench.batch import Batch, measure, no_collection
from mcpcore_bench.cores import Cores
from mcpcore_bench.figures import Sample
from mcpcore_bench.http_wire import (
    BOTH_KINDS,
    FIRST_ID,
    ID,
    NO_SESSION,
    Talk,
    era_of,
    messages_of,
    notification,
    replies_in,
    reply_end,
    requests,
    verify_http,
)
from mcpcore_bench.process import SILENCE_SECONDS, OpeningFailed, ProcessUnderTest, ServerDied
from mcpcore_bench.serving import HOST, PATH
from mcpcore_bench.wire import REVISIONS, Check, Shape, WrongReply, opening

__all__ = ["HttpServerUnderTest", "free_port"]

READ_BYTES: Final = 1 << 18
START_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 0.005
GRACE_SECONDS: Final = 0.3  # a process that ends closes its connections a little earlier


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Connection:
    """One connection: what it was asked, in order, and what came back."""

    socket: socket.socket
    ids: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    rest: bytes = b""


class HttpServerUnderTest(ProcessUnderTest):
    """A spawned server that listens on ``port``. ``accept`` is what requests say they take."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        env: Mapping[str, str],
        cores: Cores,
        cpu_ns: Callable[[int], int],
        accept: str = BOTH_KINDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        super().__init__(command, env=env, cores=cores, cpu_ns=cpu_ns, silence_seconds=silence_seconds, piped=False)
        self.connections: list[Connection] = []
        self.next_id = FIRST_ID
        self.port = port
        self.accept = accept
        self.talk: Talk

    def close(self) -> None:
        """Ends the process at once: how it would end by itself is not measured."""
        for connection in self.connections:
            connection.socket.close()
        self.process.kill()
        super().close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{PATH}"

    def listening(self) -> None:
        """Waits until the server takes connections. Raises :class:`OpeningFailed`."""
        end = time.monotonic() + min(START_SECONDS, self.silence_seconds)
        while True:
            try:
                self._connect().close()
                return
            except OSError as error:
                if self.process.poll() is not None:
                    raise OpeningFailed(str(self.died())) from error
                if time.monotonic() > end:
                    raise OpeningFailed(f"it does not listen on its port: {error}") from error
                time.sleep(RETRY_SECONDS)

    def open(self, era: str) -> dict[str, Any]:
        """The opening of an era, as in ``load.py``; the calls that follow belong to it, in the session and the revision
        that the server has chosen. Raises :class:`OpeningFailed`.
        """
        self.listening()
        self.talk = Talk(self.port, era_of(era), REVISIONS[era_of(era)], self.accept)
        try:
            result, session = self._opened()
            if self.talk.era == "legacy":
                revision = str(result.get("protocolVersion"))
                self.talk = replace(self.talk, revision=revision, session="" if era == NO_SESSION else session)
                self._post(notification(self.talk, "notifications/initialized"))
        except (WrongReply, ServerDied) as error:
            raise OpeningFailed(str(error)) from error
        return result

    def _opened(self) -> tuple[dict[str, Any], str]:
        """The result of the opening request and the session's id, or an empty one."""
        [request] = requests(self.talk, opening(self.talk.era), self._ids(1))
        [reply] = replies_in(self._post(request))
        message = orjson.loads(messages_of(reply)[-1])
        result = message.get("result")
        if not isinstance(result, dict):
            raise WrongReply(f"an error instead of a result: {str(message)[:300]}")
        return result, reply.headers.get("mcp-session-id", "")

    def measure(
        self,
        shape: Shape,
        check: Check,
        *,
        answer: str,
        connections: int,
        seconds: float,
        warm_seconds: float,
        warm_calls: int = 0,
    ) -> Sample:
        """Warms up, then loads the server for about ``seconds``. Raises :class:`WrongReply`, :class:`ServerDied`."""
        self._keep(connections)
        return measure(
            lambda count: self.checked(shape, check, answer, count),
            window=connections,
            seconds=seconds,
            warm_seconds=warm_seconds,
            warm_calls=warm_calls,
        )

    def checked(self, shape: Shape, check: Check, answer: str, count: int) -> Batch:
        """``count`` calls on the connections there are, their replies checked."""
        batch = self._run(requests(self.talk, shape, ids := self._ids(count)), ids)
        progress = shape[1].get("_meta", {}).get("progressToken") == ID
        for connection, stream in zip(self.connections, batch.replies, strict=True):
            verify_http(self.talk.era, connection.ids, stream, answer, check, progress=progress)
        return batch

    def _ids(self, count: int) -> range:
        self.next_id += count
        return range(self.next_id - count, self.next_id)

    def _run(self, due: list[bytes], ids: range) -> Batch:
        for connection in self.connections:
            connection.ids, connection.pieces, connection.rest = [], [], b""
        with self.watched(), no_collection(), self._naming_the_broken():
            cpu = self.cpu_ns()
            start = time.perf_counter_ns()
            latencies = self._one_by_one(due, ids) if len(self.connections) == 1 else self._side_by_side(due, ids)
            wall = time.perf_counter_ns() - start
            cpu = self.cpu_ns() - cpu
        replies = [b"".join(connection.pieces) for connection in self.connections]
        return Batch(len(due), replies, wall, cpu, latencies)

    def _one_by_one(self, due: list[bytes], ids: range) -> list[int]:
        [connection] = self.connections
        connection.ids.extend(ids)
        clock = time.perf_counter_ns
        latencies: list[int] = []
        for request in due:
            start = clock()
            connection.pieces.append(_exchange(connection.socket, request))
            latencies.append(clock() - start)
        return latencies

    def _side_by_side(self, due: list[bytes], ids: range) -> list[int]:
        """A reply as long as the one before it on any connection is taken for a whole one; the check comes later."""
        left = zip(due, ids, strict=True)
        by_number = {connection.socket.fileno(): connection for connection in self.connections}
        usual, answered = 0, 0
        with select.epoll() as poll:
            for number, connection in by_number.items():
                poll.register(number, select.EPOLLIN)
                _send_next(connection, left)
            while answered < len(due):
                for number, _ in poll.poll():
                    connection = by_number[number]
                    piece = connection.socket.recv(READ_BYTES)
                    if not piece:
                        raise ConnectionError("the server closed a connection")
                    connection.pieces.append(piece)
                    if len(piece) != usual or connection.rest:
                        connection.rest += piece
                        if reply_end(connection.rest) < 0:
                            continue
                        usual, connection.rest = len(connection.rest), b""
                    answered += 1
                    _send_next(connection, left)
        return []

    def _post(self, request: bytes) -> bytes:
        with self.watched(), self._naming_the_broken(), contextlib.closing(self._connect()) as connection:
            return _exchange(connection, request)

    @contextlib.contextmanager
    def _naming_the_broken(self) -> Iterator[None]:
        """A connection that breaks: the server died, or it lives and does not keep its connections."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE_SECONDS)
            if self.process.poll() is not None:
                raise self.died() from error
            raise WrongReply(str(error)) from error
        except ValueError as error:
            raise WrongReply(f"not HTTP: {error}") from error

    def _keep(self, count: int) -> None:
        while len(self.connections) > count:
            self.connections.pop().socket.close()
        while len(self.connections) < count:
            self.connections.append(Connection(self._connect()))

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _send_next(connection: Connection, left: Iterator[tuple[bytes, int]]) -> None:
    request, number = next(left, (b"", 0))
    if request:
        connection.ids.append(number)
        connection.socket.sendall(request)


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """One request and the whole of its reply."""
    connection.sendall(request)
    data = connection.recv(READ_BYTES)
    while data and reply_end(data) < 0:
        piece = connection.recv(READ_BYTES)
        if not piece:
            break
        data += piece
    if not data:
        raise ConnectionError("the server closed the connection without a reply")
    return data
