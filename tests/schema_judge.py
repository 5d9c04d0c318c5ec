"""Judges frames by the published schemas, and conversations by the rules that a schema cannot say. A helper for tests.

``validate`` looks at one message; ``Judge`` follows one conversation and collects ``violations``. Both know nothing of
mcpcore: their only sources are ``../shared/spec/schema`` and the pages of the specification. Where the schemas or
jsonschema-rs are not there, ``AVAILABLE`` is false and tests that need them skip.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["AVAILABLE", "Judge", "Side", "validate"]

Side = Literal["client", "server"]
Message = Any

SCHEMAS = Path(__file__).resolve().parents[2] / "shared" / "spec" / "schema"
AVAILABLE = SCHEMAS.is_dir() and importlib.util.find_spec("jsonschema_rs") is not None

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
MODERN = REVISIONS[-1]
LATEST_LEGACY = REVISIONS[-2]

META = "io.modelcontextprotocol/"

RESULTS = {
    "initialize": "InitializeResult",
    "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "completion/complete": "CompleteResult",
    "subscriptions/listen": "SubscriptionsListenResult",
    "sampling/createMessage": "CreateMessageResult",
    "elicitation/create": "ElicitResult",
    "roots/list": "ListRootsResult",
    "tasks/get": "GetTaskResult",
    "tasks/list": "ListTasksResult",
    "tasks/cancel": "CancelTaskResult",
    "tasks/result": "GetTaskPayloadResult",
}
MAY_ASK = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The requests that 2026-07-28 may answer with ``input_required``."""

ERRORS: dict[tuple[Any, str], str] = {
    (-32020, MODERN): "HeaderMismatchError",
    (-32021, MODERN): "MissingRequiredClientCapabilityError",
    (-32022, MODERN): "UnsupportedProtocolVersionError",
    (-32042, LATEST_LEGACY): "URLElicitationRequiredError",
}

# --- the schemas ------------------------------------------------------------------------------------------------------


@cache
def _schema(revision: str) -> tuple[str, str, dict[str, Any]]:
    """The dialect, the name of the definitions, and the definitions."""
    schema = json.loads((SCHEMAS / f"{revision}.json").read_text())
    key = "$defs" if "$defs" in schema else "definitions"
    types: dict[str, Any] = schema[key]
    if "ElicitResult" in types:
        # schema.ts says number, schema.json says integer: do not refuse 1.5.
        _let_numbers_pass(types["ElicitResult"]["properties"]["content"]["additionalProperties"])
    return schema["$schema"], key, types


def _let_numbers_pass(schema: dict[str, Any]) -> None:
    for option in schema.get("anyOf", [schema]):
        kinds = option.get("type")
        if isinstance(kinds, list) and "integer" in kinds:
            kinds.append("number")


@cache
def _validator(revision: str, type_name: str) -> Any:
    import jsonschema_rs  # here, so that a test module can be collected without it

    dialect, key, types = _schema(revision)
    assert type_name in types, f"{revision} has no type {type_name}"
    return jsonschema_rs.validator_for({"$schema": dialect, "$ref": f"#/{key}/{type_name}", key: types})


@cache
def _messages(revision: str) -> dict[str, str]:
    """Each method of the revision, with the name of its message type."""
    found = {}
    for name, schema in _schema(revision)[2].items():
        method = schema.get("properties", {}).get("method", {}).get("const")
        if method is not None and not name.startswith(("Client", "Server")):
            found[method] = name
    return found


@cache
def _methods_of(side: Side, revision: str) -> frozenset[str]:
    """What this side may send as a message of its own."""
    types = _schema(revision)[2]
    found = set()
    for union in (f"{side.capitalize()}Request", f"{side.capitalize()}Notification"):
        schema = types.get(union, {"anyOf": []})
        for option in schema.get("anyOf", [schema]):
            message = types[option["$ref"].rsplit("/", 1)[1]] if "$ref" in option else option
            found.add(message["properties"]["method"]["const"])
    return frozenset(found)


@cache
def _known_anywhere() -> frozenset[str]:
    return frozenset(method for revision in REVISIONS for method in _messages(revision))


def _fits(value: Any, revision: str, type_name: str) -> list[str]:
    faults = []
    for error in _validator(revision, type_name).iter_errors(value):
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        faults.append(f"{type_name}{path}: {error.message[:300]}")
    return faults


# --- one message ------------------------------------------------------------------------------------------------------


def validate(
    message: Message,
    revision: str | None,
    direction: Side,
    request_methods: Mapping[Any, str] | None = None,
) -> list[str]:
    """What is wrong with a message that ``direction`` sent, as sentences; empty when nothing is.

    ``request_methods`` maps the ids of the other side's requests to their methods; without it a result is only a
    result. ``revision`` is ``None`` while none is negotiated.
    """
    if isinstance(message, list):
        return _validate_batch(message, revision, direction, request_methods)
    if not isinstance(message, dict):
        return ["a message is an object"]
    if message.get("jsonrpc") != "2.0":
        return ['jsonrpc must be "2.0"']
    if "method" in message:
        return _validate_call(message, revision or LATEST_LEGACY, direction)
    if ("result" in message) == ("error" in message):
        return ["a response has either result or error"]
    if "error" in message:
        return _validate_error(message, revision)
    id = message.get("id")
    method = request_methods.get(id) if request_methods and isinstance(id, (str, int)) else None
    return _validate_result(message, revision or LATEST_LEGACY, method)


def _validate_batch(
    batch: list[Any], revision: str | None, direction: Side, request_methods: Mapping[Any, str] | None
) -> list[str]:
    if revision != "2025-03-26":
        return [f"a batch in {revision}: only 2025-03-26 has them"]
    faults = [] if batch else ["an empty batch"]
    members = [m for m in batch if isinstance(m, dict)]
    if len({"method" in m for m in members}) > 1:
        faults.append("a batch mixes calls and responses")
    if any(m.get("method") == "initialize" for m in members):
        faults.append("initialize in a batch")
    for member in batch:
        faults += (
            ["a batch in a batch"]
            if isinstance(member, list)
            else validate(member, revision, direction, request_methods)
        )
    return faults


def _validate_call(message: dict[str, Any], revision: str, direction: Side) -> list[str]:
    method = message["method"]
    if not isinstance(method, str):
        return ["method must be a string"]
    generic = "JSONRPCRequest" if "id" in message else "JSONRPCNotification"
    faults = _fits(message, revision, generic)
    if method not in _known_anywhere():  # a vendor's
        if "id" in message and revision == MODERN:
            faults += _fits(message.get("params", {}), revision, "RequestParams")
        return faults
    if method not in _messages(revision):
        return [*faults, f"{method} does not exist in {revision}"]
    if method not in _methods_of(direction, revision):
        faults.append(f"{method} is not for the {direction} to send in {revision}")
    if ("id" in message) == method.startswith("notifications/"):
        faults.append(f"{method} has an id or lacks one")
    return faults + _fits(message, revision, _messages(revision)[method])


def _validate_error(message: dict[str, Any], revision: str | None) -> list[str]:
    if revision in (None, "2024-11-05", "2025-03-26", "2025-06-18") and message.get("id", 0) is None:
        message = {**message, "id": 0}  # JSON-RPC's answer to a message whose id could not be read
    revision = revision or LATEST_LEGACY
    faults = _fits(message, revision, "JSONRPCErrorResponse" if revision >= LATEST_LEGACY else "JSONRPCError")
    code = message["error"].get("code") if isinstance(message["error"], dict) else None
    special = ERRORS.get((code, revision))
    return faults if special is None else faults + _fits(message, revision, special)


def _validate_result(message: dict[str, Any], revision: str, method: str | None) -> list[str]:
    faults = _fits(message, revision, "JSONRPCResultResponse" if revision >= LATEST_LEGACY else "JSONRPCResponse")
    result = message["result"]
    if not isinstance(result, dict) or method is None:
        return faults
    kind = RESULTS.get(method, "EmptyResult")
    if revision == MODERN and result.get("resultType", "complete") != "complete":
        kind = "InputRequiredResult" if result["resultType"] == "input_required" else "Result"
        if kind == "InputRequiredResult" and method not in MAY_ASK:
            faults.append(f"{method} is answered with input_required")
        if kind == "InputRequiredResult" and not result.keys() & {"inputRequests", "requestState"}:
            faults.append("input_required with neither inputRequests nor requestState")
    elif revision == LATEST_LEGACY and "task" in result and method in ("tools/call", "sampling/createMessage"):
        kind = "CreateTaskResult"
    return faults + _fits(result, revision, kind)


# --- one conversation -------------------------------------------------------------------------------------------------


class _Request:
    """A request that was seen; ``answered`` once its response was."""

    def __init__(self, message: dict[str, Any], revision: str) -> None:
        params = message.get("params")
        self.id = message["id"]
        self.method: str = message["method"]
        self.params: dict[str, Any] = params if isinstance(params, dict) else {}
        meta = self.params.get("_meta")
        self.meta: dict[str, Any] = meta if isinstance(meta, dict) else {}
        self.revision = revision
        self.answered = False
        self.cancelled = False
        self.progress: float | None = None
        self.filter: dict[str, Any] | None = None
        """What a listen request was acknowledged with."""


def _key(id: Any) -> tuple[str, Any]:
    """1, 1.0, true and "1" are four ids."""
    return type(id).__name__, id


_TOPICS = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
    "notifications/resources/updated": "resourceSubscriptions",
}
_ASKED_WITH = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


class Judge:
    """Follows one conversation on one pipe: give it each frame in the order of sending, then read ``violations``.

    Where the published schemas are absent it judges what needs none: order, ids, answers, progress.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.revision: str | None = None
        """What ``initialize`` negotiated, if it did."""
        self._requests: dict[Side, dict[tuple[str, Any], _Request]] = {"client": {}, "server": {}}
        self._initialized = False

    def frame(self, direction: Side, data: bytes) -> None:
        """One line as ``direction`` wrote it, with or without its newline."""
        lines = data.removesuffix(b"\n").split(b"\n")
        if len(lines) > 1:
            self._complain(direction, "a frame holds a newline: one message per line")
        for line in lines:
            try:
                message = json.loads(line.decode("utf-8"), parse_constant=_refuse)
            except ValueError as error:
                self._complain(direction, f"a line is not JSON: {error}")
                continue
            if isinstance(message, list):
                self._batch(direction, message)
            else:
                self._message(direction, message, validate_it=True)

    def _complain(self, direction: Side, fault: str) -> None:
        self.violations.append(f"{direction}: {fault}")

    def _batch(self, direction: Side, batch: list[Any]) -> None:
        methods = {key[1]: request.method for key, request in self._requests[_other(direction)].items()}
        for fault in validate(batch, self.revision, direction, methods) if AVAILABLE else ():
            self._complain(direction, fault)
        for message in batch:
            self._message(direction, message, validate_it=False)

    def _message(self, direction: Side, message: Any, *, validate_it: bool) -> None:
        revision = self._revision_of(direction, message)
        asked = self._asked(direction, message)
        methods = {asked.id: asked.method} if asked is not None else None
        if validate_it and AVAILABLE:
            what = (
                message.get("method", f"response to {asked.method if asked else '?'}")
                if isinstance(message, dict)
                else "?"
            )
            for fault in validate(message, revision, direction, methods):
                self._complain(direction, f"{what}: {fault}")
        if not isinstance(message, dict):
            return
        if "method" not in message:
            self._response(direction, message, asked)
        elif "id" in message:
            self._request(direction, message, revision or LATEST_LEGACY)
        else:
            self._notification(direction, message, revision or LATEST_LEGACY)

    # -- which revision ------------------------------------------------------------------------------------------------

    def _revision_of(self, direction: Side, message: Any) -> str | None:
        if not isinstance(message, dict):
            return self.revision
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        meta = params.get("_meta")
        meta = meta if isinstance(meta, dict) else {}
        if f"{META}protocolVersion" in meta or f"{META}subscriptionId" in meta:
            return MODERN
        if message.get("method") == "initialize":
            wanted = params.get("protocolVersion")
            return wanted if wanted in REVISIONS[:-1] else LATEST_LEGACY
        if "method" not in message:
            asked = self._asked(direction, message)
            if asked is None or asked.method != "initialize":
                return asked.revision if asked is not None else self.revision
            return self._negotiated(message) or asked.revision
        about = self._about(direction, message["method"], params)
        if about is not None:
            return about.revision
        if self.revision is None and "id" not in message and direction == "server":
            return MODERN
        return self.revision

    def _negotiated(self, message: dict[str, Any]) -> str | None:
        result = message.get("result")
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        return version if version in REVISIONS[:-1] else None

    def _asked(self, direction: Side, message: Any) -> _Request | None:
        """The request that this response answers."""
        if not isinstance(message, dict) or "method" in message or "id" not in message:
            return None
        id = message["id"]
        return self._requests[_other(direction)].get(_key(id)) if isinstance(id, (str, int, float)) else None

    def _about(self, direction: Side, method: Any, params: dict[str, Any]) -> _Request | None:
        """The request that a progress or cancelled notification is about."""
        if method == "notifications/cancelled":
            own = self._requests[direction].get(_key(params.get("requestId")))
            return own or self._requests[_other(direction)].get(_key(params.get("requestId")))
        if method == "notifications/progress":
            return self._by_token(direction, params.get("progressToken"))
        return None

    def _by_token(self, direction: Side, token: Any) -> _Request | None:
        found = None
        for request in self._requests[_other(direction)].values():
            if "progressToken" in request.meta and _key(request.meta["progressToken"]) == _key(token):
                found = request
        return found

    # -- the rules -----------------------------------------------------------------------------------------------------

    def _request(self, direction: Side, message: dict[str, Any], revision: str) -> None:
        id, method = message["id"], message["method"]
        if not isinstance(id, (str, int)) or not isinstance(method, str):
            return  # the schema complained
        if direction == "server" and self.revision is None:
            self._complain(direction, f"{method}: a server sends no requests without a session")
        if revision != MODERN:
            if direction == "client" and self.revision is None and method not in ("initialize", "ping"):
                self._complain(direction, f"{method}: comes before the answer to initialize")
            if direction == "server" and not self._initialized and method != "ping":
                self._complain(direction, f"{method}: comes before notifications/initialized")
        earlier = self._requests[direction].get(_key(id))
        if earlier is not None and not (earlier.answered and revision == MODERN):
            self._complain(direction, f"{method}: id {id!r} was used before")
        request = _Request(message, revision)
        token = request.meta.get("progressToken")
        busy = None if token is None else self._by_token(_other(direction), token)
        if busy is not None and not busy.answered and not busy.cancelled:
            self._complain(direction, f"{method}: progressToken {token!r} is in use")
        self._requests[direction].pop(_key(id), None)  # the newest stands last
        self._requests[direction][_key(id)] = request

    def _response(self, direction: Side, message: dict[str, Any], asked: _Request | None) -> None:
        if asked is None:
            if message.get("id") is not None:
                self._complain(direction, f"a response to {message['id']!r}, which nobody asked")
            elif "result" in message:
                self._complain(direction, "a result without an id")
            return
        if asked.answered:
            self._complain(direction, f"{asked.method}: a second response to {asked.id!r}")
        asked.answered = True
        if asked.method == "initialize" and self.revision is None:
            self.revision = self._negotiated(message)
        result = message.get("result")
        questions = result.get("inputRequests") if isinstance(result, dict) and asked.revision == MODERN else None
        for question in questions.values() if isinstance(questions, dict) else ():
            self._question(direction, asked, question)

    def _question(self, direction: Side, asked: _Request, question: Any) -> None:
        """Input requests only of kinds that the request declared."""
        method = question.get("method") if isinstance(question, dict) else None
        needed = _ASKED_WITH.get(method, "?") if isinstance(method, str) else "?"
        declared = asked.meta.get(f"{META}clientCapabilities")
        capability = declared.get(needed) if isinstance(declared, dict) else None
        if capability is None:
            self._complain(direction, f"{asked.method}: asks {method} of a client that did not declare {needed}")
        elif needed == "elicitation" and question.get("params", {}).get("mode") == "url" and "url" not in capability:
            self._complain(
                direction, f"{asked.method}: asks for a URL of a client that did not declare elicitation.url"
            )

    def _notification(self, direction: Side, message: dict[str, Any], revision: str) -> None:
        method = message["method"]
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if method == "notifications/initialized":
            self._initialized = True
        elif method == "notifications/progress":
            self._progress(direction, params)
        elif method == "notifications/cancelled":
            self._cancelled(direction, params)
        elif revision == MODERN and method == "notifications/message":
            self._log(direction)
        elif revision == MODERN and (method in _TOPICS or method == "notifications/subscriptions/acknowledged"):
            self._listen(direction, method, params)

    def _progress(self, direction: Side, params: dict[str, Any]) -> None:
        request = self._by_token(direction, params.get("progressToken"))
        value = params.get("progress")
        if request is None:
            self._complain(direction, "progress with a token that no request gave")
        elif request.answered:
            self._complain(direction, f"{request.method}: progress after the response")
        elif isinstance(value, (int, float)):
            if request.progress is not None and value <= request.progress:
                self._complain(direction, f"{request.method}: progress must increase")
            request.progress = value

    def _cancelled(self, direction: Side, params: dict[str, Any]) -> None:
        own = self._requests[direction].get(_key(params.get("requestId")))
        if own is not None:
            own.cancelled = True
            if own.method == "initialize":
                self._complain(direction, "initialize must not be cancelled")
            return
        theirs = self._requests[_other(direction)].get(_key(params.get("requestId")))
        if theirs is None or theirs.method != "subscriptions/listen":
            self._complain(direction, "cancels a request that it did not send")

    def _log(self, direction: Side) -> None:
        pending = (r for r in self._requests["client"].values() if not r.answered)
        if not any(f"{META}logLevel" in request.meta for request in pending):
            self._complain(direction, "a log message although no open request asked for any")

    def _listen(self, direction: Side, method: str, params: dict[str, Any]) -> None:
        meta = params.get("_meta")
        id = meta.get(f"{META}subscriptionId") if isinstance(meta, dict) else None
        listen = self._requests["client"].get(_key(id))
        if listen is None or listen.method != "subscriptions/listen" or listen.answered:
            self._complain(direction, f"{method}: its subscriptionId names no open listen request")
            return
        if method == "notifications/subscriptions/acknowledged":
            if listen.filter is not None:
                self._complain(direction, f"{method}: the second one")
            filter = params.get("notifications")
            listen.filter = filter if isinstance(filter, dict) else {}
            return
        if listen.filter is None:
            self._complain(direction, f"{method}: before the acknowledgement")
            return
        wanted = listen.filter.get(_TOPICS[method])
        if not wanted or (isinstance(wanted, list) and params.get("uri") not in wanted):
            self._complain(direction, f"{method}: not what was acknowledged")


def _other(direction: Side) -> Side:
    return "server" if direction == "client" else "client"


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
