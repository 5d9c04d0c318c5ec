"""Development: the program is loaded anew when one of its files changes, in a process that takes over from the former.

This process keeps the port, so clients wait a moment and are not refused. A child loads the program; only when that
went well is the one that serves told to end, and the new one told to go. A program that cannot be loaded changes
nothing. Which files are a program's own: ``program_files``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mcpcore.errors import UsageError
from mcpcore.server.http_parent import Child, Parent, Say
from mcpcore.server.http_process import announcement, serve_process
from mcpcore.transports.descendants import end_descendants
from mcpcore.transports.http_sockets import bind
from mcpcore.transports.process_exit import exit_promptly

if TYPE_CHECKING:
    from mcpcore.server.app import Server
    from mcpcore.transports.http_options import RunOptions
    from mcpcore.transports.http_server import HttpServer

__all__ = ["program_files", "run_reloading"]

_LOOK_SECONDS = 0.5
"""Between two looks at the files, and at what was imported meanwhile."""
_SOUND_SECONDS = 5.0
"""A server that ends sooner is started again after a pause, which grows up to so long."""
_FIRST_PAUSE = 0.1
_FAILED = 2
_LOADED, _READY, _FILE = "loaded", "ready", "file "
Load = Callable[[], "Server"]


def run_reloading(load: Load, show: Callable[[BaseException], object], options: RunOptions) -> NoReturn:
    """Serve what ``load`` returns until a signal comes, and load it again when its files change; then end the process.

    ``load`` is called in a process of its own; ``show`` tells a person what it raised. Raises ``UsageError`` for
    options that cannot be, an address that cannot be had, and where there is no ``fork``.
    """
    if options.workers > 1:
        raise UsageError("reload is for development, with one process: leave workers out")
    options.ssl_context()
    code = Reloader(load, show, options).run()
    end_descendants()
    exit_promptly(code)


class Watch:
    """Files, and how each looked when it was last seen."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, int] | None] = {}

    def add(self, path: str, since: float) -> bool:
        """``since``: when its reading may have begun, in seconds since the epoch. Whether it changed after that, which
        the reader may have missed."""
        if path in self.files:
            return False
        look = self.files[path] = _look(path)
        # Not what lies in the future: clocks of file systems differ, and it would change for ever.
        return look is not None and since <= look[0] / 1e9 <= time.time()

    def changed(self) -> list[str]:
        """Those that differ from what was seen; one that is gone may be about to be replaced."""
        found = []
        for path, known in self.files.items():
            look = _look(path)
            if look is not None and look != known:
                self.files[path] = look
                found.append(path)
        return found


def _look(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class Reloader(Parent):
    """One child serves; another one may be loading, or waiting for the first to end."""

    def __init__(self, load: Load, show: Callable[[BaseException], object], options: RunOptions) -> None:
        super().__init__(10.0)
        self._load = load
        self._show = show
        self._options = options
        self._sockets = bind(options)
        for sock in self._sockets:
            sock.listen(options.backlog)
        self._watch = Watch()
        self._known = frozenset(sys.modules)
        """Modules that every child has from here: to change them takes a new process."""
        self._serving: Child | None = None
        self._ready = False
        self._next: Child | None = None
        self._loaded = False
        self._go = -1
        """Where the next one waits for a word."""
        self._stale = False
        """A file changed that the next one has read already."""
        self._told = 0.0
        """When the one that serves was told to end."""
        self._looked = 0.0
        self._pause = 0.0
        self._due: float | None = None
        """When to start again what has ended by itself."""

    # -- what happens --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._start()

    def said(self, child: Child, line: str) -> None:
        if line.startswith(_FILE):
            if self._watch.add(line.removeprefix(_FILE), child.started_at):
                self._stale = True
        elif line == _READY and child is self._serving:
            self._ready = True
        elif line == _LOADED and child is self._next:
            self._loaded = True
            if self._serving is not None:
                self._told = time.monotonic()
                self.tell(self._serving, signal.SIGTERM)
            else:
                self._switch()

    def ended(self, child: Child, status: int) -> None:
        if self.stopping:
            return
        if child is self._next:
            self._next, self._loaded = None, False
            os.close(self._go)
            if not self._watch.files and self._serving is None:
                self.code = _FAILED
                self.stop()
            elif not self._stale:
                goes_on = "the former version goes on serving; " if self._serving is not None else ""
                _tell(f"{goes_on}waiting for the next change")
        elif child is self._serving:
            self._serving = None
            if self._loaded:
                self._switch()
            elif self._next is None:
                self._without_successor(child, status)

    def _without_successor(self, child: Child, status: int) -> None:
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        if self._told:  # for one that was stale before it came to serve
            self._stale = True
        elif not self._ready:
            _tell("the server could not start; waiting for the next change")
        else:
            _tell(f"the server ended with {how}; starting it again")
            now = time.monotonic()
            sound = now - child.started >= _SOUND_SECONDS
            self._pause = 0.0 if sound else min(max(_FIRST_PAUSE, 2 * self._pause), _SOUND_SECONDS)
            self._due = now + self._pause

    def tick(self, now: float) -> float:
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            changed = self._watch.changed()
            if changed:
                names = ", ".join(sorted(os.path.basename(path) for path in changed))
                _tell(f"{names} changed; loading the program again")
                self._stale = True
        if self._due is not None and now >= self._due:
            self._stale = True
        if self._stale:
            if self._next is None:
                self._start()
            else:
                self.tell(self._next, signal.SIGKILL)
        if self._told and self._serving is not None and now - self._told > self.patience:
            self.tell(self._serving, signal.SIGKILL)
        return _LOOK_SECONDS if self._due is None else max(0.0, min(_LOOK_SECONDS, self._due - now))

    def release(self) -> None:
        for sock in self._sockets:
            sock.close()
        if self._options.unix is not None:
            with suppress(OSError):
                os.unlink(self._options.unix)

    def _start(self) -> None:
        """Load the program in a process of its own."""
        self._stale = self._loaded = False
        self._due = None
        wait, self._go = os.pipe()
        try:
            self._next = self.fork("the server", lambda say: self._be_next(say, wait))
        finally:
            os.close(wait)

    def _switch(self) -> None:
        """Nobody serves any more: the next one takes over."""
        with suppress(BrokenPipeError):  # it has just died, which is heard of next
            os.write(self._go, b"!")
        os.close(self._go)
        self._serving, self._next = self._next, None
        self._loaded = self._ready = False
        self._told = 0.0

    # -- in the child --------------------------------------------------------------------------------------------------

    def _be_next(self, say: Say, wait: int) -> None:
        os.close(self._go)
        sys.dont_write_bytecode = True  # Python takes a file for unchanged if it was written within the same second
        modules = Modules(self._known, say)
        try:
            server = self._load()
        except BaseException as error:
            modules.tell(_files_in(error))
            modules.tell(program_files(self._known))
            self._show(error)
            raise SystemExit(_FAILED) from None
        modules.tell(program_files(self._known))
        say(_LOADED)
        if not os.read(wait, 1):
            return

        def started(http: HttpServer) -> None:
            say(_READY)
            print(announcement(server, http.urls), file=sys.stderr, flush=True)
            modules.keep_telling()

        try:
            serve_process(server, self._options, self._sockets, started)
        except UsageError as error:
            self._show(error)
            raise SystemExit(_FAILED) from None


class Modules:
    """Tells the parent which files to watch, also those that are imported while the server serves."""

    def __init__(self, known: frozenset[str], say: Say) -> None:
        self._known = known
        self._say = say
        self._told: set[str] = set()
        self._count = 0

    def tell(self, files: Iterable[str]) -> None:
        for path in files:
            if path not in self._told:
                self._told.add(path)
                self._say(f"{_FILE}{path}")

    def keep_telling(self) -> None:
        if len(sys.modules) != self._count:
            self._count = len(sys.modules)
            self.tell(program_files(self._known))
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self.keep_telling)


def program_files(known: Iterable[str] = ()) -> list[str]:
    """The files of the imported modules that a person edits: not those of Python and of installed packages, nor of the
    modules named in ``known``."""
    skipped = frozenset(known)
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name not in skipped and isinstance(path, str) and _is_own(path):
            found.append(os.path.abspath(path))
    return found


_INSTALLED = tuple(
    {
        *(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
        os.path.realpath(Path(__file__).parents[1]),
    }
)
"""What nobody edits while a server runs, beside installed packages: Python, and mcpcore."""


def _is_own(path: str) -> bool:
    real = os.path.realpath(path)
    if not {"site-packages", "dist-packages"}.isdisjoint(Path(real).parts):
        return False
    return os.path.isfile(real) and not any(real.startswith(place + os.sep) for place in _INSTALLED)


def _files_in(error: BaseException) -> list[str]:
    """Where it was raised, and where Python could not read on: what a module that failed leaves of itself."""
    files = [error.filename] if isinstance(error, SyntaxError) and error.filename else []
    trace = error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return [os.path.abspath(path) for path in files if _is_own(path)]


def _tell(text: str) -> None:
    print(f"mcpcore: {text}", file=sys.stderr, flush=True)
