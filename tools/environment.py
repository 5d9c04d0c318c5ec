"""Makes the virtual environment for everything in this repository: `python3 tools/environment.py [directory]`.

It holds mcpcore itself (editable), its extras' packages that tests need, and the dependency groups `test` and `lint` of
pyproject.toml. A stamp inside remembers what was asked for, so the second call does nothing. Standard library only, and
nothing newer than Python 3.6 at the top level, so that an old Python gets a sentence instead of a SyntaxError.
"""

import hashlib
import os
import subprocess
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GROUPS = ("test", "lint")


def main(directory: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older Python has to understand
        running = f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.executable})"
        sys.exit(f"mcpcore needs Python 3.11 or newer; this is {running}. Name another: make PYTHON=python3.12 ...")
    stamp = os.path.join(directory, ".stamp")
    wanted = fingerprint()
    if read(stamp) == wanted:
        return
    print(f"installing into {os.path.relpath(directory)} (once, until the requirements change)", flush=True)
    create(directory)
    install(directory)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(wanted)


def fingerprint() -> str:
    """What an environment depends on: this file, the requirements, the interpreter, and where the checkout lies."""
    document = pyproject()
    parts = [document["project"], document["dependency-groups"], document["build-system"], document["tool"]["hatch"]]
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {ROOT} {parts}".encode())
    with open(os.path.abspath(__file__), "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()


def pyproject() -> "dict[str, Any]":
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return tomllib.load(file)


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def create(directory: str) -> None:
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit(
            f"{sys.executable} has no venv or ensurepip module. Install it (Debian, Ubuntu: apt install python3-venv), "
            "or name another Python: make PYTHON=python3.12 ..."
        )
    # Cleared, because half an installation or another Python's packages are worse than a minute of waiting.
    venv.create(directory, clear=True, with_pip=True, symlinks=os.name != "nt")


def install(directory: str) -> None:
    groups = pyproject()["dependency-groups"]
    # The groups are read here, because pip knows `--group` only since 25.1 and a fresh environment brings an older one.
    requirements = [requirement for group in GROUPS for requirement in groups[group]]
    pip = [python_of(directory), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, "--editable", ROOT, *requirements], check=False)
    if done.returncode:
        sys.exit(
            "pip could not install the requirements; see its message above. The package registry must be reachable."
        )


def python_of(directory: str) -> str:
    return os.path.join(directory, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, ".venv")))
