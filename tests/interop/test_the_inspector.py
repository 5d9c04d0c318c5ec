"""The MCP Inspector's command line against our everything server, over stdio, Streamable HTTP and HTTP+SSE, in every
revision it can be made to speak.

Facts, read in 2.12.0 and seen on the wire: ``--cli <command or URL>`` starts the server or connects to it, makes one
request and ends, with the result as JSON on stdout or ``{"error": …}`` on stderr and a status that is not zero (5 where
a tool says ``isError`` or is not listed). ``--protocol-era legacy`` (the default) always offers 2025-11-25, ``auto``
probes with ``server/discover``, ``modern`` insists on 2026-07-28. It declares neither sampling nor elicitation, and it
knows no ping, completion, subscription or cancellation.
"""

from __future__ import annotations

import contextlib
import functools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop import launch, peers, serving
from tests.interop.cases import INSPECTOR_CASES, MODERN, ROOT, ClientCase, our_server

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SECONDS = 40.0
TOOL_SAYS_ERROR = 5


class Inspector:
    """The Inspector in one era against our server; each request is a process of its own."""

    def __init__(self, case: ClientCase, home: Path, url: str | None) -> None:
        self.case = case
        self.home = home
        self.url = url
        self.program = peers.install("inspector").entry_point("@modelcontextprotocol/inspector")

    def run(self, method: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """The exit status, the JSON object on stdout ({} where there is none), and stderr."""
        tag = uuid.uuid4().hex
        if self.url:
            target = ["--transport", self.case.transport, "--server-url", self.url]
        else:
            variables = ["-e", f"PYTHONPATH={ROOT}", "-e", f"{launch.TAG}={tag}"]
            target = [*our_server(self.case.restriction), *variables]
        options = ["--protocol-era", self.case.mode, "--format", "json", "--method", method]
        command = [*self.program, "--cli", *target, *options, *arguments]
        status, output, errors = launch.run(command, tag, env={"HOME": str(self.home)}, seconds=SECONDS)
        return status, json.loads(output) if output else {}, errors

    def result(self, method: str, *arguments: str) -> dict[str, Any]:
        status, answer, errors = self.run(method, *arguments)
        assert status == 0, errors
        result: dict[str, Any] = answer["result"]
        return result


@pytest.fixture(scope="module", params=INSPECTOR_CASES, ids=str)
def inspector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    case: ClientCase = request.param
    home = tmp_path_factory.mktemp("inspector")
    try:
        peers.install("inspector")
    except peers.InstallFailed as failure:
        pytest.fail(str(failure), pytrace=False)
    with contextlib.ExitStack() as stack:
        url = None
        if case.transport != "stdio":
            command = functools.partial(our_server, case.restriction, case.transport)
            url = stack.enter_context(serving.serving(command, cwd=ROOT)).url(serving.PATHS[case.transport])
        yield Inspector(case, home, url)


def test_they_agree_on_the_revision(inspector: Inspector) -> None:
    opening = inspector.result("initialize")
    assert opening["protocolVersion"] == inspector.case.speaks
    assert opening["capabilities"]["tools"]["listChanged"] is True


def test_it_lists_the_tools(inspector: Inspector) -> None:
    names = {tool["name"] for tool in inspector.result("tools/list")["tools"]}
    assert {"test_simple_text", "json_schema_2020_12_tool", "test_structured_output"} <= names


def test_it_calls_a_tool_with_arguments(inspector: Inspector) -> None:
    arguments = ["--tool-name", "test_add", "--tool-args-json", '{"a": 2, "b": 3}']
    assert inspector.result("tools/call", *arguments)["content"] == [{"type": "text", "text": "5"}]


def test_it_gets_images_and_resources(inspector: Inspector) -> None:
    content = inspector.result("tools/call", "--tool-name", "test_multiple_content_types")["content"]
    assert [block["type"] for block in content] == ["text", "image", "resource"]
    assert content[1]["data"] == PNG


def test_it_gets_structured_output(inspector: Inspector) -> None:
    result = inspector.result("tools/call", "--tool-name", "test_structured_output")
    assert ("structuredContent" in result) == (inspector.case.speaks >= "2025-06-18")


def test_it_sees_that_a_tool_failed(inspector: Inspector) -> None:
    status, answer, _ = inspector.run("tools/call", "--tool-name", "test_error_handling")
    assert status == TOOL_SAYS_ERROR
    assert answer["result"]["isError"] is True


def test_a_tool_that_asks_is_refused_without_the_capability(inspector: Inspector) -> None:
    arguments = ["--tool-name", "test_sampling", "--tool-args-json", '{"prompt": "Hello"}']
    status, answer, errors = inspector.run("tools/call", *arguments)
    assert status != 0
    assert "sampling" in json.dumps(answer) + errors


def test_it_lists_the_resources(inspector: Inspector) -> None:
    uris = {resource["uri"] for resource in inspector.result("resources/list")["resources"]}
    assert {"test://static-text", "test://static-binary", "test://item/7"} <= uris


def test_it_lists_the_templates(inspector: Inspector) -> None:
    templates = inspector.result("resources/templates/list")["resourceTemplates"]
    assert "test://template/{id}/data" in [template["uriTemplate"] for template in templates]


def test_it_reads_a_resource(inspector: Inspector) -> None:
    [contents] = inspector.result("resources/read", "--uri", "test://template/123/data")["contents"]
    assert json.loads(contents["text"])["data"] == "Data for ID: 123"


def test_an_unknown_resource_is_an_error(inspector: Inspector) -> None:
    status, _, errors = inspector.run("resources/read", "--uri", "test://no/such/resource")
    assert status != 0
    assert "error" in json.loads(errors.splitlines()[-1])


def test_it_lists_the_prompts(inspector: Inspector) -> None:
    names = {prompt["name"] for prompt in inspector.result("prompts/list")["prompts"]}
    assert {"test_simple_prompt", "test_prompt_with_arguments"} <= names


def test_it_gets_a_prompt(inspector: Inspector) -> None:
    arguments = ["--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=one", "arg2=two"]
    [message] = inspector.result("prompts/get", *arguments)["messages"]
    assert message["content"]["text"] == "Prompt with arguments: arg1='one', arg2='two'"


def test_it_sets_the_log_level(inspector: Inspector) -> None:
    if inspector.case.speaks == MODERN:
        pytest.skip("the modern era has no logging/setLevel")
    assert inspector.result("logging/setLevel", "--log-level", "debug") == {}
