"""One server, one client, two eras of the protocol: the same story once in 2025-11-25 and once in 2026-07-28.

    make demo        or, with mcpcore installed:        python examples/demo.py

The server is ``docs_server.py`` in a process of its own, over this repository. It records what crosses its pipes
(MCPCORE_WIRE_LOG), and that is what the arrows show, shortened to a line each. Nothing in the repository is changed:
what deletes and writes does so in a temporary copy.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcpcore import Client, CreateMessageParams, ElicitParams, Progress, RpcError, ToolResult

EXAMPLES = Path(__file__).resolve().parent
REPOSITORY = EXAMPLES.parent
ERAS = {
    "2025-11-25": "a session: a handshake first, and the server may send requests of its own",
    "2026-07-28": "stateless: every request brings what it needs, and the server only answers",
}
WIDTH = 100
CALLS = 200

Message = dict[str, Any]


# --- the page ---------------------------------------------------------------------------------------------------------


class Page:
    """Prints lines of at most ``WIDTH`` columns; in colour on a terminal, unless NO_COLOR is set."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self.live and not os.environ.get("NO_COLOR")

    def write(self, text: str = "", style: str = "") -> None:
        text = cut(text, WIDTH)
        print(f"\x1b[{style}m{text}\x1b[0m" if style and self._colours else text, flush=True)

    def heading(self, revision: str) -> None:
        self.write()
        self.write(f"━━ {revision} ".ljust(WIDTH, "━"), "1")
        self.write(f"   {ERAS[revision]}", "2")

    def scene(self, text: str) -> None:
        self.write()
        self.write(f"▸ {text}", "1")

    def said(self, text: str) -> None:
        """What came of it, as the client's program sees it."""
        for line in text.splitlines():
            self.write(f"  {line}", "32")

    def asked(self, question: str, answer: str) -> None:
        self.write(f"  ? {question}  The user says: {answer}", "33")

    def frame(self, from_client: bool, parts: list[str]) -> None:
        """A message on the wire, in at most two lines."""
        lines = [f"      {'→' if from_client else '←'} {parts[0]}"]
        for part in parts[1:]:
            if len(lines[-1]) + 2 + len(part) > WIDTH and len(lines) < 2:
                lines.append(" " * 9)
            lines[-1] += f"  {part}"
        for line in lines:
            self.write(line, "36" if from_client else "35")

    def bar(self, progress: Progress) -> None:
        """One line, drawn again and again on a terminal, and once it is full elsewhere."""
        total = progress.total or 1
        full = progress.progress >= total
        if not (self.live or full):
            return
        done = int(40 * progress.progress / total)
        name = cut(progress.message or "", WIDTH - 58)
        line = f"  [{'█' * done}{'·' * (40 - done)}] {progress.progress:4.0f}/{total:.0f}  {'' if full else name}"
        print(f"\r\x1b[K{line}" if self.live else line.rstrip(), end="\n" if full else "", flush=True)


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


# --- the wire ---------------------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """The frames of one server, as it records them. ``show`` prints those that came since the last time."""

    path: Path
    page: Page
    frames: list[tuple[bool, Message]] = field(default_factory=list)
    _read: int = 0
    _shown: int = 0

    def show(self) -> None:
        self.read()
        news = self.frames[self._shown :]
        self._shown = len(self.frames)
        told = [message for _, message in news if is_progress(message)]
        for from_client, message in news:
            if not is_progress(message):
                self.page.frame(from_client, described(message))
            elif message is told[0]:
                self.page.frame(from_client, [*described(message), f"… and {len(told) - 1} more"])

    def skip(self) -> None:
        """Leave unshown what came so far."""
        self.read()
        self._shown = len(self.frames)

    def read(self) -> None:
        lines = self.path.read_text().split("\n")
        for line in lines[self._read : -1]:
            record = json.loads(line)
            self.frames.append((record["dir"] == "in", record["frame"]))
        self._read = len(lines) - 1


def is_progress(message: Message) -> bool:
    return message.get("method") == "notifications/progress"


def described(message: Message) -> list[str]:
    """A frame in a few words: its id and method, then what matters of the rest, part by part."""
    number = f"#{message['id']} " if "id" in message else ""
    if "error" in message:
        return [f"{number}error {message['error']['code']}: {message['error']['message']}"]
    if "result" in message:
        first, *rest = outcome(message["result"])
        return [number + first, *rest]
    params = message.get("params", {})
    name = f" {params['name']}" if "name" in params else ""
    return [f"{number}{message['method']}{name}", *parameters(message["method"], params)]


def parameters(method: str, params: Message) -> list[str]:
    envelope = [name.rpartition("/")[2] for name in params.get("_meta", {}) if "/" in name]
    known = ["+ _meta"] if envelope else []
    if method == "elicitation/create":
        return [brief(params["message"])]
    if method == "sampling/createMessage":
        return [brief(params["messages"][0]["content"]["text"])]
    if method == "notifications/progress":
        return [f"{params['progress']} of {params['total']}, {params['message']}"]
    if method == "tools/call" and "inputResponses" in params:
        return ["once more", *known, state_in(params), f"inputResponses: {brief(params['inputResponses'])}"]
    if method == "tools/call":
        return [brief(params["arguments"]), *known]
    if method == "server/discover":
        return [f"_meta: {', '.join(envelope)}"]
    return [f"{name}: {brief(value)}" for name, value in params.items() if name != "_meta"] + known


def outcome(result: Message) -> list[str]:
    if result.get("resultType") == "input_required":
        asked = [" ".join([one["method"], *parameters(one["method"], one["params"])]) for one in questions_in(result)]
        return ["input_required", state_in(result), *asked]
    if "structuredContent" in result:
        return [f"structuredContent: {brief(result['structuredContent'])}"]
    if isinstance(result.get("content"), list):
        return [f"{'isError ' if result.get('isError') else ''}{brief(result['content'][0]['text'])}"]
    rest = {name: value for name, value in result.items() if name not in ("_meta", "resultType", "ttlMs", "cacheScope")}
    return [f"{name}: {brief(value)}" for name, value in rest.items()] or ["{}"]


def questions_in(result: Message) -> list[Message]:
    return list(result["inputRequests"].values())


def state_in(message: Message) -> str:
    return f"requestState: {len(message['requestState'])} bytes"


def brief(value: Any) -> str:
    """A JSON value without quotes around its names, strings cut short."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {brief(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(brief(item) for item in value) + "]"
    return json.dumps(cut(value, 70) if isinstance(value, str) else value, ensure_ascii=False)


# --- the story --------------------------------------------------------------------------------------------------------


@dataclass
class Facts:
    """What the summary tells of an era."""

    opening: str = ""
    extra: str = ""
    asking: str = ""
    waiting: str = ""
    changes: str = ""
    times: dict[str, str] = field(default_factory=dict)


def serve(directory: Path, revision: str, wire: Wire | None, **callbacks: Any) -> Client:
    command = [sys.executable, str(EXAMPLES / "docs_server.py"), str(directory)]
    env = {"MCPCORE_WIRE_LOG": str(wire.path)} if wire is not None else None
    return Client(command, name="demo", revisions=revision, inherit_env="all", env=env, timeout=10, **callbacks)


async def tell(page: Page, revision: str, temporary: Path) -> Facts:
    page.heading(revision)
    facts = Facts()
    wire = Wire(temporary / f"{revision}.jsonl", page)
    await reading(page, revision, wire, facts)
    library = temporary / revision
    shutil.copytree(EXAMPLES, library, ignore=shutil.ignore_patterns("__pycache__"))
    wire = Wire(temporary / f"{revision}-copy.jsonl", page)
    await changing(page, revision, library, wire, facts)
    facts.times |= await measured(revision)
    return facts


async def reading(page: Page, revision: str, wire: Wire, facts: Facts) -> None:
    """What changes nothing, over the repository itself."""

    async def model(question: CreateMessageParams) -> str:
        """Stands in for a language model: it takes the first sentence of the file for the summary."""
        wire.show()
        text = question.messages[0].blocks[0].text.partition("\n\n")[2]
        paragraph = next((part for part in text.split("\n\n") if part[:1].isalnum() or part.startswith("[")), text)
        return " ".join(paragraph.split()).partition(". ")[0].partition(": ")[0] + "."

    page.scene("connect, and list the tools")
    started = time.perf_counter()
    async with serve(REPOSITORY, revision, wire, sampling=model) as client:
        facts.times["start"] = f"{(time.perf_counter() - started) * 1000:.0f} ms"
        tools = await client.list_tools()
        wire.show()
        info = client.server_info
        page.said(f"{info.name if info else '?'} offers {', '.join(tool.name for tool in tools)}")
        methods = [message["method"] for here, message in wire.frames if here]
        facts.opening = ", ".join(method.removeprefix("notifications/") for method in methods[:-1])

        page.scene('search for "revision"')
        result = await client.call_tool("search", {"query": "revision", "limit": 3})
        wire.show()
        page.said("\n".join(f"{one['path']}:{one['line']}  {one['snippet']}" for one in result.data["matches"]))
        page.said(f"and {result.data['total'] - 3} more lines")

        page.scene("index: read every file ahead; but cancel it at the first sign of progress, and go on")
        stopped = await cancelled(client, wire)
        result = await client.call_tool("read_file", {"path": "LICENSE", "lines": 1})
        wire.show()
        page.said(stopped)

        page.scene("index again, to its end, and hear how far it is")
        result = await client.call_tool("index", progress=page.bar)
        wire.show()
        page.said(f"{result.data['files']} files, {result.data['lines']} lines")

        page.scene("summarise README.md: the server borrows the client's model (here a stand-in)")
        result = await client.call_tool("summarise", {"path": "README.md", "sentences": 1})
        wire.show()
        page.said(result.text)

        page.scene("two mistakes: a path that leads out, and a tool that does not exist")
        result = await client.call_tool("read_file", {"path": "../../etc/passwd"})
        wire.show()
        page.said(f"a result with is_error: {result.text}")
        try:
            await client.call_tool("serach")
        except RpcError as error:
            wire.show()
            page.said(f"raises RpcError: {error}")
    facts.extra = brought_along(wire)


async def cancelled(client: Client, wire: Wire) -> str:
    begun = asyncio.Event()
    call = asyncio.create_task(client.call_tool("index", progress=lambda progress: begun.set()))
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait({call, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    call.cancel()
    await asyncio.wait({call})
    await client.list_prompts()  # by now the server has read a cancellation
    wire.read()
    if not any(message.get("method") == "notifications/cancelled" for _, message in wire.frames):
        return "it was finished before it could be cancelled"
    return "the call is cancelled in the client and in the server: it is never answered"


async def changing(page: Page, revision: str, library: Path, wire: Wire, facts: Facts) -> None:
    """What changes files, over a temporary copy of examples/."""

    async def user(question: ElicitParams) -> dict[str, Any]:
        wire.show()
        page.asked(question.message, "yes")
        return {"agree": True}

    async with serve(library, revision, wire, elicitation=user) as client:
        await client.ping()
        wire.skip()
        page.scene("delete hello_client.py, in a temporary copy of examples/: the server asks first")
        result = await client.call_tool("delete", {"path": "hello_client.py"})
        wire.show()
        page.said(result.text)
        facts.asking, facts.waiting = question_in(wire)

        page.scene("listen for changes of hello_server.py, and change it")
        known = len(wire.frames)
        async with client.listen(uris=["docs://files/hello_server.py"]) as events:
            with (library / "hello_server.py").open("a") as file:
                file.write("# changed\n")
            event = await anext(events)
            wire.show()
            page.said(repr(event))
        wire.read()
        facts.changes = next(message["method"] for here, message in wire.frames[known:] if here)


def brought_along(wire: Wire) -> str:
    """How much of the last tool call says who is calling."""
    call = [message for here, message in wire.frames if here and message.get("method") == "tools/call"][-1]
    meta = {name: value for name, value in call["params"].get("_meta", {}).items() if "/" in name}
    if not meta:
        return "nothing: the session knows"
    return f"its envelope: {len(json.dumps(meta, separators=(',', ':')))} bytes"


def question_in(wire: Wire) -> tuple[str, str]:
    """How the server asked, and what waited for the answer."""
    for _, message in wire.frames:
        if message.get("method") == "elicitation/create":
            return "by a request of its own", "the call, open in the server"
        if message.get("result", {}).get("resultType") == "input_required":
            size = len(message["result"]["requestState"])
            return "by a result; the call comes again", f"nothing: {size} sealed bytes travel"
    raise AssertionError("the server did not ask")


# --- the figures ------------------------------------------------------------------------------------------------------


async def measured(revision: str) -> dict[str, str]:
    """Medians of single calls, one after the other, without the recording."""
    async with serve(REPOSITORY, revision, None) as client:

        async def read() -> ToolResult:
            return await client.call_tool("read_file", {"path": "README.md", "lines": 10})

        async def search() -> ToolResult:
            return await client.call_tool("search", {"query": "requestState"})

        await search()
        return {
            "ping": await median(client.ping, CALLS),
            "read": await median(read, CALLS),
            "search": await median(search, CALLS // 20),
        }


async def median(call: Callable[[], Any], times: int) -> str:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - started)
    found = statistics.median(seconds)
    return f"{found * 1e6:.0f} µs" if found < 1e-3 else f"{found * 1e3:.1f} ms"


def summarise(page: Page, facts: dict[str, Facts]) -> None:
    rows: list[tuple[str, Callable[[Facts], str]]] = [
        ("the conversation opens with", lambda one: one.opening),
        ("a request brings along", lambda one: one.extra),
        ("the server asks the user", lambda one: one.asking),
        ("meanwhile there waits", lambda one: one.waiting),
        ("changes are ordered with", lambda one: one.changes),
        ("from nothing to connected", lambda one: one.times["start"]),
        ("ping, or server/discover", lambda one: one.times["ping"]),
        ("reading ten lines of a file", lambda one: one.times["read"]),
        ("searching the whole repository", lambda one: one.times["search"]),
    ]
    page.write()
    page.write(f"━━ {'both eras'} ".ljust(WIDTH, "━"), "1")
    page.write((" " * 32 + "".join(f"{revision:34}" for revision in facts)).rstrip(), "1")
    for name, of in rows:
        page.write((f"{name:32}" + "".join(f"{of(one):34}" for one in facts.values())).rstrip())
    page.write()
    page.write("Times are from the call in the client to its typed result, between two processes, one call at a", "2")
    python = sys.version.split()[0]
    page.write(f"time: the median of {CALLS} calls ({CALLS // 20} for the search), with Python {python}.", "2")


async def demo() -> None:
    page = Page()
    page.write("mcpcore: one server, one client, two eras of the protocol", "1")
    page.write("▸ what the client does    → ← what crosses the pipe, shortened    #1 the id of a request", "2")
    with tempfile.TemporaryDirectory(prefix="mcpcore-demo-") as temporary:
        facts = {revision: await tell(page, revision, Path(temporary)) for revision in ERAS}
    summarise(page, facts)


def main() -> None:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        asyncio.run(demo())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # nobody reads on: `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
