"""The benchmark's HTTP server on mcpcore, with public names only.

The variants: no setting; on uvloop; and without the fast path for ordinary request heads, so that h11 reads them all.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any

from mcpcore import Context, Server

from mcpcore_bench.serving import HOST, parse_serving

serving = parse_serving(("plain", "uvloop", "h11"))
server = Server("bench")


@server.tool
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool
async def echo_progress(text: str, ctx: Context) -> str:
    """Returns its text after a progress message."""
    await ctx.progress(1)
    return text


async def filler(text: str, count: int = 1) -> str:
    return text


for name in serving.fillers:
    server.tool(name, description=f"Does nothing; it is {name} of the list.")(filler)


if __name__ == "__main__":
    options: dict[str, Any] = {"host": HOST, "port": serving.port}
    if not serving.sessions:
        options["sessions"] = False
    if serving.variant == "h11":
        options["fast_heads"] = False
    if serving.variant == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve("http", **options))
    else:
        server.run("http", **options)
