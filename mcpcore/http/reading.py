"""HTTP/1.1 read in both roles: bytes in any cut become heads and bodies, or ``Malformed``. Nothing is written here.

A head goes to the fast path first (head.py); what that declines goes to h11 (h1.py). Bodies are counted here, or
unchunked (chunked.py). After ``Malformed`` nothing more can be read: every later call raises the same again.
"""

from __future__ import annotations

from mcpcore.core.limits import Limits
from mcpcore.http.chunked import ChunkedDecoder
from mcpcore.http.h1 import CheckedDecoder, read_request_head, read_response_head
from mcpcore.http.head import parse_request_head, parse_response_head
from mcpcore.http.messages import Malformed, RequestHead, ResponseHead
from mcpcore.http.received import BLANK_LINE, MAX_TARGET, Received

__all__ = ["RequestReader", "ResponseReader"]

_REMEMBERED = 2048
"""Bytes of a head that is kept until another one comes: for as many connections as there may be, that is 20 MB."""
_NO_CONTENT = frozenset({204, 304})


class RequestReader:
    """The requests of one connection, one after the other: head, body, head, body. Feed it whenever bytes come.

    ``fast=False`` has every head and every chunked body read by h11.
    """

    __slots__ = ("_body", "_decoded", "_failed", "_fast", "_former", "_former_head", "_limits", "_received", "_skipped")

    def __init__(self, limits: Limits, *, fast: bool = True) -> None:
        self._limits = limits
        self._fast = fast
        self._received = Received()
        self._failed: tuple[int, str] | None = None
        self._skipped = False  # one empty line before this request
        # The head before, with its empty line: a client that keeps its connection often sends the same bytes again.
        self._former = b""
        self._former_head: RequestHead | None = None
        self._body: int | ChunkedDecoder | CheckedDecoder | None = None
        self._decoded = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes that are held: received, and decoded of a body that is not complete."""
        return len(self._received) + len(self._decoded)

    @property
    def started(self) -> bool:
        """Bytes of a request have come whose head is not complete, or was not asked for yet."""
        return self._body is None and len(self._received) > 0

    @property
    def is_empty(self) -> bool:
        """Nothing has come beyond what was handed out."""
        received = self._received
        return received.start == len(received.data) and not received.eof

    @property
    def ended(self) -> bool:
        """The input ended between two requests, and all were handed out."""
        return self._received.eof and self._body is None and not len(self._received) and self._failed is None

    def feed(self, data: bytes) -> None:
        """Bytes as they came."""
        self._received.feed(data)

    def feed_eof(self) -> None:
        """The client sends nothing more."""
        self._received.eof = True

    def next_head(self) -> RequestHead | None:
        """The next request's head. None: more bytes are needed, or the input ended (``ended``).

        The same object comes again for the same bytes, so it must not be changed.

        Call it again when the body was read. Raises ``Malformed``: 400, 414, 431, 501 or 505.
        """
        if self._failed is not None:
            raise Malformed(*self._failed)
        if self._body is not None:
            raise RuntimeError("the body of the request before was not read: call read_body() until it is there")
        head = self._ordinary_head() if self._fast else None
        if head is None:
            try:
                head = self._any_head()
            except Malformed as malformed:
                raise self._fail(malformed) from None
            if head is None:
                return None
        self._skipped = False
        if head.content_length:
            self._body = head.content_length
        elif head.chunked:
            self._body = ChunkedDecoder() if self._fast else CheckedDecoder()
        return head

    def read_body(self, limit: int) -> bytes | None:
        """The whole body of the request whose head came last, at most ``limit`` bytes. None: more bytes are needed.

        Raises ``Malformed``: 413 as soon as it is known to be longer, 400 for bad chunks or an end of input inside.
        """
        body = self._body
        if body is None:
            if self._failed is not None:
                raise Malformed(*self._failed)
            return b""
        try:
            return self._counted(body, limit) if isinstance(body, int) else self._decode(body, limit)
        except Malformed as malformed:
            raise self._fail(malformed) from None

    def _ordinary_head(self) -> RequestHead | None:
        """The next head, where it is complete and the fast path takes it."""
        received, limits = self._received, self._limits
        data, start = received.data, received.start
        if self._former and data.startswith(self._former, start):
            received.skip(start + len(self._former))
            return self._former_head
        end = data.find(BLANK_LINE, received.searched)
        if not 0 <= end <= start + limits.max_head_bytes - len(BLANK_LINE):
            return None
        head = parse_request_head(data, start, end)
        if head is None or len(head.headers) > limits.max_headers or len(head.target) > MAX_TARGET:
            return None
        end += len(BLANK_LINE)
        if end - start <= _REMEMBERED:
            self._former, self._former_head = bytes(data[start:end]), head
        received.skip(end)
        return head

    def _any_head(self) -> RequestHead | None:
        """The next head, read by h11."""
        received, limits = self._received, self._limits
        if not self._empty_line():
            return None
        end = received.find_head(limits.max_head_bytes)
        if end >= 0:
            end += len(BLANK_LINE)
            head = read_request_head(bytes(received.data[received.start : end]), limits)
            received.skip(end)
            return head
        if received.eof and len(received):
            raise Malformed(400, "the input ended inside a request head")
        return None

    def _empty_line(self) -> bool:
        """Passes over one empty line before a request (RFC 9112 section 2.2). False: half of one has come."""
        received = self._received
        if self._skipped:
            return True  # the second one is no beginning of a request
        if received.data.startswith(b"\r\n", received.start):
            received.skip(received.start + 2)
            self._skipped = True
        return received.eof or received.data[received.start : received.start + 2] != b"\r"

    def _counted(self, length: int, limit: int) -> bytes | None:
        if length > limit:
            raise Malformed(413, f"the body has {length} bytes; at most {limit} are read")
        received = self._received
        if received.start + length > len(received.data):
            if received.eof:
                raise Malformed(400, "the input ended inside a request body")
            return None
        self._body = None
        return received.take(length)

    def _decode(self, decoder: ChunkedDecoder | CheckedDecoder, limit: int) -> bytes | None:
        self._decoded += decoder.decode(self._received, limit)
        if decoder.ended:
            body, self._body, self._decoded = bytes(self._decoded), None, bytearray()
            return body
        if self._received.eof:
            raise Malformed(400, "the input ended inside a request body")
        return None

    def _fail(self, malformed: Malformed) -> Malformed:
        self._failed, self._body = (malformed.status, malformed.text), None
        self._decoded = bytearray()
        self._received.clear()
        return malformed


class ResponseReader:
    """The responses of one connection, in the order of their requests. Interim ones (1xx) are passed over.

    Say which method was asked for with ``expect`` before each response. ``fast=False``: as for requests.
    """

    __slots__ = ("_failed", "_fast", "_left", "_limits", "_method", "_received")

    def __init__(self, limits: Limits, *, fast: bool = True) -> None:
        self._limits = limits
        self._fast = fast
        self._received = Received()
        self._failed: tuple[int, str] | None = None
        self._method = "GET"
        self._left: int | ChunkedDecoder | CheckedDecoder | None = 0  # of the body; None: until the input ends

    @property
    def buffered(self) -> int:
        """Bytes that are held."""
        return len(self._received)

    @property
    def ended(self) -> bool:
        """The input ended between two responses, and all were handed out."""
        return self._received.eof and self._left == 0 and not len(self._received) and self._failed is None

    def expect(self, method: str) -> None:
        """The next response answers a request with this method."""
        self._method = method

    def feed(self, data: bytes) -> None:
        """Bytes as they came."""
        self._received.feed(data)

    def feed_eof(self) -> None:
        """The server sends nothing more."""
        self._received.eof = True

    def next_head(self) -> ResponseHead | None:
        """The next final response's head. None: more bytes are needed, or the input ended (``ended``).

        Call it again when ``read_some`` said None. Raises ``Malformed``.
        """
        if self._failed is not None:
            raise Malformed(*self._failed)
        if self._left != 0:
            raise RuntimeError("the body of the response before was not read: call read_some() until it says None")
        head = self._ordinary_head() if self._fast else None
        if head is None:
            try:
                head = self._any_head()
            except Malformed as malformed:
                raise self._fail(malformed) from None
            if head is None:
                return None
        self._left = self._framing(head)
        return head

    def read_some(self) -> bytes | None:
        """The bytes of the body that have come since; b"" where none have. None: the body is complete.

        Raises ``Malformed`` where the input ended before the body did, or its chunks are bad.
        """
        if self._failed is not None:
            raise Malformed(*self._failed)
        left = self._left
        if left == 0:
            return None
        try:
            data = self._some(left)
        except Malformed as malformed:
            raise self._fail(malformed) from None
        if data:
            return data
        if self._left == 0:
            return None
        if not self._received.eof:
            return b""
        if left is not None:
            raise self._fail(Malformed(400, "the connection ended inside the body of the response"))
        self._left = 0
        return None

    def _ordinary_head(self) -> ResponseHead | None:
        """The next head, where it is complete and the fast path takes it."""
        received, limits = self._received, self._limits
        data, start = received.data, received.start
        end = data.find(BLANK_LINE, received.searched)
        if not 0 <= end <= start + limits.max_head_bytes - len(BLANK_LINE):
            return None
        head = parse_response_head(data, start, end)
        if head is None or len(head.headers) > limits.max_headers:
            return None
        received.skip(end + len(BLANK_LINE))
        return head

    def _any_head(self) -> ResponseHead | None:
        """The next final head, read by h11."""
        received, limits = self._received, self._limits
        while (end := received.find_head(limits.max_head_bytes)) >= 0:
            end += len(BLANK_LINE)
            head = read_response_head(bytes(received.data[received.start : end]), limits)
            received.skip(end)
            if head is not None:
                return head
        if received.eof and len(received):
            raise Malformed(400, "the connection ended inside the head of a response")
        return None

    def _framing(self, head: ResponseHead) -> int | ChunkedDecoder | CheckedDecoder | None:
        """How the body ends, RFC 9112 section 6.3."""
        if head.status in _NO_CONTENT or self._method == "HEAD":
            return 0
        if self._method == "CONNECT" and 200 <= head.status < 300:
            return 0
        if head.chunked:
            return ChunkedDecoder() if self._fast else CheckedDecoder()
        if head.content_length is None:
            head.keep_alive = False
        return head.content_length

    def _some(self, left: int | ChunkedDecoder | CheckedDecoder | None) -> bytes:
        received = self._received
        if left is None:
            return received.take(len(received))
        if isinstance(left, int):
            data = received.take(left)
            self._left = left - len(data)
            return data
        data = left.decode(received)
        if left.ended:
            self._left = 0
        return data

    def _fail(self, malformed: Malformed) -> Malformed:
        self._failed = malformed.status, malformed.text
        self._received.clear()
        return malformed
