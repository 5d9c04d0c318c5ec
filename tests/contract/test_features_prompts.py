"""server/prompts of every revision, the server's side: the list, filling in, errors, content, rounds.

What a changed list does is in test_features_changes.py, completion in test_features_completion.py.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest

from mcpcore import Context, RpcError, Server, SyncContext
from mcpcore.types import (
    Annotations,
    Audio,
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    GetPromptResult,
    Icon,
    Image,
    ImageContent,
    PromptMessage,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from tests.contract.wire import LEGACY, META, MODERN, REVISIONS, client_of

GET = "prompts/get"
SECRET = "s3cr3t-value"


class Style(enum.Enum):
    FORMAL = "formal"
    CASUAL = "casual"


def make_server() -> Server:
    server = Server("contract")

    @server.prompt(
        title="Review of code",
        description="Reviews code",
        icons=[Icon(src="https://example.com/review.svg", mime_type="image/svg+xml", sizes=["any"])],
        meta={"com.example/kind": "review"},
    )
    def review(
        code: Annotated[str, msgspec.Meta(description="The code to review")],
        style: Style = Style.FORMAL,
        language: Literal["python", "rust"] = "python",
        lines: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10,
        strict: bool = False,
    ) -> str:
        """Not shown: the description is given.

        Args:
            strict: Whether to be strict
        """
        return f"{code}|{style.value}|{language}|{lines}|{strict}"

    @server.prompt
    async def hello() -> str:
        """Says hello."""
        return "hello"

    @server.prompt
    async def fails() -> str:
        raise ValueError(SECRET)

    @server.prompt
    def fails_in_a_thread() -> str:
        raise ValueError(SECRET)

    @server.prompt
    async def refuses(code: str) -> str:
        raise RpcError(-32602, "the code is empty", {"argument": "code"})

    return server


def texts(result: dict[str, Any]) -> list[str]:
    return [message["content"]["text"] for message in result["messages"]]


# -- the list ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/prompts/M01", "2024-11-05/prompts/S07")
@pytest.mark.parametrize("revision", LEGACY)
def test_prompts_are_declared_in_the_handshake_of_a_server_that_has_some(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), MODERN) as wire:
            declared = (await wire.shake(revision))["capabilities"]
            assert declared["prompts"] == {"listChanged": True}
        async with client_of(Server("without"), MODERN) as wire:
            declared = (await wire.shake(revision))["capabilities"]
            assert "prompts" not in declared
            for method, params in (("prompts/list", {}), (GET, {"name": "hello"})):
                assert (await wire.error(method, params))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/prompts/M01", "2026-07-28/schema/M01")
def test_prompts_are_declared_in_the_discovery_of_a_server_that_has_some() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            declared = (await wire.result("server/discover"))["capabilities"]
            assert declared["prompts"] == {"listChanged": True}
        async with client_of(Server("without")) as wire:
            assert "prompts" not in (await wire.result("server/discover"))["capabilities"]
            for method, params in (("prompts/list", {}), (GET, {"name": "hello"})):
                assert (await wire.error(method, params))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/prompts/M02")
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_list_tells_name_title_description_arguments_icons_and_meta_as_the_revision_knows_them(
    revision: str,
) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            listed = (await wire.result("prompts/list"))["prompts"]
            assert [prompt["name"] for prompt in listed] == [
                "review",
                "hello",
                "fails",
                "fails_in_a_thread",
                "refuses",
            ]
            review, hello = listed[:2]
            assert review["description"] == "Reviews code"
            assert review["arguments"][0] == {"name": "code", "description": "The code to review", "required": True}
            assert [one["name"] for one in review["arguments"]] == ["code", "style", "language", "lines", "strict"]
            assert not any(one.get("required") for one in review["arguments"][1:])
            assert review["arguments"][4]["description"] == "Whether to be strict"
            assert ("title" in review, "_meta" in review) == (revision >= "2025-06-18",) * 2
            assert ("icons" in review) is (revision >= "2025-11-25")
            if revision >= "2025-11-25":
                assert review["title"] == "Review of code"
                assert review["_meta"] == {"com.example/kind": "review"}
                icon = {"src": "https://example.com/review.svg", "mimeType": "image/svg+xml", "sizes": ["any"]}
                assert review["icons"] == [icon]
            assert hello == {"name": "hello", "description": "Says hello."}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/prompts/M03", "2026-07-28/prompts/M02")
def test_the_list_is_the_same_on_every_connection_whatever_was_asked_before() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            first = await wire.result("prompts/list")
            await wire.result(GET, {"name": "hello"}, logLevel="debug")
            await wire.error(GET, {"name": "fails"})
            assert (
                await wire.result("prompts/list", logLevel="debug", clientInfo={"name": "x", "version": "2"}) == first
            )
        async with client_of(server) as wire:
            await wire.error(GET, {"name": "unknown"})
            assert await wire.result("prompts/list") == first

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/prompts/Y01", "2026-07-28/prompts/M02")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_declared_list_may_be_empty_and_may_grow(revision: str) -> None:
    async def main() -> None:
        server = Server("contract", declare=["prompts"])
        async with client_of(server, revision) as wire:
            assert (await wire.result("prompts/list"))["prompts"] == []
            server.add_prompt(lambda: "late", name="late")
            assert [one["name"] for one in (await wire.until(wire.call("prompts/list")))[1]["result"]["prompts"]] == [
                "late"
            ]

    asyncio.run(main())


# -- filling in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_arguments_travel_as_strings_and_arrive_as_the_annotated_types(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            given = {"code": "x = 1", "style": "casual", "language": "rust", "lines": "7", "strict": "true"}
            result = await wire.result(GET, {"name": "review", "arguments": given})
            assert texts(result) == ["x = 1|casual|rust|7|True"]
            assert result["description"] == "Reviews code"
            assert texts(await wire.result(GET, {"name": "review", "arguments": {"code": "c"}})) == [
                "c|formal|python|10|False"
            ]
            for arguments in (dict[str, Any](), {"arguments": dict[str, str]()}):
                assert texts(await wire.result(GET, {"name": "hello", **arguments})) == ["hello"]

    asyncio.run(main())


def test_the_text_of_an_argument_is_never_read_as_a_template() -> None:
    async def main() -> None:
        hostile = "{0} {style} %s ${HOME} {{x}} </script>\n\u2028\x00 ü \U0001f600"
        async with client_of(make_server()) as wire:
            result = await wire.result(GET, {"name": "review", "arguments": {"code": hostile}})
            assert texts(result) == [f"{hostile}|formal|python|10|False"]

    asyncio.run(main())


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/prompts/S02", "2024-11-05/prompts/S03", "2024-11-05/prompts/S05", "2024-11-05/schema/S01")
@pytest.mark.parametrize(
    "params",
    [
        {"name": "unknown"},
        {"name": "HELLO"},
        {"name": ""},
        {"name": "review"},
        {"name": "review", "arguments": {}},
        {"name": "review", "arguments": {"style": "formal"}},
        {"name": "review", "arguments": {"code": "c", "style": SECRET}},
        {"name": "review", "arguments": {"code": "c", "language": SECRET}},
        {"name": "review", "arguments": {"code": "c", "lines": SECRET}},
        {"name": "review", "arguments": {"code": "c", "lines": "1001"}},
        {"name": "review", "arguments": {"code": "c", "strict": SECRET}},
        {"name": "review", "arguments": {"code": "c", SECRET: "x"}},
        {"name": "hello", "arguments": {SECRET: "x"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_unknown_prompts_and_unusable_arguments_are_invalid_params(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(GET, params)
            assert error["code"] == -32602
            assert SECRET not in str(error) and "\n" not in error["message"] and len(error["message"]) < 200
            if params["name"] == "review":
                assert re.search(r"code|style|language|lines|strict", error["message"])

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/prompts/S05")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": 7},
        {"name": None},
        {"name": ["hello"]},
        {"name": "hello", "arguments": [SECRET]},
        {"name": "hello", "arguments": SECRET},
        {"name": "review", "arguments": {"code": 7}},
        {"name": "review", "arguments": {"code": None}},
        {"name": "review", "arguments": {"code": {SECRET: SECRET}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_malformed_requests_for_prompts_are_invalid_params(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(GET, params)
            assert error["code"] == -32602
            assert SECRET not in str(error)

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/prompts/S03")
def test_an_error_of_a_choice_lists_what_may_be_chosen() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            error = await wire.error(GET, {"name": "review", "arguments": {"code": "c", "style": SECRET}})
            assert error["message"].endswith("argument style: Expected one of formal, casual")

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/prompts/S04")
@pytest.mark.parametrize("name", ["fails", "fails_in_a_thread"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_prompt_that_crashes_is_an_internal_error_whose_details_stay_in_the_log(
    revision: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(GET, {"name": name})
            assert error["code"] == -32603
            assert SECRET not in str(error)
            assert texts(await wire.result(GET, {"name": "hello"})) == ["hello"]

    asyncio.run(main())
    assert SECRET in caplog.text


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_error_that_a_prompt_raises_on_purpose_is_sent_as_it_is(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(GET, {"name": "refuses", "arguments": {"code": ""}})
            assert error == {"code": -32602, "message": "the code is empty", "data": {"argument": "code"}}

    asyncio.run(main())


# -- content -----------------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n"
NOTES = TextResourceContents(uri="docs://notes", text="notes")
BLOB = BlobResourceContents.of("docs://blob", PNG, "image/png")


async def get(returned: Any, revision: str = MODERN, annotation: Any = None) -> dict[str, Any]:
    """The messages of a prompt whose function returns this."""
    server = Server("contract")
    server.add_prompt(lambda: returned, name="prompt")
    async with client_of(server, revision) as wire:
        return await wire.result(GET, {"name": "prompt"})


@pytest.mark.spec("2024-11-05/prompts/M02", "2025-03-26/prompts/M03")
@pytest.mark.parametrize("revision", REVISIONS)
def test_images_and_sounds_are_base64_with_their_mime_types(revision: str) -> None:
    async def main() -> None:
        messages = (await get([Image(PNG), Image(PNG, format="jpg"), Audio(b"RIFF", format="wav")], revision))[
            "messages"
        ]
        image, jpeg, audio = (message["content"] for message in messages)
        assert image == {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
        assert jpeg["mimeType"] == "image/jpeg"
        sound = base64.b64encode(b"RIFF").decode()
        if revision >= "2025-03-26":
            assert audio == {"type": "audio", "data": sound, "mimeType": "audio/wav"}
        else:  # unknown there: the bytes travel as a resource
            assert audio["type"] == "resource"
            assert audio["resource"]["blob"] == sound and audio["resource"]["mimeType"] == "audio/wav"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/prompts/M03", "2024-11-05/prompts/M04", "2024-11-05/prompts/M05")
@pytest.mark.parametrize("revision", REVISIONS)
def test_embedded_resources_have_uri_mime_type_and_text_or_blob(revision: str) -> None:
    async def main() -> None:
        foreign = GetPromptResult(messages=[PromptMessage(role="user", content=EmbeddedResource(resource=NOTES))])
        for returned, expected in (
            (EmbeddedResource(resource=NOTES), {"uri": "docs://notes", "text": "notes", "mimeType": "text/plain"}),
            (foreign, {"uri": "docs://notes", "text": "notes", "mimeType": "text/plain"}),
            (NOTES, {"uri": "docs://notes", "text": "notes", "mimeType": "text/plain"}),
            (BLOB, {"uri": "docs://blob", "blob": base64.b64encode(PNG).decode(), "mimeType": "image/png"}),
            (
                BlobResourceContents.of("docs://blob", PNG),
                {"uri": "docs://blob", "blob": base64.b64encode(PNG).decode(), "mimeType": "application/octet-stream"},
            ),
        ):
            (message,) = (await get(returned, revision))["messages"]
            assert message == {"role": "user", "content": {"type": "resource", "resource": expected}}
        (message,) = (await get(b"bytes", revision))["messages"]
        resource = message["content"]["resource"]
        assert re.match(r"[a-z]+:\S+\Z", resource["uri"])
        assert resource["blob"] == base64.b64encode(b"bytes").decode() and resource["mimeType"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/prompts/Y04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_links_travel_where_the_revision_knows_them_and_as_text_elsewhere(revision: str) -> None:
    async def main() -> None:
        link = ResourceLink(uri="docs://notes", name="notes", description="All notes", mime_type="text/plain")
        content = (await get(link, revision))["messages"][0]["content"]
        if revision >= "2025-06-18":
            assert content == {
                "type": "resource_link",
                "uri": "docs://notes",
                "name": "notes",
                "description": "All notes",
                "mimeType": "text/plain",
            }
        else:
            assert content["type"] == "text" and "docs://notes" in content["text"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_roles_annotations_and_meta_travel_as_the_revision_knows_them(revision: str) -> None:
    async def main() -> None:
        annotations = Annotations(audience=["user"], priority=0.5, last_modified="2025-01-12T15:00:58Z")
        said = PromptMessage(
            role="assistant", content=TextContent(text="said", annotations=annotations, meta={"com.example/x": 1})
        )
        by_hand = {"role": "assistant", "content": {"type": "text", "text": "by hand"}}
        first, second, third = (await get([said, by_hand, "plain"], revision))["messages"]
        assert [first["role"], second["role"], third["role"]] == ["assistant", "assistant", "user"]
        assert second == by_hand
        known: dict[str, Any] = {"audience": ["user"], "priority": 0.5}
        if revision >= "2025-06-18":
            known["lastModified"] = "2025-01-12T15:00:58Z"
            assert first["content"]["_meta"] == {"com.example/x": 1}
        else:
            assert "_meta" not in first["content"]
        assert first["content"]["annotations"] == known

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/prompts/M02", "2025-03-26/prompts/M03")
@pytest.mark.spec("2024-11-05/prompts/M03", "2024-11-05/prompts/M05")
@pytest.mark.parametrize(
    "make",
    [
        lambda: PromptMessage(role="system", content=TextContent(text="x")),
        lambda: {"role": "system", "content": "x"},
        lambda: {"role": "user", "content": {"type": "text"}},
        lambda: GetPromptResult(messages=[PromptMessage(role="tool", content=TextContent(text="x"))]),
        lambda: ImageContent(data="no base64!", mime_type="image/png"),
        lambda: ImageContent(data="QQ==", mime_type="picture"),
        lambda: AudioContent(data="QQ", mime_type="audio/wav"),
        lambda: AudioContent(data="QQ==", mime_type=""),
        lambda: EmbeddedResource(resource=TextResourceContents(uri="notes.txt", text="x")),
        lambda: EmbeddedResource(resource=TextResourceContents(uri="docs://my notes", text="x")),
        lambda: EmbeddedResource(resource=BlobResourceContents(uri="docs://x", blob="%%%")),
    ],
)
def test_a_prompt_never_sends_what_the_specification_forbids(
    make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_prompt(make, name="prompt")
        async with client_of(server) as wire:
            assert (await wire.error(GET, {"name": "prompt"}))["code"] == -32603

    asyncio.run(main())
    assert "UsageError" in caplog.text or "InvalidResult" in caplog.text


# -- rounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/prompts/Y03")
def test_a_prompt_may_ask_before_it_is_filled_in() -> None:
    async def main() -> None:
        server = Server("contract")
        form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

        @server.prompt
        async def greet(ctx: Context) -> str:
            answer = await ctx.elicit("Who?", form, key="who")
            return f"Hello {answer.data['name']}"

        @server.prompt
        def greet_in_a_thread(ctx: SyncContext) -> str:
            answer = ctx.elicit("Who?", form, key="who")
            return f"Hello {answer.data['name']}"

        async with client_of(server) as wire:
            declared: dict[str, Any] = {f"{META}clientCapabilities": {"elicitation": {"form": {}}}}
            for name in ("greet", "greet_in_a_thread"):
                first = await wire.result(GET, {"name": name}, **declared)
                assert first["resultType"] == "input_required"
                assert first["inputRequests"]["who"]["method"] == "elicitation/create"
                answers = {"who": {"action": "accept", "content": {"name": "Ada"}}}
                retry = {"name": name, "inputResponses": answers, "requestState": first["requestState"]}
                assert texts(await wire.result(GET, retry, **declared)) == ["Hello Ada"]

    asyncio.run(main())
