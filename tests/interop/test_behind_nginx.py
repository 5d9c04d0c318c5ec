"""Our everything server behind a real nginx with its stock ``proxy_pass``, at its own path and under a prefix.

nginx buffers what comes from upstream, speaks HTTP/1.0 to it and closes a connection that was silent for 60 seconds,
unless the answer or the stream tells it otherwise: what holds here holds behind a proxy that nobody has tuned.
"""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop import launch, nginx, peers, serving
from tests.interop.cases import ROOT, our_server
from tests.interop.nginx import proxying
from tests.interop.raw_http import Events, Legacy, Modern

pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed")

ROUTES = {"/": "", "/api/": "/"}
PATHS = ["/mcp", "/api/mcp"]
PROMPT_SECONDS = 0.2
IDLE_SECONDS = 125.0
SLOWEST_SECONDS = 2.0
ATTEMPTS = 3
CHANGED = "notifications/tools/list_changed"
STEPS = ["simple_text", "progress", "logging", "elicitation", "sampling", "echo_large", "concurrent", "cancellation"]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    home = tmp_path_factory.mktemp("nginx")
    with (
        serving.serving(functools.partial(our_server, None, "http"), cwd=ROOT) as server,
        proxying(server.port, ROUTES, home) as served,
    ):
        yield served


class Listener:
    """A stream of changes in one era, and how a change is brought about in it."""

    def __init__(self, modern: bool, url: str) -> None:
        self.speaker: Modern | Legacy = Modern(url) if modern else Legacy(url)
        self.events = self._open()

    def _open(self) -> Events:
        if isinstance(self.speaker, Legacy):
            return self.speaker.standing()
        events = self.speaker.stream("subscriptions/listen", notifications={"toolsListChanged": True})
        try:
            assert events.next().message["method"] == "notifications/subscriptions/acknowledged"
        except BaseException:
            events.close()
            raise
        return events

    def change(self) -> float:
        """Brings a change about; the seconds from asking for it to hearing of it."""
        asked = time.monotonic()
        assert not self.speaker.request("tools/call", name="test_trigger_tool_change").result.get("isError")
        arrival = self.events.next()
        assert arrival.message["method"] == CHANGED
        return arrival.at - asked


@pytest.fixture(params=["legacy", "modern"])
def modern(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "modern"


@pytest.mark.parametrize("path", PATHS)
def test_an_event_is_there_at_once(proxy: serving.Served, path: str, modern: bool) -> None:
    listener = Listener(modern, proxy.url(path))
    try:
        # The time includes asking for the change; of three, one must not have been held up by other work here.
        assert min(listener.change() for _ in range(ATTEMPTS)) < PROMPT_SECONDS
    finally:
        listener.events.close()


@pytest.mark.parametrize("path", PATHS)
def test_progress_comes_while_the_tool_runs(proxy: serving.Served, path: str, modern: bool) -> None:
    url = proxy.url(path)
    speaker: Modern | Legacy = Modern(url) if modern else Legacy(url)
    token = {"progressToken": "nginx"}
    events = speaker.stream("tools/call", name="test_tool_with_progress", arguments={}, _meta=token)
    try:
        arrivals = [events.next() for _ in range(4)]
    finally:
        events.close()
    assert [one.message.get("method", "result") for one in arrivals] == ["notifications/progress"] * 3 + ["result"]
    # The tool takes 150 ms from its first step on. Had nginx kept the events, all of them would have come at its end.
    assert arrivals[-1].at - arrivals[0].at > 0.1


@pytest.mark.slow
def test_an_idle_stream_survives_two_minutes(proxy: serving.Served) -> None:
    listeners = [Listener(modern, proxy.url(path)) for path in PATHS for modern in (False, True)]
    try:
        time.sleep(IDLE_SECONDS)  # the silence itself is what is tested
        assert max(listener.change() for listener in listeners) < SLOWEST_SECONDS
    finally:
        for listener in listeners:
            listener.events.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_legacy_session_lives_and_ends(proxy: serving.Served, path: str) -> None:
    speaker = Legacy(proxy.url(path))
    assert speaker.request("ping").result == {}
    assert speaker.end() in (200, 204)
    assert speaker.request("ping").status == 404


@pytest.mark.parametrize("client", [launch.OURS, "mcp-2.3", "typescript-v2"])
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("path", PATHS)
def test_a_client_does_its_work(proxy: serving.Served, client: str, mode: str, path: str) -> None:
    if client == launch.OURS and mode == "legacy":
        mode = "2025-11-25"
    observed = talk(client, mode, "http", proxy.url(path), STEPS)
    assert troubles(observed) == []


@pytest.mark.parametrize("client", [launch.OURS, "mcp-1.30", "typescript-v1"])
@pytest.mark.parametrize("path", ["/sse", "/api/sse"])
def test_the_older_transport_finds_its_second_url(proxy: serving.Served, client: str, path: str) -> None:
    mode = "2025-11-25" if client == launch.OURS else "legacy"
    observed = talk(client, mode, "sse", proxy.url(path), STEPS)
    assert troubles(observed) == []


@pytest.fixture(scope="module")
def adding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    """The other way round: the server lives under a path, mounted in a framework, and nginx shows it at the root."""
    home = tmp_path_factory.mktemp("nginx-adding")
    try:
        python = peers.install("asgi").interpreter
    except peers.InstallFailed as failure:
        pytest.fail(str(failure), pytrace=False)

    def command(port: int) -> list[str]:
        return [str(python), "-m", "uvicorn", "tests.interop.servers.mounted:app", "--port", str(port)]

    with serving.serving(command, cwd=ROOT) as server, proxying(server.port, {"/": "/app/"}, home) as served:
        yield served


@pytest.mark.parametrize(
    ("client", "mode", "transport"),
    [
        (launch.OURS, "2025-11-25", "sse"),
        ("mcp-1.30", "legacy", "sse"),
        ("typescript-v1", "legacy", "sse"),
        (launch.OURS, "2026-07-28", "http"),
        ("typescript-v2", "legacy", "http"),
    ],
)
def test_a_prefix_that_only_the_server_knows_does_no_harm(
    adding: serving.Served, client: str, mode: str, transport: str
) -> None:
    assert troubles(talk(client, mode, transport, adding.url(serving.PATHS[transport]), STEPS)) == []


def talk(client: str, mode: str, transport: str, url: str, steps: list[str]) -> dict[str, Any]:
    options = {"transport": transport, "url": url, "cwd": None, "mode": mode, "steps": steps}
    return launch.converse(client, options, uuid.uuid4().hex, {})


def troubles(observed: dict[str, Any]) -> list[Any]:
    """Steps that ended in an error, and complaints of the client."""
    steps = observed["steps"]
    assert steps.keys() == set(STEPS)
    failed = [
        (name, entry)
        for name, entry in steps.items()
        if isinstance(entry, dict) and ("error" in entry or "exception" in entry)
    ]
    return [*failed, *observed["faults"]]
