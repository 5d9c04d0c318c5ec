"""The peers' environments: each foreign implementation is installed with pip or npm into a directory of its own.

The place is ``MCPCORE_BENCH_CACHE`` or ``~/.cache/mcpcore-bench``, never the repository. An environment is finished
when its stamp names exactly what is asked for; otherwise it is built anew. Which scripts run in one lives in
``implementations.py``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PEERS", "Environment", "InstallFailed", "Peer", "cache_directory", "child_environment", "prepare"]

INSTALL_SECONDS: Final = 900.0
NODE_AT_LEAST: Final = 20


class InstallFailed(Exception):
    """An environment could not be built. The text names the command and the end of its output."""


@dataclass(frozen=True)
class Peer:
    """``packages`` are pip requirements or npm specifiers; the first one names the version that the table shows."""

    name: str
    installer: str
    packages: tuple[str, ...]

    @property
    def directory(self) -> Path:
        """One for each Python version: a peer runs on the Python that it is compared on."""
        suffix = f"-py{platform.python_version()}" if self.installer == "pip" else ""
        return cache_directory() / (self.name + suffix)

    @property
    def pin(self) -> str:
        """The version that is asked for, for a peer that is not installed: "1.30.*"."""
        return re.split("==|@(?=[^@]*$)", self.packages[0])[-1]

    @property
    def stamp(self) -> str:
        return json.dumps([self.installer, *self.packages])


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("mcp", "pip", ("mcp==2.3.*",)),
        Peer("fastmcp", "pip", ("fastmcp==4.1.*",)),
        Peer("tiny", "pip", ("aiohttp-tiny-mcp==0.5.*",)),
        Peer(
            "typescript",
            "npm",
            ("@modelcontextprotocol/server@~2.4.0", "@modelcontextprotocol/client@~2.4.0", "zod@^4.2.0"),
        ),
        # What follows is for HTTP alone. "fast" is no peer: uvicorn and the ceilings take a parser and a loop from it.
        Peer("fast", "pip", ("uvloop==0.23.*", "httptools==0.9.*")),
        Peer("mcp1", "pip", ("mcp==1.30.*",)),
        Peer("chuk", "pip", ("chuk-mcp-server==0.26.*",)),
        Peer(
            "typescript-http",
            "npm",
            (
                "@modelcontextprotocol/server@~2.4.0",
                "@modelcontextprotocol/client@~2.4.0",
                "@modelcontextprotocol/node@~2.1.2",
                "zod@^4.2.0",
            ),
        ),
        Peer("typescript1", "npm", ("@modelcontextprotocol/sdk@~1.32.2", "zod@^4.2.0")),
        Peer("mcp-lite", "npm", ("mcp-lite@~0.10.0", "@hono/node-server@^2.1.8", "hono@^4.11.4", "zod@^4.2.0")),
    )
}


@dataclass(frozen=True)
class Environment:
    """A finished environment: its interpreter, and the version of the peer that is really installed in it."""

    peer: Peer
    interpreter: str
    version: str

    def command(self, script: Path) -> list[str]:
        """The command line that runs one of our scripts with the peer's packages in reach."""
        if script.suffix == ".mjs":
            return [self.interpreter, str(self._staged(script))]
        return [self.interpreter, str(script)]

    @property
    def packages(self) -> Path:
        """The directory of a Python environment's packages."""
        return next((self.peer.directory / "venv").glob("lib/python3*/site-packages"))

    def _staged(self, script: Path) -> Path:
        """A copy beside ``node_modules``: an ES module finds packages only in the directories above itself."""
        copy = self.peer.directory / script.name
        shutil.copyfile(script, copy)
        return copy


def cache_directory() -> Path:
    """The directory that holds all environments."""
    chosen = os.environ.get("MCPCORE_BENCH_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".cache" / "mcpcore-bench"


def child_environment() -> dict[str, str]:
    """The variables for a measured process: ours without those that change how Python or Node runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NODE_", "FASTMCP_"))}


def prepare(peer: Peer, *, build: bool = True) -> Environment:
    """The peer's environment, built if need be. Raises :class:`InstallFailed`, without ``build`` for an absent one."""
    root = peer.directory
    if not _finished(peer):
        if not build:
            raise InstallFailed("not installed; run: python -m mcpcore_bench peers")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        (_build_python if peer.installer == "pip" else _build_node)(peer, root)
        (root / "stamp").write_text(peer.stamp)
    if peer.installer == "pip":
        return Environment(peer, str(root / "venv" / "bin" / "python"), _python_version_of(peer, root))
    return Environment(peer, _node(), _node_version_of(peer, root))


def _finished(peer: Peer) -> bool:
    try:
        return (peer.directory / "stamp").read_text() == peer.stamp
    except OSError:
        return False


def _build_python(peer: Peer, root: Path) -> None:
    _run([sys.executable, "-m", "venv", str(root / "venv")], root)
    _run([str(root / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", *peer.packages], root)


def _build_node(peer: Peer, root: Path) -> None:
    _node()
    npm = shutil.which("npm")
    if npm is None:
        raise InstallFailed("npm is not on the PATH")
    (root / "package.json").write_text('{"private": true}')
    _run([npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *peer.packages], root)


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise InstallFailed(f"node is not on the PATH; install Node.js {NODE_AT_LEAST} or later")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < NODE_AT_LEAST:
        raise InstallFailed(f"node is {version}; the TypeScript SDK needs {NODE_AT_LEAST} or later")
    return node


def _run(command: list[str], root: Path) -> None:
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"{' '.join(command)}: no end after {INSTALL_SECONDS:.0f} s") from None
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise InstallFailed(f"{' '.join(command)}: exit status {done.returncode}\n{tail}")


def _python_version_of(peer: Peer, root: Path) -> str:
    name = peer.packages[0].partition("=")[0].replace("-", "_")
    found = sorted((root / "venv").glob(f"lib/python3*/site-packages/{name}-*.dist-info"))
    return found[0].name.removesuffix(".dist-info").rpartition("-")[2] if found else "?"


def _node_version_of(peer: Peer, root: Path) -> str:
    package = peer.packages[0].rpartition("@")[0]
    manifest = json.loads((root / "node_modules" / package / "package.json").read_text())
    return str(manifest["version"])
