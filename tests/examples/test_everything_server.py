"""The everything server as a process, in each of the five revisions, under the judge: its contract, name by name."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from examples import everything_server
from mcpcore.testing.scripted import ScriptedPeer
from tests.examples.wire import EXAMPLES, META, MODERN, REVISIONS, ROOT, Conversation, environment

SERVER = str(EXAMPLES / "everything_server.py")
HAVE_ELICITATION = REVISIONS[2:]

Message = dict[str, Any]


@pytest.fixture(scope="module", params=REVISIONS)
def conversation(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    conversation = Conversation([SERVER], request.param)
    try:
        yield conversation
    finally:
        assert conversation.close() == 0


@pytest.fixture
def talk(conversation: Conversation) -> Iterator[Conversation]:
    """The conversation of the module, in a clean state; what a test makes it say has to satisfy the judge."""
    conversation.questions.clear()
    conversation.notifications.clear()
    conversation.judge.violations.clear()
    yield conversation
    assert conversation.faults == []


@pytest.fixture
def modern() -> Iterator[Conversation]:
    conversation = Conversation([SERVER], MODERN)
    try:
        yield conversation
        assert conversation.faults == []
    finally:
        conversation.close()


def texts(result: Message) -> list[Any]:
    return [block.get("text") for block in result["content"]]


# --- what is listed ---------------------------------------------------------------------------------------------------


def test_every_tool_is_described_and_the_first_one_needs_no_arguments(talk: Conversation) -> None:
    tools = talk.request("tools/list")["result"]["tools"]
    assert all(tool["description"] and tool["inputSchema"]["type"] == "object" for tool in tools)
    assert talk.text(tools[0]["name"]) == "This is a simple text response for testing."


def test_the_capabilities_are_those_of_the_revision(talk: Conversation) -> None:
    told = talk.request("server/discover")["result"] if talk.modern else talk.initialized
    expected: Message = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "logging": {},
    }
    if talk.revision != "2024-11-05":
        expected["completions"] = {}
    assert told["capabilities"] == expected


def test_the_handwritten_schema_is_listed_as_it_was_written(talk: Conversation) -> None:
    tools = {tool["name"]: tool for tool in talk.request("tools/list")["result"]["tools"]}
    schema = tools["json_schema_2020_12_tool"]["inputSchema"]
    assert schema == everything_server.SCHEMA_2020_12
    assert talk.call("json_schema_2020_12_tool", {"email": "a@example.com"})["content"]


def test_parameters_that_travel_as_headers_are_marked(talk: Conversation) -> None:
    tools = {tool["name"]: tool for tool in talk.request("tools/list")["result"]["tools"]}
    properties = tools["test_x_mcp_header"]["inputSchema"]["properties"]
    assert {name: schema.get("x-mcp-header") for name, schema in properties.items()} == {
        "region": "Region",
        "count": "Count",
        "note": None,
    }
    assert talk.text("test_x_mcp_header", {"region": "eu", "count": 3}) == "region=eu count=3 note="


def test_ten_resources_come_four_to_a_page(talk: Conversation) -> None:
    pages: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        result = talk.request("resources/list", {"cursor": cursor} if cursor else {})["result"]
        pages.append([resource["uri"] for resource in result["resources"]])
        cursor = result.get("nextCursor")
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [uri for page in pages for uri in page][3:] == [f"test://item/{number}" for number in range(1, 8)]


# --- tools that just answer -------------------------------------------------------------------------------------------


def test_images_resources_and_texts_are_returned(talk: Conversation) -> None:
    [image] = talk.call("test_image_content")["content"]
    assert image["mimeType"] == "image/png" and base64.b64decode(image["data"]) == everything_server.PNG
    [resource] = talk.call("test_embedded_resource")["content"]
    assert resource["resource"] == {
        "uri": "test://embedded-resource",
        "mimeType": "text/plain",
        "text": "This is an embedded resource content.",
    }
    text, image, resource = talk.call("test_multiple_content_types")["content"]
    assert text["text"] == "Multiple content types test:" and image["type"] == "image"
    assert resource["resource"] == {
        "uri": "test://mixed-content-resource",
        "mimeType": "application/json",
        "text": '{"test":"data","value":123}',
    }


def test_a_sound_is_returned_where_the_revision_has_sounds(talk: Conversation) -> None:
    [block] = talk.call("test_audio_content")["content"]
    assert (block["type"] == "audio") is (talk.revision != "2024-11-05")
    if block["type"] == "audio":
        assert block["mimeType"] == "audio/wav"
        assert block["data"] == "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="


def test_a_failing_tool_says_why(talk: Conversation) -> None:
    result = talk.call("test_error_handling")
    assert result["isError"] is True
    assert texts(result) == ["This tool intentionally returns an error for testing"]


def test_echo_and_add_work_on_their_arguments(talk: Conversation) -> None:
    assert talk.text("test_echo", {"text": "ab"}) == "ab"
    assert talk.text("test_echo", {"text": "ab", "repeat": 3}) == "ababab"
    assert talk.text("test_add", {"a": 2, "b": 40}) == "42"


def test_invalid_arguments_are_results_from_2025_11_25_on(talk: Conversation) -> None:
    response = talk.request("tools/call", {"name": "test_add", "arguments": {"a": "two", "b": 1}})
    if talk.revision >= "2025-11-25":
        assert response["result"]["isError"] is True
    else:
        assert response["error"]["code"] == -32602


def test_structured_output_comes_from_2025_06_18_on(talk: Conversation) -> None:
    result = talk.call("test_structured_output")
    assert json.loads(texts(result)[0]) == {"temperature": 22.5, "conditions": "Partly cloudy"}
    assert ("structuredContent" in result) is (talk.revision >= "2025-06-18")


# --- tools that take their time ---------------------------------------------------------------------------------------


def test_progress_is_reported_under_the_token_of_the_request(talk: Conversation) -> None:
    talk.call("test_tool_with_progress", meta={"progressToken": "progress-test-1"})
    told = [news["params"] for news in talk.notifications]
    assert [(one["progressToken"], one["progress"], one["total"]) for one in told] == [
        ("progress-test-1", done, 100) for done in (0, 50, 100)
    ]


def log_everything(talk: Conversation) -> Message | None:
    if talk.modern:
        return {f"{META}logLevel": "debug"}
    assert talk.request("logging/setLevel", {"level": "debug"})["result"] == {}
    return None


def test_a_tool_logs_three_messages(talk: Conversation) -> None:
    assert talk.text("test_tool_with_logging", meta=log_everything(talk)) == "Tool with logging executed successfully"
    assert [news["params"]["data"] for news in talk.notifications] == [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ]


def test_every_level_is_logged(talk: Conversation) -> None:
    talk.call("test_log_levels", meta=log_everything(talk))
    assert [news["params"]["level"] for news in talk.notifications] == [
        "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
    ]  # fmt: skip


def test_a_modern_request_without_a_level_brings_no_log_messages(modern: Conversation) -> None:
    modern.call("test_logging_tool")
    assert modern.notifications == []


def test_a_cancelled_tool_stops_and_is_not_answered(talk: Conversation) -> None:
    tag = f"cancelled in {talk.revision}"
    id = talk.send("tools/call", {"name": "test_slow", "arguments": {"ms": 60_000, "tag": tag}})
    while int(talk.text("test_counter", {"tag": tag})) < 1:
        pass
    talk.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
    steps = int(talk.text("test_counter", {"tag": tag}))
    assert talk.text("test_slow", {"ms": 60, "tag": "other"}) == "done:other"
    assert int(talk.text("test_counter", {"tag": tag})) == steps


# --- tools that ask ---------------------------------------------------------------------------------------------------


def assert_refused(talk: Conversation, method: str, params: Message) -> None:
    """A revision without elicitation cannot be asked, whatever the client declares."""
    assert talk.request(method, params)["error"]["code"] == -32600


def test_sampling_works_in_every_revision(talk: Conversation) -> None:
    assert talk.text("test_sampling", {"prompt": "The capital of France?"}) == "LLM response: Paris"
    [question] = talk.questions
    assert question["params"]["maxTokens"] == 100
    assert question["params"]["messages"] == [
        {"role": "user", "content": {"type": "text", "text": "The capital of France?"}}
    ]


@pytest.mark.parametrize("answer", ["accept", "decline", "cancel"])
def test_elicitation_tells_what_the_user_did(talk: Conversation, answer: str) -> None:
    if talk.revision not in HAVE_ELICITATION:
        assert_refused(talk, "tools/call", {"name": "test_elicitation", "arguments": {"message": "Who?"}})
        return
    content = {"username": "testuser", "email": "test@example.com"}
    given = {"action": answer, "content": content} if answer == "accept" else {"action": answer}
    text = talk.text("test_elicitation", {"message": "Who?"}, answers={"elicitation/create": given})
    assert text == f"User response: action={answer}, content={json.dumps(given.get('content', {}))}"


def test_every_kind_of_default_is_asked_for(talk: Conversation) -> None:
    if talk.revision not in HAVE_ELICITATION:
        assert_refused(talk, "tools/call", {"name": "test_elicitation_sep1034_defaults"})
        return
    talk.call("test_elicitation_sep1034_defaults")
    properties = talk.questions[0]["params"]["requestedSchema"]["properties"]
    if talk.revision >= "2025-11-25":
        assert {name: (schema["type"], schema.get("default")) for name, schema in properties.items()} == {
            "name": ("string", "John Doe"),
            "age": ("integer", 30),
            "score": ("number", 95.5),
            "status": ("string", "active"),
            "verified": ("boolean", True),
        }
    assert properties["status"]["enum"] == ["active", "inactive", "pending"]


@pytest.mark.parametrize("revision", REVISIONS[3:])
def test_every_kind_of_choice_is_asked_for(revision: str) -> None:
    talk = Conversation([SERVER], revision)
    try:
        talk.call("test_elicitation_sep1330_enums")
        properties = talk.questions[0]["params"]["requestedSchema"]["properties"]
        assert set(properties["untitledSingle"]) == {"type", "enum"}
        assert set(properties["titledSingle"]) == {"type", "oneOf"}
        assert len(properties["legacyEnum"]["enum"]) == len(properties["legacyEnum"]["enumNames"])
        assert set(properties["untitledMulti"]["items"]) == {"type", "enum"}
        assert set(properties["titledMulti"]["items"]) == {"anyOf"}
        assert talk.faults == []
    finally:
        talk.close()


@pytest.mark.parametrize("tool", ["test_elicitation", "test_elicitation_sep1330_enums"])
def test_an_answer_that_is_none_to_the_form_still_gets_a_result(tool: str) -> None:
    talk = Conversation([SERVER], "2025-11-25")
    strange = {"action": "accept", "content": {"untitledSingle": "no such option", "username": 1}}
    try:
        arguments = {"message": "Who?"} if tool == "test_elicitation" else {}
        text = talk.text(tool, arguments, answers={"elicitation/create": strange})
        assert "an answer that does not fit" in text
    finally:
        talk.close()


ROUNDS = {
    "test_input_required_result_elicitation": "Hello, Alice!",
    "test_input_required_result_sampling": "The model says: Paris",
    "test_input_required_result_list_roots": "Roots: file:///test/root",
    "test_input_required_result_request_state": "state-ok",
    "test_input_required_result_multiple_inputs": "Alice: Paris (1 roots)",
    "test_input_required_result_multi_round": "Alice likes blue",
    "test_input_required_result_tampered_state": "Confirmed: accept",
    "test_input_required_result_capabilities": "Answered: capital_question, user_name, client_roots",
    "test_streaming_elicitation": "The word: hello",
    "test_missing_capability": "The model says: Paris",
}
NO_ELICITATION = {
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_missing_capability",
}


@pytest.mark.parametrize("tool", ROUNDS)
def test_straight_line_code_and_rounds_end_alike_in_every_era(talk: Conversation, tool: str) -> None:
    if talk.revision not in HAVE_ELICITATION and tool not in NO_ELICITATION:
        assert_refused(talk, "tools/call", {"name": tool})
        return
    content = {"name": "Alice", "ok": True, "color": "blue", "word": "hello"}
    assert talk.text(tool, answers={"elicitation/create": {"action": "accept", "content": content}}) == ROUNDS[tool]


def test_the_first_round_holds_the_question_under_its_key(modern: Conversation) -> None:
    call = {"name": "test_input_required_result_elicitation"}
    question = {
        "method": "elicitation/create",
        "params": {
            "message": "What is your name?",
            "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
    }
    for responses in (None, {"someone_else": {"action": "accept", "content": {}}}, {"user_name": "not an object"}):
        params = call if responses is None else {**call, "inputResponses": responses}
        result = modern.request("tools/call", params)["result"]
        assert result["resultType"] == "input_required"
        assert result["inputRequests"] == {"user_name": question}


def test_a_changed_state_is_refused(modern: Conversation) -> None:
    call = {"name": "test_input_required_result_tampered_state"}
    state = modern.request("tools/call", call)["result"]["requestState"]
    responses = {"confirm": {"action": "accept", "content": {"ok": True}}}
    response = modern.request("tools/call", {**call, "inputResponses": responses, "requestState": f"{state}-TAMPERED"})
    assert response["error"]["code"] == -32602


def test_every_round_has_a_state_of_its_own(modern: Conversation) -> None:
    call = {"name": "test_input_required_result_multi_round"}
    first = modern.request("tools/call", call)["result"]
    answer = {"step1": {"action": "accept", "content": {"name": "Alice"}}}
    retry = {**call, "inputResponses": answer, "requestState": first["requestState"]}
    second = modern.request("tools/call", retry)["result"]
    assert list(second["inputRequests"]) == ["step2"]
    assert second["requestState"] not in ("", first["requestState"])


def test_a_handler_that_holds_its_rounds_in_hand_gets_its_state_back(modern: Conversation) -> None:
    call = {"name": "test_input_required_result_request_state"}
    first = modern.request("tools/call", call)["result"]
    assert first["inputRequests"]["confirm"]["params"]["requestedSchema"]["properties"] == {"ok": {"type": "boolean"}}
    responses = {"confirm": {"action": "accept", "content": {"ok": True}}}
    retry = {**call, "inputResponses": responses, "requestState": first["requestState"]}
    assert "state-ok" in modern.request("tools/call", retry)["result"]["content"][0]["text"]


def test_only_what_the_client_can_answer_is_asked() -> None:
    talk = Conversation([SERVER], MODERN, {"sampling": {}})
    try:
        result = talk.request("tools/call", {"name": "test_input_required_result_capabilities"})["result"]
        assert [one["method"] for one in result["inputRequests"].values()] == ["sampling/createMessage"]
        assert talk.faults == []
    finally:
        talk.close()


def test_a_missing_capability_is_named() -> None:
    talk = Conversation([SERVER], MODERN, {})
    try:
        error = talk.request("tools/call", {"name": "test_missing_capability"})["error"]
        assert error["code"] == -32021
        assert error["data"]["requiredCapabilities"] == {"sampling": {}}
        assert talk.faults == []
    finally:
        talk.close()


# --- prompts, resources, completion -----------------------------------------------------------------------------------


def test_prompts_are_filled_in(talk: Conversation) -> None:
    def get(name: str, **arguments: str) -> list[Message]:
        params = {"name": name, "arguments": arguments} if arguments else {"name": name}
        messages: list[Message] = talk.request("prompts/get", params)["result"]["messages"]
        assert all(message["role"] == "user" for message in messages)
        return [message["content"] for message in messages]

    assert get("test_simple_prompt")[0]["text"] == "This is a simple prompt for testing."
    filled = get("test_prompt_with_arguments", arg1="one", arg2="two")
    assert filled[0]["text"] == "Prompt with arguments: arg1='one', arg2='two'"
    resource, text = get("test_prompt_with_embedded_resource", resourceUri="test://given")
    assert resource["resource"] == {
        "uri": "test://given",
        "mimeType": "text/plain",
        "text": "Embedded resource content for testing.",
    }
    assert text["text"] == "Please process the embedded resource above."
    image, text = get("test_prompt_with_image")
    assert image["mimeType"] == "image/png" and text["text"] == "Please analyze the image above."


def test_every_prompt_is_described_with_its_arguments(talk: Conversation) -> None:
    prompts = {prompt["name"]: prompt for prompt in talk.request("prompts/list")["result"]["prompts"]}
    assert all(prompt["description"] for prompt in prompts.values())
    assert [(one["name"], one["required"]) for one in prompts["test_prompt_with_arguments"]["arguments"]] == [
        ("arg1", True),
        ("arg2", True),
    ]


def test_a_prompt_may_ask_first(talk: Conversation) -> None:
    if talk.revision not in HAVE_ELICITATION:
        assert_refused(talk, "prompts/get", {"name": "test_input_required_result_prompt"})
        return
    answer = {"elicitation/create": {"action": "accept", "content": {"context": "a test"}}}
    response = talk.finish("prompts/get", {"name": "test_input_required_result_prompt"}, answers=answer)
    assert response["result"]["messages"][0]["content"]["text"] == "Use this context: a test"


def test_resources_are_read(talk: Conversation) -> None:
    def read(uri: str) -> Message:
        [contents] = talk.request("resources/read", {"uri": uri})["result"]["contents"]
        assert contents["uri"] == uri
        return contents  # type: ignore[no-any-return]

    assert read("test://static-text")["text"] == "This is the content of the static text resource."
    binary = read("test://static-binary")
    assert binary["mimeType"] == "image/png" and base64.b64decode(binary["blob"]) == everything_server.PNG
    assert read("test://template/123/data") == {
        "uri": "test://template/123/data",
        "mimeType": "application/json",
        "text": '{"id":"123","templateTest":true,"data":"Data for ID: 123"}',
    }
    assert read("test://item/7")["text"]


def test_an_unknown_resource_is_named_in_the_error(talk: Conversation) -> None:
    error = talk.request("resources/read", {"uri": "test://nothing"})["error"]
    assert error["code"] == (-32602 if talk.modern else -32002)
    assert error["data"] == {"uri": "test://nothing"}


@pytest.mark.parametrize(
    ("typed", "total", "sent"), [("", 153, 100), ("test", 150, 100), ("p", 2, 2), ("ruby", 1, 1), ("x", 0, 0)]
)
def test_words_are_completed(talk: Conversation, typed: str, total: int, sent: int) -> None:
    reference = {"type": "ref/prompt", "name": "test_prompt_with_arguments"}
    params = {"ref": reference, "argument": {"name": "arg1", "value": typed}}
    completion = talk.request("completion/complete", params)["result"]["completion"]
    assert all(value.startswith(typed) for value in completion["values"])
    assert (completion["total"], len(completion["values"]), completion["hasMore"]) == (total, sent, total > sent)


# --- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["tool", "prompt"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_changed_list_is_told_and_differs(revision: str, topic: str) -> None:
    talk = Conversation([SERVER], revision)
    try:
        talk.subscribe(**{f"{topic}sListChanged": True})
        before = talk.request(f"{topic}s/list")["result"][f"{topic}s"]
        talk.call(f"test_trigger_{topic}_change")
        assert talk.news()["method"] == f"notifications/{topic}s/list_changed"
        after = talk.request(f"{topic}s/list")["result"][f"{topic}s"]
        assert len(after) == len(before) + 1
        assert talk.faults == []
    finally:
        talk.close()


def test_subscribers_of_a_resource_hear_that_it_changed(talk: Conversation) -> None:
    talk.subscribe(resourceSubscriptions=["test://static-text"])
    talk.call("test_trigger_resource_update", {"uri": "test://static-text"})
    news = talk.news()
    assert (news["method"], news["params"]["uri"]) == ("notifications/resources/updated", "test://static-text")


def test_the_watched_resource_is_updated_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything_server, "UPDATE_SECONDS", 0.01)

    async def watch() -> None:
        uri = "test://watched-resource"
        async with ScriptedPeer() as peer:
            await peer.connect(everything_server.make_server())
            await peer.open("2025-11-25")
            peer.say({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": uri}})
            await peer.expect(partial={"id": 1, "result": {}})
            for _ in range(2):
                await peer.expect("notifications/resources/updated", {"params": {"uri": uri}})

    asyncio.run(watch())


# --- the command ------------------------------------------------------------------------------------------------------


def run(*words: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    program = [SERVER] if code is None else ["-c", code]
    command = [sys.executable, *program, *words]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), cwd=ROOT, check=False
    )


def test_a_transport_that_is_not_there_is_named() -> None:
    done = run("--transport", "carrier-pigeon")
    assert done.returncode == 2 and done.stdout == ""
    assert "'carrier-pigeon' is not available" in done.stderr and "Traceback" not in done.stderr


def test_only_the_named_revisions_are_served() -> None:
    for wanted, spoken in [("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25")]:
        talk = Conversation([SERVER, "--revisions", "2025-06-18,2025-11-25"], wanted)
        try:
            assert talk.initialized["protocolVersion"] == spoken
        finally:
            talk.close()


def test_without_the_extra_the_start_says_what_to_install() -> None:
    hidden = "import sys, runpy; sys.modules['jsonschema_rs'] = None; sys.argv = ['everything_server']; "
    done = run(code=f"{hidden}runpy.run_path({SERVER!r}, run_name='__main__')")
    assert done.returncode == 2
    assert "mcpcore[schema]" in done.stderr and "Traceback" not in done.stderr
