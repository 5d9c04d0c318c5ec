"""Who may import whom inside mcpcore, held as data and checked against the syntax trees; nothing is imported for it.

The rules at a glance: arrows point down only; the pure layers touch no clock, socket, thread, log or chance; a package
from outside has its place, for some one file; what only an extra brings is imported inside the function that needs it.
An import under `if TYPE_CHECKING:` draws an arrow like any other, but may name packages that would not be there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mcpcore"

ANY = frozenset({"*"})
PUBLIC = "mcpcore"  # the package itself: the names that users import
BELOW_TRANSPORTS = frozenset({"errors", "types", "jsonrpc", "spec", "core", "eras"})
OPTIONAL_LAYERS = frozenset({"types", "errors", PUBLIC})

# Layer -> what it may import inside mcpcore, besides itself. A dotted entry allows one module of a layer.
INSIDE: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "types": frozenset({"errors"}),
    "jsonrpc": frozenset({"errors"}),
    "spec": frozenset({"types"}),
    "core": frozenset({"errors", "types", "jsonrpc", "spec"}),
    "eras": frozenset({"errors", "types", "jsonrpc", "spec", "core"}),
    "http": BELOW_TRANSPORTS,
    "websocket": BELOW_TRANSPORTS | {"http.head", "http.guard"},
    "transports": BELOW_TRANSPORTS | {"http", "websocket", "tap"},
    "server": frozenset({"errors", "types", "jsonrpc", "spec", "core", "transports"}),
    "client": frozenset({"errors", "types", "jsonrpc", "spec", "core", "transports"}),
    "auth": OPTIONAL_LAYERS,
    "middleware": OPTIONAL_LAYERS,
    "stores": OPTIONAL_LAYERS,
    "gateway": OPTIONAL_LAYERS,
    "bridge": ANY,
    "testing": ANY,
    "tap": ANY,
    "cli": ANY,
    PUBLIC: ANY,  # mcpcore/__init__.py, and only lazily: see at_import_time
    "__main__": frozenset({"cli"}),
}

# Layer -> packages from outside that any of its files may import.
OUTSIDE: dict[str, frozenset[str]] = {
    "types": frozenset({"msgspec"}),
    "spec": frozenset({"msgspec"}),
    "core": frozenset({"msgspec"}),
    "transports": frozenset({"anyio"}),
    "server": frozenset({"anyio", "msgspec"}),
    "client": frozenset({"anyio", "msgspec"}),
    "testing": frozenset({"anyio", "msgspec", "pytest"}),
    "tap": frozenset({"anyio", "msgspec"}),
    "cli": frozenset({"anyio", "msgspec"}),
}

# Package from outside -> the only file that may import it.
ONE_FILE = {"orjson": "jsonrpc/codec.py", "h11": "http/h1.py", "wsproto": "websocket/frames.py"}

# What only an extra brings: inside functions, in these layers.
LAZY: dict[str, frozenset[str]] = {
    "jsonschema_rs": frozenset({"server", "client", "testing", "cli"}),
    "pydantic": frozenset({"server", "client", "testing", "cli"}),
    "uvloop": frozenset({"transports", "server", "cli"}),
}

PURE = frozenset({"jsonrpc", "spec", "core", "eras", "http", "websocket"})
IMPURE_MODULES = frozenset(
    ["asyncio", "anyio", "socket", "ssl", "subprocess", "threading", "time", "random", "secrets", "uuid", "logging"],
)


@dataclass(frozen=True)
class Import:
    target: str  # dotted and absolute: "mcpcore.core.peer", "os.path"
    line: int
    in_function: bool
    for_types: bool


def imports_of(tree: ast.Module, path: str) -> Iterator[Import]:
    """Every import of the file at `path` below mcpcore/; import_module and __import__ with a literal name count too."""
    here = ["mcpcore", *path.removesuffix(".py").split("/")][:-1]
    pending: list[tuple[ast.AST, bool, bool]] = [(tree, False, False)]
    while pending:
        node, in_function, for_types = pending.pop()
        for target in _targets(node, here):
            yield Import(target, getattr(node, "lineno", 0), in_function, for_types)
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            pending += [(child, in_function, True) for child in node.body]
            pending += [(child, in_function, for_types) for child in node.orelse]
            continue
        inner = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending += [(child, inner, for_types) for child in ast.iter_child_nodes(node)]


def _targets(node: ast.AST, here: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parents = here[: len(here) - node.level + 1] if node.level else []
        module = ".".join([*parents, *([node.module] if node.module else [])])
        # Of our own packages the name may be a module, of others it does not matter.
        return [f"{module}.{alias.name}" for alias in node.names] if _is_ours(module) else [module]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        name = node.args[0].value
        if called in {"import_module", "__import__"} and isinstance(name, str):
            return [".".join(here) + name if name.startswith(".") else name]
    return []


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "mcpcore"


def layer_of_path(path: str) -> str:
    first = path.split("/")[0].removesuffix(".py")
    return PUBLIC if first == "__init__" else first


def layer_of_target(target: str) -> str:
    """The layer that a dotted name inside mcpcore leads to; `mcpcore.Server` is a public name."""
    parts = target.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in INSIDE else PUBLIC


def violations(source: str, path: str) -> list[str]:
    """What the file at `path` (relative to mcpcore/) does against the tables, one sentence each."""
    layer = layer_of_path(path)
    if layer not in INSIDE:
        return [f"{path}: no layer called {layer!r}; give it a row in tests/test_layers.py or put the file elsewhere"]
    found: list[str] = []
    for item in imports_of(ast.parse(source, path), path):
        complaint = _against_inside(item, layer) if _is_ours(item.target) else _against_outside(item, layer, path)
        if complaint:
            found.append(f"{path}:{item.line}: {complaint}")
    return found


def _against_inside(item: Import, layer: str) -> str:
    target = layer_of_target(item.target)
    if layer == PUBLIC and not item.in_function and not item.for_types:
        return f"mcpcore/__init__.py loads lazily, but imports {item.target} when it is imported"
    allowed = INSIDE[layer]
    if target == layer or allowed == ANY or target in allowed:
        return ""
    if any("." in entry and f"{item.target}.".startswith(f"mcpcore.{entry}.") for entry in allowed):
        return ""
    return f"{layer} must not import {target} ({item.target})"


def _against_outside(item: Import, layer: str, path: str) -> str:
    root = item.target.split(".")[0]
    if layer in PURE and root in IMPURE_MODULES:
        return f"{layer} is pure and must not import {root}: time, ids and bytes are arguments, log lines are events"
    if root in sys.stdlib_module_names or item.for_types:
        return ""
    if root in ONE_FILE:
        return "" if path == ONE_FILE[root] else f"{root} is imported in {ONE_FILE[root]} only"
    if root in LAZY:
        if layer not in LAZY[root]:
            return f"{layer} must not import {root}"
        return "" if item.in_function else f"{root} comes with an extra: import it inside the function that needs it"
    return "" if root in OUTSIDE.get(layer, frozenset()) else f"{layer} must not import {root}"


def _files() -> list[str]:
    return sorted(file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", _files())
def test_a_file_imports_only_what_its_layer_may(path: str) -> None:
    found = violations((PACKAGE / path).read_text(encoding="utf-8"), path)
    assert not found, "\n".join(found)


BAD = {
    "an arrow that points up": ("core/peer.py", "from mcpcore.server.app import Server", "core must not import server"),
    "an arrow up, relative": ("core/peer.py", "from ..server import app", "core must not import server"),
    "an arrow up, from the root": ("spec/methods.py", "from mcpcore import core", "spec must not import core"),
    "an arrow up, for types": (
        "jsonrpc/codec.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mcpcore.core.limits import Limits",
        "jsonrpc must not import core",
    ),
    "an arrow up, inside a function": (
        "eras/modern.py",
        "def f():\n    import mcpcore.transports.stdio",
        "eras must not import transports",
    ),
    "an arrow up, by name": (
        "eras/modern.py",
        "import importlib\nimportlib.import_module('mcpcore.client.app')",
        "eras must not import client",
    ),
    "public names below the top": (
        "transports/stdio.py",
        "from mcpcore import Server",
        "transports must not import mcpcore",
    ),
    "server imports client": ("server/app.py", "import mcpcore.client.app", "server must not import client"),
    "client imports server": ("client/app.py", "from mcpcore import server", "client must not import server"),
    "more of http than websocket may": (
        "websocket/frames.py",
        "from mcpcore.http import h1",
        "websocket must not import http",
    ),
    "a name that only begins like an allowed module": (
        "websocket/frames.py",
        "import mcpcore.http.headers",
        "websocket must not import http",
    ),
    "an eager __init__": ("__init__.py", "from mcpcore.server import Server", "loads lazily"),
    "orjson elsewhere": ("jsonrpc/message.py", "import orjson", "orjson is imported in jsonrpc/codec.py only"),
    "h11 elsewhere": ("http/head.py", "from h11 import Request", "h11 is imported in http/h1.py only"),
    "wsproto elsewhere": (
        "transports/websocket.py",
        "def f():\n    from wsproto.frame_protocol import Opcode",
        "wsproto is imported in websocket/frames.py only",
    ),
    "jsonschema_rs at the top": ("server/tools.py", "import jsonschema_rs", "inside the function"),
    "pydantic at the top": (
        "client/app.py",
        "try:\n    import pydantic\nexcept ImportError:\n    pass",
        "inside the function",
    ),
    "pydantic in the core": ("core/peer.py", "def f():\n    import pydantic", "core must not import pydantic"),
    "a package nobody declared": ("server/app.py", "import requests", "server must not import requests"),
    "msgspec where it has no business": ("jsonrpc/message.py", "import msgspec", "jsonrpc must not import msgspec"),
    "a layer nobody declared": ("helpers/misc.py", "", "no layer called 'helpers'"),
} | {
    f"{module} in {layer}": (
        f"{layer}/some.py",
        f"def f():\n    import {module}",
        f"{layer} is pure and must not import {module}",
    )
    for layer in sorted(PURE)
    for module in sorted(IMPURE_MODULES)
}


@pytest.mark.parametrize("rule", BAD)
def test_a_breach_is_caught(rule: str) -> None:
    path, source, complaint = BAD[rule]
    assert any(complaint in found for found in violations(source, path)), violations(source, path)


GOOD = {
    "down": (
        "core/peer.py",
        "from mcpcore.jsonrpc.message import Request\nfrom ..spec import methods\nfrom . import events",
    ),
    "the standard library": ("core/peer.py", "import collections.abc\nfrom typing import Any\nimport enum, hashlib"),
    "its one file": ("jsonrpc/codec.py", "import orjson"),
    "an extra, lazily": ("server/tools.py", "async def f():\n    import jsonschema_rs"),
    "a package for types only": (
        "client/app.py",
        "import typing as t\nif t.TYPE_CHECKING:\n    import pydantic, orjson",
    ),
    "one module of a layer": (
        "websocket/frames.py",
        "from mcpcore.http.head import parse\nfrom mcpcore.http import guard",
    ),
    "a lazy __init__": (
        "__init__.py",
        "def __getattr__(name):\n    from mcpcore.server.app import Server\n    return Server",
    ),
    "testing reaches everything": (
        "testing.py",
        "import asyncio\nfrom mcpcore.client import app\nfrom mcpcore.server import app",
    ),
    "public names at the top": ("gateway/app.py", "from mcpcore import Client, Server"),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_allowed_passes(case: str) -> None:
    path, source = GOOD[case]
    assert violations(source, path) == []


def test_the_runtime_branch_beside_type_checking_is_no_import_for_types() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import time"
    assert violations(source, "core/peer.py") != []
