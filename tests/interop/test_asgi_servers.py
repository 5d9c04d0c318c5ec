"""``server.asgi()`` under real ASGI servers and inside real frameworks.

How uvicorn ends is its own affair: after an orderly end it gives itself the signal again, so its status is that of the
signal. The others end with 0.
"""

from __future__ import annotations

import functools
import http.client
import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.interop import launch, peers, serving
from tests.interop.cases import ROOT
from tests.interop.raw_http import Events, Legacy, Modern
from tests.interop.serving import Served

APP = "tests.interop.servers.asgi_apps:app"
SERVERS: dict[str, Callable[[int], list[str]]] = {
    "uvicorn": lambda port: ["uvicorn", APP, f"--port={port}", "--http=h11", "--loop=asyncio"],
    "uvicorn-fast": lambda port: ["uvicorn", APP, f"--port={port}", "--http=httptools", "--loop=uvloop"],
    "uvicorn-without-lifespan": lambda port: ["uvicorn", APP, f"--port={port}", "--lifespan=off"],
    "hypercorn": lambda port: ["hypercorn", APP, f"--bind=127.0.0.1:{port}"],
    "hypercorn-in-one-process": lambda port: ["hypercorn", APP, f"--bind=127.0.0.1:{port}", "--workers=0"],
    "hypercorn-uvloop": lambda port: [
        *("hypercorn", APP, f"--bind=127.0.0.1:{port}", "--workers=0", "--worker-class=uvloop")
    ],
    "granian": lambda port: ["granian", "--interface=asgi", APP, f"--port={port}"],
}
FRAMEWORKS = [
    ("asgi", "in_fastapi"),
    ("asgi", "in_starlette"),
    ("asgi-2023", "in_fastapi"),
    ("asgi-2023", "in_starlette"),
]
STREAMS = 50
END_SECONDS = 2.0
PROMPT_SECONDS = 0.2
WAIT = 20.0
LISTEN = {"notifications": {"toolsListChanged": True}}
STEPS = ["simple_text", "progress", "logging", "elicitation", "sampling", "echo_large", "concurrent", "cancellation"]


def command(server: str, environment: str, port: int) -> list[str]:
    return [str(peers.install(environment).interpreter), "-m", *SERVERS[server](port)]


def run(server: str, app: str = "alone", environment: str = "asgi") -> Any:
    """A context manager: the application ``app`` under this server."""
    try:
        peers.install(environment)
    except peers.InstallFailed as failure:
        pytest.fail(str(failure), pytrace=False)
    return serving.serving(functools.partial(command, server, environment), env={"MCPCORE_TEST_APP": app}, cwd=ROOT)


def ended_well(served: Served) -> None:
    status = -signal.SIGTERM if "Uvicorn running" in served.stderr else 0
    assert served.status == status, served.stderr
    assert served.seconds < END_SECONDS, served.stderr
    for word in ("Traceback", "ERROR", "Exception", "Warning"):
        assert word not in served.stderr, served.stderr


@pytest.fixture(
    scope="module",
    params=[
        *((server, "alone") for server in SERVERS),
        *((server, "behind_middlewares") for server in ("uvicorn-fast", "hypercorn", "granian")),
    ],
    ids="-".join,
)
def telling(request: pytest.FixtureRequest) -> Iterator[Served]:
    server, app = request.param
    with run(server, app) as served:
        yield served
    ended_well(served)


def call(speaker: Modern | Legacy, tool: str, **arguments: Any) -> Any:
    result = speaker.request("tools/call", name=tool, arguments=arguments).result
    return result["structuredContent"]["result"] if "structuredContent" in result else result["content"][0]["text"]


def until_it_happened(speaker: Modern | Legacy, step: str) -> None:
    deadline = time.monotonic() + WAIT
    while step not in (steps := call(speaker, "happened")):
        assert time.monotonic() < deadline, f"{step!r} did not happen: {steps}"
        time.sleep(0.01)


def answers_in_both_eras(url: str, name: str) -> None:
    """POST, GET and DELETE, none of them with a redirect, which these clients would not follow."""
    modern, legacy = Modern(url), Legacy(url)
    for speaker in (modern, legacy):
        assert call(speaker, "whoami") == name
        assert call(speaker, "happened")[0] == "alive"
    standing = legacy.standing()
    assert standing.status == 200
    standing.close()
    assert legacy.end() == 204
    assert legacy.request("ping").status == 404


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_it_answers_at_its_path(telling: Served, path: str) -> None:
    answers_in_both_eras(telling.url(path), "telling")


@pytest.mark.parametrize(("environment", "app"), FRAMEWORKS)
@pytest.mark.parametrize("server", ["uvicorn", "uvicorn-without-lifespan"])
def test_mounted_it_answers_at_the_mount_and_nothing_else_is_needed(server: str, environment: str, app: str) -> None:
    with run(server, app, environment) as served:
        for path in ("/mcp", "/mcp/", "/mcp/mcp"):
            answers_in_both_eras(served.url(path), "telling")
        for number in range(4):
            answers_in_both_eras(served.url(f"/{number}"), f"server {number}")
        status = get(served, "/elsewhere")
        assert status == 404
    ended_well(served)
    for name in ("telling", *(f"server {number}" for number in range(4))):
        assert served.stderr.count(f"{name} started") == served.stderr.count(f"{name} ended") == 1, served.stderr


def get(served: Served, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WAIT)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_lifespan_is_started_and_ended_once_by_every_server() -> None:
    for server in SERVERS:
        with run(server) as served:
            assert call(Modern(served.url("/mcp")), "happened") == ["alive"]
        ended_well(served)
        assert [line for line in served.stderr.splitlines() if line.startswith("telling ")] == [
            "telling started",
            "telling ended",
        ], served.stderr


@pytest.mark.parametrize("say", [False, True])
def test_a_client_that_goes_away_cancels_a_modern_request(telling: Served, say: bool) -> None:
    modern, name = Modern(telling.url("/mcp")), uuid.uuid4().hex
    message = modern.message("tools/call", {"name": "wait", "arguments": {"name": name, "seconds": 60, "say": say}})
    message["params"]["_meta"]["progressToken"] = 1
    leave_once_it_has_begun(modern, message, name)
    until_it_happened(modern, f"{name} cancelled")


def test_a_client_that_goes_away_leaves_a_legacy_request_running(telling: Served) -> None:
    legacy, name = Legacy(telling.url("/mcp")), uuid.uuid4().hex
    message = legacy.message("tools/call", {"name": "wait", "arguments": {"name": name, "seconds": 0.3}})
    leave_once_it_has_begun(legacy, message, name)
    until_it_happened(legacy, f"{name} finished")


def leave_once_it_has_begun(speaker: Modern | Legacy, message: dict[str, Any], name: str) -> None:
    body = json.dumps(message).encode()
    connection = http.client.HTTPConnection(speaker.authority, timeout=WAIT)
    accept = {"Accept": "application/json, text/event-stream"}
    connection.request("POST", speaker.path, body, {**accept, **speaker.headers_of(message)})
    until_it_happened(speaker, f"{name} begun")
    connection.close()


def test_progress_comes_while_the_tool_runs(telling: Served) -> None:
    modern = Modern(telling.url("/mcp"))
    arguments = {"name": "prompt", "seconds": 2 * PROMPT_SECONDS, "say": True}
    events = modern.stream("tools/call", name="wait", arguments=arguments, _meta={"progressToken": 1})
    progress, result = events.next(), events.next()
    events.close()
    assert progress.message["method"] == "notifications/progress"
    assert result.at - progress.at > PROMPT_SECONDS


@pytest.mark.parametrize("server", SERVERS)
def test_fifty_open_streams_do_not_hold_up_the_end(server: str) -> None:
    listening: list[Events] = []
    with run(server) as served:
        url = served.url("/mcp")
        modern = Modern(url)
        for _ in range(STREAMS // 2):
            listening.append(modern.stream("subscriptions/listen", **LISTEN))
            listening.append(Legacy(url).standing())
        for events in listening[::2]:
            assert events.next().message["method"] == "notifications/subscriptions/acknowledged"
        running = [
            modern.stream("tools/call", name="wait", arguments=arguments, _meta={"progressToken": 1})
            for arguments in (
                {"name": "long", "seconds": 60, "say": True},
                {"name": "short", "seconds": 0.5, "say": True},
            )
        ]
    ended_well(served)
    for number, events in enumerate(listening):
        last = last_of(events)
        assert number % 2 or (last is not None and last["result"]["resultType"] == "complete"), last
    long, short = [last_of(events) for events in running]
    assert "was cancelled" in long["error"]["message"]
    assert short["result"]["content"][0]["text"] == "done"


def last_of(events: Events) -> Any:
    last = None
    try:
        while True:
            last = events.next().message
    except EOFError:
        events.close()
    return last


@pytest.fixture(scope="module", params=["uvicorn-fast", "hypercorn", "granian"])
def everything(request: pytest.FixtureRequest) -> Iterator[Served]:
    with run(request.param, "everything") as served:
        yield served


@pytest.mark.parametrize(
    ("client", "mode", "transport"),
    [
        (launch.OURS, "2026-07-28", "http"),
        (launch.OURS, "2025-11-25", "http"),
        ("mcp-2.3", "auto", "http"),
        ("typescript-v2", "legacy", "http"),
        ("mcp-1.30", "legacy", "sse"),
    ],
)
def test_a_client_does_its_work(everything: Served, client: str, mode: str, transport: str) -> None:
    assert troubles(client, mode, transport, everything.url(serving.PATHS[transport])) == []


@pytest.fixture(scope="module", params=FRAMEWORKS, ids="-".join)
def below(request: pytest.FixtureRequest) -> Iterator[Served]:
    environment, app = request.param
    with run("uvicorn", app, environment) as served:
        yield served


@pytest.mark.parametrize(
    ("client", "mode", "transport", "path"),
    [
        (launch.OURS, "2025-11-25", "sse", "/a/b/sse"),
        ("mcp-1.30", "legacy", "sse", "/a/b/sse"),
        ("typescript-v1", "legacy", "sse", "/a/b/sse"),
        (launch.OURS, "2026-07-28", "http", "/a/b"),
        ("mcp-2.3", "auto", "http", "/a/b/"),
    ],
)
def test_a_client_does_its_work_below_a_longer_path(
    below: Served, client: str, mode: str, transport: str, path: str
) -> None:
    assert troubles(client, mode, transport, below.url(path)) == []


def troubles(client: str, mode: str, transport: str, url: str) -> list[Any]:
    """Steps of the client's battery that ended in an error, and its complaints."""
    options = {"transport": transport, "url": url, "cwd": None, "mode": mode, "steps": STEPS}
    observed = launch.converse(client, options, uuid.uuid4().hex, {})
    steps = observed["steps"]
    assert steps.keys() == set(STEPS)
    failed = [
        (name, entry)
        for name, entry in steps.items()
        if isinstance(entry, dict) and ("error" in entry or "exception" in entry)
    ]
    return [*failed, *observed["faults"]]
