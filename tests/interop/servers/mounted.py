"""Our everything server as an ASGI application, mounted in a Starlette application under ``/app``.

uvicorn tests.interop.servers.mounted:app
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount

from examples.everything_server import make_server

app = Starlette(routes=[Mount("/app", make_server().asgi())])
