"""server/tools of every revision: what is declared and listed. Schemas from signatures and by hand, names, metadata.

The golden schemas of single hints are in tests/server; here is what arrives. Calls are in test_features_tool_calls.py.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import json
import logging
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pytest

from mcpcore import Context, Header, Server
from mcpcore.errors import UsageError
from mcpcore.types import Icon, ToolAnnotations
from tests.contract.wire import LEGACY, MODERN, REVISIONS, client_of

jsonschema_rs = pytest.importorskip("jsonschema_rs")

CALL = "tools/call"


class Unit(enum.Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


@dataclass
class Place:
    """Somewhere on earth."""

    name: str
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    tags: list[str] = field(default_factory=list)


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


@dataclass
class Forecast:
    temperature: float
    unit: Unit
    at: datetime.datetime | None = None


def make_server() -> Server:
    server = Server("contract")

    @server.tool
    async def nothing() -> str:
        return "nothing"

    @server.tool(
        title="Weather forecast",
        annotations=ToolAnnotations(title="Forecast", read_only_hint=True, destructive_hint=False),
        icons=[Icon(src="https://example.com/sun.png", mime_type="image/png", sizes=["48x48"], theme="light")],
        meta={"com.example/group": "weather"},
    )
    async def forecast(
        city: Annotated[str, msgspec.Meta(description="City name", min_length=1)],
        days: Annotated[int, msgspec.Meta(ge=1, le=14)] = 3,
        unit: Unit = Unit.METRIC,
        kind: Literal["short", "long"] | None = None,
        hours: list[int] | None = None,
        ctx: Context | None = None,
    ) -> Forecast:
        """The weather of the coming days.

        Args:
            days: How many days
        """
        return Forecast(1.5, unit)

    @server.tool
    def nested(place: Place, options: Options, tree: Tree, ids: dict[str, uuid.UUID], exact: bool = False) -> int:
        return len(place.name) + options["depth"] + tree.value + len(ids) + exact

    @server.tool
    def open_ended(first: float, **rest: int) -> list[str]:
        return [f"{first}", *rest]

    @server.tool
    def routed(region: Annotated[str, Header("Region")], query: str) -> dict[str, Any]:
        return {"region": region, "query": query}

    return server


INPUTS: dict[str, dict[str, Any]] = {
    "nothing": {"type": "object", "properties": {}, "additionalProperties": False},
    "forecast": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1, "description": "City name"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "description": "How many days", "default": 3},
            "unit": {"enum": ["metric", "imperial"], "default": "metric"},
            "kind": {"anyOf": [{"enum": ["short", "long"]}, {"type": "null"}], "default": None},
            "hours": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}], "default": None},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
}


async def listed(server: Server, revision: str = MODERN) -> dict[str, dict[str, Any]]:
    async with client_of(server, revision) as wire:
        return {tool["name"]: tool for tool in (await wire.result("tools/list"))["tools"]}


# -- the list ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/tools/M01", "2026-07-28/schema/M01", "2024-11-05/schema/S07")
@pytest.mark.parametrize("revision", REVISIONS)
def test_tools_are_declared_by_a_server_that_has_some_and_unknown_to_one_without(revision: str) -> None:
    async def main() -> None:
        for server, expected in ((make_server(), {"listChanged": True}), (Server("without"), None)):
            async with client_of(server) as wire:
                opening = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
                assert opening["capabilities"].get("tools") == expected
                if expected is None:
                    assert (await wire.error("tools/list"))["code"] == -32601
                    assert (await wire.error(CALL, {"name": "nothing"}))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/M02", "2026-07-28/tools/M03", "2026-07-28/tools/S05")
def test_the_list_is_the_same_on_every_connection_whatever_was_asked_before() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            first = await wire.result("tools/list")
            assert [tool["name"] for tool in first["tools"]] == [
                *("nothing", "forecast", "nested", "open_ended", "routed")
            ]
            await wire.result(CALL, {"name": "nothing"}, logLevel="debug", progressToken=1)
            await wire.error(CALL, {"name": "unknown"})
            wire.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            await wire.hear("notifications/subscriptions/acknowledged")
            assert await wire.result("tools/list", clientInfo={"name": "other", "version": "9"}) == first
        async with client_of(server) as wire:
            await wire.shake("2024-11-05")
            wire.revision = MODERN
            assert await wire.result("tools/list") == first
        lists = [line for _, line in wire.lines if b'"tools"' in line]
        assert json.loads(lists[-1])["result"] == first

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/Y01", "2026-07-28/tools/M02")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_declared_list_may_be_empty_and_may_grow(revision: str) -> None:
    async def main() -> None:
        server = Server("contract", declare=["tools"])
        async with client_of(server, revision) as wire:
            assert (await wire.result("tools/list"))["tools"] == []
            server.add_tool(lambda: "late", name="late")
            _, answer = await wire.until(wire.call("tools/list"))
            assert [tool["name"] for tool in answer["result"]["tools"]] == ["late"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_list_tells_what_the_revision_knows_of_a_tool(revision: str) -> None:
    async def main() -> None:
        tool = (await listed(make_server(), revision))["forecast"]
        since = {
            "title": "2025-06-18",
            "_meta": "2025-06-18",
            "outputSchema": "2025-06-18",
            "annotations": "2025-03-26",
            "icons": "2025-11-25",
        }
        assert {name: name in tool for name in since} == {name: first <= revision for name, first in since.items()}
        assert tool["description"] == "The weather of the coming days."
        icon = {
            "src": "https://example.com/sun.png",
            "mimeType": "image/png",
            "sizes": ["48x48"],
            "theme": "light",
        }
        assert tool.get("icons") in (None, [icon])
        assert tool.get("_meta") in (None, {"com.example/group": "weather"})
        assert tool.get("annotations") in (
            None,
            {"title": "Forecast", "readOnlyHint": True, "destructiveHint": False},
        )

    asyncio.run(main())


# -- input schemas -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/tools/M02", "2026-07-28/schema/M04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_signature_becomes_the_input_schema(revision: str) -> None:
    async def main() -> None:
        tools = await listed(make_server(), revision)
        for name, schema in INPUTS.items():
            assert without_types_of_enums(tools[name]["inputSchema"]) == schema
        nested = tools["nested"]["inputSchema"]
        assert nested["required"] == ["place", "options", "tree", "ids"]
        assert nested["properties"]["exact"] == {"type": "boolean", "default": False}
        assert nested["properties"]["ids"]["additionalProperties"]["format"] == "uuid"
        assert tools["open_ended"]["inputSchema"]["additionalProperties"] == {"type": "integer"}
        assert tools["routed"]["inputSchema"]["properties"]["region"]["x-mcp-header"] == "Region"

    asyncio.run(main())


def without_types_of_enums(schema: Any) -> Any:
    """``type`` beside ``enum`` says nothing more."""
    if isinstance(schema, list):
        return [without_types_of_enums(one) for one in schema]
    if isinstance(schema, dict):
        keep = {name: without_types_of_enums(value) for name, value in schema.items()}
        return {name: value for name, value in keep.items() if name != "type" or "enum" not in keep}
    return schema


@pytest.mark.spec("2025-11-25/tools/M02", "2026-07-28/schema/M04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_listed_schema_is_a_valid_schema_of_an_object(revision: str) -> None:
    async def main() -> None:
        for tool in (await listed(make_server(), revision)).values():
            for name in ("inputSchema", "outputSchema"):
                if name in tool:
                    assert tool[name]["type"] == "object"
                    jsonschema_rs.meta.validate(
                        {"$schema": "https://json-schema.org/draft/2020-12/schema", **tool[name]}
                    )

    asyncio.run(main())


ARGUMENTS: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing", {}, True),
    ("nothing", {"x": 1}, False),
    ("forecast", {"city": "Oslo"}, True),
    ("forecast", {"city": "Oslo", "days": 14, "unit": "imperial", "kind": None, "hours": [1, 2]}, True),
    ("forecast", {}, False),
    ("forecast", {"city": ""}, False),
    ("forecast", {"city": 7}, False),
    ("forecast", {"city": "Oslo", "days": 15}, False),
    ("forecast", {"city": "Oslo", "days": 1.5}, False),
    ("forecast", {"city": "Oslo", "days": 3.0}, True),
    ("forecast", {"city": "Oslo", "days": True}, False),
    ("forecast", {"city": "Oslo", "days": "3"}, False),
    ("forecast", {"city": "Oslo", "unit": "kelvin"}, False),
    ("forecast", {"city": "Oslo", "hours": ["1"]}, False),
    ("forecast", {"city": "Oslo", "ctx": {}}, False),
    ("nested", {"place": {"name": "x", "latitude": 1}, "options": {"depth": 1}, "tree": {"value": 1}, "ids": {}}, True),
    (
        "nested",
        {
            "place": {"name": "x", "latitude": -90, "tags": ["a"]},
            "options": {"depth": 1, "note": "n"},
            "tree": {"value": 1, "children": [{"value": 2, "children": []}]},
            "ids": {"a": "12345678-1234-5678-1234-567812345678"},
            "exact": True,
        },
        True,
    ),
    ("nested", {"place": {"name": "x"}, "options": {"depth": 1}, "tree": {"value": 1}, "ids": {}}, False),
    (
        "nested",
        {"place": {"name": "x", "latitude": 91}, "options": {"depth": 1}, "tree": {"value": 1}, "ids": {}},
        False,
    ),
    (
        "nested",
        {
            "place": {"name": "x", "latitude": 1},
            "options": {"depth": 1},
            "tree": {"value": 1, "children": [{"value": "2"}]},
            "ids": {},
        },
        False,
    ),
    ("open_ended", {"first": 1, "a": 2}, True),
    ("open_ended", {"first": 1, "a": "b"}, False),
    ("routed", {"region": "eu", "query": "q"}, True),
    ("routed", {"region": None, "query": "q"}, False),
]


@pytest.mark.spec("2024-11-05/tools/M03")
@pytest.mark.parametrize(("name", "arguments", "fits"), ARGUMENTS, ids=lambda value: str(value)[:60])
def test_what_the_listed_schema_admits_is_taken_and_nothing_else(
    name: str, arguments: dict[str, Any], fits: bool
) -> None:
    async def main() -> None:
        server = Server("contract", strict_input=True)
        for tool in make_server().tools:
            server.add_tool(tool.fn)
        schema = (await listed(server))[name]["inputSchema"]
        assert jsonschema_rs.validator_for(schema).is_valid(arguments) is fits
        async with client_of(server) as wire:
            result = await wire.result(CALL, {"name": name, "arguments": arguments})
            assert result.get("isError", False) is not fits

    asyncio.run(main())


# -- schemas written by hand -------------------------------------------------------------------------------------------

BY_HAND: list[dict[str, Any]] = [
    {"type": "object"},
    {"type": "object", "additionalProperties": False},
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
    {
        "type": "object",
        "$defs": {"pair": {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}},
        "properties": {"pair": {"$ref": "#/$defs/pair"}, "x": {"oneOf": [{"const": 1}, {"const": "one"}]}},
        "if": {"required": ["x"]},
        "then": {"required": ["pair"]},
        "unevaluatedProperties": False,
        "x-vendor": {"kept": True},
    },
]


@pytest.mark.spec("2026-07-28/schema/M04", "2025-11-25/tools/M02")
@pytest.mark.parametrize("schema", BY_HAND, ids=lambda schema: str(schema)[:60])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_schema_written_by_hand_is_listed_as_it_is(revision: str, schema: dict[str, Any]) -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_tool(lambda arguments: json.dumps(arguments), name="raw", input_schema=schema)
        assert (await listed(server, revision))["raw"]["inputSchema"] == schema

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/tools/M03")
@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (BY_HAND[0], [{}, {"anything": [1]}], []),
        (BY_HAND[1], [{}], [{"x": 1}]),
        (BY_HAND[2], [{"a": 1, "b": 2.5}], [{}, {"a": 1}, {"a": "1", "b": 2}]),
        (BY_HAND[3], [{}, {"pair": [1]}, {"x": "one", "pair": []}], [{"x": 1}, {"pair": [1, 2]}, {"y": 1}, {"x": 2}]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_arguments_are_held_to_the_schema_written_by_hand(
    schema: dict[str, Any], good: list[dict[str, Any]], bad: list[dict[str, Any]]
) -> None:
    async def main() -> None:
        server = Server("contract")
        ran: list[Any] = []

        async def raw(arguments: dict[str, Any]) -> str:
            ran.append(arguments)
            return json.dumps(arguments)

        server.add_tool(raw, input_schema=schema)
        async with client_of(server) as wire:
            for arguments in good:
                result = await wire.result(CALL, {"name": "raw", "arguments": arguments})
                assert json.loads(result["content"][0]["text"]) == arguments
            assert ran == good
            for arguments in bad:
                assert (await wire.result(CALL, {"name": "raw", "arguments": arguments}))["isError"] is True
            assert ran == good

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/tools/M02", "2026-07-28/schema/M04")
@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array"},
        {"type": ["object", "null"]},
        {"type": "string"},
        {"type": "object", "properties": 7},
        {"type": "object", "minProperties": -1},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"$schema": "https://example.com/dialect", "type": "object"},
        [],
        "object",
        True,
    ],
    ids=str,
)
def test_a_schema_that_is_none_for_objects_cannot_be_registered(schema: Any) -> None:
    with pytest.raises(UsageError):
        Server("contract").add_tool(lambda arguments: "x", name="raw", input_schema=schema)


# -- output schemas ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS[2:])
def test_a_return_hint_becomes_the_output_schema(revision: str) -> None:
    async def main() -> None:
        tools = await listed(make_server(), revision)
        assert "outputSchema" not in tools["nothing"]
        forecast = tools["forecast"]["outputSchema"]
        assert forecast["type"] == "object" and set(forecast["properties"]) == {"temperature", "unit", "at"}
        assert forecast["required"] == ["temperature", "unit"]
        assert tools["routed"]["outputSchema"]["type"] == "object"
        for name, kind in (
            ("nested", {"type": "integer"}),
            ("open_ended", {"type": "array", "items": {"type": "string"}}),
        ):
            wrapped = tools[name]["outputSchema"]
            assert wrapped["type"] == "object" and wrapped["required"] == ["result"]
            assert wrapped["properties"]["result"] == kind

    asyncio.run(main())


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/tools/S06", "2025-11-25/tools/S08", "2025-11-25/tools/S09")
def test_a_name_that_clients_may_not_take_is_told_to_its_author(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    server = Server("contract")
    for name in ("getUser", "DATA_EXPORT_v2", "admin.tools.list", "a", "a-b", "x" * 128, "0", "_"):
        server.add_tool(lambda: "x", name=name)
    assert caplog.text == ""
    for name in ("get user", "a,b", "größe", "x" * 129, "a/b", "a\n", "a:b", "😀"):
        caplog.clear()
        server.add_tool(lambda: "x", name=name)
        assert "clients expect 1 to 128 characters of A-Z a-z 0-9 _ - ." in caplog.text
    with pytest.raises(UsageError, match="not empty"):
        server.add_tool(lambda: "x", name="")
    with pytest.raises(UsageError, match="name"):
        server.add_tool(lambda: "x")


@pytest.mark.spec("2025-11-25/tools/S07", "2025-11-25/tools/S10")
@pytest.mark.parametrize("revision", [LEGACY[0], *REVISIONS[3:]])
def test_names_that_differ_in_case_are_two_tools(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def echo() -> str:
            return "echo"

        @server.tool("Echo")
        async def capital() -> str:
            return "Echo"

        @server.tool(name="ECHO")
        async def loud() -> str:
            return "ECHO"

        async with client_of(server, revision) as wire:
            names = [tool["name"] for tool in (await wire.result("tools/list"))["tools"]]
            assert names == ["echo", "Echo", "ECHO"]
            for name in names:
                assert (await wire.result(CALL, {"name": name}))["content"][0]["text"] == name
            assert (await wire.error(CALL, {"name": "eCHO"}))["code"] == -32602

    asyncio.run(main())
