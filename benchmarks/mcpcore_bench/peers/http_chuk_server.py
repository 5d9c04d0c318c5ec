"""The benchmark's HTTP server on chuk-mcp-server, as its ``run`` starts it: on uvicorn with uvloop and httptools.

Without the log line of every request, which it writes as a warning.
"""
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

from chuk_mcp_server import ChukMCPServer
from chuk_mcp_server.context import send_progress

from mcpcore_bench.serving import HOST, parse_serving

serving = parse_serving()
server = ChukMCPServer("bench")


@server.tool
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool
async def echo_progress(text: str) -> str:
    """Returns its text after a progress message."""
    await send_progress(1)
    return text


async def filler(text: str, count: int = 1) -> str:
    return text


for name in serving.fillers:
    server.tool(name=name, description=f"Does nothing; it is {name} of the list.")(filler)


if __name__ == "__main__":
    server.run(host=HOST, port=serving.port, debug=False, log_level="error")
