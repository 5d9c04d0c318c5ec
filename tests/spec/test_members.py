"""The tables of members against the published schemas, and what the sieve makes of objects for older revisions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mcpcore.spec.members import (
    BLOCKS,
    CHILDREN,
    MEMBERS,
    PARAMS_KINDS,
    RESULT_KINDS,
    elicitation_fits,
    sampling_fits,
    sieve,
)
from mcpcore.spec.methods import NOTIFICATIONS, REQUESTS
from mcpcore.spec.revisions import ALL, BY_NAME, MODERN, Revision
from tests.schema_judge import AVAILABLE, Side, validate

SCHEMAS = Path(__file__).resolve().parents[3] / "shared" / "spec" / "schema"
R2411, R2503, R2506, R2511 = ALL[:4]

PUBLISHED_AS: dict[str, tuple[str, ...]] = {
    "ToolResult": ("CallToolResult",),
    "Reference": ("PromptReference",),
    "ResourceContents": ("TextResourceContents", "BlobResourceContents"),
    "CallToolParams": ("CallToolRequest",),
    "CompleteParams": ("CompleteRequest",),
    "CreateMessageParams": ("CreateMessageRequest",),
    "ElicitParams": ("ElicitRequest",),
    "GetPromptParams": ("GetPromptRequest",),
    "InitializeParams": ("InitializeRequest",),
    "ReadResourceParams": ("ReadResourceRequest",),
    "LogMessage": ("LoggingMessageNotification",),
    "Progress": ("ProgressNotification",),
}
"""Where our name is not the schema's; of a message we mean its params."""

ON_PURPOSE = {("ClientCapabilities", "extensions", "2025-11-25"), ("ServerCapabilities", "extensions", "2025-11-25")}
"""Extensions for 2025-11-25 negotiate with a member that its schema does not have yet."""


def definitions(revision: Revision) -> dict[str, Any]:
    path = SCHEMAS / f"{revision.name}.json"
    if not path.is_file():
        pytest.skip("the published schemas are not here")
    schema = json.loads(path.read_text())
    found: dict[str, Any] = schema.get("definitions") or schema["$defs"]
    return found


def options(schema: dict[str, Any], types: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas that a schema stands for, with references, arrays and unions resolved."""
    if "$ref" in schema:
        return options(types[schema["$ref"].rsplit("/", 1)[1]], types)
    if "anyOf" in schema:
        return [found for option in schema["anyOf"] for found in options(option, types)]
    return options(schema["items"], types) if "items" in schema else [schema]


def published(kind: str, types: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas of a kind; none where the revision does not have it."""
    if "." in kind:
        parent, member = kind.split(".")
        return [
            o
            for p in published(parent, types)
            if member in p["properties"]
            for o in options(p["properties"][member], types)
        ]
    found = [o for name in PUBLISHED_AS.get(kind, (kind,)) if name in types for o in options(types[name], types)]
    if any("method" in o.get("properties", {}) for o in found):
        found = [o for message in found for o in options(message["properties"].get("params", {}), types)]
    return found


def exists(kind: str, member: str, revision: Revision) -> bool:
    first, last = MEMBERS[kind].get(member, ("", "9999"))
    return first <= revision.name <= last


@pytest.mark.parametrize("kind", MEMBERS)
def test_the_tables_say_what_the_schemas_say(kind: str) -> None:
    by_revision = {r: published(kind, definitions(r)) for r in ALL}
    everything = {m for schemas in by_revision.values() for s in schemas for m in s.get("properties", {})}
    assert everything or kind == "ClientCapabilities.elicitation", kind
    assert set(MEMBERS[kind]) <= everything
    for revision, schemas in by_revision.items():
        if not schemas:
            continue
        theirs = {m for s in schemas for m in s.get("properties", {})}
        for member in everything:
            if member == "_meta" and kind in PARAMS_KINDS.values() and not revision.modern:
                continue  # the older schemas leave it out of most params although every request may have it
            if (kind, member, revision.name) not in ON_PURPOSE:
                assert exists(kind, member, revision) == (member in theirs), f"{kind}.{member} in {revision}"


def test_every_typed_member_of_a_kind_is_walked() -> None:
    """Wherever a schema refers to a type of which members changed, the table of children knows the way."""
    names = {n for kind in MEMBERS for n in PUBLISHED_AS.get(kind, (kind,))}
    contents = {"ContentBlock", "SamplingMessageContentBlock", "ResourceContents"}
    for revision in ALL:
        types = definitions(revision)
        for kind in MEMBERS:
            for schema in published(kind, types):
                for member, value in schema.get("properties", {}).items():
                    refers = {r for r in names | contents if f'/{r}"' in json.dumps(value)}
                    if refers and member != "_meta":
                        assert member in CHILDREN.get(kind, {}), f"{kind}.{member} refers to {refers}"


def test_every_kind_of_a_message_is_in_the_tables() -> None:
    assert set(RESULT_KINDS.values()) | set(PARAMS_KINDS.values()) <= set(MEMBERS)
    assert set(RESULT_KINDS) <= set(REQUESTS)
    assert set(PARAMS_KINDS) <= set(REQUESTS) | set(NOTIFICATIONS)
    assert {child for children in CHILDREN.values() for child in children.values()} <= {*MEMBERS, *BLOCKS}


# --- what the sieve does ----------------------------------------------------------------------------------------------

TOOL = {
    "name": "t",
    "title": "T",
    "inputSchema": {"type": "object", "$schema": "x"},
    "outputSchema": {"type": "array"},
    "annotations": {"readOnlyHint": True},
    "icons": [],
    "execution": {},
    "x-new": 1,
    "_meta": {},
}


@pytest.mark.parametrize(
    ("revision", "members"),
    [
        (R2411, {"name", "inputSchema", "x-new"}),
        (R2503, {"name", "inputSchema", "x-new", "annotations"}),
        (R2506, {"name", "inputSchema", "x-new", "annotations", "title", "_meta"}),
        (R2511, {"name", "inputSchema", "x-new", "annotations", "title", "_meta", "icons", "execution"}),
        (MODERN, {"name", "inputSchema", "x-new", "annotations", "title", "_meta", "icons", "outputSchema"}),
    ],
)
def test_a_tool_keeps_what_its_revision_knows_and_what_nobody_knows(revision: Revision, members: set[str]) -> None:
    before = copy.deepcopy(TOOL)
    page = {"tools": [TOOL], "ttlMs": 0, "cacheScope": "private", "resultType": "complete", "nextCursor": "c"}
    got = sieve("ListToolsResult", page, revision)
    assert set(got["tools"][0]) == members
    assert ("ttlMs" in got) == revision.modern
    assert got["nextCursor"] == "c"
    assert before == TOOL, "the sieve never mutates"


def test_what_needs_no_change_comes_back_itself() -> None:
    plain = {"content": [{"type": "text", "text": "x"}], "structuredContent": {"a": 1}}
    assert sieve("ToolResult", plain, R2506) is plain
    assert sieve("ToolResult", plain, MODERN) is plain
    listed = {"prompts": [{"name": "a", "arguments": [{"name": "b"}]}]}
    assert sieve("ListPromptsResult", listed, R2411) is listed
    assert sieve("CreateMessageParams", {"messages": [], "maxTokens": 1}, R2411) == {"messages": [], "maxTokens": 1}


def test_an_object_schema_for_output_stays_where_output_schemas_exist() -> None:
    tool = {"name": "t", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}}
    assert sieve("Tool", tool, R2506) is tool
    assert "outputSchema" not in sieve("Tool", tool, R2503)


@pytest.mark.parametrize("content", [None, 5, [1], "x"])
def test_structured_content_that_is_no_object_exists_in_the_modern_revision_only(content: Any) -> None:
    result = {"content": [{"type": "text", "text": "x"}], "structuredContent": content}
    assert sieve("ToolResult", result, MODERN) is result
    for revision in (R2411, R2506, R2511):
        assert sieve("ToolResult", result, revision) == {"content": [{"type": "text", "text": "x"}]}


LINK = {
    "type": "resource_link",
    "uri": "file:///a",
    "name": "a",
    "title": "The A",
    "icons": [],
    "annotations": {"priority": 1, "lastModified": "2026"},
}
SOUND = {"type": "audio", "data": "eA==", "mimeType": "audio/wav", "_meta": {}}


def test_blocks_that_a_revision_does_not_know_become_blocks_it_knows() -> None:
    result = {"content": [LINK, SOUND, {"type": "acme/x", "_meta": {}}]}
    assert sieve("ToolResult", result, R2411)["content"] == [
        {"type": "text", "text": "The A: file:///a", "annotations": {"priority": 1}},
        {"type": "resource", "resource": {"uri": "attachment:audio", "mimeType": "audio/wav", "blob": "eA=="}},
        {"type": "acme/x", "_meta": {}},
    ]
    assert [b["type"] for b in sieve("ToolResult", result, R2503)["content"]] == ["text", "audio", "acme/x"]
    assert sieve("ToolResult", result, R2506)["content"][0] == {k: v for k, v in LINK.items() if k != "icons"}
    assert sieve("ToolResult", result, R2511) is result


def test_a_prompt_message_holds_one_block_and_keeps_it_valid() -> None:
    prompt = {"messages": [{"role": "user", "content": SOUND}]}
    assert sieve("GetPromptResult", prompt, R2411)["messages"][0]["content"]["type"] == "resource"


def test_names_and_capabilities_fit_the_handshake() -> None:
    result = {
        "protocolVersion": "x",
        "capabilities": {"completions": {}, "tools": {"listChanged": True}, "acme": {}},
        "serverInfo": {"name": "n", "version": "1", "title": "N", "websiteUrl": "u"},
    }
    assert sieve("InitializeResult", result, R2411) == {
        "protocolVersion": "x",
        "capabilities": {"tools": {"listChanged": True}, "acme": {}},
        "serverInfo": {"name": "n", "version": "1"},
    }
    declared = {"roots": {"listChanged": True}, "elicitation": {"form": {}}, "sampling": {"tools": {}}}
    assert sieve("ClientCapabilities", declared, R2503) == {"roots": {"listChanged": True}, "sampling": {}}
    assert sieve("ClientCapabilities", declared, MODERN)["roots"] == {}


def test_small_messages_lose_their_newer_members() -> None:
    assert sieve("Progress", {"progressToken": 1, "progress": 1, "message": "m"}, R2411) == {
        "progressToken": 1,
        "progress": 1,
    }
    completion = {"ref": {"type": "ref/prompt", "name": "n", "title": "N"}, "context": {}, "argument": {}}
    assert sieve("CompleteParams", completion, R2503) == {"ref": {"type": "ref/prompt", "name": "n"}, "argument": {}}
    assert sieve("ListRootsResult", {"roots": [{"uri": "file:///", "_meta": {}}], "_meta": {}}, R2411) == {
        "roots": [{"uri": "file:///"}],
        "_meta": {},
    }


def test_malformed_parts_are_not_the_sieves_business() -> None:
    for value in ({"content": 5}, {"content": [5, None, {"type": 5}]}, {"tools": None}):
        for kind in ("ToolResult", "ListToolsResult"):
            assert sieve(kind, value, R2411) == value
    assert sieve("CreateMessageParams", {"messages": [5, {"content": 5}]}, R2411) == {"messages": [5, {"content": 5}]}


EXAMPLES = SCHEMAS.parent / "examples" / "2026-07-28"
METHOD_OF = {PUBLISHED_AS.get(kind, (kind,))[0]: method for method, kind in RESULT_KINDS.items()}


@pytest.mark.parametrize("revision", ALL[:4], ids=str)
@pytest.mark.parametrize("published_name", METHOD_OF)
def test_every_modern_example_becomes_valid_in_every_older_revision(published_name: str, revision: Revision) -> None:
    method = METHOD_OF[published_name]
    if not AVAILABLE or not REQUESTS[method].exists(revision):
        pytest.skip("no schemas, or no such method in this revision")
    sender: Side = "server" if REQUESTS[method].sender == "client" else "client"
    for path in sorted(EXAMPLES.glob(f"{published_name}/*.json")):
        result = json.loads(path.read_text())
        if published_name == "CreateMessageResult" and sampling_fits(result, revision) is not None:
            continue
        sieved = sieve(RESULT_KINDS[method], result, revision)
        message = {"jsonrpc": "2.0", "id": 1, "result": sieved}
        assert validate(message, revision.name, sender, {1: method}) == [], path.name


@pytest.mark.parametrize("revision", ALL[2:4], ids=str)
def test_every_modern_question_becomes_valid_or_is_refused(revision: Revision) -> None:
    if not AVAILABLE:
        pytest.skip("no schemas here")
    for name, fits in (("CreateMessageRequest", sampling_fits), ("ElicitRequest", elicitation_fits)):
        for path in sorted(EXAMPLES.glob(f"{name}/*.json")):
            question = json.loads(path.read_text())
            if fits(question["params"], revision) is None:
                params = sieve(PARAMS_KINDS[question["method"]], question["params"], revision)
                if params.get("mode") == "url":
                    params = {"elicitationId": "the era adds it", **params}
                message = {"jsonrpc": "2.0", "id": 1, "method": question["method"], "params": params}
                assert validate(message, revision.name, "server") == [], path.name


def test_an_unknown_kind_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        sieve("Nonsense", {}, R2411)


# --- questions --------------------------------------------------------------------------------------------------------


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_a_message_of_several_blocks_becomes_several_messages() -> None:
    params = {"messages": [{"role": "user", "content": [text("a"), text("b")], "_meta": {}}], "maxTokens": 1}
    assert sampling_fits(params, R2506) is None
    assert sieve("CreateMessageParams", params, R2506)["messages"] == [
        {"role": "user", "content": text("a")},
        {"role": "user", "content": text("b")},
    ]
    assert sieve("CreateMessageParams", params, R2511) is params


def test_an_answer_of_several_texts_becomes_one() -> None:
    answer = {"role": "assistant", "model": "m", "content": [text("a"), text("b")]}
    assert sampling_fits(answer, R2506) is None
    assert sieve("CreateMessageResult", answer, R2506)["content"] == text("a\nb")
    assert sieve("CreateMessageResult", {**answer, "content": [SOUND]}, R2506)["content"]["type"] == "audio"


@pytest.mark.parametrize(
    ("value", "revision", "fits"),
    [
        ({"messages": [{"content": {"type": "tool_use"}}]}, R2506, False),
        ({"messages": [{"content": [{"type": "tool_result"}]}]}, R2506, False),
        ({"messages": [{"content": [{"type": "tool_result"}]}]}, R2511, True),
        ({"messages": [], "tools": [{}]}, R2506, False),
        ({"messages": [], "tools": []}, R2506, True),
        ({"messages": [{"content": SOUND}]}, R2411, False),
        ({"messages": [{"content": SOUND}]}, R2503, True),
        ({"content": [text("a"), SOUND]}, R2506, False),
        ({"content": [text("a"), SOUND]}, R2511, True),
        ({"content": []}, R2506, False),
        ({"content": {"type": "tool_use"}}, R2506, False),
    ],
)
def test_sampling_that_has_no_form_in_the_revision_is_refused(
    value: dict[str, Any], revision: Revision, fits: bool
) -> None:
    fault = sampling_fits(value, revision)
    assert (fault is None) == fits
    assert fits or revision.name in str(fault) or "empty" in str(fault)


FORM = {
    "message": "m",
    "mode": "form",
    "requestedSchema": {
        "type": "object",
        "$schema": "x",
        "properties": {
            "choice": {"type": "string", "default": "a", "oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]},
            "flag": {"type": "boolean", "default": True},
            "count": {"type": "integer", "default": 1, "minimum": 0},
            "name": {"type": "string"},
        },
    },
}


def test_a_form_finds_its_nearest_older_form() -> None:
    before = copy.deepcopy(FORM)
    assert elicitation_fits(FORM, R2506) is None
    assert sieve("ElicitParams", FORM, R2506) == {
        "message": "m",
        "requestedSchema": {
            "type": "object",
            "properties": {
                "choice": {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "b"]},
                "flag": {"type": "boolean", "default": True},
                "count": {"type": "integer", "minimum": 0},
                "name": {"type": "string"},
            },
        },
    }
    assert before == FORM
    assert sieve("ElicitParams", FORM, R2511) is FORM


@pytest.mark.parametrize(
    ("params", "revision", "fits"),
    [
        (FORM, R2503, False),
        ({"mode": "url", "message": "m", "url": "u"}, R2506, False),
        ({"mode": "url", "message": "m", "url": "u"}, R2511, True),
        ({"message": "m", "requestedSchema": {"properties": {"a": {"type": "array"}}}}, R2506, False),
        ({"message": "m", "requestedSchema": {"properties": {"a": {"type": "array"}}}}, MODERN, True),
    ],
)
def test_elicitation_that_has_no_form_in_the_revision_is_refused(
    params: dict[str, Any], revision: Revision, fits: bool
) -> None:
    assert (elicitation_fits(params, revision) is None) == fits


def test_what_is_given_up_is_dropped_too() -> None:
    params = {"mode": "url", "message": "m", "url": "u", "elicitationId": "e"}
    assert sieve("ElicitParams", params, BY_NAME["2025-11-25"]) is params
    assert sieve("ElicitParams", params, MODERN) == {"mode": "url", "message": "m", "url": "u"}
