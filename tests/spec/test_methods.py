"""The table of methods against the published schemas, and the check of params."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpcore.spec.methods import NOTIFICATIONS, REQUESTS, Method, check_params
from mcpcore.spec.revisions import ALL, BY_NAME, MODERN, Revision
from mcpcore.spec.shapes import Shape, Tagged

SCHEMAS = Path(__file__).resolve().parents[3] / "shared" / "spec" / "schema"
EVERY = [*REQUESTS.values(), *NOTIFICATIONS.values()]


def definitions(revision: Revision) -> dict[str, Any]:
    path = SCHEMAS / f"{revision.name}.json"
    if not path.is_file():
        pytest.skip("the published schemas are not here")
    schema = json.loads(path.read_text())
    found: dict[str, Any] = schema.get("definitions") or schema["$defs"]
    return found


def resolve(schema: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = types[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def published(revision: Revision) -> dict[str, dict[str, Any]]:
    """Each method of the revision, with the type of its message."""
    types = definitions(revision)
    messages = {}
    for name, schema in types.items():
        method = schema.get("properties", {}).get("method", {}).get("const")
        if method is not None and not name.startswith(("Client", "Server")):
            messages[method] = schema
    return messages


def variants(message: dict[str, Any], types: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of the params; two, the form first, where they are a union."""
    params = resolve(message["properties"].get("params", {}), types)
    options = [merged(option, types) for option in params.get("anyOf", [params])]
    return sorted(options, key=lambda option: "url" in option.get("properties", {}))


def merged(schema: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    schema = resolve(schema, types)
    parts = [resolve(part, types) for part in schema.get("allOf", [schema])]
    properties = {name: value for part in parts for name, value in part.get("properties", {}).items()}
    return {"properties": properties, "required": [name for part in parts for name in part.get("required", ())]}


def shapes(method: Method, revision: Revision) -> list[Shape]:
    params = method.params.at(revision)
    if isinstance(params, Shape):
        return [params]
    return [params.shapes["form"]] if not revision.url_elicitation else [params.shapes["form"], params.shapes["url"]]


@pytest.mark.parametrize("revision", ALL, ids=str)
def test_every_revision_has_exactly_the_published_methods(revision: Revision) -> None:
    assert {m.name for m in EVERY if m.exists(revision)} == set(published(revision))


@pytest.mark.parametrize("revision", ALL, ids=str)
@pytest.mark.parametrize("side", ["client", "server"])
def test_each_side_sends_what_the_schema_says_it_sends(revision: Revision, side: Any) -> None:
    types = definitions(revision)
    name = side.capitalize()
    sent = set()
    for union in (f"{name}Request", f"{name}Notification"):
        options = types.get(union, {"anyOf": []})
        for option in options.get("anyOf", [options]):
            sent.add(resolve(option, types)["properties"]["method"]["const"])
    assert {m.name for m in EVERY if m.sent_by(side, revision)} == sent


@pytest.mark.parametrize("revision", ALL, ids=str)
def test_required_and_known_members_are_the_published_ones(revision: Revision) -> None:
    types = definitions(revision)
    for name, message in published(revision).items():
        method = REQUESTS.get(name) or NOTIFICATIONS[name]
        for schema, shape in zip(variants(message, types), shapes(method, revision), strict=True):
            ours = {m.name: m for m in shape.members if m.name not in ("_meta", "mode")}
            theirs = {k: v for k, v in schema.get("properties", {}).items() if k not in ("_meta", "mode")}
            assert set(ours) == set(theirs), name
            required = set(schema.get("required", ())) - {"_meta", "mode"}
            assert {n for n, m in ours.items() if m.required} == required, name


SAMPLES: dict[str, Any] = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def kinds(schema: dict[str, Any], types: dict[str, Any]) -> set[str]:
    schema = resolve(schema, types)
    if "anyOf" in schema:
        return set[str]().union(*(kinds(option, types) for option in schema["anyOf"]))
    if "const" in schema:
        return {"string"}
    given = schema.get("type", list(SAMPLES))
    return {given} if isinstance(given, str) else set(given)


@pytest.mark.parametrize("revision", ALL, ids=str)
def test_a_member_of_another_json_type_than_the_published_one_is_refused(revision: Revision) -> None:
    types = definitions(revision)
    for name, message in published(revision).items():
        method = REQUESTS.get(name) or NOTIFICATIONS[name]
        for schema, shape in zip(variants(message, types), shapes(method, revision), strict=True):
            for member in shape.members:
                if member.name == "_meta" or member.check is None:
                    continue
                allowed = kinds(schema["properties"][member.name], types)
                for kind, sample in SAMPLES.items():
                    accepted = member.check(sample) is None
                    if kind not in allowed and not (kind == "integer" and "number" in allowed):
                        assert not accepted, f"{name}.{member.name} takes {kind}"
                    elif kind in ("boolean", "number", "integer"):
                        assert accepted, f"{name}.{member.name} refuses {kind}"


@pytest.mark.parametrize("revision", ALL, ids=str)
def test_pages_and_caching_hints_stand_where_the_schema_has_them(revision: Revision) -> None:
    types = definitions(revision)
    cacheable = {n for n, t in types.items() if "ttlMs" in t.get("properties", {})} - {"CacheableResult"}
    if revision.modern:
        assert len([m for m in REQUESTS.values() if m.cacheable]) == len(cacheable)
    else:
        assert not cacheable
    for name, message in published(revision).items():
        if name in REQUESTS:
            members = {k for variant in variants(message, types) for k in variant.get("properties", {})}
            assert REQUESTS[name].paginated == ("cursor" in members), name
            assert not revision.modern or REQUESTS[name].input_required == ("requestState" in members), name


def test_completion_needs_no_capability_before_there_was_one() -> None:
    complete = REQUESTS["completion/complete"]
    assert complete.needed_server_capability(ALL[0]) is None
    assert complete.needed_server_capability(BY_NAME["2025-03-26"]) == "completions"


# --- check_params -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "a"}),
        ("tools/call", {"name": "a", "arguments": None, "x-new": 1, "_meta": {"progressToken": 0}}),
        ("prompts/get", {"name": "a", "arguments": {"b": "c"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "b", "value": ""}}),
        ("logging/setLevel", {"level": "info"}),
        ("tools/list", {}),
        ("tools/list", {"cursor": ""}),
        ("resources/read", {"uri": "a:b", "requestState": 5}),
        ("elicitation/create", {"message": "m", "mode": "url", "url": "u", "elicitationId": "e"}),
        ("sampling/createMessage", {"messages": [{"role": "user", "content": {}}], "maxTokens": 1.0}),
        ("notifications/message", {"level": "info", "data": None}),
        ("notifications/cancelled", {}),
        ("acme/anything", {"x": 1}),
        ("subscriptions/listen", {"notifications": "2025-11-25 does not know it"}),
    ],
)
def test_what_fits_passes(method: str, params: dict[str, Any]) -> None:
    assert check_params(method, params, BY_NAME["2025-11-25"]) is None


@pytest.mark.parametrize(
    ("revision", "method", "params", "fault"),
    [
        ("2025-11-25", "tools/call", {}, "params.name is missing"),
        ("2025-11-25", "tools/call", {"name": None}, "params.name must be a string"),
        ("2025-11-25", "tools/call", {"name": 5}, "params.name must be a string"),
        ("2025-11-25", "tools/call", {"name": "a", "arguments": []}, "params.arguments must be an object"),
        ("2026-07-28", "tools/call", {"name": "a", "requestState": 5}, "params.requestState must be a string"),
        (
            "2026-07-28",
            "tools/call",
            {"name": "a", "inputResponses": {"k": 5}},
            "params.inputResponses.* must be an object",
        ),
        ("2025-11-25", "tools/list", {"cursor": 5}, "params.cursor must be a string"),
        ("2025-11-25", "tools/list", {"_meta": []}, "params._meta must be an object"),
        (
            "2025-11-25",
            "ping",
            {"_meta": {"progressToken": True}},
            "params._meta.progressToken must be a string or an integer",
        ),
        ("2025-11-25", "prompts/get", {"name": "a", "arguments": {"secret": 5}}, "params.arguments.* must be a string"),
        (
            "2025-11-25",
            "completion/complete",
            {"ref": {"type": "ref/x"}},
            'params.ref.type must be "ref/prompt" or "ref/resource"',
        ),
        ("2025-11-25", "completion/complete", {"ref": {"type": "ref/prompt"}}, "params.ref.name is missing"),
        (
            "2025-11-25",
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "a"}, "argument": {"name": "b"}},
            "params.argument.value is missing",
        ),
        ("2024-11-05", "initialize", {"protocolVersion": "x"}, "params.capabilities is missing"),
        (
            "2024-11-05",
            "initialize",
            {"protocolVersion": "x", "capabilities": {"roots": 1}, "clientInfo": {}},
            "params.capabilities.roots must be an object",
        ),
        ("2026-07-28", "subscriptions/listen", {}, "params.notifications is missing"),
        (
            "2026-07-28",
            "subscriptions/listen",
            {"notifications": {"resourceSubscriptions": ["a", 5]}},
            "params.notifications.resourceSubscriptions[1] must be a string",
        ),
        ("2025-06-18", "elicitation/create", {"message": "m", "mode": "url"}, "params.requestedSchema is missing"),
        ("2025-11-25", "elicitation/create", {"message": "m", "mode": "x"}, 'params.mode must be "form" or "url"'),
        (
            "2025-11-25",
            "elicitation/create",
            {"message": "m", "mode": "url", "url": "u"},
            "params.elicitationId is missing",
        ),
        (
            "2025-11-25",
            "sampling/createMessage",
            {"messages": [5], "maxTokens": 1},
            "params.messages[0] must be an object",
        ),
        (
            "2025-11-25",
            "sampling/createMessage",
            {"messages": [], "maxTokens": 1.5},
            "params.maxTokens must be an integer",
        ),
        ("2025-06-18", "notifications/cancelled", {}, "params.requestId is missing"),
        ("2025-11-25", "notifications/message", {"level": "info"}, "params.data is missing"),
    ],
)
def test_what_does_not_fit_is_named(revision: str, method: str, params: dict[str, Any], fault: str) -> None:
    assert check_params(method, params, BY_NAME[revision]) == fault


def test_a_wrong_level_names_the_levels_and_not_the_value() -> None:
    fault = check_params("logging/setLevel", {"level": "secret"}, ALL[0])
    assert fault is not None
    assert fault.startswith('params.level must be one of "debug", "info"')
    assert "secret" not in fault


def test_every_table_entry_has_params_of_its_own_kind() -> None:
    for method in EVERY:
        assert isinstance(method.params.at(MODERN), (Shape, Tagged))
        assert method.first <= method.last
