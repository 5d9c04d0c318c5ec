"""The benchmark's HTTP server on aiohttp-tiny-mcp 0.5, on aiohttp's own runner without its access log."""
# mypy: disable-error-code="import-not-found,untyped-decorator,misc"

from __future__ import annotations

from aiohttp import web
from aiohttp_tiny_mcp import Endpoint, Exchange, Registry
from pydantic import BaseModel

from mcpcore_bench.serving import HOST, PATH, parse_serving

serving = parse_serving()
registry = Registry("bench", "0")


class Text(BaseModel):
    text: str


class Filler(BaseModel):
    text: str
    count: int = 1


@registry.tool
async def echo(args: Text) -> str:
    """Returns its text."""
    return args.text


@registry.tool(streaming=True)
async def echo_progress(args: Text, ex: Exchange) -> str:
    """Returns its text after a progress message."""
    await ex.progress(1)
    return args.text


async def filler(args: Filler) -> str:
    return args.text


for name in serving.fillers:
    registry.tool(name=name, description=f"Does nothing; it is {name} of the list.")(filler)


if __name__ == "__main__":
    web.run_app(Endpoint(registry).app(PATH), host=HOST, port=serving.port, access_log=None, print=None)
