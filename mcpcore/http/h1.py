"""The only importer of h11: heads that the fast path leaves alone, and the reference for everything it takes.

h11 reads, it never writes here: each head gets a connection of its own, which is cheaper than leading one through the
answers that it would want to see. Where h11 is more lenient than a server may be (folded lines, lone line feeds,
control characters, transfer codings of HTTP/1.0), the head is refused before h11 sees it or after. The end of a head is
found elsewhere (received.py): heads come whole, so h11's own limit for incomplete ones never speaks.

Specification: RFC 9112 sections 2.2, 3, 5.2, 6.1 and 6.3; RFC 9110 sections 5.5 and 8.6.
"""

from __future__ import annotations

import h11

from mcpcore.core.limits import Limits
from mcpcore.http.chunked import ChunkedDecoder
from mcpcore.http.messages import Malformed, RequestHead, ResponseHead
from mcpcore.http.received import Received, refuse_long_target

__all__ = ["CheckedDecoder", "read_request_head", "read_response_head"]

_TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_VERSIONS = (b"1.1", b"1.0")
_MESSAGE_CHARS = 80

_ASKED = h11.Request(method="GET", target="/", headers=[("host", "h")])
_CHUNKED = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


def read_request_head(head: bytes, limits: Limits) -> RequestHead:
    """The request of one whole head, with its empty line. Raises ``Malformed`` with the status of the answer."""
    _refuse_bytes(head, limits)
    if b"\n " in head or b"\n\t" in head:
        raise Malformed(400, "a header field of the request is folded over several lines")
    refuse_long_target(head.split(b"\r\n", 1)[0])
    connection = h11.Connection(h11.SERVER)
    event = _only_event(connection, head)
    if not isinstance(event, h11.Request):
        raise Malformed(400, "the bytes are no request head")
    version = _version(event)
    headers, repeated = _fields(event.headers.raw_items())
    chunked = "transfer-encoding" in headers
    if chunked and "content-length" in headers:
        raise Malformed(400, "the request has both Content-Length and Transfer-Encoding")
    if chunked and version == "1.0":
        raise Malformed(400, "an HTTP/1.0 request has no Transfer-Encoding")
    return RequestHead(
        event.method.decode("ascii"),
        event.target.decode("ascii"),
        headers,
        repeated=repeated,
        version=version,
        content_length=_length(headers),
        chunked=chunked,
        keep_alive=_keep_alive(version, headers),
        expect_continue=connection.they_are_waiting_for_100_continue,
    )


def read_response_head(head: bytes, limits: Limits) -> ResponseHead | None:
    """The response of one whole head, with its empty line; None for an interim one. Raises ``Malformed``."""
    _refuse_bytes(head, limits)
    connection = h11.Connection(h11.CLIENT)
    connection.send(_ASKED)
    event = _only_event(connection, head)
    if isinstance(event, h11.InformationalResponse):
        return None
    if not isinstance(event, h11.Response):
        raise Malformed(400, "the bytes are no response head")
    version = _version(event)
    headers, repeated = _fields(event.headers.raw_items())
    chunked = "transfer-encoding" in headers
    if chunked and "content-length" in headers:
        raise Malformed(400, "the response has both Content-Length and Transfer-Encoding")
    if chunked and version == "1.0":
        raise Malformed(400, "an HTTP/1.0 response has no Transfer-Encoding")
    return ResponseHead(
        event.status_code,
        headers,
        reason=event.reason.decode("latin-1"),
        repeated=repeated,
        version=version,
        content_length=_length(headers),
        chunked=chunked,
        keep_alive=_keep_alive(version, headers),
    )


class CheckedDecoder:
    """A chunked body decoded by h11, for readers without a fast path; the strict decoder must have read the same."""

    __slots__ = ("_reference", "_strict")

    def __init__(self) -> None:
        self._strict = ChunkedDecoder()
        self._reference = h11.Connection(h11.SERVER)
        self._reference.receive_data(_CHUNKED)
        self._reference.next_event()

    @property
    def ended(self) -> bool:
        return self._strict.ended

    def decode(self, received: Received, limit: int | None = None) -> bytes:
        """As ``ChunkedDecoder.decode``."""
        data, start, held = received.data, received.start, len(received)
        strict = self._strict.decode(received, limit)
        consumed = data[start : start + held - len(received)]
        if consumed:  # without any, h11 would take it for the end of the input
            self._reference.receive_data(bytes(consumed))
        pieces: list[bytes] = []
        try:
            while isinstance(event := self._reference.next_event(), h11.Data):
                pieces.append(event.data)
        except h11.RemoteProtocolError as error:
            raise _malformed(error) from None
        reference = b"".join(pieces)
        if reference != strict or isinstance(event, h11.EndOfMessage) != self.ended:
            raise Malformed(400, "two readings of a chunked body differ")
        return reference


def _refuse_bytes(head: bytes, limits: Limits) -> None:
    line_ends = head.count(b"\r\n")  # nothing but these may be left without the text
    if len(head.translate(None, _TEXT)) != 2 * line_ends:
        raise Malformed(400, "the head holds a control character, or a line end that is not CRLF")
    fields = line_ends - 2  # not the first line, and not the empty one
    if fields > limits.max_headers:
        raise Malformed(431, f"the head has {fields} header fields; at most {limits.max_headers} are read")


def _only_event(connection: h11.Connection, head: bytes) -> object:
    try:
        connection.receive_data(head)
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        raise _malformed(error) from None


def _malformed(error: h11.RemoteProtocolError) -> Malformed:
    # Behind the colon h11 quotes what came, which may be a token of access.
    return Malformed(error.error_status_hint, str(error).partition(": ")[0][:_MESSAGE_CHARS])


def _version(event: h11.Request | h11.Response) -> str:
    if event.http_version not in _VERSIONS:
        raise Malformed(505, "the version is neither HTTP/1.1 nor HTTP/1.0")
    return event.http_version.decode("ascii")


def _fields(fields: list[tuple[bytes, bytes]]) -> tuple[dict[str, str], frozenset[str]]:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers, frozenset(repeated)


def _length(headers: dict[str, str]) -> int | None:
    digits = headers.get("content-length")
    return None if digits is None else int(digits)


def _keep_alive(version: str, headers: dict[str, str]) -> bool:
    if version != "1.1":
        return False
    connection = headers.get("connection")
    return connection is None or "close" not in [word.strip(" \t") for word in connection.lower().split(",")]
