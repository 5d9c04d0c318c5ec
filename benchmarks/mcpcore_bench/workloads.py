"""What is measured: each workload with its request, its check and the figure that it is judged by.

Groups: ``stdio`` (the load generator against a server), ``client`` (a client against the ceiling's server), ``memory``
(client and server object in one process), ``cold`` (spawn, import, memory). How each group runs lives in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcpcore_bench.wire import BIG, ECHO, Check, Shape, is_tool_list, text_is

__all__ = ["CLIENT", "COLD", "GROUPS", "IMPORT", "MEMORY", "MODULES", "STDIO", "WORKLOADS", "Workload"]

GROUPS: Final = ("stdio", "client", "memory", "cold")


@dataclass(frozen=True)
class Workload:
    """``primary`` is the figure that ratios are made of. ``families`` limits who takes part; empty means everyone."""

    key: str
    title: str
    group: str
    primary: str
    window: int = 1
    shape: Shape = ("", {})
    check: Check = lambda result: None
    families: tuple[str, ...] = ()

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
IMPORT: Final = Workload("import", "import time", "cold", "import_ms")
MODULES: Final = Workload("modules", "modules of a stdio server", "cold", "modules", families=("ceiling", "mcpcore"))
WORKLOADS: Final = (*STDIO, *CLIENT, *MEMORY, COLD, IMPORT, MODULES)
