"""``mcpcore replay``: be the recorded server on stdio, or play the recorded client against a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcpcore.tap.recording import Recording

if TYPE_CHECKING:
    import argparse

__all__ = ["replay"]


def replay(arguments: argparse.Namespace, target: list[str]) -> int:
    """Status 1 where answers differ."""
    recording = Recording.load(arguments.file)
    if target:
        return asyncio.run(_compare(recording, arguments, target))
    asyncio.run(_serve(recording))
    return 0


async def _serve(recording: Recording) -> None:
    from mcpcore.tap.replay import replay_server
    from mcpcore.transports.stdio import claim_stdio, open_stdio

    protocol = replay_server(recording).open_protocol()
    fds = claim_stdio()
    await open_stdio(protocol, stdin_fd=fds.stdin_fd, stdout_fd=fds.stdout_fd)
    await protocol.lost.wait()
    fds.release()


async def _compare(recording: Recording, arguments: argparse.Namespace, words: list[str]) -> int:
    from mcpcore.cli.session import Output, target_of
    from mcpcore.tap.compare import replay_client

    ignore = [name.strip() for name in arguments.ignore.split(",") if name.strip()]
    differences = await replay_client(recording, target_of(words), ignore=ignore, seconds=arguments.timeout)
    output = Output(arguments.json)
    if output.as_json:
        output.document({"differences": [difference._asdict() for difference in differences]})
    else:
        output.text("\n".join(map(str, differences)) or "Every answer is as recorded.")
    return 1 if differences else 0
