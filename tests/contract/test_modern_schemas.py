"""2026-07-28, basic/index#json-schema-usage, both sides: dialects, references and limits of the schemas of tools."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from mcpcore import Client, InputRequired, Server, ToolResult
from mcpcore.errors import InvalidResult, UsageError
from tests.contract.wire import MODERN, Wire, accept, client_of, serving

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jsonschema_rs") is None, reason="needs the extra `schema`")

TOOL = "tools/call"
LATEST = "https://json-schema.org/draft/2020-12/schema"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
UNKNOWN = ["https://example.com/my-dialect", "http://json-schema.org/draft-03/schema#", "", "nonsense"]
# In 2020-12 ``prefixItems`` is a keyword and ``items`` an array is not; in draft-07 it is the other way round.
PAIR = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}
OLD_PAIR = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}


def arguments(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def server_with(schema: dict[str, Any], *, output: dict[str, Any] | None = None, content: Any = None) -> Server:
    server = Server("contract")

    async def tool(**given: Any) -> Any:
        return "called" if output is None else ToolResult(structured_content=content)

    server.add_tool(tool, input_schema=schema, output_schema=output)
    return server


async def accepted(server: Server, given: dict[str, Any]) -> bool:
    async with client_of(server) as wire:
        return not (await wire.result(TOOL, {"name": "tool", "arguments": given})).get("isError", False)


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """A web server that must not be asked: its address, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(0.2)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = sock.accept()
                except TimeoutError:
                    continue
                with connection:
                    asked.append(b"connected")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/schema.json", asked
        finally:
            stop.set()
            thread.join()


# -- dialects, the server's side ---------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M25", "2026-07-28/basic/M26", "2026-07-28/basic/M27")
@pytest.mark.parametrize("dialect", [{}, {"$schema": LATEST}], ids=["default", "declared"])
def test_a_schema_is_read_as_2020_12_unless_it_says_otherwise(dialect: dict[str, str]) -> None:
    async def main() -> None:
        server = server_with({**dialect, **arguments(pair=PAIR)})
        assert await accepted(server, {"pair": ["a", 1]})
        assert not await accepted(server, {"pair": ["a", "b"]})
        assert not await accepted(server, {"pair": ["a", 1, 2]})

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/Y05", "2026-07-28/basic/M27")
def test_a_schema_is_read_in_the_dialect_that_it_declares() -> None:
    async def main() -> None:
        server = server_with({"$schema": DRAFT_7, **arguments(pair=OLD_PAIR)})
        assert await accepted(server, {"pair": ["a", 1]})
        assert not await accepted(server, {"pair": ["a", "b"]})
        assert not await accepted(server, {"pair": ["a", 1, 2]})
        # the newer keyword means nothing there
        assert await accepted(
            server_with({"$schema": DRAFT_7, **arguments(pair=PAIR | {"items": {}})}), {"pair": [1, 2]}
        )
        async with client_of(server) as wire:
            assert (await wire.result("tools/list"))["tools"][0]["inputSchema"]["$schema"] == DRAFT_7

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M28", "2026-07-28/basic/M29")
@pytest.mark.parametrize("dialect", UNKNOWN)
@pytest.mark.parametrize("where", ["input", "output"])
def test_an_unsupported_dialect_is_refused_by_name_at_registration(dialect: str, where: str) -> None:
    schema = {"$schema": dialect, "type": "object"}
    with pytest.raises(UsageError, match="dialect") as caught:
        server_with(schema) if where == "input" else server_with({"type": "object"}, output=schema)
    assert repr(dialect) in str(caught.value)


@pytest.mark.spec("2026-07-28/basic/M29")
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": "object", "properties": []},
        {"type": "object", "required": "name"},
        {"type": "object", "properties": {"a": {"minimum": "1"}}},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"$schema": DRAFT_7, "type": "object", "properties": {"a": {"type": 5}}},
    ],
    ids=str,
)
def test_a_schema_that_is_invalid_in_its_dialect_never_reaches_the_wire(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        server_with(schema)
    with pytest.raises(UsageError):
        server_with({"type": "object"}, output=schema)


@dataclass
class Node:
    name: str
    children: list[Node]
    kind: Literal["leaf", "branch"] = "leaf"


@pytest.mark.spec("2026-07-28/basic/M29", "2026-07-28/basic/S10", "2026-07-28/basic/M26")
def test_schemas_made_from_hints_are_valid_2020_12_without_saying_so() -> None:
    import jsonschema_rs

    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def plant(root: Node, depth: int | None = None, tags: dict[str, list[float]] | None = None) -> Node:
            return root

        @server.tool
        async def ask() -> int | InputRequired:
            return 1

        async with client_of(server) as wire:
            tools = (await wire.result("tools/list"))["tools"]
        schemas = [tool[name] for tool in tools for name in ("inputSchema", "outputSchema") if name in tool]
        assert len(schemas) >= 3
        for schema in schemas:
            assert schema.get("$schema", LATEST) == LATEST
            jsonschema_rs.Draft202012Validator(schema)
            jsonschema_rs.meta.validate({"$schema": LATEST, **schema})

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M25", "2026-07-28/basic/M27")
def test_structured_content_is_held_to_the_dialect_of_its_schema() -> None:
    async def main() -> None:
        for schema, good, bad in (
            (arguments(pair=PAIR), ["a", 1], ["a", "b"]),
            ({"$schema": DRAFT_7, **arguments(pair=OLD_PAIR)}, ["a", 1], ["a", "b"]),
        ):
            for content, fits in ((good, True), (bad, False)):
                server = server_with({"type": "object"}, output=schema, content={"pair": content})
                assert await accepted(server, {}) is fits

    asyncio.run(main())


# -- references --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M30", "2026-07-28/basic/M31", "2026-07-28/basic/S12")
@pytest.mark.parametrize("where", ["input", "output"])
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$id"])
def test_a_reference_into_the_network_is_refused_and_not_fetched(where: str, keyword: str) -> None:
    with listener() as (url, asked):
        if keyword == "$id":
            away: dict[str, Any] = {"$id": url, "$ref": "other.json"}
        else:
            away = {keyword: url}
        schema = arguments(a=away)
        with pytest.raises(UsageError):
            server_with(schema) if where == "input" else server_with({"type": "object"}, output=schema)
    assert asked == []


@pytest.mark.spec("2026-07-28/basic/M30", "2026-07-28/basic/M29")
def test_references_inside_the_schema_are_followed() -> None:
    async def main() -> None:
        tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}, "additionalProperties": False}
        server = server_with({**arguments(a={"$ref": "#/$defs/tree"}), "$defs": {"tree": tree}})
        assert await accepted(server, {"a": {"next": {"next": {}}}})
        assert not await accepted(server, {"a": {"next": {"nexxt": {}}}})

    asyncio.run(main())


# -- limits ------------------------------------------------------------------------------------------------------------


def nested(depth: int, keyword: str = "not") -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {keyword: schema if keyword == "not" else [schema]}
    return schema


@pytest.mark.spec("2026-07-28/basic/S13")
@pytest.mark.parametrize(
    "schema", [nested(5_000), nested(5_000, "allOf"), {"anyOf": [{}] * 100_000}], ids=["not", "allOf", "wide"]
)
def test_a_schema_without_bounds_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        server_with(arguments(a=schema))


@pytest.mark.spec("2026-07-28/basic/S13")
def test_a_value_that_a_pattern_could_be_stuck_on_is_refused_in_time() -> None:
    async def main() -> None:
        server = server_with(arguments(a={"type": "string", "pattern": r"^(?=(a+)+$)b|(a+)+\1$"}))
        assert not await accepted(server, {"a": "a" * 5_000 + "!"})

    asyncio.run(main())


# -- the client's side -------------------------------------------------------------------------------------------------


def offering(schema: Any, content: Any, calls: int) -> Any:
    """The script of a server with one tool that has this output schema and answers with this content."""

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, {"tools": {}})
        wire.judge = None  # some of these schemas break the rules
        tool = {"name": "t", "inputSchema": {"type": "object"}, "outputSchema": schema}
        page = {"ttlMs": 0, "cacheScope": "private"}
        wire.reply(await wire.hear("tools/list"), {"resultType": "complete", "tools": [tool], **page})
        for _ in range(calls):
            request = await wire.hear(TOOL)
            wire.reply(request, {"resultType": "complete", "content": [], "structuredContent": content})

    return script


async def received(schema: Any, content: Any, **options: Any) -> list[str]:
    """The faults that a client finds in the content."""
    calls = 2 if not options else 1  # the second one finds the compiled schema
    async with serving(offering(schema, content, calls)) as target, Client(target, **options) as client:
        await client.list_tools()
        faults: list[str] = []
        for _ in range(calls):
            result = await client.call_tool("t")
            assert result.structured_content == content  # whatever the schema says: nothing is thrown away
            faults = result.schema_errors
        return faults


@pytest.mark.spec("2026-07-28/basic/M25", "2026-07-28/basic/M26", "2026-07-28/basic/M27", "2026-07-28/basic/Y05")
@pytest.mark.parametrize("dialect", [None, LATEST, DRAFT_7])
def test_a_client_reads_a_schema_in_its_dialect(dialect: str | None) -> None:
    schema = dict(OLD_PAIR if dialect == DRAFT_7 else PAIR) | ({} if dialect is None else {"$schema": dialect})
    assert asyncio.run(received(schema, ["a", 1])) == []
    assert len(asyncio.run(received(schema, ["a", "b"]))) == 1


@pytest.mark.spec("2026-07-28/basic/M28")
@pytest.mark.parametrize("dialect", [dialect for dialect in UNKNOWN if dialect])
def test_a_client_says_that_it_does_not_know_a_dialect(dialect: str) -> None:
    schema = {"$schema": dialect, "type": "object"}
    (fault,) = asyncio.run(received(schema, {}))
    assert "outputSchema" in fault
    with pytest.raises(InvalidResult):
        asyncio.run(received(schema, {}, output_check="strict"))


@pytest.mark.spec("2026-07-28/basic/M30", "2026-07-28/basic/M31", "2026-07-28/basic/S12")
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_client_fetches_no_reference_and_takes_no_content_on_trust(keyword: str) -> None:
    with listener() as (url, asked):
        schema = {"type": "object", "properties": {"a": {keyword: url}}}
        (fault,) = asyncio.run(received(schema, {"a": 1}))
        assert "outputSchema" in fault
        with pytest.raises(InvalidResult):
            asyncio.run(received(schema, {"a": 1}, output_check="strict"))
    assert asked == []


@pytest.mark.spec("2026-07-28/basic/S13")
@pytest.mark.parametrize("schema", [{"anyOf": [{"type": "string"}] * 100_000}, nested(300)], ids=["wide", "deep"])
def test_a_client_compiles_no_schema_without_bounds(schema: dict[str, Any]) -> None:
    (fault,) = asyncio.run(received(schema, {}))
    assert "outputSchema" in fault
