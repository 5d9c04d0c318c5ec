"""The opening handshake as values, for both sides: what a request has to ask for, and what a 101 has to say.

Host and Origin are judged before, by http/guard.py, and other answers than a 101 are ordinary HTTP. The subprotocol is
``mcp``. A server also takes clients that name none, since a frame means the same to them; it refuses those that name
only others. A client insists that the server confirms it: another kind of server then fails here, and not in silence.
Specification: RFC 6455 sections 4 and 9.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mcpcore.core.limits import Limits
from mcpcore.errors import ProtocolViolation, UsageError
from mcpcore.http.guard import Refusal
from mcpcore.websocket.deflate import OFFER, Deflate, accept_offer, check_answer, parse_extensions

__all__ = ["SUBPROTOCOL", "Accepted", "Offer", "RequestHead", "accept_upgrade", "asks_for_upgrade"]

SUBPROTOCOL: Final = "mcp"

_VERSION: Final = "13"
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_KEY_CHARS: Final = 24
_UPGRADE: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_SINGLE: Final = frozenset({"sec-websocket-key", "sec-websocket-version"})
_SINGLE_IN_ANSWERS: Final = frozenset({"sec-websocket-accept", "sec-websocket-protocol", "upgrade"})
_SHOWN: Final = 100
"""Letters of a value from outside that are repeated in the text about it."""

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_STATUS_LINE = re.compile(r"HTTP/1\.1 101(?: [\t -~\x80-\xff]*)?")
_FIELD = re.compile(r"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([\t -~\x80-\xff]*)")


class RequestHead(Protocol):
    """What of the head of an HTTP request is asked for here; ``http.messages.RequestHead`` is one."""

    @property
    def method(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def repeated(self) -> frozenset[str]: ...
    @property
    def content_length(self) -> int | None: ...
    @property
    def chunked(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A handshake that succeeded. ``subprotocol`` is ``mcp`` or, at a server, None for a client that named none."""

    subprotocol: str | None
    deflate: Deflate | None
    """For ``Frames``."""
    headers: tuple[tuple[str, str], ...] = ()
    """The fields of a server's 101; empty at a client."""

    def response(self) -> bytes:
        """A server's whole answer; what follows are frames."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n".encode("ascii")


# -- the server -------------------------------------------------------------------------------------------------------


def asks_for_upgrade(head: RequestHead) -> bool:
    """Whether a request wants a WebSocket connection at all, well or badly asked for."""
    upgrade = head.headers.get("upgrade")
    return upgrade is not None and "websocket" in _words(upgrade)


def accept_upgrade(head: RequestHead, *, deflate: bool = False) -> Accepted | Refusal:
    """Judges a request for the WebSocket endpoint: what is answered with 101, or with an HTTP error.

    ``deflate``: whether permessage-deflate is agreed on where the client offers it. Specification: RFC 6455, section
    4.2.
    """
    refusal = _refuse_request(head) or _refuse_version(head)
    if refusal is not None:
        return refusal
    headers = head.headers
    key = headers.get("sec-websocket-key")
    if key is None or not _is_key(key):
        return Refusal(400, "Sec-WebSocket-Key has to be 16 bytes in Base64")
    protocols = _protocols(headers.get("sec-websocket-protocol"))
    if protocols is None:
        return Refusal(400, "Sec-WebSocket-Protocol is no list of names, or one of them comes twice")
    if protocols and SUBPROTOCOL not in protocols:
        return Refusal(400, f'Sec-WebSocket-Protocol names other protocols only; spoken here is "{SUBPROTOCOL}"')
    offers = parse_extensions(headers["sec-websocket-extensions"]) if "sec-websocket-extensions" in headers else []
    if offers is None:
        return Refusal(400, "Sec-WebSocket-Extensions is no list of extensions and their parameters")
    agreed = accept_offer(offers) if deflate else None
    fields = [*_UPGRADE, ("Sec-WebSocket-Accept", _accept(key))]
    if protocols:
        fields.append(("Sec-WebSocket-Protocol", SUBPROTOCOL))
    if agreed is not None:
        fields.append(("Sec-WebSocket-Extensions", agreed[0]))
    return Accepted(SUBPROTOCOL if protocols else None, None if agreed is None else agreed[1], tuple(fields))


def _refuse_request(head: RequestHead) -> Refusal | None:
    """Whatever makes it no request that could be upgraded to WebSocket."""
    if head.method != "GET":
        return Refusal(405, "A WebSocket connection is opened with GET", headers=(("Allow", "GET"),))
    if head.version != "1.1":
        return Refusal(400, "A WebSocket connection is opened with HTTP/1.1")
    if head.chunked or head.content_length:
        return Refusal(400, "A request that opens a WebSocket connection has no body")
    if not asks_for_upgrade(head):
        return Refusal(426, "Only WebSocket is spoken here: the request has no Upgrade: websocket", headers=_UPGRADE)
    if "upgrade" not in _words(head.headers.get("connection", "")):
        return Refusal(400, "Upgrade has to be named in Connection; does a proxy on the way not know WebSocket?")
    if not _SINGLE.isdisjoint(head.repeated):
        return Refusal(400, f"Sent more than once: {', '.join(sorted(_SINGLE & head.repeated))}. One value is expected")
    return None


def _refuse_version(head: RequestHead) -> Refusal | None:
    version = head.headers.get("sec-websocket-version")
    if version == _VERSION:
        return None
    if version is None:
        return Refusal(400, f"The request has no Sec-WebSocket-Version; {_VERSION} is spoken here")
    return Refusal(
        426,
        f"Sec-WebSocket-Version {_shown(version)} is not spoken here; {_VERSION} is",
        headers=(*_UPGRADE, ("Sec-WebSocket-Version", _VERSION)),
    )


# -- the client -------------------------------------------------------------------------------------------------------


class Offer:
    """A client's side of one handshake. ``draw(16)`` gives bytes that nobody can guess."""

    def __init__(self, draw: Callable[[int], bytes], *, deflate: bool = False) -> None:
        nonce = draw(_KEY_BYTES)
        if len(nonce) != _KEY_BYTES:
            raise UsageError(f"draw({_KEY_BYTES}) gave {len(nonce)} bytes")
        self._key = base64.b64encode(nonce).decode("ascii")
        self._deflate = deflate

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The fields to send with a GET, besides Host."""
        fields = [
            *_UPGRADE,
            ("Sec-WebSocket-Key", self._key),
            ("Sec-WebSocket-Version", _VERSION),
            ("Sec-WebSocket-Protocol", SUBPROTOCOL),
        ]
        if self._deflate:
            fields.append(("Sec-WebSocket-Extensions", OFFER))
        return tuple(fields)

    def check(self, head: bytes, limits: Limits) -> Accepted:
        """Judges the head of a 101, from its first byte to its empty line.

        Raises ``ProtocolViolation`` for anything in it that this offer did not ask for. Specification: RFC 6455
        section 4.1.
        """
        headers, repeated = _read_switch(head, limits)
        if not _SINGLE_IN_ANSWERS.isdisjoint(repeated):
            names = ", ".join(sorted(_SINGLE_IN_ANSWERS & repeated))
            raise ProtocolViolation(f"the server's 101 has more than one value for {names}")
        if headers.get("upgrade", "").lower() != "websocket":
            raise ProtocolViolation("the server's 101 does not say Upgrade: websocket")
        if "upgrade" not in _words(headers.get("connection", "")):
            raise ProtocolViolation("the server's 101 does not say Connection: Upgrade")
        if headers.get("sec-websocket-accept") != _accept(self._key):
            raise ProtocolViolation("Sec-WebSocket-Accept is not the answer to our key: another request was answered")
        subprotocol = headers.get("sec-websocket-protocol")
        if subprotocol != SUBPROTOCOL:
            said = "none" if subprotocol is None else _shown(subprotocol)
            raise ProtocolViolation(f'the server chose the subprotocol {said}; "{SUBPROTOCOL}" was asked for')
        return Accepted(SUBPROTOCOL, self._agreed(headers.get("sec-websocket-extensions")))

    def _agreed(self, extensions: str | None) -> Deflate | None:
        if extensions is None:
            return None
        answer = parse_extensions(extensions)
        agreed = check_answer(answer) if answer is not None and self._deflate else None
        if agreed is None:
            asked = OFFER if self._deflate else "none"
            raise ProtocolViolation(f"the server chose the extensions {_shown(extensions)}; asked for was {asked}")
        return agreed


def _read_switch(head: bytes, limits: Limits) -> tuple[dict[str, str], frozenset[str]]:
    """The fields of a 101, as those of ``http.messages.ResponseHead``, which is about final answers."""
    if not head.endswith(b"\r\n\r\n"):
        raise ProtocolViolation("the head of the server's 101 does not end with an empty line")
    lines = head[:-4].decode("latin-1").split("\r\n")
    if len(head) > limits.max_head_bytes or len(lines) - 1 > limits.max_headers:
        raise ProtocolViolation(
            f"the head of the server's 101 has {len(head)} bytes and {len(lines) - 1} fields; at most"
            f" {limits.max_head_bytes} and {limits.max_headers} are read"
        )
    if _STATUS_LINE.fullmatch(lines[0]) is None:
        raise ProtocolViolation(f"the server's answer begins with {_shown(lines[0])}, which is no 101 of HTTP/1.1")
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for line in lines[1:]:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise ProtocolViolation("a line in the head of the server's 101 is no header field")
        name, value = match.group(1).lower(), match.group(2).strip("\t ")
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers, frozenset(repeated)


# -- both -------------------------------------------------------------------------------------------------------------


def _accept(key: str) -> str:
    digest = hashlib.sha1((key + _GUID).encode("ascii"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def _is_key(key: str) -> bool:
    if len(key) != _KEY_CHARS:
        return False
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _protocols(value: str | None) -> list[str] | None:
    """The names offered, in their order; None where the value is no list of distinct tokens."""
    if value is None:
        return []
    names = [name for part in value.split(",") if (name := part.strip("\t "))]
    if not names or len(set(names)) != len(names) or not all(map(_TOKEN.fullmatch, names)):
        return None
    return names


def _words(value: str) -> list[str]:
    return [word.strip("\t ") for word in value.lower().split(",")]


def _shown(value: str) -> str:
    """A value from outside in quotes, on one line and not for ever."""
    text = ascii(value[:_SHOWN])[1:-1].replace('"', "'")
    return f'"{text}..."' if len(value) > _SHOWN else f'"{text}"'
