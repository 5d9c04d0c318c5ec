"""The exception tree: the caller's mistake, the peer's mistake, the network's failure.

Only exceptions live here; wire error codes stand in ``spec/codes.py``. Each class says in one sentence what happened
and carries what a program needs to decide what to do next. No public call raises an exception group with one member.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AnswerTimeout",
    "CallTimeout",
    "Closed",
    "ConnectFailed",
    "ConnectionLost",
    "HttpError",
    "InvalidResult",
    "McpError",
    "MissingCapability",
    "OnceFailed",
    "ProtocolViolation",
    "QuestionFailed",
    "RpcError",
    "ToolError",
    "TransportError",
    "Unauthorized",
    "UnsupportedRevision",
    "UsageError",
]


class McpError(Exception):
    """The root of everything that mcpcore raises on purpose."""


class UsageError(McpError):
    """The caller's mistake: a wrong argument, a wrong order of calls, a missing extra. The text names the remedy."""


class Closed(UsageError):
    """A call on a client, session or channel that its owner has closed."""


class ToolError(McpError):
    """Raised by a tool: its text is shown to the client as an ``isError`` result. Other exceptions stay in the log."""


class RpcError(McpError):
    """A JSON-RPC error. Raise it in a handler to send it; a client raises it when its peer answered with one.

    ``code`` is an integer, ``message`` one sentence, ``data`` any JSON value or ``None`` for absent.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class MissingCapability(RpcError):
    """The peer did not declare the capability that this message needs; nothing was sent.

    ``required`` is a capabilities object that holds what is missing, for example ``{"sampling": {}}``.
    """

    def __init__(self, message: str, required: dict[str, Any]) -> None:
        super().__init__(-32021, message, {"requiredCapabilities": required})
        self.required = required


class QuestionFailed(RpcError):
    """The client answered a question (elicitation, sampling, roots) with an error, such as -1 where the user refused.

    A handler that does not catch it fails; its code is not sent on, since it would mean something else there.
    """


class ProtocolViolation(McpError):
    """The peer's mistake: it sent a message that the protocol forbids here."""


class InvalidResult(ProtocolViolation):
    """A result that does not have the shape its method promises, or whose ``resultType`` is unknown."""


class UnsupportedRevision(ProtocolViolation):
    """Client and server share no protocol revision. ``offered`` lists what the peer speaks, as far as it said."""

    def __init__(self, message: str, offered: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.offered = offered


class TransportError(McpError):
    """The network's or the process's failure.

    ``endpoint`` names the peer, ``stderr`` holds the last lines that a child process wrote ("" where there is none).
    """

    def __init__(self, message: str, *, endpoint: str = "", stderr: str = "") -> None:
        text = f"{endpoint}: {message}" if endpoint else message
        if stderr.strip():
            text += "\n--- last lines of its stderr ---\n" + stderr.rstrip()
        super().__init__(text)
        self.endpoint = endpoint
        self.stderr = stderr


class ConnectFailed(TransportError):
    """The connection never came to be: missing command, exit before the first answer, refused socket."""


class ConnectionLost(TransportError):
    """The peer went away while calls were pending; each of them fails with this."""


class HttpError(TransportError):
    """The server answered a request with an HTTP status, or a kind of body, that is no answer to it.

    ``status`` is the HTTP status, ``body`` the beginning of the body where that is text, ``retry_after`` the seconds
    after which the server wants to be asked again, ``None`` where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        body: str = "",
        retry_after: float | None = None,
        endpoint: str = "",
        stderr: str = "",
    ) -> None:
        super().__init__(message, endpoint=endpoint, stderr=stderr)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class Unauthorized(HttpError):
    """The server wants other credentials (401), or these may not do this (403).

    ``www_authenticate`` is what it says about that, "" where it says nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 401,
        body: str = "",
        retry_after: float | None = None,
        www_authenticate: str = "",
        endpoint: str = "",
        stderr: str = "",
    ) -> None:
        super().__init__(message, status=status, body=body, retry_after=retry_after, endpoint=endpoint, stderr=stderr)
        self.www_authenticate = www_authenticate


class CallTimeout(TransportError):
    """A limit of time expired. ``limit`` is ``"connect"``, ``"idle"`` or ``"total"``; ``seconds`` is what had
    passed."""

    def __init__(self, message: str, *, limit: str, seconds: float, endpoint: str = "", stderr: str = "") -> None:
        super().__init__(message, endpoint=endpoint, stderr=stderr)
        self.limit = limit
        self.seconds = seconds


class AnswerTimeout(McpError):
    """The client did not answer a question (elicitation, sampling, roots) within the limit."""


class OnceFailed(McpError):
    """What ``ctx.once`` called failed, with an error of a type that cannot be recorded. The text names it; in the first
    run it is the ``__cause__``."""
