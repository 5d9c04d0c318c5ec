"""A server to talk to, and the command run as a process or, faster, inside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpcore.cli.main import main

ROOT = Path(__file__).parents[2]

SERVER = '''
import sys
from dataclasses import dataclass
from mcpcore import Context, Server, ToolError

print("noise at import")
server = Server("shown", version="1.2", instructions="Be kind.")

@server.tool
async def echo(text: str, times: int = 1) -> str:
    """Say it again.

    And again."""
    return " ".join([text] * times)

@server.tool
async def total(numbers: list[float]) -> float:
    """Add them up."""
    return sum(numbers)

@server.tool
async def broken() -> str:
    raise ToolError("it broke")

@server.tool
async def escape() -> str:
    return "\\x1b[31mred"

@server.tool
async def talk(ctx: Context) -> str:
    print("heard on stderr", file=sys.stderr)
    await ctx.info("a log message")
    await ctx.debug("a detail")
    return "done"

@server.tool
async def ask(ctx: Context) -> str:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Your name", "minLength": 2},
            "age": {"type": "integer", "minimum": 0},
            "colour": {"type": "string", "enum": ["red", "green"]},
            "news": {"type": "boolean", "default": False},
        },
        "required": ["name", "colour"],
    }
    answer = await ctx.elicit("Who are you?", schema)
    return f"{answer.action} {answer.content}"

@server.tool
async def wait_for_ever() -> str:
    import asyncio
    print("waiting", file=sys.stderr, flush=True)
    await asyncio.get_running_loop().create_future()
    return "never"

@server.resource("shown://text", mime_type="text/plain", description="A text")
async def text() -> str:
    return "some text"

@server.resource("shown://bytes")
async def data() -> bytes:
    return b"\\x00\\x01\\xff"

@server.resource("shown://{name}/page", description="A page")
async def page(name: str) -> str:
    return f"page of {name}"

@server.prompt
async def greet(name: str, tone: str = "plain") -> str:
    """Greet somebody."""
    return f"Greet {name} in a {tone} tone"

@server.completion("greet", "tone")
async def tones(value: str) -> list[str]:
    return [tone for tone in ("plain", "pompous", "warm") if tone.startswith(value)]
'''


@dataclass
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def server(tmp_path: Path) -> str:
    path = tmp_path / "shown.py"
    path.write_text(SERVER, encoding="utf-8")
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """The command in this process; its servers are real processes."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "path", list(sys.path))

    def command(*words: str) -> Ran:
        status = main(words)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return command


@pytest.fixture
def spawn() -> Callable[..., Ran]:
    """The command as a process of its own."""

    def command(*words: str, stdin: str = "", cwd: Path = ROOT) -> Ran:
        found = subprocess.run(
            [sys.executable, "-m", "mcpcore", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(found.returncode, found.stdout, found.stderr)

    return command
