"""``mcpcore run``: load a server and serve it, on stdio or over HTTP."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.cli.loading import load_server
from mcpcore.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from mcpcore import Server

__all__ = ["run"]


def run(arguments: argparse.Namespace, target: list[str]) -> int:
    """Serve until the input ends, or over HTTP until a signal comes; the process ends with it."""
    given = vars(arguments)
    options = {name: given[option] for option, name in _HTTP_OPTIONS.items() if option in given}
    if arguments.transport != "http" and (options or "reload" in given or "stateless" in given):
        raise UsageError("such options belong to HTTP: add --transport http")
    if "stateless" in given:
        options["sessions"] = False
    if "tls_cert" in given or "tls_key" in given:
        options["tls"] = _certificate(given.get("tls_cert"), given.get("tls_key"))
    if "reload" in given:
        _run_reloading(arguments, options)
    try:
        server = _load(arguments)
    except UsageError:
        raise
    except Exception as error:
        _show_trace(error)
        raise _not_loaded(arguments, error) from None
    server.run(arguments.transport, **options)


_HTTP_OPTIONS = {
    "host": "host",
    "port": "port",
    "path": "path",
    "unix": "unix",
    "workers": "workers",
    "cors": "cors",
    "allowed_host": "allowed_hosts",
    "allowed_origin": "allowed_origins",
}


def _certificate(certificate: str | None, key: str | None) -> tuple[str, str]:
    if certificate is None or key is None:
        raise UsageError("https takes both: --tls-cert FILE --tls-key FILE (one file may hold the two)")
    return certificate, key


def _run_reloading(arguments: argparse.Namespace, options: dict[str, Any]) -> NoReturn:
    from mcpcore.server.http_reload import run_reloading
    from mcpcore.transports.http_options import RunOptions

    def show(error: BaseException) -> None:
        if not isinstance(error, UsageError):
            _show_trace(error)
            error = _not_loaded(arguments, error)
        print(f"mcpcore: {error}", file=sys.stderr, flush=True)

    run_reloading(lambda: _load(arguments), show, RunOptions(**options))


def _load(arguments: argparse.Namespace) -> Server:
    server = load_server(arguments.server)
    if arguments.revisions is not None:
        restrict(server, arguments.revisions.split(","))
    return server


def _not_loaded(arguments: argparse.Namespace, error: BaseException) -> UsageError:
    return UsageError(f"{arguments.server} could not be loaded: {type(error).__name__}: {error}")


def restrict(server: Server, names: list[str]) -> None:
    """Let ``server`` serve only these of its revisions. Raises ``UsageError`` for one that it does not serve."""
    served = [revision.name for revision in server.revisions]
    wanted = {name.strip() for name in names}
    if unknown := sorted(wanted.difference(served)):
        raise UsageError(f"--revisions: {', '.join(unknown)}: this server serves {', '.join(served)}")
    server.revisions = tuple(revision for revision in server.revisions if revision.name in wanted)


def _show_trace(error: BaseException) -> None:
    """The module's own frames; ours and those of the import system tell nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    own = [frame for frame in own if not frame.filename.endswith(("loading.py", "http_reload.py"))]
    if own:
        sys.stderr.write("".join(["Traceback (most recent call last):\n", *traceback.format_list(own)]))
    sys.stderr.write("".join(traceback.format_exception_only(error)))
