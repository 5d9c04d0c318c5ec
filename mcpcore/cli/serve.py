"""``mcpcore run``: load a server and serve it."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from mcpcore.cli.loading import load_server
from mcpcore.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from mcpcore import Server

__all__ = ["run"]


def run(arguments: argparse.Namespace, target: list[str]) -> int:
    """Serve until the input ends; the process ends with it."""
    try:
        server = load_server(arguments.server)
    except UsageError:
        raise
    except Exception as error:
        _show_trace(error)
        raise UsageError(f"{arguments.server} could not be loaded: {type(error).__name__}: {error}") from None
    if arguments.revisions is not None:
        restrict(server, arguments.revisions.split(","))
    server.run(arguments.transport)


def restrict(server: Server, names: list[str]) -> None:
    """Let ``server`` serve only these of its revisions. Raises ``UsageError`` for one that it does not serve."""
    served = [revision.name for revision in server.revisions]
    wanted = {name.strip() for name in names}
    if unknown := sorted(wanted.difference(served)):
        raise UsageError(f"--revisions: {', '.join(unknown)}: this server serves {', '.join(served)}")
    server.revisions = tuple(revision for revision in server.revisions if revision.name in wanted)


def _show_trace(error: Exception) -> None:
    """The module's own frames; ours and those of the import system tell nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    own = [frame for frame in own if not frame.filename.endswith("loading.py")]
    if own:
        sys.stderr.write("".join(["Traceback (most recent call last):\n", *traceback.format_list(own)]))
    sys.stderr.write("".join(traceback.format_exception_only(error)))
