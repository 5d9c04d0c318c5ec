"""server/resources of every revision, the server's side: lists, templates, reading, errors, paths.

What a changed list and a changed resource do is in test_features_changes.py, caching in test_modern_caching.py.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import Context, RpcError, Server, SyncContext
from mcpcore.errors import UsageError
from mcpcore.types import (
    Annotations,
    BlobResourceContents,
    Icon,
    Image,
    ReadResourceResult,
    TextResourceContents,
)
from tests.contract.wire import LEGACY, META, MODERN, REVISIONS, client_of

READ = "resources/read"
SECRET = "s3cr3t-value"
PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
NOTE = Annotations(audience=["user", "assistant"], priority=0.8, last_modified="2025-01-12T15:00:58Z")
ICON = Icon(src="https://example.com/icon.png", mime_type="image/png", sizes=["48x48"])


def make_server() -> Server:
    server = Server("contract")

    @server.resource(
        "docs://readme",
        name="readme",
        title="Read me",
        description="What to read first",
        mime_type="text/markdown",
        size=6,
        annotations=NOTE,
        icons=[ICON],
        meta={"com.example/x": 1},
    )
    async def readme() -> str:
        return "# Read"

    @server.resource("docs://logo")
    def logo() -> bytes:
        """The logo."""
        return PNG

    @server.resource("acme+v1.x://host:80/a%20b/c?d=e#f")
    async def special() -> dict[str, Any]:
        return {"a": [1, None]}

    @server.resource("file:///folder", mime_type="inode/directory")
    async def folder() -> list[TextResourceContents | BlobResourceContents]:
        return [
            TextResourceContents(uri="file:///folder/a.txt", text="a", mime_type="text/plain"),
            BlobResourceContents.of("file:///folder/b.bin", b"\x00"),
        ]

    @server.resource(
        "notes://{owner}/{number}", title="Notes", mime_type="text/plain", annotations=NOTE, icons=[ICON], meta={"x": 1}
    )
    def note(owner: str, number: int) -> str:
        """One note of somebody."""
        return json.dumps([owner, number])

    @server.resource("docs://fails")
    async def fails() -> str:
        raise ValueError(SECRET)

    @server.resource("docs://fails/in/a/thread")
    def fails_in_a_thread() -> str:
        raise ValueError(SECRET)

    @server.resource("docs://gone")
    async def gone() -> str:
        raise RpcError(-32002, "Resource not found", {"uri": "docs://gone"})

    @server.resource("docs://empty")
    async def empty() -> ReadResourceResult:
        return ReadResourceResult(contents=[])

    return server


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/resources/M01", "2026-07-28/schema/M01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_resources_are_declared_by_a_server_that_has_some_and_unknown_to_one_without(revision: str) -> None:
    async def main() -> None:
        for server, expected in ((make_server(), {"subscribe": True, "listChanged": True}), (Server("without"), None)):
            async with client_of(server) as wire:
                opening = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
                assert opening["capabilities"].get("resources") == expected
                if expected is None:
                    for method in ("resources/list", "resources/templates/list", READ):
                        assert (await wire.error(method, {"uri": "docs://readme"}))["code"] == -32601

    asyncio.run(main())


def test_a_server_with_templates_alone_has_resources_too() -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_resource("notes://{name}", lambda name: name, name="note")
        async with client_of(server) as wire:
            assert "resources" in (await wire.result("server/discover"))["capabilities"]
            assert (await wire.result("resources/list"))["resources"] == []
            assert len((await wire.result("resources/templates/list"))["resourceTemplates"]) == 1

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/M02", "2024-11-05/resources/Y01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_lists_tell_what_the_revision_knows_of_resources_and_templates(revision: str) -> None:
    def known(entry: dict[str, Any]) -> dict[str, Any]:
        since = {"title": "2025-06-18", "_meta": "2025-06-18", "icons": "2025-11-25"}
        return {name: value for name, value in entry.items() if since.get(name, "") <= revision}

    async def main() -> None:
        annotations: dict[str, Any] = {"audience": ["user", "assistant"], "priority": 0.8}
        if revision >= "2025-06-18":
            annotations["lastModified"] = "2025-01-12T15:00:58Z"
        icons = [{"src": "https://example.com/icon.png", "mimeType": "image/png", "sizes": ["48x48"]}]
        async with client_of(make_server(), revision) as wire:
            listed = (await wire.result("resources/list"))["resources"]
            assert listed[0] == known(
                {
                    "uri": "docs://readme",
                    "name": "readme",
                    "title": "Read me",
                    "description": "What to read first",
                    "mimeType": "text/markdown",
                    "size": 6,
                    "annotations": annotations,
                    "icons": icons,
                    "_meta": {"com.example/x": 1},
                }
            )
            assert listed[1] == {"uri": "docs://logo", "name": "logo", "description": "The logo."}
            assert listed[3] == {"uri": "file:///folder", "name": "folder", "mimeType": "inode/directory"}
            assert [one["uri"] for one in listed[4:]] == [
                "docs://fails",
                "docs://fails/in/a/thread",
                "docs://gone",
                "docs://empty",
            ]
            (template,) = (await wire.result("resources/templates/list"))["resourceTemplates"]
            assert template == known(
                {
                    "uriTemplate": "notes://{owner}/{number}",
                    "name": "note",
                    "title": "Notes",
                    "description": "One note of somebody.",
                    "mimeType": "text/plain",
                    "annotations": annotations,
                    "icons": icons,
                    "_meta": {"x": 1},
                }
            )

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/M03", "2026-07-28/resources/M02")
def test_the_lists_are_the_same_on_every_connection_whatever_was_asked_before() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            first = [await wire.result("resources/list"), await wire.result("resources/templates/list")]
            await wire.result(READ, {"uri": "docs://readme"}, logLevel="debug")
            await wire.error(READ, {"uri": "docs://fails"})
            assert [await wire.result("resources/list"), await wire.result("resources/templates/list")] == first
        async with client_of(server) as wire:
            wire.call("subscriptions/listen", {"notifications": {"resourcesListChanged": True}})
            await wire.hear("notifications/subscriptions/acknowledged")
            assert [await wire.result("resources/list"), await wire.result("resources/templates/list")] == first

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/Y01", "2026-07-28/resources/M02")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_declared_list_may_be_empty_and_may_grow(revision: str) -> None:
    async def main() -> None:
        server = Server("contract", declare=["resources"])
        async with client_of(server, revision) as wire:
            assert (await wire.result("resources/list"))["resources"] == []
            assert (await wire.result("resources/templates/list"))["resourceTemplates"] == []
            server.add_resource("docs://late", lambda: "late", name="late")
            _, answer = await wire.until(wire.call("resources/list"))
            assert [one["uri"] for one in answer["result"]["resources"]] == ["docs://late"]

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/resources/M02")
@pytest.mark.parametrize(
    "uri",
    [
        "readme",
        "/readme",
        "",
        ":readme",
        "1docs://readme",
        "do_cs://readme",
        "docs://my notes",
        "docs://<readme>",
        "docs://100%",
        "docs://%zz",
        "docs://übersicht",
        "docs://a\nb",
        "docs://a\\b",
        'docs://"a"',
    ],
)
def test_what_is_no_uri_cannot_be_registered(uri: str) -> None:
    with pytest.raises(UsageError, match="URI"):
        Server("contract").add_resource(uri, lambda: "x", name="x")


@pytest.mark.spec("2025-06-18/schema/S10", "2025-11-25/schema/S05")
def test_hints_that_clients_may_not_understand_are_told_to_their_author(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("contract")
    for number, time in enumerate(("2025-01-12T15:00:58Z", "2025-01-12T15:00:58+01:00", "2025-01-12")):
        annotations = Annotations(last_modified=time)
        server.add_resource(f"docs:{number}", lambda: "x", name="x", annotations=annotations, icons=[ICON])
    server.add_prompt(lambda: "x", name="x", icons=[Icon(src="data:,", sizes=["any", "16x16"])])
    assert caplog.text == ""
    server.add_resource("docs:a", lambda: "x", name="x", annotations=Annotations(last_modified="yesterday"))
    assert "annotations.last_modified in ISO 8601" in caplog.text
    for size in ("48", "48X48", "48x", "large", ""):
        caplog.clear()
        server.add_tool(lambda: "x", name=f"tool{size}", icons=[Icon(src="data:,", sizes=[size])])
        assert 'the sizes of an icon as "48x48"' in caplog.text


@pytest.mark.parametrize("wrong", [Annotations(priority=1.5), Annotations(priority=-1), Annotations(audience=["all"])])
def test_hints_that_break_the_schema_are_refused(wrong: Annotations) -> None:
    with pytest.raises(UsageError, match="annotations"):
        Server("contract").add_resource("docs:x", lambda: "x", name="x", annotations=wrong)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/resources/M03", "2024-11-05/schema/M02", "2026-07-28/resources/Y03")
@pytest.mark.spec("2025-06-18/resources/M02", "2024-11-05/resources/Y01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_text_comes_as_text_bytes_as_base64_and_several_contents_together(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:

            async def read(uri: str) -> list[dict[str, Any]]:
                contents: list[dict[str, Any]] = (await wire.result(READ, {"uri": uri}))["contents"]
                return contents

            blob = base64.b64encode(PNG).decode()
            assert await read("docs://readme") == [
                {"uri": "docs://readme", "mimeType": "text/markdown", "text": "# Read"}
            ]
            assert await read("docs://logo") == [
                {"uri": "docs://logo", "mimeType": "application/octet-stream", "blob": blob}
            ]
            (special,) = await read("acme+v1.x://host:80/a%20b/c?d=e#f")
            assert special["mimeType"] == "application/json" and json.loads(special["text"]) == {"a": [1, None]}
            assert await read("file:///folder") == [
                {"uri": "file:///folder/a.txt", "mimeType": "text/plain", "text": "a"},
                {"uri": "file:///folder/b.bin", "blob": "AA=="},
            ]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/resources/M03")
@pytest.mark.parametrize("revision", REVISIONS)
def test_contents_made_by_hand_keep_their_meta_where_the_revision_knows_it(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.resource("docs://by/hand")
        async def by_hand() -> ReadResourceResult:
            text = TextResourceContents(uri="docs://by/hand", text="x", meta={"com.example/x": 1})
            return ReadResourceResult(contents=[text], meta={"com.example/y": 2})

        @server.resource("docs://image")
        async def image() -> Image:
            return Image(PNG, format="png")

        async with client_of(server, revision) as wire:
            result = await wire.result(READ, {"uri": "docs://by/hand"})
            assert result["_meta"]["com.example/y"] == 2
            meta = {"_meta": {"com.example/x": 1}} if revision >= "2025-06-18" else {}
            assert result["contents"] == [{"uri": "docs://by/hand", "text": "x", **meta}]
            (contents,) = (await wire.result(READ, {"uri": "docs://image"}))["contents"]
            assert contents["mimeType"] == "image/png" and base64.b64decode(contents["blob"]) == PNG

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/resources/M03")
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: ReadResourceResult(contents=[one])])
def test_a_blob_that_is_no_base64_is_never_sent(wrap: Callable[[Any], Any], caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = Server("contract")
        blob = BlobResourceContents(uri="docs://blob", blob="no base64!")
        server.add_resource("docs://blob", lambda: wrap(blob), name="blob")
        async with client_of(server) as wire:
            assert (await wire.error(READ, {"uri": "docs://blob"}))["code"] == -32603

    asyncio.run(main())
    assert "base64" in caplog.text


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_variables_of_a_template_are_the_arguments_of_its_function(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            for uri, values in (
                ("notes://ada/7", ["ada", 7]),
                ("notes://a%20d%C3%A4/0", ["a dä", 0]),
                ("notes://a%2Fb/-1", ["a/b", -1]),
            ):
                (contents,) = (await wire.result(READ, {"uri": uri}))["contents"]
                assert contents["uri"] == uri and contents["mimeType"] == "text/plain"
                assert json.loads(contents["text"]) == values

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/Y04")
def test_a_resource_may_ask_before_it_is_read() -> None:
    async def main() -> None:
        server = Server("contract")
        form = {"type": "object", "properties": {"pin": {"type": "string"}}, "required": ["pin"]}

        @server.resource("safe://{name}")
        async def safe(name: str, ctx: Context) -> str:
            answer = await ctx.elicit("The pin?", form, key="pin")
            return f"{name} {answer.data['pin']}"

        @server.resource("safe:thread")
        def safe_in_a_thread(ctx: SyncContext) -> str:
            return f"thread {ctx.elicit('The pin?', form, key='pin').data['pin']}"

        async with client_of(server) as wire:
            declared: dict[str, Any] = {f"{META}clientCapabilities": {"elicitation": {"form": {}}}}
            for uri, expected in (("safe://box", "box 1234"), ("safe:thread", "thread 1234")):
                first = await wire.result(READ, {"uri": uri}, **declared)
                assert first["resultType"] == "input_required" and "contents" not in first
                answers = {"pin": {"action": "accept", "content": {"pin": "1234"}}}
                retry = {"uri": uri, "inputResponses": answers, "requestState": first["requestState"]}
                result = await wire.result(READ, retry, **declared)
                assert result["contents"][0]["text"] == expected

    asyncio.run(main())


# -- errors ------------------------------------------------------------------------------------------------------------

MISSING = [
    "docs://missing",
    "docs://READ",
    "DOCS://readme",
    "docs://readme/",
    "docs://readme?",
    "notes://ada",
    "notes://ada/seven",
    "notes://ada/7/8",
    "notes:///7",
    "no uri at all",
    "",
    "../../etc/passwd",
    "docs://%zz",
    "\x00",
]


@pytest.mark.spec("2024-11-05/resources/S04", "2026-07-28/resources/M05", "2026-07-28/resources/M06")
@pytest.mark.spec("2024-11-05/resources/M02")
@pytest.mark.parametrize("uri", [*MISSING, "docs://gone"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_does_not_exist_is_the_error_of_the_revision_and_never_empty_contents(revision: str, uri: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(READ, {"uri": uri})
            assert error == {
                "code": -32602 if revision == MODERN else -32002,
                "message": "Resource not found",
                "data": {"uri": uri},
            }

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/M06", "2026-07-28/resources/M05")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_resource_without_contents_counts_as_missing(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(READ, {"uri": "docs://empty"})
            assert error["code"] == (-32602 if revision == MODERN else -32002)

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/resources/M02")
@pytest.mark.parametrize("params", [{}, {"uri": None}, {"uri": 7}, {"uri": ["docs://readme"]}, {"uri": {}}], ids=str)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_uri_that_is_no_string_is_invalid_params(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            methods = [READ] if revision == MODERN else [READ, "resources/subscribe", "resources/unsubscribe"]
            for method in methods:
                assert (await wire.error(method, params))["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/resources/S05")
@pytest.mark.parametrize("uri", ["docs://fails", "docs://fails/in/a/thread"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_resource_that_crashes_is_an_internal_error_whose_details_stay_in_the_log(
    revision: str, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(READ, {"uri": uri})
            assert error["code"] == -32603
            assert SECRET not in str(error)
            await wire.result(READ, {"uri": "docs://readme"})

    asyncio.run(main())
    assert SECRET in caplog.text


# -- paths -------------------------------------------------------------------------------------------------------------

TEMPLATES = ["file:///{+path}", "file:///base/{+path}", "file:///base/{path}", "FILE:///base/{+path}"]
HOSTILE = [
    "../etc/passwd",
    "a/../../etc/passwd",
    "..",
    "%2e%2e/etc/passwd",
    "..%2fetc%2fpasswd",
    "%2E%2E%2Fetc",
    "%252e%252e%252fetc",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    "%252Fetc%252Fpasswd",
    "a//etc/passwd",
    "a%2F%2Fetc",
    "..\\etc",
    "..%5cetc",
    "a%00.txt",
    "C:/Windows",
    "C%3A%5CWindows",
]


@pytest.mark.spec("2026-07-28/resources/M09", "2024-11-05/resources/M02")
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("revision", [LEGACY[0], MODERN])
def test_no_path_leads_out_of_a_directory_of_files(revision: str, template: str) -> None:
    async def main() -> None:
        server = Server("contract")
        seen: list[str] = []

        @server.resource(template)
        async def file(path: str) -> str:
            seen.append(path)
            return path

        async with client_of(server, revision) as wire:
            before = template.partition("{")[0]
            for path in HOSTILE:
                assert "error" in await wire.ask(READ, {"uri": before + path}), path
            assert seen == []
            for path in ("a.txt", "...", "a..b", "%C3%A4"):
                await wire.result(READ, {"uri": before + path})

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/M09")
def test_a_literal_dot_and_a_value_never_climb_together() -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_resource("file:///docs/.{name}", lambda name: name, name="hidden")
        server.add_resource("file://{host}/x", lambda host: host, name="host")
        async with client_of(server) as wire:
            for uri in ("file:///docs/.%2e%2fsecret", "file:///docs/..%2fx", "file:///docs/..", "file://../x"):
                assert (await wire.error(READ, {"uri": uri}))["code"] == -32602
            (contents,) = (await wire.result(READ, {"uri": "file:///docs/.profile"}))["contents"]
            assert contents["text"] == "profile"

    asyncio.run(main())


def test_a_template_of_the_whole_file_system_takes_absolute_paths() -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_resource("file://{+path}", lambda path: path, name="any")
        async with client_of(server) as wire:
            (contents,) = (await wire.result(READ, {"uri": "file:///etc/hostname"}))["contents"]
            assert contents["text"] == "/etc/hostname"
            for uri in ("file:///etc/../x", "file:////etc/x", "file:///etc//x"):
                assert (await wire.error(READ, {"uri": uri}))["code"] == -32602

    asyncio.run(main())


# -- who may read ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/resources/S06", "2024-11-05/resources/S07")
@pytest.mark.parametrize("revision", REVISIONS)
def test_an_access_check_in_middleware_comes_before_every_operation_on_a_resource(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        read: list[str] = []

        @server.resource("vault://{name}")
        async def vault(name: str) -> str:
            read.append(name)
            return SECRET

        @server.middleware
        async def guard(message: Any, call_next: Callable[[Any], Any]) -> Any:
            if str(message.params.get("uri", "")).startswith("vault:"):
                raise RpcError(403, "you may not read this")
            return await call_next(message)

        async with client_of(server, revision) as wire:
            methods = [READ] if revision == MODERN else [READ, "resources/subscribe", "resources/unsubscribe"]
            for method in methods:
                assert await wire.error(method, {"uri": "vault://gold"}) == {
                    "code": 403,
                    "message": "you may not read this",
                }
            assert read == []
            await wire.result(READ, {"uri": "docs://readme"})

    asyncio.run(main())
