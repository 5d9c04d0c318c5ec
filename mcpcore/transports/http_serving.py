"""One peer over HTTP: decoded messages come in with the stream that answers them, handlers run. No bytes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.core.events import Cancelled
from mcpcore.core.exchange import Exchange
from mcpcore.eras.door import LegacyDoor, ModernDoor
from mcpcore.errors import Closed, RpcError
from mcpcore.jsonrpc.codec import encode
from mcpcore.jsonrpc.message import NO_ID, error_frame
from mcpcore.spec import codes
from mcpcore.spec.revisions import MODERN
from mcpcore.transports.runner import wire_log
from mcpcore.transports.serving import Serving, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpcore.core.events import Event, Notified
    from mcpcore.core.limits import Limits
    from mcpcore.core.streams import Stream
    from mcpcore.spec.revisions import Revision
    from mcpcore.transports.http_routes import Routes

__all__ = ["Host", "HttpServing", "legacy_serving", "modern_serving"]


class Host(Protocol):
    """What the HTTP transport needs of a server, besides what the eras ask (``core/policy.py``, ``Service``)."""

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def revisions(self) -> Sequence[Revision]: ...

    def on_notified(self, serving: Any, event: Notified) -> None: ...

    def adopt(self, serving: Serving) -> None:
        """Tell it of changes from now on."""
        ...

    def release(self, serving: Serving) -> None: ...

    @property
    def mirrored_params(self) -> Mapping[str, Mapping[str, str]]:
        """Tool -> parameter -> header, for the tools that have parameters which travel as headers too."""
        ...

    @property
    def custom_routes(self) -> Routes:
        """Served beside the MCP endpoint."""
        ...

    def modern_serving(self) -> HttpServing:
        """Serves the modern requests of one connection."""
        ...

    def legacy_serving(self, sessionless: str | None = None) -> HttpServing:
        """Serves one legacy session; one request where it is told why there is no session."""
        ...

    async def start_lifespan(self, user: object) -> None: ...

    async def stop_lifespan(self, user: object) -> None: ...


class HttpServing(Serving):
    """Serves what ``receive`` is given, for one connection (modern) or one session (legacy).

    Where it does not last, for one request: nobody has to tell it of changes, or to close it.
    """

    def __init__(self, host: Host, door: Any, *, lasts: bool = True) -> None:
        super().__init__(door, host.limits, server=True, on_notified=host.on_notified)
        self.peer.standing = NOWHERE
        self._host = host
        self._tap = wire_log()
        if lasts:
            host.adopt(self)

    def receive(self, message: Any, stream: Any) -> Event | list[Event] | None:
        """Serve a decoded message that came on this stream."""
        if self._tap is not None:
            self._tap("in", encode(message))
            stream = Tapped(stream, self._tap)
        peer = self.peer
        peer.stream = stream
        try:
            event = peer.accept(message)
            if type(event) is Exchange:
                self._serve(event)
            elif event is not None:
                self._handle(event)
            return event
        except Exception:  # a fault of ours; its sender gets an answer, and others are served on
            log.exception("a message could not be handled")
            text = "internal error; the server's log has the details"
            for exchange in [one for one in peer.incoming.values() if one.stream is stream]:
                peer.fail(exchange, RpcError(codes.INTERNAL_ERROR, text))
            stream.answer(error_frame(NO_ID, codes.INTERNAL_ERROR, text), codes.INTERNAL_ERROR)
            return None
        finally:
            peer.stream = None

    def stand(self, stream: Stream) -> None:
        """What belongs to no request travels on this stream from now on."""
        self.peer.standing = stream if self._tap is None else Tapped(stream, self._tap)

    def cancel(self, exchange: Exchange) -> None:
        """Stop serving a request whose client went away."""
        self.peer.forget(exchange)
        self._cancel(Cancelled(exchange, "its client disconnected"))

    def close(self) -> None:
        """The conversation is over: answer what runs, cancel it, fail what was asked."""
        for exchange in tuple(self.peer.incoming.values()):
            if exchange.on_cancel is not None:
                exchange.on_cancel()
            self.peer.fail(exchange, RpcError(codes.INTERNAL_ERROR, f"{exchange.method}: the session has ended"))
        for task in set(self.tasks):
            self._stop(task)
        if self.lost is None:
            self.lost = Closed("the session has ended")
            self._lose(self.lost)
        self._host.release(self)


def modern_serving(server: Any) -> HttpServing:
    """Of a server: serves the modern requests of one connection."""
    serving = HttpServing(server, ModernDoor(server, server.limits, server.revisions))
    serving.peer.revision = MODERN
    return serving


def legacy_serving(server: Any, sessionless: str | None = None) -> HttpServing:
    """Of a server: serves one legacy session; one request where it is told why there is no session."""
    door = LegacyDoor(server, server.limits, server.revisions)
    if sessionless is not None:
        door.policy.without_session(sessionless)
    return HttpServing(server, door, lasts=sessionless is None)


class _Nowhere:
    """The stream of what belongs to no request, where nobody can hear it."""

    principal = "anonymous"
    headers: Mapping[str, str] | None = None
    congested = False

    def admitted(self, exchange: Exchange) -> None: ...

    def send(self, frame: bytes, key: Any = None) -> None: ...

    def ask(self, frame: bytes) -> None: ...

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None: ...

    def close(self) -> None: ...

    def disconnect(self, retry: float) -> None: ...

    async def drained(self) -> None: ...


NOWHERE = _Nowhere()


class Tapped:
    """A stream whose frames are recorded."""

    def __init__(self, stream: Stream, tap: Callable[[str, bytes], None]) -> None:
        self._stream = stream
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def send(self, frame: bytes, key: Any = None) -> None:
        self._tap("out", frame)
        self._stream.send(frame, key)

    def ask(self, frame: bytes) -> None:
        self._tap("out", frame)
        self._stream.ask(frame)

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        self._tap("out", b"".join(frame) if isinstance(frame, tuple) else frame)
        self._stream.answer(frame, code)
