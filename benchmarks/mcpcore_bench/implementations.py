"""Who is measured: the ceilings, mcpcore and the foreign peers, each with the commands that start its scripts.

An implementation that cannot run keeps its row and says why; a workload it cannot serve likewise (``absent``). How an
environment is built lives in ``environments.py``.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcpcore_bench.environments import PEERS, Environment, InstallFailed, child_environment, prepare
from mcpcore_bench.http_wire import BOTH_KINDS
from mcpcore_bench.workloads import Workload

__all__ = [
    "HERE",
    "TITLES",
    "Implementation",
    "OnHttp",
    "ceilings",
    "everyone",
    "mcpcore_root",
    "probe",
    "python_version",
    "script_environment",
]

HERE: Final = Path(__file__).parent
PROBE_SECONDS: Final = 60.0
PIPE_GROUPS: Final = ("stdio", "client", "memory", "cold")

IMPORTS: Final = {
    "ceiling": "import asyncio, orjson",
    "mcpcore": "import mcpcore; mcpcore.Server; mcpcore.Client",
    "mcp": "from mcp import Client; from mcp.server import MCPServer",
    "fastmcp": "from fastmcp import Client, FastMCP",
    "tiny": "import aiohttp_tiny_mcp",
}
TITLES: Final = {
    "mcp": "mcp",
    "fastmcp": "FastMCP",
    "tiny": "aiohttp-tiny-mcp",
    "typescript": "TypeScript SDK",
}
TINY_ABSENT: Final = {
    "client": "its stdio client keeps one request at a time",
    "memory": "only its test helper connects in memory",
}
TYPESCRIPT_ABSENT: Final = {"memory": "no script for it here", "import": "not Python"}


@dataclass(frozen=True)
class OnHttp:
    """What is particular about an implementation over HTTP.

    ``rows`` are the kinds of answers whose rows it takes part in. In those of JSON it gets ``accept`` in the header of
    that name, and answers with ``kind``. ``warm_calls`` is how often a new process is called before it is measured.
    """

    rows: tuple[str, ...] = ("json", "sse")
    accept: str = BOTH_KINDS
    kind: str = "json"
    warm_calls: int = 0


@dataclass(frozen=True)
class Implementation:
    """``family`` is ceiling, mcpcore or a peer's name; ``python`` the version it runs on ("" for Node).

    ``groups`` are those of the workloads that it takes part in. ``server``, ``client`` and ``importing`` are command
    lines, empty where ``absent`` (by a workload's key, its group or an era) says why. ``broken`` is why nothing of it
    can run, or "".
    """

    family: str
    label: str
    python: str = ""
    server: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    importing: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    groups: tuple[str, ...] = PIPE_GROUPS
    http: OnHttp = OnHttp()

    def takes(self, workload: Workload) -> bool:
        """Whether it has a row in the workload, with figures or with a reason."""
        invited = workload.group in self.groups and workload.invites(self.family)
        return invited and (workload.group != "http" or workload.serve.answer in self.http.rows)

    def why_absent(self, workload: Workload, era: str = "") -> str:
        """Why this implementation has no figure in the workload, or ""."""
        if self.broken:
            return f"unavailable: {self.broken}"
        reasons = (self.absent.get(key) for key in (workload.key, workload.group, era))
        return next((f"n/a: {reason}" for reason in reasons if reason), "")


def mcpcore_root() -> Path:
    """The directory to put on the path: where mcpcore is importable from, else the checkout around this package."""
    found = importlib.util.find_spec("mcpcore")
    if found is not None and found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations))).absolute().parent
    return HERE.parents[1]


def everyone(pythons: Sequence[str], *, build: bool = True) -> list[Implementation]:
    """All implementations, in the order of the table: for each interpreter its ceiling and mcpcore, then the peers.

    Those that are measured over HTTP are in ``http_implementations.py``.
    """
    found = [make(python) for python in pythons for make in (_ceiling, _mcpcore)]
    return [*found, *(_peer(name, build=build) for name in TITLES)]


def ceilings(implementations: Sequence[Implementation], group: str = "stdio") -> dict[str, Implementation]:
    """The group's ceilings that work, by the version of their interpreter."""
    found = [each for each in implementations if each.family == "ceiling" and group in each.groups]
    return {each.python: each for each in found if not each.broken}


def script_environment(*paths: Path) -> dict[str, str]:
    return {**child_environment(), "PYTHONPATH": ":".join(map(str, paths))}


def python_version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS)
    return done.stdout.strip() or "?"


def _ceiling(python: str) -> Implementation:
    version, broken = probe(python, IMPORTS["ceiling"], script_environment(HERE.parent))
    return Implementation(
        "ceiling",
        f"ceiling (py {version})",
        version,
        server=(python, str(HERE / "ceilings" / "ceiling_server.py")),
        client=(python, str(HERE / "ceilings" / "ceiling_client.py")),
        importing=(python, "-c", _timed(IMPORTS["ceiling"])),
        env=script_environment(HERE.parent),
        broken=broken,
    )


def _mcpcore(python: str) -> Implementation:
    env = script_environment(mcpcore_root(), HERE.parent)
    version, broken = probe(python, "import mcpcore; mcpcore.Server", env)
    client = "" if broken else probe(python, "import mcpcore; mcpcore.Client", env)[1]
    return Implementation(
        "mcpcore",
        f"mcpcore (py {version})",
        version,
        server=(python, str(HERE / "peers" / "mcpcore_server.py")),
        client=(python, str(HERE / "peers" / "mcpcore_client.py")),
        importing=(python, "-c", _timed(IMPORTS["mcpcore"])),
        env=env,
        absent={"client": client, "memory": client, "import": client},
        broken=broken,
    )


def probe(python: str, code: str, env: dict[str, str]) -> tuple[str, str]:
    """The interpreter's version, and the last line of what the import says when it fails ("" when it works)."""
    try:
        version = python_version(python)
        done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return python, str(error)
    if done.returncode == 0:
        return version, ""
    return version, (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _peer(name: str, *, build: bool) -> Implementation:
    try:
        environment = prepare(PEERS[name], build=build)
    except InstallFailed as failure:
        return Implementation(name, TITLES[name], broken=str(failure).splitlines()[0])
    label = f"{TITLES[name]} {environment.version}"
    if name == "typescript":
        return _typescript(label, environment)
    absent = TINY_ABSENT if name == "tiny" else {}
    return Implementation(
        name,
        label,
        python_version(environment.interpreter),
        server=tuple(environment.command(HERE / "peers" / f"{name}_server.py")),
        client=() if absent else tuple(environment.command(HERE / "peers" / f"{name}_client.py")),
        importing=(environment.interpreter, "-c", _timed(IMPORTS[name])),
        env=script_environment(HERE.parent),
        absent=absent,
    )


def _typescript(label: str, environment: Environment) -> Implementation:
    return Implementation(
        "typescript",
        label,
        server=tuple(environment.command(HERE / "peers" / "typescript_server.mjs")),
        client=tuple(environment.command(HERE / "peers" / "typescript_client.mjs")),
        env=child_environment(),
        absent=TYPESCRIPT_ABSENT,
    )


def _timed(code: str) -> str:
    """A program that prints the nanoseconds which the imports took, without the interpreter's own start."""
    return f"import time; start = time.perf_counter_ns(); {code}; print(time.perf_counter_ns() - start)"
