"""What an HTTP/1.1 head is once it was read, and the one way in which reading fails. Both roles, no bytes here.

Names of header fields are lower-case, values are latin-1 text without their outer white space. A field that came more
than once is joined with ", " and named in ``repeated``: whoever needs a single value asks there.
"""

from __future__ import annotations

__all__ = ["Malformed", "RequestHead", "ResponseHead"]


class RequestHead:
    """The head of one request. ``path`` is as it was sent, percent-encoded, without the query."""

    __slots__ = (
        "chunked",
        "content_length",
        "expect_continue",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "repeated",
        "target",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        *,
        repeated: frozenset[str] = frozenset(),
        version: str = "1.1",
        content_length: int | None = None,
        chunked: bool = False,
        keep_alive: bool = True,
        expect_continue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.repeated = repeated
        self.version = version
        self.content_length = content_length
        self.chunked = chunked
        self.keep_alive = keep_alive
        self.expect_continue = expect_continue

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.target}>"


class ResponseHead:
    """The head of one final response. Without ``content_length`` and ``chunked`` the body ends with the connection."""

    __slots__ = ("chunked", "content_length", "headers", "keep_alive", "reason", "repeated", "status", "version")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        *,
        reason: str = "",
        repeated: frozenset[str] = frozenset(),
        version: str = "1.1",
        content_length: int | None = None,
        chunked: bool = False,
        keep_alive: bool = True,
    ) -> None:
        self.status = status
        self.headers = headers
        self.reason = reason
        self.repeated = repeated
        self.version = version
        self.content_length = content_length
        self.chunked = chunked
        self.keep_alive = keep_alive

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"


class Malformed(Exception):
    """The bytes are no HTTP message that is served here; ``status`` is what a server answers before it closes."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
