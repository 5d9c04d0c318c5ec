"""Who is measured over HTTP: ceilings by parser and loop, mcpcore in three ways, and the peers' servers and clients.

Each entry is one way of serving: a script in ``ceilings/`` or ``peers/`` with the options of ``serving.py``. Who is
measured on pipes, and how an implementation says why it cannot run, lives in ``implementations.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mcpcore_bench.environments import PEERS, Environment, InstallFailed, child_environment, prepare
from mcpcore_bench.http_wire import NO_SESSION
from mcpcore_bench.implementations import (
    HERE,
    Implementation,
    OnHttp,
    mcpcore_root,
    probe,
    python_version,
    script_environment,
)
from mcpcore_bench.workloads import HTTP_GROUPS

__all__ = ["everyone_on_http"]

USUAL: Final = OnHttp()
ALWAYS_SSE: Final = OnHttp(kind="sse")
"""It answers with an event stream whoever accepts one, and every client has to."""
JSON_ALONE: Final = OnHttp(rows=("json",), accept="application/json")
"""The same server, asked as no client may ask."""
NODE_WARM_CALLS: Final = 6000
"""Until then a call costs several times as much as later, because the optimising compiler has not seen it yet."""
LEGACY_ONLY: Final = {"modern": "it does not know 2026-07-28"}


@dataclass(frozen=True)
class Way:
    """One way in which a peer serves and calls. ``fast`` puts uvloop and httptools into its reach."""

    family: str
    peer: str
    title: str
    server: str
    client: str = ""
    fast: bool = False
    absent: dict[str, str] = field(default_factory=dict)
    http: OnHttp = USUAL


PEER_WAYS: Final = (
    Way("mcp", "mcp", "mcp {}", "http_mcp_server.py", "mcp_client.py"),
    Way("mcp-fast", "mcp", "mcp {}, uvloop, httptools", "http_mcp_server.py", fast=True),
    Way("mcp1", "mcp1", "mcp {}", "http_mcp1_server.py", "http_mcp1_client.py", absent=LEGACY_ONLY),
    Way("fastmcp", "fastmcp", "FastMCP {}", "http_fastmcp_server.py", "fastmcp_client.py"),
    Way("tiny", "tiny", "aiohttp-tiny-mcp {}", "http_tiny_server.py", "http_tiny_client.py"),
    Way(
        "chuk",
        "chuk",
        "chuk-mcp-server {}",
        "http_chuk_server.py",
        absent=LEGACY_ONLY,
        http=ALWAYS_SSE,
    ),
    Way(
        "chuk-json",
        "chuk",
        "chuk-mcp-server {}, JSON alone accepted",
        "http_chuk_server.py",
        absent={**LEGACY_ONLY, NO_SESSION: "it asks for a session in every such request"},
        http=JSON_ALONE,
    ),
    Way("typescript", "typescript-http", "TypeScript SDK {}", "http_typescript_server.mjs", "typescript_client.mjs"),
    Way(
        "typescript1",
        "typescript1",
        "TypeScript SDK {}",
        "http_typescript1_server.mjs",
        "http_typescript1_client.mjs",
        absent=LEGACY_ONLY,
    ),
    Way("mcp-lite", "mcp-lite", "mcp-lite {}", "http_lite_server.mjs", absent=LEGACY_ONLY, http=ALWAYS_SSE),
    Way(
        "mcp-lite-json",
        "mcp-lite",
        "mcp-lite {}, JSON alone accepted",
        "http_lite_server.mjs",
        absent=LEGACY_ONLY,
        http=JSON_ALONE,
    ),
)
"""In the order of the table. The first of a peer's ways names its client."""

CEILING_WAYS: Final = (
    ("ceiling", "hand-rolled", "http_hand.py", "orjson"),
    ("ceiling-httptools", "httptools", "http_httptools.py", "orjson, httptools"),
    ("ceiling-h11", "h11", "http_h11.py", "orjson, h11"),
)
CEILING_CLIENTS: Final = {"ceiling": "http_client_hand.py", "ceiling-h11": "http_client_h11.py"}


def everyone_on_http(pythons: Sequence[str], *, build: bool = True) -> list[Implementation]:
    """All ways of serving and calling over HTTP, in the order of the table.

    The first interpreter gets everything; of the others only the hand-rolled ceiling and mcpcore are measured.
    """
    fast, why = _fast_packages(build)
    first, *others = pythons
    found = [
        *(_ceiling(first, *way, loop, fast, why) for loop in ("plain", "uvloop") for way in CEILING_WAYS),
        *(_mcpcore(first, variant, fast, why) for variant in ("plain", "uvloop", "h11")),
    ]
    for python in others:
        found += (_ceiling(python, *CEILING_WAYS[0], "plain", fast, why), _mcpcore(python, "plain", fast, why))
    return [*found, *(_peer(way, fast, why, build=build) for way in PEER_WAYS)]


def _fast_packages(build: bool) -> tuple[Path, str]:
    """The directory with uvloop and httptools, or why there is none."""
    try:
        return prepare(PEERS["fast"], build=build).packages, ""
    except InstallFailed as failure:
        return Path(), str(failure).splitlines()[0]


def _ceiling(
    python: str, family: str, parser: str, script: str, modules: str, loop: str, fast: Path, why: str
) -> Implementation:
    plain = loop == "plain"
    needs_fast = not plain or parser == "httptools"
    env = script_environment(HERE.parent, *([fast] if needs_fast else []))
    version, broken = probe(python, f"import asyncio, {modules}" + ("" if plain else ", uvloop"), env)
    client = CEILING_CLIENTS.get(family, "") if plain else ""
    return Implementation(
        family if plain else f"{family}-uvloop",
        f"ceiling, {parser}{'' if plain else ', uvloop'} (py {version})",
        version,
        server=(python, str(HERE / "ceilings" / script), f"--variant={loop}"),
        client=(python, str(HERE / "ceilings" / client)) if client else (),
        env=env,
        broken=(needs_fast and why) or broken,
        groups=HTTP_GROUPS if client else ("http",),
    )


def _mcpcore(python: str, variant: str, fast: Path, why: str) -> Implementation:
    plain = variant == "plain"
    env = script_environment(mcpcore_root(), HERE.parent, *([fast] if variant == "uvloop" else []))
    needed = "import mcpcore; mcpcore.Server; import mcpcore.transports.http_server"
    version, broken = probe(python, needed + ("; import uvloop" if variant == "uvloop" else ""), env)
    title = {"plain": "mcpcore", "uvloop": "mcpcore, uvloop", "h11": "mcpcore, fast path off"}[variant]
    return Implementation(
        "mcpcore" if plain else f"mcpcore-{variant}",
        f"{title} (py {version})",
        version,
        server=(python, str(HERE / "peers" / "http_mcpcore_server.py"), f"--variant={variant}"),
        client=(python, str(HERE / "peers" / "mcpcore_client.py")) if plain else (),
        env=env,
        broken=(variant == "uvloop" and why) or broken,
        groups=HTTP_GROUPS if plain else ("http",),
    )


def _peer(way: Way, fast: Path, why: str, *, build: bool) -> Implementation:
    groups = HTTP_GROUPS if way.client else ("http",)
    try:
        environment = prepare(PEERS[way.peer], build=build)
    except InstallFailed as failure:
        broken = str(failure).splitlines()[0]
        return Implementation(way.family, way.title.format(PEERS[way.peer].pin), broken=broken, groups=groups)
    node = environment.peer.installer == "npm"
    paths = (HERE.parent, fast) if way.fast else (HERE.parent,)
    return Implementation(
        way.family,
        way.title.format(environment.version),
        "" if node else python_version(environment.interpreter),
        server=_command(environment, way.server),
        client=_command(environment, way.client) if way.client else (),
        env=child_environment() if node else script_environment(*paths),
        absent=way.absent,
        broken=why if way.fast else "",
        groups=groups,
        http=replace(way.http, warm_calls=NODE_WARM_CALLS if node else 0),
    )


def _command(environment: Environment, script: str) -> tuple[str, ...]:
    return tuple(environment.command(HERE / "peers" / script))
