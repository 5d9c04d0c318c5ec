"""Finding the Server object that ``mcpcore run`` is to serve: by file or module, by name or as the only one there."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from mcpcore import Server

__all__ = ["load_server"]


def load_server(address: str) -> Server:
    """The server at ``file.py``, ``file.py:name``, ``module`` or ``module:name``.

    What the module prints meanwhile goes to stderr: stdout is the wire. Where it runs a server while it is loaded,
    loading ends there, and that is the server. Raises ``UsageError`` that says what was looked for and what is there;
    what the module's own code raises comes through.
    """
    place, name = _parts(address)
    with _stdout_on_stderr(), _running_caught():
        try:
            module = _module(place)
        except _Ran as ran:
            return ran.server
        return _named(module, name, place) if name else _only(module, place)


class _Ran(BaseException):
    """Stands where the process would have begun to serve; no ``except Exception`` stops it."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server


@contextlib.contextmanager
def _running_caught() -> Iterator[None]:
    from mcpcore import Server

    def run(server: Server, transport: str = "stdio", **options: Any) -> NoReturn:
        raise _Ran(server)

    original = Server.run
    setattr(Server, "run", run)  # noqa: B010  # no assignment: the type of a method is no type for a variable
    try:
        yield
    finally:
        setattr(Server, "run", original)  # noqa: B010


def _parts(address: str) -> tuple[str, str]:
    """Split at the last colon, unless it belongs to a drive letter."""
    place, colon, name = address.rpartition(":")
    if not colon or os.sep in name or "/" in name:
        return address, ""
    return place, name


def _module(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place or Path(place).is_file():
        return _from_file(Path(place))
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.util.find_spec(place) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise UsageError(f"there is no module {place!r} to import; the current directory is {os.getcwd()}")
    return importlib.import_module(place)


def _from_file(path: Path) -> ModuleType:
    """Run the file as a module of its own name, its directory first on the path, as ``python file.py`` has it."""
    if not path.is_file():
        raise UsageError(f"there is no file {os.fspath(path)!r}; the current directory is {os.getcwd()}")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    name = f"_{path.stem}" if path.stem in sys.modules or path.stem in sys.stdlib_module_names else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path.name} cannot be loaded as Python; give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _named(module: ModuleType, name: str, place: str) -> Server:
    from mcpcore import Server

    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise UsageError(f"{place} has no {name!r}; {_offer(module, place)}")
        value = getattr(value, part)
    if not isinstance(value, Server):
        raise UsageError(f"{place}:{name} is a {type(value).__name__}, not a mcpcore.Server; {_offer(module, place)}")
    return value


def _only(module: ModuleType, place: str) -> Server:
    servers = _servers(module)
    if len({id(server) for server in servers.values()}) != 1:
        raise UsageError(f"which server of {place}? {_offer(module, place)}")
    return next(iter(servers.values()))


def _servers(module: ModuleType) -> dict[str, Server]:
    from mcpcore import Server

    return {name: value for name, value in vars(module).items() if isinstance(value, Server)}


def _offer(module: ModuleType, place: str) -> str:
    names = sorted(_servers(module))
    if not names:
        return "it has no Server object as a global variable"
    return "its Server objects are " + ", ".join(names) + f"; give one as {place}:{names[0]}"


@contextlib.contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """For a while, everything that writes to stdout writes to stderr, C code and child processes included."""
    try:
        wire = os.dup(1)
    except OSError:  # it is closed; the server will say so
        yield
        return
    sys.stdout.flush()
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(wire, 1)
        os.close(wire)
