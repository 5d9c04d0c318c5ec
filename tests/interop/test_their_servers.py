"""Our client against the servers of other implementations, over stdio, Streamable HTTP and HTTP+SSE, pinned to every
revision they speak and unpinned.

Each case runs our client once, as a program of its own, through the battery of ``clients/``; each test asserts one
behaviour on what it observed. What a server does not offer is skipped by name; what it does against the specification
is said where it is asserted.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.interop import launch, serving
from tests.interop.cases import SERVER_CASES, ServerCase
from tests.interop.seen import INVALID_PARAMS, PNG, TEXT, Seen, once
from tests.schema_judge import AVAILABLE

CASES = [case for case in SERVER_CASES if case.peer != "server-everything"]
TOOLS = {
    "test_simple_text",
    "test_multiple_content_types",
    "test_sampling",
    "test_elicitation",
    "test_slow",
    "test_add",
}


@once
def observation(case: ServerCase) -> dict[str, Any]:
    mode = case.pinned or "auto"
    if case.transport == "stdio":
        return launch.observe(launch.OURS, mode, launch.server_command(case.peer))
    command = functools.partial(launch.server_command, case.peer, case.transport)
    return serving.observe(launch.OURS, mode, case.transport, command)


@pytest.fixture(scope="module", params=CASES, ids=str)
def seen(request: pytest.FixtureRequest) -> Seen:
    case: ServerCase = request.param
    return Seen(case.peer, case.speaks, observation(case))


def test_they_agree_on_the_revision(seen: Seen) -> None:
    assert seen.observed["revision"] == seen.speaks


def test_the_server_tells_who_it_is(seen: Seen) -> None:
    assert seen.observed["server"]["name"] == f"interop-{seen.peer}"
    assert seen.observed["instructions"] == "A peer for interoperability tests."


def test_closing_is_clean(seen: Seen) -> None:
    assert seen.observed["closing"] is None


@pytest.mark.skipif(not AVAILABLE, reason="the published schemas (../shared/spec/schema) are absent")
def test_every_frame_of_ours_is_as_the_schemas_want_it(seen: Seen) -> None:
    assert seen.observed["wire"].frames > 5
    assert seen.observed["wire"].violations == []


def test_the_client_warns_of_nothing(seen: Seen) -> None:
    assert seen.observed["faults"] == []


def test_the_tools_are_listed(seen: Seen) -> None:
    tools = {tool["name"]: tool for tool in seen.step("tools_list")["items"]}
    assert tools.keys() >= TOOLS
    assert tools["test_add"]["inputSchema"]["properties"].keys() == {"a", "b"}


def test_text_arrives(seen: Seen) -> None:
    assert seen.text("simple_text") == "This is a simple text response for testing."


def test_images_and_sounds_arrive(seen: Seen) -> None:
    [image] = seen.content("image_content")
    assert (image["mimeType"], image["data"]) == ("image/png", PNG)
    [audio] = seen.content("audio_content")
    assert (audio["type"], audio["mimeType"]) == ("audio", "audio/wav")


def test_an_embedded_resource_arrives(seen: Seen) -> None:
    [block] = seen.content("embedded_resource")
    assert block["resource"]["text"] == "This is an embedded resource content."


def test_mixed_content_arrives_in_order(seen: Seen) -> None:
    content = seen.content("multiple_content_types")
    assert [block["type"] for block in content] == ["text", "image", "resource"]


def test_a_tool_error_is_a_result(seen: Seen) -> None:
    result = seen.step("error_handling")["result"]
    assert result["isError"] is True
    assert "This tool intentionally returns an error for testing" in result["content"][0]["text"]


def test_unicode_survives_both_ways(seen: Seen) -> None:
    assert seen.text("echo_unicode") == TEXT * 2


def test_a_large_result_arrives_whole(seen: Seen) -> None:
    assert seen.step("echo_large") == {"length": 300_000, "isError": False}


def test_concurrent_calls_get_their_own_answers(seen: Seen) -> None:
    assert seen.step("concurrent") == [f"call {n}" for n in range(20)]


def test_progress_arrives_in_order_and_before_the_result(seen: Seen) -> None:
    entry = seen.step("progress")
    assert [[value, total] for value, total, _ in entry["progress"]] == [[0, 100], [50, 100], [100, 100]]
    assert entry["before_result"] == 3


def test_log_messages_arrive(seen: Seen) -> None:
    # FastMCP wraps what it logs in an object.
    texts = [message["data"] for message in seen.step("logging")["messages"]]
    texts = [data["msg"] if isinstance(data, dict) else data for data in texts]
    assert texts == ["Tool execution started", "Tool processing data", "Tool execution completed"]


def test_the_log_level_reaches_the_server(seen: Seen) -> None:
    seen.needs_tool("test_log_levels")
    assert seen.step("log_levels") == ["error", "critical", "alert", "emergency"]


def test_our_model_is_asked(seen: Seen) -> None:
    assert seen.text("sampling") == "LLM response: Paris"
    [question] = seen.step("sampling")["asked"]
    assert question["method"] == "sampling/createMessage"
    assert question["params"]["maxTokens"] == 100


def test_our_user_is_asked(seen: Seen) -> None:
    seen.needs("2025-06-18")
    text = seen.text("elicitation")
    assert "accept" in text and "testuser" in text and "test@example.com" in text
    assert seen.asked("elicitation") == ["elicitation/create"]


def test_our_user_may_decline(seen: Seen) -> None:
    seen.needs("2025-06-18")
    assert "decline" in seen.text("elicitation_declined")


def test_the_defaults_of_a_form_come_back(seen: Seen) -> None:
    seen.needs("2025-06-18")
    seen.needs_tool("test_elicitation_sep1034_defaults")
    assert "John Doe" in seen.text("elicitation_defaults")


def test_our_roots_are_asked_for(seen: Seen) -> None:
    assert seen.text("input_required_list_roots").rstrip("/") == "file:///test/root"
    assert seen.asked("input_required_list_roots") == ["roots/list"]


def test_a_returned_question_is_answered(seen: Seen) -> None:
    seen.needs_era(modern=True)
    seen.needs_tool("test_input_required_result_elicitation")
    assert seen.text("input_required_elicitation") == "Hello, Alice!"


def test_structured_output_arrives(seen: Seen) -> None:
    result = seen.step("structured_output")["result"]
    assert json.loads(result["content"][0]["text"]) == {"temperature": 21.5, "conditions": "sunny"}
    if seen.speaks >= "2025-06-18":
        assert result["structuredContent"] == {"temperature": 21.5, "conditions": "sunny"}


def test_good_arguments_are_accepted(seen: Seen) -> None:
    assert seen.text("add") == "5"


@pytest.mark.parametrize("step", ["add_bad_arguments", "add_missing_argument", "unknown_tool"])
def test_a_refused_call_is_told_in_either_form(seen: Seen, step: str) -> None:
    entry = seen.entry(step)  # the peers differ, and the revisions do: a result with isError, or -32602
    assert entry["result"]["isError"] if "result" in entry else entry["error"]["code"] == INVALID_PARAMS


def test_the_resources_are_listed(seen: Seen) -> None:
    uris = {resource["uri"] for resource in seen.step("resources_list")["items"]}
    assert uris == {"test://static-text", "test://static-binary"}
    templates = [template["uriTemplate"] for template in seen.step("resource_templates_list")["items"]]
    assert templates == ["test://template/{id}/data"]


def test_resources_are_read(seen: Seen) -> None:
    [text] = seen.step("read_text")["contents"]
    assert (text["text"], text["mimeType"]) == ("This is the content of the static text resource.", "text/plain")
    [binary] = seen.step("read_binary")["contents"]
    assert (binary["blob"], binary["mimeType"]) == (PNG, "image/png")
    [templated] = seen.step("read_template")["contents"]
    assert json.loads(templated["text"])["id"] == "123"


def test_an_unknown_resource_is_an_error(seen: Seen) -> None:
    code = seen.code("read_unknown")
    assert code == 0 if seen.peer == "mcp-1.30" else code in (INVALID_PARAMS, -32002)


def test_the_prompts_are_listed(seen: Seen) -> None:
    prompts = {prompt["name"]: prompt for prompt in seen.step("prompts_list")["items"]}
    assert prompts.keys() == {"test_simple_prompt", "test_prompt_with_arguments", "test_prompt_with_image"}
    assert [argument["name"] for argument in prompts["test_prompt_with_arguments"]["arguments"]] == ["arg1", "arg2"]


def test_prompts_are_got(seen: Seen) -> None:
    [simple] = seen.step("prompt_simple")["messages"]
    assert simple["content"]["text"] == "This is a simple prompt for testing."
    [filled] = seen.step("prompt_arguments")["messages"]
    assert filled["content"]["text"] == "Prompt with arguments: arg1='one', arg2='two'"
    assert seen.step("prompt_image")["messages"][0]["content"]["data"] == PNG


@pytest.mark.parametrize("step", ["prompt_unknown", "prompt_missing_argument"])
def test_a_refused_prompt_is_an_error(seen: Seen, step: str) -> None:
    assert seen.code(step) in (INVALID_PARAMS, -32603, 0)  # 0 and -32603 come from the Python peers


def test_arguments_are_completed(seen: Seen) -> None:
    assert seen.step("completion")["completion"]["values"] == ["python"]


def test_cancelling_stops_the_work_there(seen: Seen) -> None:
    entry = seen.step("cancellation")
    assert entry["ended"] == "cancelled"
    assert entry["stopped"]


def test_work_that_is_not_cancelled_finishes(seen: Seen) -> None:
    assert seen.step("slow")["content"][0]["text"] == "done:finished"


def test_a_legacy_server_answers_ping(seen: Seen) -> None:
    seen.needs_era(modern=False)
    assert seen.step("ping") == {"pong": True}


def test_we_hear_of_changed_lists(seen: Seen) -> None:
    seen.needs_era(modern=False)
    changes = seen.step("list_changed")
    assert all(count >= 1 for count in changes.values()), changes


def test_we_hear_of_updates_until_we_unsubscribe(seen: Seen) -> None:
    seen.needs_era(modern=False)
    seen.needs_tool("test_trigger_resource_update")
    if not seen.observed["capabilities"]["resources"].get("subscribe"):
        pytest.skip(f"the server of {seen.peer} does not declare subscriptions")
    assert seen.step("subscription") == {"updates": ["test://static-text"], "after_unsubscribe": 0}


def test_we_listen_to_everything(seen: Seen) -> None:
    seen.needs_era(modern=True)
    if seen.peer == "fastmcp-4.1":
        assert seen.code("listen") == -32601  # it serves no listen stream, and declares none
        return
    assert seen.step("listen")["events"] == [
        "notifications/prompts/list_changed",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
    ]
