"""The judge itself: good conversations pass, and each rule catches the conversation that breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.schema_judge import AVAILABLE, MODERN, REVISIONS, SCHEMAS, Judge, Side, validate

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the published schemas are not here")

EXAMPLES = SCHEMAS.parent / "examples" / MODERN
META = "io.modelcontextprotocol/"
ENVELOPE = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}

Frame = tuple[Side, dict[str, Any] | list[Any] | bytes]


def asks(id: Any, method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}


def tells(method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}


def answers(id: Any, result: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


def fails(id: Any, code: int, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "m", **data}}


def modern(id: Any, method: str, meta: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    return asks(id, method, {"_meta": {**ENVELOPE, **(meta or {})}, **params})


def judged(*frames: Frame) -> list[str]:
    judge = Judge()
    for direction, frame in frames:
        judge.frame(direction, frame if isinstance(frame, bytes) else json.dumps(frame).encode() + b"\n")
    return judge.violations


def handshake(revision: str) -> list[Frame]:
    info = {"name": "n", "version": "1"}
    opening = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info}
    accepted = {"protocolVersion": revision, "capabilities": {}, "serverInfo": info}
    return [
        ("client", asks(0, "initialize", opening)),
        ("server", answers(0, accepted)),
        ("client", tells("notifications/initialized")),
    ]


# --- one message ------------------------------------------------------------------------------------------------------


def example_messages() -> list[Any]:
    found = []
    for path in sorted(EXAMPLES.glob("*/*.json")) if AVAILABLE else ():
        name, message = path.parent.name, json.loads(path.read_text())
        if "jsonrpc" in message:
            found.append(pytest.param(name, message, id=f"{name}/{path.stem}"))
    return found or [pytest.param("", {}, id="none")]


@pytest.mark.parametrize(("name", "message"), example_messages())
def test_the_official_example_messages_pass(name: str, message: dict[str, Any]) -> None:
    sender: Side = "client" if name.endswith("Request") or name.startswith("Cancelled") else "server"
    assert validate(message, MODERN, sender) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_plain_exchange_passes_in_every_revision(revision: str) -> None:
    call = {"name": "t", "arguments": {}}
    result: dict[str, Any] = {"content": [{"type": "text", "text": "x"}]}
    if revision == MODERN:
        call["_meta"] = ENVELOPE
        result["resultType"] = "complete"
    assert validate(asks("a", "tools/call", call), revision, "client") == []
    assert validate(answers("a", result), revision, "server", {"a": "tools/call"}) == []
    assert validate(fails(1, -32601), revision, "server") == []


@pytest.mark.parametrize(
    ("message", "revision", "direction", "fault"),
    [
        (5, MODERN, "client", "a message is an object"),
        ({"id": 1, "method": "ping"}, "2025-11-25", "client", "jsonrpc"),
        (asks(None, "ping"), "2025-11-25", "client", "id"),
        (asks(1.5, "ping"), "2025-11-25", "client", "id"),
        (asks(1, "tools/call", {}), "2025-11-25", "client", "name"),
        (asks(1, "tools/call", {"name": "a", "arguments": []}), "2024-11-05", "client", "arguments"),
        (asks(1, "tools/call", {"name": "a"}), MODERN, "client", "_meta"),
        (asks(1, "acme/x", {}), MODERN, "client", "_meta"),
        (asks(1, "ping"), MODERN, "client", "does not exist"),
        (asks(1, "tools/list"), "2025-11-25", "server", "not for the server"),
        (tells("tools/list"), "2025-11-25", "client", "has an id or lacks one"),
        (tells("notifications/progress", {"progress": 1}), "2025-11-25", "server", "progressToken"),
        ({"jsonrpc": "2.0", "id": 1}, "2025-11-25", "server", "either result or error"),
        ({**answers(1, {}), **fails(1, 1)}, "2025-11-25", "server", "either result or error"),
        (fails(None, -32700), "2025-11-25", "server", "id"),
        (fails(1, -32022), MODERN, "server", "UnsupportedProtocolVersionError"),
        (fails(1, -32022, data={"supported": []}), MODERN, "server", "UnsupportedProtocolVersionError"),
        (answers(1, {"content": [{"type": "audio", "data": "", "mimeType": ""}]}), "2024-11-05", "server", "content"),
        (answers(1, {"content": [], "structuredContent": [1]}), "2025-11-25", "server", "structuredContent"),
        (answers(1, {"content": []}), MODERN, "server", "resultType"),
        (answers(1, {"resultType": "input_required"}), MODERN, "server", "neither"),
        (answers(1, {"content": 5, "resultType": "complete"}), MODERN, "server", "content"),
        ([], "2025-06-18", "client", "only 2025-03-26"),
        ([], "2025-03-26", "client", "an empty batch"),
        ([asks(1, "ping"), answers(2, {})], "2025-03-26", "client", "mixes"),
        ([asks(1, "initialize", {})], "2025-03-26", "client", "initialize in a batch"),
        ([asks(1, "tools/call", {})], "2025-03-26", "client", "name"),
    ],
)
def test_a_broken_message_is_caught(message: Any, revision: str, direction: Side, fault: str) -> None:
    faults = validate(message, revision, direction, {1: "tools/call"})
    assert any(fault in f for f in faults), faults


def test_the_documented_exceptions_pass() -> None:
    assert validate(fails(None, -32700), None, "server") == []
    assert validate(fails(None, -32700), "2025-06-18", "server") == []
    assert validate({"jsonrpc": "2.0", "error": {"code": -32700, "message": "m"}}, "2025-11-25", "server") == []
    for revision in ("2025-06-18", "2025-11-25"):
        answer = answers(1, {"action": "accept", "content": {"n": 1.5}})
        assert validate(answer, revision, "client", {1: "elicitation/create"}) == []
    assert validate([asks(1, "ping"), tells("acme/x")], "2025-03-26", "client") == []
    assert validate(answers(1, {"anything": 1}), "2025-11-25", "server", {1: "acme/x"}) == []


# --- conversations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_good_legacy_conversation_passes(revision: str) -> None:
    frames: list[Frame] = [
        *handshake(revision),
        ("client", asks(1, "tools/call", {"name": "t", "_meta": {"progressToken": 0}})),
        ("server", tells("notifications/progress", {"progressToken": 0, "progress": 1})),
        ("server", tells("notifications/progress", {"progressToken": 0, "progress": 1.5})),
        ("server", asks(1, "roots/list")),
        ("client", answers(1, {"roots": []})),
        ("server", tells("notifications/message", {"level": "info", "data": None})),
        ("server", answers(1, {"content": []})),
        ("client", asks("1", "acme/x")),
        ("client", tells("notifications/cancelled", {"requestId": "1"})),
    ]
    assert judged(*frames) == []


def test_a_good_modern_conversation_passes() -> None:
    logged = {f"{META}logLevel": "info", "progressToken": "p", f"{META}clientCapabilities": {"roots": {}}}
    subscribed = {f"{META}subscriptionId": 9}
    discovered = {
        "resultType": "complete",
        "supportedVersions": [MODERN],
        "capabilities": {},
        "ttlMs": 0,
        "cacheScope": "private",
    }
    frames: list[Frame] = [
        ("client", modern(0, "server/discover")),
        ("server", answers(0, discovered)),
        ("client", modern(9, "subscriptions/listen", notifications={"toolsListChanged": True})),
        (
            "server",
            tells(
                "notifications/subscriptions/acknowledged",
                {"_meta": subscribed, "notifications": {"toolsListChanged": True}},
            ),
        ),
        ("client", modern(1, "tools/call", logged, name="t")),
        ("server", tells("notifications/progress", {"progressToken": "p", "progress": 1})),
        ("server", tells("notifications/message", {"level": "info", "data": 1})),
        (
            "server",
            answers(1, {"resultType": "input_required", "inputRequests": {"r": {"method": "roots/list"}}}),
        ),
        ("client", modern(2, "tools/call", name="t", inputResponses={"r": {"roots": []}})),
        ("server", answers(2, {"resultType": "complete", "content": []})),
        ("server", tells("notifications/tools/list_changed", {"_meta": subscribed})),
        ("client", modern(2, "tools/list")),
        ("server", fails(2, -32601)),
        ("server", tells("notifications/cancelled", {"requestId": 9})),
        ("server", answers(9, {"resultType": "complete", "_meta": subscribed})),
    ]
    assert judged(*frames) == []


def test_both_eras_on_one_pipe_are_told_apart() -> None:
    frames: list[Frame] = [
        ("client", modern("probe", "server/discover")),
        ("server", fails("probe", -32601)),
        *handshake("2025-06-18"),
        ("client", asks(1, "ping")),
        ("client", modern(2, "tools/call", name="t")),
        ("server", answers(1, {})),
        ("server", answers(2, {"resultType": "complete", "content": []})),
    ]
    assert judged(*frames) == []


def test_a_batch_is_judged_by_its_members() -> None:
    frames: list[Frame] = [
        *handshake("2025-03-26"),
        ("client", [asks(1, "ping"), asks(2, "tools/list")]),
        ("server", [answers(1, {}), answers(2, {"tools": []})]),
    ]
    assert judged(*frames) == []
    assert judged(*frames, ("server", [answers(2, {"tools": []})])) == ["server: tools/list: a second response to 2"]


CALL: Frame = ("client", modern(1, "tools/call", {"progressToken": 7}, name="t"))
DONE: Frame = ("server", answers(1, {"resultType": "complete", "content": []}))
LISTEN: Frame = ("client", modern(9, "subscriptions/listen", notifications={"toolsListChanged": True}))
SUBSCRIBED = {"_meta": {f"{META}subscriptionId": 9}}
ACK: Frame = ("server", tells("notifications/subscriptions/acknowledged", {**SUBSCRIBED, "notifications": {}}))
LEGACY = handshake("2025-11-25")


def step(progress: float, token: Any = 7) -> Frame:
    return "server", tells("notifications/progress", {"progressToken": token, "progress": progress})


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([("client", b'{"jsonrpc":"2.0",\n"id":1}')], "client: a frame holds a newline"),
        ([("server", b"hello")], "server: a line is not JSON"),
        ([("server", b'{"jsonrpc":"2.0","method":"acme/x","params":{"n":NaN}}')], "NaN is not JSON"),
        ([("server", b'"\xff"')], "server: a line is not JSON"),
        ([CALL, ("client", modern(1, "tools/list"))], "client: tools/list: id 1 was used before"),
        (
            [*LEGACY, ("client", asks(1, "ping")), ("server", answers(1, {})), ("client", asks(1, "ping"))],
            "client: ping: id 1 was used before",
        ),
        ([CALL, DONE, DONE], "server: tools/call: a second response to 1"),
        ([("server", answers(5, {}))], "server: a response to 5, which nobody asked"),
        ([*LEGACY, ("client", asks("1", "ping")), ("server", answers(1, {}))], "a response to 1, which nobody asked"),
        ([CALL, step(1), step(1)], "server: tools/call: progress must increase"),
        ([CALL, DONE, step(1)], "server: tools/call: progress after the response"),
        ([CALL, step(1, "7")], "server: progress with a token that no request gave"),
        ([CALL, ("client", modern(2, "tools/call", {"progressToken": 7}, name="t"))], "progressToken 7 is in use"),
        ([CALL, ("server", asks(1, "roots/list"))], "server: roots/list: a server sends no requests without a session"),
        ([("client", answers(1, {}))], "client: a response to 1, which nobody asked"),
        ([CALL, ("server", answers(1, {"content": []}))], '"resultType" is a required property'),
        ([("client", asks(1, "tools/list"))], "client: tools/list: comes before the answer to initialize"),
        (
            [*LEGACY[:2], ("server", asks(1, "roots/list"))],
            "server: roots/list: comes before notifications/initialized",
        ),
        ([LEGACY[0], ("client", tells("notifications/cancelled", {"requestId": 0}))], "must not be cancelled"),
        ([CALL, ("server", tells("notifications/cancelled", {"requestId": 1}))], "a request that it did not send"),
        ([CALL, ("server", tells("notifications/message", {"level": "info", "data": 1}))], "no open request asked"),
        (
            [
                CALL,
                (
                    "server",
                    answers(1, {"resultType": "input_required", "inputRequests": {"r": {"method": "roots/list"}}}),
                ),
            ],
            "server: tools/call: asks roots/list of a client that did not declare roots",
        ),
        (
            [
                ("client", modern(1, "tools/list")),
                ("server", answers(1, {"resultType": "input_required", "requestState": "s"})),
            ],
            "server: response to tools/list: tools/list is answered with input_required",
        ),
        ([LISTEN, ("server", tells("notifications/tools/list_changed", SUBSCRIBED))], "before the acknowledgement"),
        ([LISTEN, ACK, ACK], "the second one"),
        ([LISTEN, ACK, ("server", tells("notifications/tools/list_changed", SUBSCRIBED))], "not what was acknowledged"),
        ([("server", tells("notifications/tools/list_changed"))], "names no open listen request"),
        ([*LEGACY, ("client", [asks(1, "ping")])], "client: a batch in 2025-11-25"),
    ],
)
def test_a_broken_conversation_is_caught(frames: list[Frame], fault: str) -> None:
    violations = judged(*frames)
    assert any(fault in violation for violation in violations), violations
