"""The clients of other implementations against our everything server, over stdio, Streamable HTTP and HTTP+SSE, in
every revision they speak.

Each case starts the peer's client once, in its own environment; it starts our server (or is given the URL of one that
was started for it), runs the battery of ``clients/`` and prints what it observed. Each test then asserts one behaviour
on that observation.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.interop import launch, serving
from tests.interop.cases import CLIENT_CASES, ROOT, ClientCase, our_server
from tests.interop.seen import INVALID_PARAMS, PNG, TEXT, Seen, once
from tests.schema_judge import AVAILABLE


@once
def observation(case: ClientCase) -> dict[str, Any]:
    env = {"PYTHONPATH": str(ROOT)}
    if case.transport == "stdio":
        return launch.observe(case.peer, case.mode, our_server(case.restriction), env=env, cwd=ROOT)
    command = functools.partial(our_server, case.restriction, case.transport)
    return serving.observe(case.peer, case.mode, case.transport, command, env=env, cwd=ROOT)


@pytest.fixture(scope="module", params=CLIENT_CASES, ids=str)
def seen(request: pytest.FixtureRequest) -> Seen:
    case: ClientCase = request.param
    return Seen(case.peer, case.speaks, observation(case))


def test_they_agree_on_the_revision(seen: Seen) -> None:
    assert seen.observed["revision"] == seen.speaks


@pytest.mark.skipif(not AVAILABLE, reason="the published schemas (../shared/spec/schema) are absent")
def test_every_frame_of_ours_is_as_the_schemas_want_it(seen: Seen) -> None:
    assert seen.observed["wire"].frames > 5
    assert seen.observed["wire"].violations == []


def test_the_client_has_no_complaint_about_anything_it_received(seen: Seen) -> None:
    assert seen.observed["faults"] == []


def test_closing_is_clean(seen: Seen) -> None:
    assert seen.observed["closing"] is None


def test_a_server_on_a_port_ends_at_once_when_it_is_told_to(seen: Seen) -> None:
    if "server_exit" not in seen.observed:
        pytest.skip("a server on stdio ends with its input")
    assert seen.observed["server_exit"]["status"] == 0
    assert seen.observed["server_exit"]["seconds"] < 2.0


def test_nobody_writes_a_traceback(seen: Seen) -> None:
    if "Traceback" in seen.observed["stderr"]:
        seen.fail("a traceback was written")


def test_the_servers_capabilities_are_seen(seen: Seen) -> None:
    capabilities = seen.observed["capabilities"]
    if seen.modern and not capabilities:
        pytest.skip("this client was pinned and asked for nothing at connect, so it shows no capabilities")
    assert capabilities["tools"]["listChanged"] and capabilities["prompts"]["listChanged"]
    assert capabilities["resources"]["subscribe"] and capabilities["resources"]["listChanged"]
    assert "logging" in capabilities
    assert ("completions" in capabilities) == (seen.speaks >= "2025-03-26")


def test_all_tools_are_listed_with_their_schemas(seen: Seen) -> None:
    tools = {tool["name"]: tool for tool in seen.step("tools_list")["items"]}
    assert {"test_simple_text", "test_sampling", "test_slow", "test_structured_output"} <= tools.keys()
    schema = tools["json_schema_2020_12_tool"]["inputSchema"]
    assert schema["$defs"]["address"]["type"] == "object"
    assert schema["additionalProperties"] is False
    assert ("outputSchema" in tools["test_structured_output"]) == (seen.speaks >= "2025-06-18")


def test_text_arrives(seen: Seen) -> None:
    assert seen.text("simple_text") == "This is a simple text response for testing."


def test_an_image_arrives(seen: Seen) -> None:
    [image] = seen.content("image_content")
    assert (image["type"], image["mimeType"], image["data"]) == ("image", "image/png", PNG)


def test_a_sound_arrives(seen: Seen) -> None:
    seen.needs("2025-03-26")
    [audio] = seen.content("audio_content")
    assert (audio["type"], audio["mimeType"]) == ("audio", "audio/wav")


def test_an_embedded_resource_arrives(seen: Seen) -> None:
    [block] = seen.content("embedded_resource")
    assert block["resource"]["uri"].rstrip("/") == "test://embedded-resource"
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


def test_progress_arrives(seen: Seen) -> None:
    entry = seen.step("progress")
    values = [[value, total] for value, total, _ in entry["progress"]]
    if seen.peer in ("mcp-2.3", "fastmcp-4.1"):
        values.sort()  # that SDK runs each callback in a task of its own
    else:
        assert entry["before_result"] == 3
    assert values == [[0, 100], [50, 100], [100, 100]]


def test_log_messages_arrive(seen: Seen) -> None:
    messages = seen.step("logging")["messages"]
    assert [(message["level"], message["data"]) for message in messages] == [
        ("info", "Tool execution started"),
        ("info", "Tool processing data"),
        ("info", "Tool execution completed"),
    ]


def test_the_log_level_is_obeyed(seen: Seen) -> None:
    assert seen.step("log_levels") == ["error", "critical", "alert", "emergency"]


def test_sampling_reaches_the_clients_model(seen: Seen) -> None:
    assert seen.text("sampling") == "LLM response: Paris"
    [question] = seen.step("sampling")["asked"]
    assert question["method"] == "sampling/createMessage"
    assert question["params"]["maxTokens"] == 100
    content = question["params"]["messages"][0]["content"]
    block = content[0] if isinstance(content, list) else content
    assert block["text"] == "What is the capital of France?"


def test_elicitation_reaches_the_clients_user(seen: Seen) -> None:
    seen.needs("2025-06-18")
    text = seen.text("elicitation")
    assert "accept" in text and "testuser" in text and "test@example.com" in text
    [question] = seen.step("elicitation")["asked"]
    assert set(question["params"]["requestedSchema"]["properties"]) == {"username", "email"}


def test_a_declined_elicitation_is_told(seen: Seen) -> None:
    seen.needs("2025-06-18")
    assert "decline" in seen.text("elicitation_declined")


def test_a_revision_without_elicitation_sends_none(seen: Seen) -> None:
    if seen.speaks >= "2025-06-18":
        pytest.skip("has elicitation")
    entry = seen.entry("elicitation")
    assert "error" in entry or (entry["result"]["isError"] and not entry["asked"])


def test_the_defaults_of_a_form_arrive(seen: Seen) -> None:
    seen.needs("2025-11-25")
    [question] = seen.step("elicitation_defaults")["asked"]
    properties = question["params"]["requestedSchema"]["properties"]
    defaults = {name: schema["default"] for name, schema in properties.items()}
    assert defaults == {"name": "John Doe", "age": 30, "score": 95.5, "status": "active", "verified": True}
    assert "accept" in seen.text("elicitation_defaults")


def test_the_choices_of_a_form_arrive(seen: Seen) -> None:
    seen.needs("2025-11-25")
    [question] = seen.step("elicitation_enums")["asked"]
    properties = question["params"]["requestedSchema"]["properties"]
    assert properties["titledSingle"]["oneOf"] and properties["untitledMulti"]["items"]["enum"]
    assert "accept" in seen.text("elicitation_enums")


def test_returned_questions_are_asked_and_answered(seen: Seen) -> None:
    seen.needs("2025-06-18")
    assert seen.text("input_required_elicitation") == "Hello, Alice!"
    assert seen.asked("input_required_elicitation") == ["elicitation/create"]


def test_a_returned_sampling_question_is_answered(seen: Seen) -> None:
    seen.text("input_required_sampling")
    assert seen.asked("input_required_sampling") == ["sampling/createMessage"]


def test_a_returned_roots_question_is_answered(seen: Seen) -> None:
    seen.text("input_required_list_roots")
    assert seen.asked("input_required_list_roots") == ["roots/list"]


def test_the_request_state_comes_back(seen: Seen) -> None:
    seen.needs("2025-06-18")
    assert "state-ok" in seen.text("input_required_request_state")


def test_several_questions_are_answered_in_one_round(seen: Seen) -> None:
    seen.needs("2025-06-18")
    seen.text("input_required_multiple_inputs")
    asked = set(seen.asked("input_required_multiple_inputs"))
    assert asked == {"elicitation/create", "sampling/createMessage", "roots/list"}


def test_questions_in_several_rounds_are_answered(seen: Seen) -> None:
    seen.needs("2025-06-18")
    seen.text("input_required_multi_round")
    assert seen.asked("input_required_multi_round") == ["elicitation/create"] * 2


def test_rounds_may_be_held_in_the_hand(seen: Seen) -> None:
    seen.needs_era(modern=True)
    assert "state-ok" in seen.text("rounds_by_hand")


def test_a_tampered_state_is_refused(seen: Seen) -> None:
    seen.needs_era(modern=True)
    assert seen.code("tampered_state") == INVALID_PARAMS


def test_structured_output_arrives(seen: Seen) -> None:
    result = seen.step("structured_output")["result"]
    structured = result.get("structuredContent")
    if seen.speaks < "2025-06-18":
        assert structured is None
        structured = json.loads(result["content"][0]["text"])
    assert isinstance(structured["temperature"], float | int) and isinstance(structured["conditions"], str)


def test_good_arguments_are_accepted(seen: Seen) -> None:
    assert seen.text("add") == "5"


@pytest.mark.parametrize("step", ["add_bad_arguments", "add_missing_argument"])
def test_bad_arguments_are_refused_as_the_revision_says(seen: Seen, step: str) -> None:
    if seen.speaks >= "2025-11-25":
        assert seen.step(step)["result"]["isError"] is True
    else:
        assert seen.code(step) == INVALID_PARAMS


def test_an_unknown_tool_is_refused(seen: Seen) -> None:
    assert seen.code("unknown_tool") == INVALID_PARAMS


def test_all_pages_of_resources_are_walked(seen: Seen) -> None:
    entry = seen.step("resources_list")
    uris = [resource["uri"] for resource in entry["items"]]
    assert len(uris) == len(set(uris)) == 10
    assert {"test://static-text", "test://static-binary", "test://item/7"} <= set(uris)
    if seen.peer != "typescript-v2":  # its list methods walk the pages by themselves
        assert entry["pages"] == 3


def test_the_resource_template_is_listed(seen: Seen) -> None:
    templates = [template["uriTemplate"] for template in seen.step("resource_templates_list")["items"]]
    assert "test://template/{id}/data" in templates


def test_a_text_resource_is_read(seen: Seen) -> None:
    [contents] = seen.step("read_text")["contents"]
    assert contents["text"] == "This is the content of the static text resource."
    assert contents["mimeType"] == "text/plain"


def test_a_binary_resource_is_read(seen: Seen) -> None:
    [contents] = seen.step("read_binary")["contents"]
    assert (contents["blob"], contents["mimeType"]) == (PNG, "image/png")


def test_a_templated_resource_is_read(seen: Seen) -> None:
    [contents] = seen.step("read_template")["contents"]
    assert contents["uri"] == "test://template/123/data"
    assert json.loads(contents["text"])["id"] == "123"


def test_an_unknown_resource_is_refused_with_the_code_of_the_revision(seen: Seen) -> None:
    shows_one_code = seen.peer == "typescript-v2"  # its client turns -32002 into the code of the modern era
    assert seen.code("read_unknown") == (INVALID_PARAMS if seen.modern or shows_one_code else -32002)


def test_prompts_are_listed_with_their_arguments(seen: Seen) -> None:
    prompts = {prompt["name"]: prompt for prompt in seen.step("prompts_list")["items"]}
    assert {"test_simple_prompt", "test_prompt_with_image"} <= prompts.keys()
    arguments = prompts["test_prompt_with_arguments"]["arguments"]
    assert [(argument["name"], argument["required"]) for argument in arguments] == [("arg1", True), ("arg2", True)]


def test_a_prompt_is_got(seen: Seen) -> None:
    [message] = seen.step("prompt_simple")["messages"]
    assert message["role"] == "user"
    assert message["content"]["text"] == "This is a simple prompt for testing."


def test_a_prompt_gets_its_arguments(seen: Seen) -> None:
    [message] = seen.step("prompt_arguments")["messages"]
    assert message["content"]["text"] == "Prompt with arguments: arg1='one', arg2='two'"


def test_a_prompt_carries_a_resource(seen: Seen) -> None:
    messages = seen.step("prompt_resource")["messages"]
    assert messages[0]["content"]["resource"]["uri"].rstrip("/") == "test://example"
    assert messages[1]["content"]["text"] == "Please process the embedded resource above."


def test_a_prompt_carries_an_image(seen: Seen) -> None:
    messages = seen.step("prompt_image")["messages"]
    assert messages[0]["content"]["data"] == PNG


def test_a_prompt_asks_too(seen: Seen) -> None:
    seen.needs("2025-06-18")
    assert seen.step("prompt_input_required")["messages"]


@pytest.mark.parametrize("step", ["prompt_unknown", "prompt_missing_argument"])
def test_a_wrong_prompt_request_is_refused(seen: Seen, step: str) -> None:
    assert seen.code(step) == INVALID_PARAMS


def test_arguments_are_completed(seen: Seen) -> None:
    assert seen.step("completion")["completion"]["values"] == ["python"]


def test_a_long_completion_says_that_there_is_more(seen: Seen) -> None:
    completion = seen.step("completion_long")["completion"]
    assert len(completion["values"]) == 100
    assert (completion["total"], completion["hasMore"]) == (150, True)


def test_cancelling_stops_the_work(seen: Seen) -> None:
    entry = seen.step("cancellation")
    assert entry["ended"] == "cancelled"
    assert entry["stopped"]


def test_work_that_is_not_cancelled_finishes(seen: Seen) -> None:
    assert seen.step("slow")["content"][0]["text"] == "done:finished"


def test_a_legacy_server_answers_ping(seen: Seen) -> None:
    seen.needs_era(modern=False)
    assert seen.step("ping") == {"pong": True}


def test_a_legacy_session_hears_of_changed_lists(seen: Seen) -> None:
    seen.needs_era(modern=False)
    changes = seen.step("list_changed")
    assert all(count >= 1 for count in changes.values()), changes


def test_a_legacy_subscriber_hears_of_updates_until_it_unsubscribes(seen: Seen) -> None:
    seen.needs_era(modern=False)
    assert seen.step("subscription") == {"updates": ["test://static-text"], "after_unsubscribe": 0}


def test_a_modern_listener_hears_of_everything_it_asked_for(seen: Seen) -> None:
    seen.needs_era(modern=True)
    entry = seen.step("listen")
    assert entry["events"] == [
        "notifications/prompts/list_changed",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
    ]
    assert entry["honored"]["toolsListChanged"] is True
    assert entry["honored"]["resourceSubscriptions"] == ["test://static-text"]
