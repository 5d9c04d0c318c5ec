"""Our servers as ASGI applications, alone and mounted, for real ASGI servers: ``uvicorn ...asgi_apps:app``.

Which one is said by ``MCPCORE_TEST_APP``. What it needs beside mcpcore is imported by the function that makes it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from examples.everything_server import make_server
from mcpcore import Context, Server


def telling(name: str = "telling") -> Server:
    """A server that remembers what happened to its handlers, and says on stderr when it starts and ends."""

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[str]:
        print(f"{name} started", file=sys.stderr, flush=True)
        yield "alive"
        await asyncio.sleep(0)
        print(f"{name} ended", file=sys.stderr, flush=True)

    server = Server(name, lifespan=lifespan)
    steps: list[str] = []

    @server.tool
    async def wait(ctx: Context, name: str, seconds: float, say: bool = False) -> str:
        steps.append(f"{name} begun")
        if say:
            await ctx.progress(1)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            steps.append(f"{name} cancelled")
            raise
        steps.append(f"{name} finished")
        return "done"

    @server.tool
    async def happened(ctx: Context) -> list[str]:
        return [str(ctx.lifespan), *steps]

    @server.tool
    async def whoami() -> str:
        return name

    return server


def mounted(make: Callable[[], Any]) -> Any:
    """Five servers, and the everything server under a longer path; with nothing but ``mount``."""
    app = make()
    app.mount("/mcp", telling().asgi())
    for number in range(4):
        app.mount(f"/{number}", telling(f"server {number}").asgi())
    app.mount("/a/b", make_server().asgi())
    return app


def _fastapi() -> Any:
    from fastapi import FastAPI

    return FastAPI()


def _behind_middlewares() -> Any:
    """What is often found around a mount; each of them wraps ``receive`` and ``send``."""
    from fastapi import FastAPI
    from fastapi.middleware.gzip import GZipMiddleware

    app = FastAPI()

    @app.middleware("http")
    async def stamped(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response

    app.add_middleware(GZipMiddleware)
    app.mount("/mcp", telling().asgi())
    return app


def _starlette() -> Any:
    from starlette.applications import Starlette

    return Starlette()


_APPLICATIONS: dict[str, Callable[[], Any]] = {
    "alone": lambda: telling().asgi(),
    "everything": lambda: make_server().asgi(),
    "in_fastapi": lambda: mounted(_fastapi),
    "behind_middlewares": _behind_middlewares,
    "in_starlette": lambda: mounted(_starlette),
}


app = _APPLICATIONS[os.environ["MCPCORE_TEST_APP"]]()
