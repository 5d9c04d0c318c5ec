"""Every request and notification: who sends it, since when and until when, what it needs, what its params hold. Data.

``check_params`` is the only function: it compares a message's params with the table. What results hold is the business
of ``mcpcore.types``; which of their members are newer than a revision, that of ``members.py``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from mcpcore.spec.meta import LOG_LEVELS
from mcpcore.spec.revisions import ALL, BY_NAME, LATEST, LATEST_LEGACY, Revision
from mcpcore.spec.shapes import (
    Member,
    Shape,
    Tagged,
    array,
    boolean,
    integer,
    mapping,
    number,
    one_of,
    opt,
    req,
    text,
    text_or_integer,
)

__all__ = ["NOTIFICATIONS", "REQUESTS", "Method", "Side", "check_params"]

Side = Literal["client", "server", "both"]


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One request or notification. Capabilities are dotted paths: ``"resources.subscribe"``."""

    name: str
    sender: Side
    modern_sender: Side | None = None
    """Where 2026-07-28 differs from ``sender``."""
    first: Revision = ALL[0]
    last: Revision = LATEST
    server_capability: str | None = None
    """What the server must have declared before it may be sent, or before it may be served."""
    capability_since: Revision = ALL[0]
    """The first revision that has ``server_capability``; older ones need none."""
    client_capability: str | None = None
    paginated: bool = False
    """Takes ``cursor``, answers ``nextCursor``."""
    cacheable: bool = False
    """Its 2026-07-28 result carries ``ttlMs`` and ``cacheScope``."""
    input_required: bool = False
    """2026-07-28 may answer it with ``input_required``."""
    embedded: bool = False
    """In 2026-07-28 no message of its own: it travels inside an ``input_required`` result."""
    params: Shape | Tagged = Shape()

    def exists(self, revision: Revision) -> bool:
        """Whether this revision defines it, as a message or embedded."""
        return self.first <= revision <= self.last

    def sent_by(self, side: Literal["client", "server"], revision: Revision) -> bool:
        """Whether this side may send it as a message of its own in this revision."""
        if not self.exists(revision) or (self.embedded and revision.modern):
            return False
        sender = self.modern_sender if revision.modern and self.modern_sender else self.sender
        return sender in (side, "both")

    def needed_server_capability(self, revision: Revision) -> str | None:
        """What the server must have declared in this revision."""
        return self.server_capability if revision >= self.capability_since else None


# --- shapes that several messages share -------------------------------------------------------------------------------

_META = opt("_meta", Shape(opt("progressToken", text_or_integer)))
_NOTIFICATION_META = opt("_meta", mapping())
_CURSOR = (opt("cursor", text), _META)
_RETRY = (
    opt("inputResponses", mapping(mapping()), since="2026-07-28"),
    opt("requestState", text, since="2026-07-28"),
)
_TASK = opt("task", Shape(opt("ttl", integer)), since="2025-11-25", until="2025-11-25")
_OBJECT = mapping()
_IMPLEMENTATION = Shape(req("name", text), req("version", text))
_CLIENT_CAPABILITIES = Shape(
    *(opt(name, _OBJECT) for name in ("roots", "sampling", "elicitation", "tasks", "extensions", "experimental"))
)
_FILTER = Shape(
    opt("toolsListChanged", boolean),
    opt("promptsListChanged", boolean),
    opt("resourcesListChanged", boolean),
    opt("resourceSubscriptions", array(text)),
)
_REFERENCE = Tagged("type", {"ref/prompt": Shape(req("name", text)), "ref/resource": Shape(req("uri", text))})
_MESSAGE = Shape(
    req("role", one_of("user", "assistant")),
    req(
        "content",
        lambda v: None if isinstance(v, (dict, list)) else ("", "must be a content block or an array of them"),
    ),
)
_SCHEMA = Shape(req("type", one_of("object")), req("properties", mapping(_OBJECT)), opt("required", array(text)))
_FORM = Shape(req("message", text), req("requestedSchema", _SCHEMA), _TASK, _META)
_URL = Shape(
    req("message", text),
    req("url", text),
    req("elicitationId", text, since="2025-11-25", until="2025-11-25"),
    _TASK,
    _META,
)
_TASK_STATE = (
    req("taskId", text),
    req("status", text),
    req("createdAt", text),
    req("lastUpdatedAt", text),
    req("ttl", lambda v: None if v is None else integer(v)),
    opt("pollInterval", integer),
    opt("statusMessage", text),
)

# --- the tables -------------------------------------------------------------------------------------------------------

_2506: Final = BY_NAME["2025-06-18"]
_2511: Final = BY_NAME["2025-11-25"]
_2607: Final = BY_NAME["2026-07-28"]


def _list(name: str, capability: str) -> Method:
    return Method(
        name=name, sender="client", server_capability=capability, paginated=True, cacheable=True, params=Shape(*_CURSOR)
    )


def _subscription(name: str) -> Method:
    params = Shape(req("uri", text), _META)
    return Method(
        name=name, sender="client", last=LATEST_LEGACY, server_capability="resources.subscribe", params=params
    )


def _task(name: str, params: Shape, paginated: bool = False) -> Method:
    return Method(name=name, sender="both", first=_2511, last=_2511, paginated=paginated, params=params)


_REQUESTS = (
    Method(
        name="initialize",
        sender="client",
        last=LATEST_LEGACY,
        params=Shape(
            req("protocolVersion", text),
            req("capabilities", _CLIENT_CAPABILITIES),
            req("clientInfo", _IMPLEMENTATION),
            _META,
        ),
    ),
    Method(name="ping", sender="both", last=LATEST_LEGACY, params=Shape(_META)),
    Method(name="server/discover", sender="client", first=_2607, cacheable=True, params=Shape(_META)),
    _list("tools/list", "tools"),
    Method(
        name="tools/call",
        sender="client",
        server_capability="tools",
        input_required=True,
        params=Shape(req("name", text), opt("arguments", _OBJECT), _TASK, *_RETRY, _META),
    ),
    _list("resources/list", "resources"),
    _list("resources/templates/list", "resources"),
    Method(
        name="resources/read",
        sender="client",
        server_capability="resources",
        cacheable=True,
        input_required=True,
        params=Shape(req("uri", text), *_RETRY, _META),
    ),
    _subscription("resources/subscribe"),
    _subscription("resources/unsubscribe"),
    _list("prompts/list", "prompts"),
    Method(
        name="prompts/get",
        sender="client",
        server_capability="prompts",
        input_required=True,
        params=Shape(req("name", text), opt("arguments", mapping(text)), *_RETRY, _META),
    ),
    Method(
        name="completion/complete",
        sender="client",
        server_capability="completions",
        capability_since=BY_NAME["2025-03-26"],
        params=Shape(
            req("ref", _REFERENCE),
            req("argument", Shape(req("name", text), req("value", text))),
            opt("context", Shape(opt("arguments", mapping(text))), since="2025-06-18"),
            _META,
        ),
    ),
    Method(
        name="logging/setLevel",
        sender="client",
        last=LATEST_LEGACY,
        server_capability="logging",
        params=Shape(req("level", one_of(*LOG_LEVELS)), _META),
    ),
    Method(
        name="subscriptions/listen",
        sender="client",
        first=_2607,
        params=Shape(req("notifications", _FILTER), _META),
    ),
    Method(
        name="sampling/createMessage",
        sender="server",
        client_capability="sampling",
        embedded=True,
        params=Shape(
            req("messages", array(_MESSAGE)),
            req("maxTokens", integer),
            opt("systemPrompt", text),
            opt("modelPreferences", _OBJECT),
            opt("includeContext", text),
            opt("temperature", number),
            opt("stopSequences", array(text)),
            opt("metadata", _OBJECT),
            opt("tools", array(Shape(req("name", text), req("inputSchema", _OBJECT))), since="2025-11-25"),
            opt("toolChoice", Shape(opt("mode", text)), since="2025-11-25"),
            _TASK,
            _META,
        ),
    ),
    Method(name="roots/list", sender="server", client_capability="roots", embedded=True, params=Shape(_META)),
    Method(
        name="elicitation/create",
        sender="server",
        first=_2506,
        client_capability="elicitation",
        embedded=True,
        params=Tagged("mode", {"form": _FORM, "url": _URL}, default="form"),
    ),
    _task("tasks/get", Shape(req("taskId", text), _META)),
    _task("tasks/result", Shape(req("taskId", text), _META)),
    _task("tasks/cancel", Shape(req("taskId", text), _META)),
    _task("tasks/list", Shape(*_CURSOR), paginated=True),
)


def _tell(name: str, sender: Side, *members: Member, **facts: Any) -> Method:
    return Method(name=name, sender=sender, params=Shape(*members, _NOTIFICATION_META), **facts)


_NOTIFICATIONS = (
    _tell("notifications/initialized", "client", last=LATEST_LEGACY),
    _tell(
        "notifications/cancelled",
        "both",
        req("requestId", text_or_integer, optional_in="2025-11-25"),
        opt("reason", text),
    ),
    _tell(
        "notifications/progress",
        "both",
        req("progressToken", text_or_integer),
        req("progress", number),
        opt("total", number),
        opt("message", text, since="2025-03-26"),
        modern_sender="server",
    ),
    _tell(
        "notifications/message",
        "server",
        req("level", text),
        req("data"),
        opt("logger", text),
        server_capability="logging",
    ),
    _tell("notifications/resources/updated", "server", req("uri", text), server_capability="resources.subscribe"),
    _tell("notifications/resources/list_changed", "server", server_capability="resources.listChanged"),
    _tell("notifications/tools/list_changed", "server", server_capability="tools.listChanged"),
    _tell("notifications/prompts/list_changed", "server", server_capability="prompts.listChanged"),
    _tell("notifications/roots/list_changed", "client", last=LATEST_LEGACY, client_capability="roots.listChanged"),
    _tell(
        "notifications/elicitation/complete",
        "server",
        req("elicitationId", text),
        first=_2511,
        last=_2511,
        client_capability="elicitation.url",
    ),
    _tell("notifications/tasks/status", "both", *_TASK_STATE, first=_2511, last=_2511),
    _tell("notifications/subscriptions/acknowledged", "server", req("notifications", _FILTER), first=_2607),
)

REQUESTS: Final = {method.name: method for method in _REQUESTS}
NOTIFICATIONS: Final = {method.name: method for method in _NOTIFICATIONS}


def _at(method: Method, revision: Revision) -> Shape | Tagged:
    """What this revision knows of the params. 2025-06-18 has forms only, and no ``mode`` to say so."""
    if method.name == "elicitation/create" and not revision.url_elicitation:
        return _FORM.at(revision)
    return method.params.at(revision)


_CHECKS: Final = tuple(
    {method.name: _at(method, revision) for method in (*_REQUESTS, *_NOTIFICATIONS) if method.exists(revision)}
    for revision in ALL
)


def check_params(method: str, params: dict[str, Any], revision: Revision) -> str | None:
    """``None`` when the params fit, else one sentence with the path and the expectation: "params.name is missing".

    Methods that the revision does not know, and members it does not know, always fit. In 2026-07-28 the envelope in
    ``_meta`` is the era's business. A value is never repeated.
    """
    check = _CHECKS[revision.index].get(method)
    if check is None:
        return None
    fault = check(params)
    return None if fault is None else f"params{fault[0]} {fault[1]}"
