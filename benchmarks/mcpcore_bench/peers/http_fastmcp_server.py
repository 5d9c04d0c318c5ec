"""The benchmark's HTTP server on FastMCP 4.1, as its ``run`` starts it.

Without output schemas, banner and the log line of every request: work that the other servers do not do either.
"""
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

from fastmcp import Context, FastMCP

from mcpcore_bench.serving import HOST, PATH, parse_serving

serving = parse_serving()
server = FastMCP("bench")


@server.tool(output_schema=None)
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool(output_schema=None)
async def echo_progress(text: str, ctx: Context) -> str:
    """Returns its text after a progress message."""
    await ctx.report_progress(1)
    return text


async def filler(text: str, count: int = 1) -> str:
    return text


for name in serving.fillers:
    server.tool(name=name, description=f"Does nothing; it is {name} of the list.", output_schema=None)(filler)


if __name__ == "__main__":
    server.run(
        "http",
        show_banner=False,
        host=HOST,
        port=serving.port,
        path=PATH,
        log_level="warning",
        json_response=serving.answer == "json",
        stateless_http=not serving.sessions,
    )
