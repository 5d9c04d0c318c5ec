"""Runs one client of a peer against one server over stdio, with a hard time limit, and leaves no process behind.

What lives here: the command lines of the peers' scripts and the life of one run. What is installed lives in
``peers.py``, what is asserted in the tests. The rule: whatever was started is gone when a function returns, and a
process that had to be killed is reported, because a server that does not exit when its stdin closes is a fault of
that server.

``python -m tests.interop.launch <client> <mode> <server>[:http|:sse] [step ...]`` prints what one client observes of
another peer's server: it shows whether a deviation is ours.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Final

from tests.interop import peers
from tests.interop.judged import judged

__all__ = ["CLIENTS", "SERVERS", "RunFailed", "leftovers", "observe", "run", "server_command"]

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
PATH: Final = {"PYTHONPATH": str(ROOT)}
TAG: Final = "MCPCORE_INTEROP_RUN"
OURS: Final = "mcpcore"
RUN_SECONDS: Final = 150.0
DYING_SECONDS: Final = 3.0
STDERR_LINES: Final = 40

CLIENTS: Final = {
    "mcp-2.3": "client_mcp_2_3.py",
    "mcp-1.30": "client_mcp_1_30.py",
    "fastmcp-4.1": "client_fastmcp_4_1.py",
    "typescript-v1": "client_typescript_v1.mjs",
    "typescript-v2": "client_typescript_v2.mjs",
}
SERVERS: Final = {
    "mcp-2.3": "server_mcp_2_3.py",
    "mcp-1.30": "server_mcp_1_30.py",
    "fastmcp-4.1": "server_fastmcp_4_1.py",
    "typescript-v1": "server_typescript_v1.mjs",
    "typescript-v2": "server_typescript_v2.mjs",
}


class RunFailed(AssertionError):
    """A run of a peer did not end well. The text holds the command, the verdict and the end of its stderr."""


def server_command(peer: str, transport: str = "stdio", port: int = 0) -> list[str]:
    """The command that starts this peer's server, installing the peer where needed.

    ``transport`` is "stdio", "http" or "sse", the latter two on ``port``.
    """
    environment = peers.install(peer)
    if peer == "server-everything":
        program = environment.entry_point("@modelcontextprotocol/server-everything")
        started = [*program, {"http": "streamableHttp"}.get(transport, transport)]
        return started if transport == "stdio" else ["env", f"PORT={port}", *started]
    command = environment.command(HERE / "servers" / SERVERS[peer])
    return command if transport == "stdio" else [*command, transport, str(port)]


def observe(
    client: str,
    mode: str,
    command: list[str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    steps: list[str] | None = None,
) -> dict[str, Any]:
    """What the peer's client saw of the server that ``command`` starts: the JSON object of ``clients/battery.py``.

    ``client`` is a name of ``CLIENTS``, or ``OURS`` for mcpcore's client on this Python.
    ``env`` are variables for the server beside the few that the client passes on by itself. Raises :class:`RunFailed`
    when the client crashes, takes longer than ``RUN_SECONDS``, or leaves a process behind. ``wire`` says what the judge
    made of the frames that mcpcore's side sent.
    """
    tag = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        log = {"MCPCORE_WIRE_LOG": str(Path(folder) / "wire.jsonl")}
        (Path(folder) / "wire.jsonl").touch()
        options = {
            "transport": "stdio",
            "command": command,
            "env": {**PATH, **(env or {}), TAG: tag, **({} if client == OURS else log)},
            "cwd": str(cwd) if cwd else None,
            "mode": mode,
            "steps": steps,
        }
        observed = converse(client, options, tag, log if client == OURS else {})
        observed["wire"] = judged(Path(folder) / "wire.jsonl", "client" if client == OURS else "server")
    return observed


def converse(client: str, options: dict[str, Any], tag: str, own_env: dict[str, str]) -> dict[str, Any]:
    """What a client prints that is started with these options (``clients/battery.py``), ``own_env`` around it."""
    if client == OURS:
        script = [sys.executable, str(HERE / "clients" / "client_mcpcore.py")]
    else:
        script = peers.install(client).command(HERE / "clients" / CLIENTS[client])
    status, output, errors = run([*script, json.dumps(options)], tag, env=own_env)
    if status != 0 or not output:
        raise RunFailed(f"the client of {client} ({options['mode']}) ended with status {status}\n{_tail(errors)}")
    observed: dict[str, Any] = json.loads(output)
    observed["stderr"] = errors
    return observed


def run(
    command: list[str], tag: str, *, env: dict[str, str] | None = None, seconds: float = RUN_SECONDS
) -> tuple[int, str, str]:
    """Runs a command to its end; ``(status, stdout, stderr)``. The children it left carry ``tag`` and are killed."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **PATH, TAG: tag, **(env or {})},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(leftovers(tag))
        output, errors = process.communicate()
        raise RunFailed(f"{command[:2]} took longer than {seconds:.0f} s\n{_tail(errors)}") from None
    finally:
        left = leftovers(tag, patience=DYING_SECONDS)
        kill(left)
    if left:
        raise RunFailed(f"{command[:2]} left behind {left}\n{_tail(errors)}")
    return process.returncode, output, errors


def leftovers(tag: str, patience: float = 0.0) -> dict[int, str]:
    """The live processes whose environment carries the tag, by pid; empty where the system has no ``/proc``."""
    deadline = time.monotonic() + patience
    while True:
        found = _tagged(tag.encode())
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.05)


def _tagged(tag: bytes) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and tag in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def kill(processes: dict[int, str]) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-STDERR_LINES:])


def main(arguments: list[str]) -> None:
    from tests.interop import serving

    client, mode, where, *steps = arguments
    server, _, transport = where.partition(":")
    if transport:
        command = functools.partial(server_command, server, transport)
        observed = serving.observe(client, mode, transport, command, steps=steps or None)
    else:
        observed = observe(client, mode, server_command(server), steps=steps or None)
    entries = observed.pop("steps")
    observed.pop("asked")
    observed.pop("stderr")
    print(json.dumps(observed))
    for name, entry in entries.items():
        print(f"  {name}: {json.dumps(entry, ensure_ascii=False)}")


if __name__ == "__main__":
    main(sys.argv[1:])
