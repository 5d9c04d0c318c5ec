"""Python programs as processes of their own, and a server without MCP for them to run: a line in, a line out."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcpcore.transports.process_exit import exit_promptly, install_stop_signals
from mcpcore.transports.stdio import claim_stdio, open_stdio

ROOT = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {"PYTHONPATH": str(ROOT)}


def start(program: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start ``program`` (source text); its three streams are pipes unless told otherwise."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    how = {"env": ENV, **streams, **how}
    return subprocess.Popen([sys.executable, "-W", "error::ResourceWarning", "-c", program], **how)


class Toy(asyncio.Protocol):
    """Answers every line with ``answer(line)``, closes at the end of the input, keeps to back-pressure."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.parts: list[bytes] = []
        self.channel: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.channel = transport

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self.parts.append(line)
            self.channel.write(self.answer(b"".join(self.parts)) + b"\n")
            self.parts.clear()
        self.parts.append(rest)

    def pause_writing(self) -> None:
        self.channel.pause_reading()

    def resume_writing(self) -> None:
        self.channel.resume_reading()

    def eof_received(self) -> None:
        self.channel.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def serve(answer: Callable[[bytes], bytes] = lambda line: line, grace: float = 0.3) -> None:
    """Serve on this process's standard streams until the input ends or a signal comes, then end the process."""
    claim = claim_stdio()

    async def main() -> None:
        toy = Toy(answer)
        await open_stdio(toy, stdin_fd=claim.stdin_fd, stdout_fd=claim.stdout_fd)
        install_stop_signals(asyncio.get_running_loop(), lambda number: toy.channel.close())
        await toy.lost
        exit_promptly(0, grace)

    asyncio.run(main())
