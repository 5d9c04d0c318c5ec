"""The conformance client as a process, against mock servers over stdio: what it says in each scenario."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import mock_server
from tests.examples.wire import EXAMPLES, META, MODERN, environment
from tests.schema_judge import AVAILABLE, validate

CLIENT = str(EXAMPLES / "conformance_client.py")
LEGACY = "2025-11-25"

Message = dict[str, Any]


def run(scenario: str, version: str, target: str) -> subprocess.CompletedProcess[str]:
    env = {
        **environment(),
        "MCP_CONFORMANCE_SCENARIO": scenario,
        "MCP_CONFORMANCE_PROTOCOL_VERSION": version,
    }
    return subprocess.run(
        [sys.executable, CLIENT, target], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False
    )


def play(scenario: str, version: str, directory: Path) -> list[Message]:
    """What the client said to the mock server of the scenario; all of it has to satisfy the schema."""
    record = directory / "record.jsonl"
    command = [sys.executable, mock_server.__file__, scenario, str(record)]
    done = run(scenario, version, f"stdio:{shlex.join(command)}")
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in record.read_bytes().splitlines()]
    if AVAILABLE:
        assert [fault for one in said for fault in validate(one, version, "client")] == []
    return said


def requests(said: list[Message], method: str) -> list[Message]:
    return [one for one in said if one.get("method") == method]


@pytest.mark.parametrize("version", [LEGACY, MODERN])
def test_tools_call_adds_two_numbers(version: str, tmp_path: Path) -> None:
    said = play("tools_call", version, tmp_path)
    assert requests(said, "tools/list")
    [call] = requests(said, "tools/call")
    assert (call["params"]["name"], call["params"]["arguments"]) == ("add_numbers", {"a": 5, "b": 3})


def test_initialize_opens_a_session_and_lists_tools(tmp_path: Path) -> None:
    said = play("initialize", LEGACY, tmp_path)
    assert [one["method"] for one in said] == ["initialize", "notifications/initialized", "tools/list"]
    assert said[0]["params"]["protocolVersion"] == LEGACY and said[0]["params"]["clientInfo"]["name"]


def test_a_form_is_accepted_with_its_defaults(tmp_path: Path) -> None:
    said = play("elicitation-sep1034-client-defaults", LEGACY, tmp_path)
    [answer] = [one for one in said if "method" not in one]
    expected = {name: schema["default"] for name, schema in mock_server.FIELDS.items()}
    assert answer["result"] == {"action": "accept", "content": expected}


def test_every_request_carries_its_metadata_even_after_a_refusal(tmp_path: Path) -> None:
    said = play("request-metadata", MODERN, tmp_path)
    sent = [one for one in said if "id" in one]
    assert [one["method"] for one in sent[-2:]] == ["tools/list", "tools/call"] and len(sent) >= 4
    for one in sent:
        meta = one["params"]["_meta"]
        assert meta[f"{META}protocolVersion"] == MODERN and meta[f"{META}clientInfo"]["name"]
        assert {"roots", "sampling", "elicitation"} <= meta[f"{META}clientCapabilities"].keys()


def test_a_state_comes_back_exactly_where_it_was_given(tmp_path: Path) -> None:
    said = play("sep-2322-client-request-state", MODERN, tmp_path)
    calls = [(one["id"], one["params"]) for one in requests(said, "tools/call")]
    first, echo, unrelated, without, retry, untyped = (params for _, params in calls)
    assert echo["requestState"] == mock_server.STATE and "requestState" not in first
    assert [params["inputResponses"] for params in (echo, retry)] == [
        {"confirm": {"action": "accept", "content": {"confirmed": True}}}
    ] * 2
    for params in (unrelated, without, retry, untyped):
        assert "requestState" not in params
    assert len({id for id, _ in calls}) == len(calls) == 6


@pytest.mark.parametrize("version", [LEGACY, MODERN])
def test_a_schema_is_kept_as_it_came(version: str, tmp_path: Path) -> None:
    said = play("json-schema-2020-12-preservation", version, tmp_path)
    [call] = requests(said, "tools/call")
    assert call["params"]["arguments"] == {"schema": mock_server.SCHEMA}


def test_a_schema_with_a_remote_reference_is_just_listed(tmp_path: Path) -> None:
    said = play("json-schema-ref-no-deref", MODERN, tmp_path)
    assert requests(said, "tools/list") and not requests(said, "tools/call")


@pytest.mark.parametrize(
    ("scenario", "status", "words"),
    [
        ("no-such-scenario", 1, "is unknown here; known are: initialize"),
        ("", 1, "is unknown here"),
        ("auth/metadata-default", 2, "needs OAuth"),
        ("sep-2640-client-verify-digest", 2, "needs the Skills extension"),
        ("tools_call", 1, "Connection refused"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(scenario: str, status: int, words: str) -> None:
    done = run(scenario, LEGACY, "http://localhost:1/mcp")
    assert done.returncode == status
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_a_server_that_cannot_be_started_fails_the_scenario() -> None:
    done = run("tools_call", LEGACY, "stdio:/no/such/program")
    assert done.returncode == 1 and "/no/such/program" in done.stderr and "Traceback" not in done.stderr
