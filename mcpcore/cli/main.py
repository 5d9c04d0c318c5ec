"""The entry point: which command, what its failure means for the exit status, and a quiet end whatever happens.

The commands themselves are in the other files of this package, one function ``(arguments, target) -> status`` each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["main"]

OK, SAID_ERROR, USAGE, NO_CONNECTION, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 130, 141

HELP = """\
usage: mcpcore COMMAND [OPTIONS] [--] [TARGET ...]

The Model Context Protocol from a shell.

commands:
  run SERVER         serve a Server object: file.py, file.py:name or module:name
  list               show what a server offers
  call TOOL          call a tool
  read URI           read a resource
  prompt NAME        get a prompt
  complete REF ARG   complete an argument of a prompt or a resource template
  probe              find out which era and revisions a server speaks, and how fast
  bridge TARGET      reach a server at a URL over stdio, or a command over HTTP
  replay FILE        answer as recorded; with a target, play the recorded client and compare

A target is a URL, the command that starts a server, or a file.py with a Server object in it. It comes last; after
`--` it may be anything. Options of mcpcore come before it.

examples:
  mcpcore run server.py
  mcpcore run server.py --transport http --port 8000
  mcpcore list -- python server.py
  mcpcore call forecast --arg city=Oslo --arg days=3 -- python server.py
  mcpcore call forecast --args '{"city": "Oslo"}' --json server.py
  mcpcore probe http://127.0.0.1:8000/mcp
  mcpcore bridge https://example.com/mcp
  mcpcore bridge --port 8000 -- npx -y @modelcontextprotocol/server-everything
  mcpcore probe -- npx -y @modelcontextprotocol/server-everything
  MCPCORE_WIRE_LOG=wire.jsonl mcpcore list server.py; mcpcore list -- mcpcore replay wire.jsonl

exit status: 0 done, 1 the tool or the server said error (or answers differ), 2 wrong usage, 3 no connection,
130 interrupted, 141 nobody read the output. `mcpcore COMMAND --help` tells the options of a command.
"""

Command = Callable[["argparse.Namespace", list[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return BROKEN_PIPE
    except Exception as error:
        return _failed(error, "--json" in words[: words.index("--") if "--" in words else None])


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        (sys.stdout if words else sys.stderr).write(HELP)
        return OK if words else USAGE
    if words[0] in ("-V", "--version", "version"):
        from mcpcore import __version__

        print(f"mcpcore {__version__}")
        return OK
    from mcpcore.cli import arguments

    parsed, target = arguments.parse(words)
    return _command(words[0])(parsed, target)


def _command(name: str) -> Command:
    if name == "run":
        from mcpcore.cli.serve import run

        return run
    if name == "bridge":
        from mcpcore.cli.bridge import bridge

        return bridge
    if name == "replay":
        from mcpcore.cli.replay import replay

        return replay
    from mcpcore.cli.session import with_client

    return with_client


def _failed(error: Exception, as_json: bool) -> int:
    """Say what went wrong on stderr; what nobody expected keeps its traceback."""
    from mcpcore.errors import CallTimeout, McpError, RpcError, TransportError, UnsupportedRevision, UsageError

    if not isinstance(error, McpError):
        raise error
    status = SAID_ERROR
    if isinstance(error, UsageError):
        status = USAGE
    elif isinstance(error, (TransportError, CallTimeout, UnsupportedRevision)):
        status = NO_CONNECTION
    if not as_json:
        from mcpcore.cli.render import printable

        print(printable(f"mcpcore: {error}", sys.stderr), file=sys.stderr)
        return status
    from mcpcore.jsonrpc.codec import encode

    told = {"type": type(error).__name__, "message": str(error), "status": status}
    if isinstance(error, RpcError):
        told |= {"message": error.message, "code": error.code, "data": error.data}
    print(encode({"error": told}).decode(), file=sys.stderr)
    return status
