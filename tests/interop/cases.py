"""Which peer speaks which revision in which mode over which transport, as facts seen on the wire; and the command line
of our own server.

What lives here: the tables that the tests are parametrised with. A client that always offers its newest revision is
made to speak an older one by a server restricted to it (``--revisions``); the docstrings of ``clients/`` say who can
do what. Streamable HTTP ("http") repeats every case of stdio; HTTP+SSE ("sse") is run with those who still have it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

__all__ = ["CLIENT_CASES", "INSPECTOR_CASES", "SERVER_CASES", "ClientCase", "ServerCase", "our_server"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LEGACY: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN: Final = "2026-07-28"


def our_server(restriction: str | None = None, transport: str = "stdio", port: int = 0) -> list[str]:
    """The command that starts the everything server, speaking only the given revisions (comma separated).

    HTTP+SSE is served beside Streamable HTTP.
    """
    command = [sys.executable, str(ROOT / "examples" / "everything_server.py")]
    command += ["--transport", "stdio"] if transport == "stdio" else ["--transport", "http", "--port", str(port)]
    return [*command, "--revisions", restriction] if restriction else command


@dataclass(frozen=True)
class ClientCase:
    """One peer's client in one mode against our server: ``speaks`` is the revision they must agree on."""

    peer: str
    mode: str
    speaks: str
    restriction: str | None = None
    transport: str = "stdio"

    def __str__(self) -> str:
        server = f"only-{self.restriction}" if self.restriction else "all"
        return f"{self.transport}--{self.peer}--{self.mode.replace(':', '-')}--{server}"


def _legacy_client(peer: str) -> list[ClientCase]:
    """A client that always offers 2025-11-25: the older revisions come as counter-offers of a restricted server."""
    older = [ClientCase(peer, "legacy", revision, revision) for revision in LEGACY[:-1]]
    return [*older, ClientCase(peer, "legacy", LEGACY[-1])]


def _dual_era_client(peer: str) -> list[ClientCase]:
    """One that probes as well: a server without the modern era must make the probe fall back to ``initialize``."""
    return [
        *_legacy_client(peer),
        ClientCase(peer, "auto", MODERN),
        ClientCase(peer, "auto", LEGACY[0], LEGACY[0]),
        ClientCase(peer, "auto", LEGACY[-1], ",".join(LEGACY)),
        ClientCase(peer, MODERN, MODERN),
        ClientCase(peer, MODERN, MODERN, MODERN),
    ]


_CLIENTS: Final = [
    *_dual_era_client("mcp-2.3"),
    *_legacy_client("mcp-1.30"),
    *_dual_era_client("fastmcp-4.1"),
    *_legacy_client("typescript-v1"),
    *_dual_era_client("typescript-v2"),
    *(ClientCase("typescript-v2", f"offer:{revision}", revision) for revision in LEGACY),
]

CLIENT_CASES: Final = [
    *_CLIENTS,
    *(replace(case, transport="http") for case in _CLIENTS),
    *(
        ClientCase(peer, "legacy", revision, revision, "sse")
        for peer in ("mcp-1.30", "mcp-2.3", "fastmcp-4.1", "typescript-v1", "typescript-v2")
        for revision in (LEGACY[0], LEGACY[-1])
    ),
]

_INSPECTORS: Final = [
    *_legacy_client("inspector"),
    ClientCase("inspector", "auto", MODERN),
    ClientCase("inspector", "auto", LEGACY[-1], ",".join(LEGACY)),
    ClientCase("inspector", "modern", MODERN),
]
INSPECTOR_CASES: Final = [
    *_INSPECTORS,
    *(replace(case, transport="http") for case in _INSPECTORS),
    ClientCase("inspector", "legacy", LEGACY[0], LEGACY[0], "sse"),
]


@dataclass(frozen=True)
class ServerCase:
    """Our client against one peer's server: ``pinned`` is what the client is restricted to, ``speaks`` the outcome."""

    peer: str
    pinned: str | None
    speaks: str
    transport: str = "stdio"

    def __str__(self) -> str:
        return f"{self.transport}--{self.peer}--{self.pinned or 'unpinned'}"


def _server(peer: str, *revisions: str) -> list[ServerCase]:
    pinned = [ServerCase(peer, revision, revision) for revision in revisions]
    return [*pinned, ServerCase(peer, None, max(revisions))]


_SERVERS: Final = [
    *_server("mcp-2.3", *LEGACY, MODERN),
    *_server("mcp-1.30", *LEGACY),
    *_server("fastmcp-4.1", *LEGACY, MODERN),
    *_server("typescript-v1", *LEGACY),
    *_server("typescript-v2", *LEGACY, MODERN),
    *_server("server-everything", *LEGACY),
]
SERVER_CASES: Final = [
    *_SERVERS,
    *(replace(case, transport="http") for case in _SERVERS),
    *(
        replace(case, transport="sse")
        for peer in ("mcp-1.30", "mcp-2.3", "typescript-v1", "server-everything")
        for case in _server(peer, LEGACY[0], LEGACY[-1])
    ),
]
