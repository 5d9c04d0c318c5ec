"""The benchmark's HTTP server on the official Python SDK (mcp 2.3), as its ``run`` starts it.

It takes uvloop and httptools where they can be imported. Without the log line of every request, and without structured
output: work that the other servers do not do either.
"""
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from mcpcore_bench.serving import HOST, parse_serving

serving = parse_serving()
server = MCPServer("bench", log_level="WARNING")


@server.tool(structured_output=False)
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool(structured_output=False)
async def echo_progress(text: str, ctx: Context) -> str:
    """Returns its text after a progress message."""
    await ctx.report_progress(1)
    return text


async def filler(text: str, count: int = 1) -> str:
    return text


for name in serving.fillers:
    server.tool(name, description=f"Does nothing; it is {name} of the list.", structured_output=False)(filler)


if __name__ == "__main__":
    server.run(
        "streamable-http",
        host=HOST,
        port=serving.port,
        json_response=serving.answer == "json",
        stateless_http=not serving.sessions,
    )
