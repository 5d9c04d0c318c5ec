"""What is measured: each workload with its request, its check and the figure that it is judged by.

Groups: ``stdio`` (the load generator against a server), ``client`` (a client against the ceiling's server), ``memory``
(client and server object in one process), ``cold`` (spawn, import, memory), ``http`` and ``http-client`` (as the first
two). How each group runs lives in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mcpcore_bench.http_wire import ID, NO_SESSION
from mcpcore_bench.results import NO_ERA
from mcpcore_bench.wire import BIG, ECHO, ERAS, Check, Shape, is_tool_list, text_is, tools_are

__all__ = [
    "CLIENT",
    "COLD",
    "GROUPS",
    "HTTP",
    "HTTP_CLIENT",
    "HTTP_GROUPS",
    "IMPORT",
    "MEMORY",
    "MODULES",
    "STDIO",
    "WORKLOADS",
    "Serve",
    "Workload",
]

HTTP_GROUPS: Final = ("http", "http-client")
GROUPS: Final = ("stdio", "client", "memory", "cold", *HTTP_GROUPS)


@dataclass(frozen=True)
class Serve:
    """How an HTTP server is started for a workload; those that are served alike share a process."""

    answer: str = "json"
    tools: int = 5
    sessions: bool = True

    def options(self, port: int) -> list[str]:
        """The options of ``serving.py``."""
        given = {"port": port, "tools": self.tools, "answer": self.answer, "sessions": "yes" if self.sessions else "no"}
        return [f"--{name}={value}" for name, value in given.items()]


@dataclass(frozen=True)
class Workload:
    """``primary`` is the figure that ratios are made of. ``families`` limits who takes part; empty means everyone.

    ``window`` is the number of requests outstanding, over HTTP that of connections, each with one.
    """

    key: str
    title: str
    group: str
    primary: str
    window: int = 1
    shape: Shape = ("", {})
    check: Check = lambda result: None
    families: tuple[str, ...] = ()
    eras: tuple[str, ...] = ERAS
    serve: Serve = Serve()

    def served(self, era: str) -> Serve:
        """How the HTTP server of this era is started."""
        return replace(self.serve, sessions=era != NO_SESSION)

    def invites(self, family: str) -> bool:
        """Whether implementations of this family take part at all."""
        return not self.families or family in self.families


def _echo(tool: str) -> Shape:
    return "tools/call", {"name": tool, "arguments": {"text": ECHO}}


def _handler(tool: str, what: str) -> Workload:
    title = f"handler: {what}, 64 outstanding"
    return Workload(f"{tool}-64", title, "stdio", "cpu_us", 64, _echo(tool), text_is(ECHO), ("mcpcore",))


STDIO: Final = (
    Workload("echo-64", "tools/call echo, 64 outstanding", "stdio", "cpu_us", 64, _echo("echo"), text_is(ECHO)),
    _handler("echo_await", "awaits a finished coroutine"),
    _handler("echo_sleep0", "awaits asyncio.sleep(0)"),
    _handler("echo_thread", "def, in a thread"),
    Workload("echo-1", "tools/call echo, 1 outstanding", "stdio", "median_us", 1, _echo("echo"), text_is(ECHO)),
    Workload("list-64", "tools/list of 50, 64 outstanding", "stdio", "cpu_us", 64, ("tools/list", {}), is_tool_list),
    Workload(
        "big-8",
        "tools/call with 64 KiB of text, 8 outstanding",
        "stdio",
        "cpu_us",
        8,
        ("tools/call", {"name": "big", "arguments": {}}),
        text_is(BIG),
    ),
)
CLIENT: Final = (Workload("client-64", "client, tools/call echo, 64 outstanding", "client", "cpu_us", 64),)
MEMORY: Final = (
    Workload("memory-64", "in memory, tools/call echo, 64 outstanding", "memory", "cpu_us", 64),
    Workload("memory-1", "in memory, tools/call echo, 1 outstanding", "memory", "median_us", 1),
)
COLD: Final = Workload("cold", "cold start: spawn to first answer", "cold", "first_ms", shape=_echo("echo"))
IMPORT: Final = Workload("import", "import time", "cold", "import_ms", eras=(NO_ERA,))
MODULES: Final = Workload("modules", "modules of a stdio server", "cold", "modules", families=("ceiling", "mcpcore"))
PROGRESS: Final[Shape] = (
    "tools/call",
    {"name": "echo_progress", "arguments": {"text": ECHO}, "_meta": {"progressToken": ID}},
)
LISTED: Final = ("ceiling", "mcpcore", "mcp")


def _json(connections: int, primary: str, eras: tuple[str, ...] = ERAS) -> Workload:
    title = f"HTTP, tools/call echo, JSON, {_many(connections)}"
    return Workload(
        f"http-json-{connections}", title, "http", primary, connections, _echo("echo"), text_is(ECHO), eras=eras
    )


def _sse(connections: int, primary: str) -> Workload:
    title = f"HTTP, tools/call with progress, SSE, {_many(connections)}"
    return Workload(
        f"http-sse-{connections}",
        title,
        "http",
        primary,
        connections,
        PROGRESS,
        text_is(ECHO),
        serve=Serve("sse"),
    )


def _list(tools: int) -> Workload:
    return Workload(
        f"http-list-{tools}",
        f"HTTP, tools/list of {tools}, 8 connections",
        "http",
        "cpu_us",
        8,
        ("tools/list", {}),
        tools_are(tools),
        LISTED,
        ("modern",),
        Serve(tools=tools),
    )


def _many(connections: int) -> str:
    return f"{connections} connection{'s' if connections > 1 else ''}"


HTTP: Final = (
    _json(64, "cpu_us", (*ERAS, NO_SESSION)),
    _json(16, "cpu_us"),
    _json(1, "median_us"),
    _sse(64, "cpu_us"),
    _sse(16, "cpu_us"),
    _sse(1, "median_us"),
    _list(5),
    _list(500),
)
HTTP_CLIENT: Final = (
    Workload("http-client-64", "HTTP client, tools/call echo, 64 outstanding", "http-client", "cpu_us", 64),
)
WORKLOADS: Final = (*STDIO, *CLIENT, *MEMORY, COLD, IMPORT, MODULES, *HTTP, *HTTP_CLIENT)
