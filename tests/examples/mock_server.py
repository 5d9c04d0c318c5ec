"""The mock servers of the conformance suite's client scenarios, over stdio: `python mock_server.py SCENARIO RECORD`.

What the client sends is written to the file RECORD, line by line, for the test to look at. This is a program; it uses
nothing but the standard library, and knows of the protocol what its scenarios need.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

META = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
STATE = "opaque/+==\u00e9\u2028state"
"""To come back as it is."""

NO_ARGUMENTS = {"type": "object"}
NUMBERS = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object"}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "if": {"required": ["name"]},
    "then": {"required": ["address"]},
    "additionalProperties": False,
}
REMOTE = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/canary.json"}}}
FIELDS: dict[str, Message] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
DEFAULTS = {"type": "object", "properties": FIELDS}
CONFIRM = {"type": "object", "properties": {"confirmed": {"type": "boolean"}}, "required": ["confirmed"]}
MRTR = ("test_mrtr_echo_state", "test_mrtr_unrelated", "test_mrtr_no_state", "test_mrtr_no_result_type")

TOOLS: dict[str, dict[str, Message]] = {
    "tools_call": {"add_numbers": NUMBERS},
    "elicitation-sep1034-client-defaults": {"test_client_elicitation_defaults": NO_ARGUMENTS},
    "request-metadata": {"test-tool": NUMBERS},
    "sep-2322-client-request-state": dict.fromkeys(MRTR, NO_ARGUMENTS),
    "json-schema-2020-12-preservation": {
        "json_schema_2020_12_tool": SCHEMA,
        "json_schema_echo": {"type": "object", "properties": {"schema": {"type": "object"}}},
    },
    "json-schema-ref-no-deref": {"test-tool": REMOTE},
}


class Mock:
    def __init__(self, scenario: str, say: Callable[[Message], None], hear: Callable[[], Message | None]) -> None:
        self.tools = TOOLS.get(scenario, {})
        self.refuses_once = scenario == "request-metadata"
        self.say = say
        self.hear = hear

    def serve(self) -> None:
        while (message := self.hear()) is not None:
            if "id" in message and "method" in message:
                self.answer(message, message["method"], message.get("params", {}))

    def answer(self, message: Message, method: str, params: Message) -> None:
        modern = f"{META}protocolVersion" in params.get("_meta", {})
        if modern and self.refuses_once:
            self.refuses_once = False
            data = {"supported": [MODERN], "requested": MODERN}
            error = {"code": -32022, "message": "Unsupported protocol version", "data": data}
            self.say({"jsonrpc": "2.0", "id": message["id"], "error": error})
            return
        result = self.result(method, params, modern)
        if modern and params.get("name") != "test_mrtr_no_result_type":
            result = {"resultType": "complete", **result}
        self.say({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def result(self, method: str, params: Message, modern: bool) -> Message:
        if method in ("initialize", "server/discover"):
            version = {"supportedVersions": [MODERN]} if modern else {"protocolVersion": params["protocolVersion"]}
            return {**version, "capabilities": {"tools": {}}, "serverInfo": {"name": "mock", "version": "0"}, **CACHE}
        if method == "tools/list":
            return {"tools": [{"name": name, "inputSchema": schema} for name, schema in self.tools.items()], **CACHE}
        name = params["name"]
        if name == "test_client_elicitation_defaults":
            question = {"message": "Please review", "requestedSchema": DEFAULTS}
            self.say({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": question})
            self.hear()
        elif name in ("test_mrtr_echo_state", "test_mrtr_no_state") and "inputResponses" not in params:
            question = {"method": "elicitation/create", "params": {"message": "Sure?", "requestedSchema": CONFIRM}}
            state = {"requestState": STATE} if name == "test_mrtr_echo_state" else {}
            return {"resultType": "input_required", "inputRequests": {"confirm": question}, **state}
        return {"content": [{"type": "text", "text": f"{name} was called"}]}


CACHE = {"ttlMs": 0, "cacheScope": "private"}


def main(scenario: str, record: str) -> None:
    with open(record, "ab", buffering=0) as file:

        def hear() -> Message | None:
            line = sys.stdin.buffer.readline()
            file.write(line)
            message: Message | None = json.loads(line) if line else None
            return message

        def say(message: Message) -> None:
            sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
            sys.stdout.buffer.flush()

        Mock(scenario, say, hear).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
