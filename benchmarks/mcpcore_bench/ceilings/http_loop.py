"""Runs one of the ceilings of HTTP on asyncio's own loop or on uvloop, until the process is killed."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcpcore_bench.ceilings.http_answers import Answers
from mcpcore_bench.serving import HOST, parse_serving

__all__ = ["run"]


def run(protocol: Callable[[Answers], asyncio.Protocol]) -> None:
    """``protocol(answers)`` makes one for each connection. ``--variant uvloop`` changes the loop."""
    serving = parse_serving(("plain", "uvloop"))
    answers = Answers(serving.tools)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: protocol(answers), HOST, serving.port, backlog=1024)
        await server.serve_forever()

    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if serving.variant == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())
