"""A real nginx in front of one server, with a configuration of its own, in the foreground, as the user who runs the
tests.

What lives here: the program, its configuration and its life. The configuration is what the documentation of
``proxy_pass`` shows and nothing more: no buffering turned off, no time-out raised, no header set, HTTP/1.0 to the
upstream.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.interop.serving import Served, serving

__all__ = ["PROGRAM", "proxying"]

PROGRAM: Final = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CONFIGURATION: Final = """\
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
{temporary}
    server {{
        listen 127.0.0.1:{port};
{locations}
    }}
}}
"""


@contextlib.contextmanager
def proxying(upstream: int, routes: Mapping[str, str], home: Path) -> Iterator[Served]:
    """Leads each location (its prefix) to a path of the server on the port ``upstream``; "" leaves the path alone."""

    def command(port: int) -> list[str]:
        assert PROGRAM is not None
        temporary = "\n".join(f"    {name}_temp_path {home}/{name};" for name in TEMPORARY)
        locations = "\n".join(
            f"        location {prefix} {{ proxy_pass http://127.0.0.1:{upstream}{path}; }}"
            for prefix, path in routes.items()
        )
        configuration = home / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(home=home, port=port, temporary=temporary, locations=locations))
        return [PROGRAM, "-e", "stderr", "-p", str(home), "-c", str(configuration)]

    with serving(command) as served:
        yield served
