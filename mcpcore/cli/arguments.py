"""The arguments of each command. A command's own words end where its target begins, so targets keep their options."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from mcpcore.errors import UsageError

__all__ = ["COMMANDS", "parse"]

_FLAGS = frozenset({"-h", "--help", "--json", "-v", "--verbose", "--reload", "--stateless"})
"""Options without a value; every other one takes exactly one."""

COMMANDS = {
    "run": 1,
    "list": 0,
    "call": 1,
    "read": 1,
    "prompt": 1,
    "complete": 2,
    "probe": 0,
    "replay": 1,
    "bridge": 0,
}
"""How many words a command takes before its target."""

_TALKING = frozenset({"list", "call", "read", "prompt", "complete", "probe"})
_TARGETED = _TALKING | {"bridge"}
_SERVER = "file.py (its only Server object), file.py:name, module:name or a module (its only Server object)"


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments of the command ``words[0]``, and the words of its target. Raises ``UsageError``."""
    name = words[0]
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    own, target = _split(words[1:], COMMANDS[name])
    parsed = _parser(name).parse_args(own)
    if target and name == "run":
        raise UsageError(f"run serves one server; remove {' '.join(target)!r}")
    if name in _TARGETED and not target:
        raise UsageError(
            f"{name}: which server? Put its URL or its command last: mcpcore {name} ... -- python server.py"
        )
    return parsed, target


def _split(words: list[str], count: int) -> tuple[list[str], list[str]]:
    """A command's own words, and those of the target: what follows ``--``, or the first word too many."""
    own: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return own, list(rest)
        if word.startswith("-") and word != "-":
            own.append(word)
            if word not in _FLAGS and "=" not in word:
                own += [value for value in (next(rest, None),) if value is not None]
        elif count > 0:
            own.append(word)
            count -= 1
        else:
            return own, [word, *rest]
    return own, []


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help tells more")


def _parser(name: str) -> _Parser:
    targets = {"run": "", "replay": " [--] [TARGET ...]"}.get(name, " [--] TARGET ...")
    parser = _Parser(prog=f"mcpcore {name}", allow_abbrev=False)
    parser.set_defaults(command=name)
    {
        "run": _run,
        "list": _list,
        "call": _call,
        "read": _read,
        "prompt": _prompt,
        "complete": _complete,
        "probe": _probe,
        "replay": _replay,
        "bridge": _bridge,
    }[name](parser)
    if name in _TALKING:
        _talking(parser)
    parser.usage = parser.format_usage().removeprefix("usage: ").rstrip() + targets
    return parser


def _talking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, errors as JSON on stderr")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the server's stderr, and its debug messages")
    parser.add_argument("--revision", metavar="DATE", help="speak this protocol revision only, such as 2025-11-25")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="the longest that one request may take")
    parser.epilog = "TARGET is a URL, or the command that starts the server; it inherits the environment."


def _run(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve a Server object. What its module prints while it is loaded goes to stderr."
    parser.add_argument("server", metavar="SERVER", help=_SERVER)
    parser.add_argument("--transport", default="stdio", choices=["stdio", "http"], help="how clients reach it")
    parser.add_argument("--revisions", metavar="DATES", help="serve these protocol revisions only, separated by commas")
    _http(parser.add_argument_group("options of --transport http"))


def _http(group: argparse._ArgumentGroup) -> None:
    """Absent ones are no members of what is parsed: the defaults are those of ``run("http", ...)``."""

    def add(option: str, text: str, **settings: Any) -> None:
        group.add_argument(option, help=text, default=argparse.SUPPRESS, **settings)

    add("--host", "the address to listen on, 127.0.0.1 unless said otherwise (repeatable)", action="append")
    add("--port", "8000 unless said otherwise; 0 takes a free one", type=int, metavar="N")
    add("--path", "of the MCP endpoint, /mcp unless said otherwise")
    add("--unix", "a Unix socket in place of host and port", metavar="PATH")
    add("--tls-cert", "serve https with this certificate (PEM)", metavar="FILE")
    add("--tls-key", "its key (PEM)", metavar="FILE")
    add("--workers", "processes that share the port", type=int, metavar="N")
    add("--reload", "for development: load the program again when its files change", action="store_true")
    add("--cors", 'let web pages of this origin use the server; "*" is every page (repeatable)', **_ORIGINS)
    add(
        "--allowed-host",
        "answer to this Host besides those that are safe (repeatable)",
        action="append",
        metavar="HOST",
    )
    add("--allowed-origin", "accept this Origin besides those that are safe (repeatable)", **_ORIGINS)
    add("--stateless", "no sessions for legacy clients", action="store_true")


_ORIGINS: dict[str, Any] = {"action": "append", "metavar": "ORIGIN"}


def _list(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the tools, resources, resource templates and prompts of a server."


def _call(parser: argparse.ArgumentParser) -> None:
    parser.description = "Call a tool and print its result. Questions of the server are asked on the terminal."
    parser.add_argument("name", metavar="TOOL")
    text = "an argument; JSON where the tool's schema does not want a string (repeatable)"
    parser.add_argument("--arg", metavar="NAME=VALUE", action="append", default=[], help=text)
    parser.add_argument("--args", metavar="JSON", help="all arguments as one JSON object")


def _read(parser: argparse.ArgumentParser) -> None:
    parser.description = "Read a resource. Text and bytes go to stdout as they are."
    parser.add_argument("uri", metavar="URI")


def _prompt(parser: argparse.ArgumentParser) -> None:
    parser.description = "Get a prompt, filled in."
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--arg", metavar="NAME=VALUE", action="append", default=[], help="an argument (repeatable)")


def _complete(parser: argparse.ArgumentParser) -> None:
    parser.description = "Complete an argument of a prompt, or of a resource template."
    parser.add_argument("ref", metavar="REF", help="a prompt's name, or a URI template")
    parser.add_argument("argument", metavar="ARGUMENT")
    parser.add_argument("--value", metavar="TEXT", default="", help="what is typed already")


def _probe(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find out which era and revisions a server speaks, what it can do, and how long a request takes. "
        "Revisions that the server does not tell by itself are tried, each in a connection of its own."
    )


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Without a target: be a server on stdio that answers as recorded. With one: play the recorded client against "
        "it and show which answers differ. Recordings are made by MCPCORE_WIRE_LOG=FILE, for any server or client."
    )
    parser.add_argument("file", metavar="FILE", help="a recording (JSON lines)")
    parser.add_argument("--ignore", metavar="NAMES", default="", help="members not to compare, separated by commas")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=30.0, help="the wait for each message")
    parser.add_argument("--json", action="store_true", help="the differences as one JSON document")


def _bridge(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reach a server of one transport over another: a URL is served on stdio, a command over HTTP, or as "
        "--transport says. Client and server have to have a protocol era in common: eras are not translated."
    )
    text = "how clients reach it; by default stdio for a URL, and http for a command"
    parser.add_argument("--transport", choices=["stdio", "http"], help=text)
    parser.add_argument("--host", default="127.0.0.1", help="http: the address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="http: the port; 0 takes a free one")
    parser.add_argument("--path", default="/mcp", help="http: where the endpoint is")
    parser.add_argument("--allowed-host", metavar="HOST", action="append", default=[], help="http: a host to answer to")
    parser.add_argument("--cors", metavar="ORIGIN", action="append", default=[], help="http: web pages that may use it")
    text = "a header field of every request to the server at a URL (repeatable)"
    parser.add_argument("--header", metavar="NAME:VALUE", action="append", default=[], help=text)
    parser.epilog = "TARGET is the URL of a server, or the command that starts one; it inherits the environment."


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value
