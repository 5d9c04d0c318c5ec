"""What a server process is started with: its command and its environment, and why it could not be started.

Running it is in ``process.py``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mcpcore.errors import ConnectFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SAFE_NAMES", "SAFE_PREFIXES", "child_environment", "explain_start_failure", "split_command"]

SAFE_NAMES = frozenset(
    {
        # who and where
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ",
        # language
        "LANG", "LANGUAGE",
        # how to reach the network
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    }
    if sys.platform != "win32"
    else {
        "APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "PATH", "PATHEXT",
        "PROCESSOR_ARCHITECTURE", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "SYSTEMDRIVE", "SYSTEMROOT",
        "TEMP", "TMP", "USERNAME", "USERPROFILE", "WINDIR", "TZ", "LANG",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    }
)  # fmt: skip
"""Variables that a server inherits under ``inherit_env="safe"``: what programs need to run; secrets live elsewhere.

``PYTHONPATH``, ``LD_LIBRARY_PATH`` and their like are left out: they belong to the client's program, not to the
server's.
"""

SAFE_PREFIXES = ("LC_", "XDG_")
"""Families of variables that a server inherits as well."""


def child_environment(
    inherit: Literal["safe", "all", "none"], extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a server process: what it inherits, and ``extra`` on top of it."""
    if inherit == "all":
        inherited = dict(os.environ)
    elif inherit == "safe":
        inherited = {
            name: value
            for name, value in os.environ.items()
            if (name in SAFE_NAMES or name.startswith(SAFE_PREFIXES)) and not value.startswith("()")  # a shell function
        }
    elif inherit == "none":
        inherited = {}
    else:
        raise UsageError(f'inherit_env must be "safe", "all" or "none", not {inherit!r}')
    return {**inherited, **(extra or {})}


def split_command(command: Sequence[str] | str) -> list[str]:
    """The arguments of a command. A string is split as a POSIX shell splits it; no shell is started."""
    if isinstance(command, str):
        try:
            argv = shlex.split(command, posix=sys.platform != "win32")
        except ValueError as error:
            raise UsageError(f"the command {command!r} cannot be split into arguments: {error}") from None
    else:
        argv = [os.fspath(word) for word in command]
    if not argv:
        raise UsageError("the command is empty: give the server's program and its arguments")
    return argv


def explain_start_failure(
    error: OSError, argv: list[str], env: Mapping[str, str], cwd: str | os.PathLike[str] | None
) -> ConnectFailed:
    """What the operating system's error means for the one who wrote the command."""
    program, endpoint = argv[0], shlex.join(argv)
    path = os.pathsep.join(os.get_exec_path(env))
    if cwd is not None and not Path(cwd).is_dir():
        reason = f"the working directory {os.fspath(cwd)!r} does not exist or is not a directory"
    elif isinstance(error, FileNotFoundError) and _exists(program, path, cwd):
        reason = f"{program!r} exists, but the interpreter that its first line names does not"
    elif isinstance(error, FileNotFoundError) and os.path.dirname(program):
        reason = f"the command {program!r} was not found"
    elif isinstance(error, FileNotFoundError):
        reason = f"the command {program!r} was not found; the PATH searched is {path!r}"
    elif isinstance(error, PermissionError):
        reason = f"{program!r} may not be executed: it, or a directory of PATH, lacks the permission ({path!r})"
    elif isinstance(error, NotADirectoryError):
        reason = f"a part of the path {program!r} is not a directory"
    else:
        reason = f"{program!r} could not be started: {error.strerror or error}"
    return ConnectFailed(reason, endpoint=endpoint)


def _exists(program: str, path: str, cwd: str | os.PathLike[str] | None) -> bool:
    if os.path.dirname(program):
        return (Path(cwd or ".") / program).exists()
    return shutil.which(program, path=path) is not None
