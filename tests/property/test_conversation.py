"""Client and server as a state machine, in both eras: whatever is done in whatever order, the answers stay right.

A model beside them says what must come back. Every frame goes to the judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mcpcore import Client, Context, ElicitResult, RpcError, Server
from mcpcore.transports.memory import connect_in_memory
from tests.schema_judge import AVAILABLE, Judge

T = TypeVar("T")
NAMES = st.sampled_from(["alpha", "beta", "gamma"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class Judged:
    """An in-process target whose frames are judged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.judge = Judge() if AVAILABLE else None

    def connect_client(self, protocol: asyncio.Protocol) -> Any:
        runner = self.server.open_runner()
        if self.judge is not None:
            judge = self.judge
            runner.tap = lambda direction, frame: judge.frame("client" if direction == "in" else "server", frame)
        return connect_in_memory(runner, protocol, "judged")[1]


def make_server(started: dict[int, asyncio.Event], stopped: set[int]) -> Server:
    server = Server("machine", page_size=2, declare=["tools", "resources"])

    @server.tool
    async def echo(text: str) -> str:
        return text

    @server.tool
    def add(a: int, b: int = 2) -> int:
        return a + b

    @server.tool
    async def hold(number: int, ctx: Context) -> str:
        await ctx.progress(1, 2, "begun")
        started[number].set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.add(number)
        return ""

    @server.tool
    async def ask(times: int, ctx: Context) -> str:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        answers = [await ctx.elicit(f"number {n}?", schema) for n in range(times)]
        return " ".join(str(answer.data) for answer in answers)

    @server.resource("machine://fixed")
    async def fixed() -> str:
        return "fixed"

    return server


class Conversation(RuleBasedStateMachine):
    revision = "2026-07-28"

    @initialize()
    def connect(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.started: dict[int, asyncio.Event] = {}
        self.stopped: set[int] = set()
        self.server = make_server(self.started, self.stopped)
        self.tools = {"echo", "add", "hold", "ask"}
        self.held: dict[int, asyncio.Task[Any]] = {}
        self.count = 0
        self.asked = 0
        self.target = Judged(self.server)
        self.client = Client(self.target, revisions=self.revision, elicitation=self.answer)
        self.run(self.client.connect())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    def answer(self, params: Any) -> ElicitResult:
        self.asked += 1
        return ElicitResult(action="accept", content={"n": self.asked})

    @rule(text=TEXTS)
    def echo(self, text: str) -> None:
        assert self.run(self.client.call_tool("echo", {"text": text})).text == text

    @rule(a=st.integers(-(2**40), 2**40), many=st.integers(1, 70))
    def add_many_at_once(self, a: int, many: int) -> None:
        async def calls() -> list[Any]:
            return await asyncio.gather(*(self.client.call_tool("add", {"a": a, "b": b}) for b in range(many)))

        assert [int(result.text) for result in self.run(calls())] == [a + b for b in range(many)]

    @rule(value=st.one_of(TEXTS, st.none(), st.floats(0.1, 0.9)))
    def wrong_arguments_are_told(self, value: Any) -> None:
        try:
            result = self.run(self.client.call_tool("add", {"a": value}))
        except RpcError as error:
            assert error.code == -32602
            assert self.revision < "2025-11-25"
        else:
            assert result.is_error
            assert self.revision >= "2025-11-25"

    @rule(name=NAMES)
    def unknown_tools_are_refused(self, name: str) -> None:
        if name in self.tools:
            assert self.run(self.client.call_tool(name)).text == name
        else:
            with pytest.raises(RpcError) as caught:
                self.run(self.client.call_tool(name))
            assert caught.value.code == -32602

    @rule(name=NAMES)
    def add_or_remove_a_tool(self, name: str) -> None:
        if name in self.tools:
            self.server.remove_tool(name)
            self.tools.remove(name)
        else:

            async def handler() -> str:
                return name

            self.server.add_tool(handler, name=name)
            self.tools.add(name)

    @rule()
    def list_tools(self) -> None:
        assert {tool.name for tool in self.run(self.client.list_tools(refresh=True))} == self.tools

    @rule()
    def begin_to_hold(self) -> None:
        self.count += 1
        number = self.count
        self.started[number] = asyncio.Event()
        self.held[number] = self.loop.create_task(self.client.call_tool("hold", {"number": number}))
        self.run(self.started[number].wait())

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def cancel_one(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        task = self.held.pop(number)
        task.cancel()

        async def until_stopped() -> None:
            with pytest.raises(asyncio.CancelledError):
                await task
            await self.client.call_tool("echo", {"text": "after"})
            while number not in self.stopped:
                await asyncio.sleep(0)

        self.run(until_stopped())

    @rule(times=st.integers(1, 3))
    def ask(self, times: int) -> None:
        if self.revision < "2025-06-18":
            with pytest.raises(RpcError):
                self.run(self.client.call_tool("ask", {"times": times}))
            return
        before = self.asked
        expected = " ".join(str({"n": before + 1 + n}) for n in range(times))
        assert self.run(self.client.call_tool("ask", {"times": times})).text == expected

    @rule()
    def read(self) -> None:
        contents = self.run(self.client.read_resource("machine://fixed")).contents
        assert [content.raw["text"] for content in contents if content.raw] == ["fixed"]

    @rule()
    def read_what_is_not_there(self) -> None:
        with pytest.raises(RpcError) as caught:
            self.run(self.client.read_resource("machine://none"))
        assert caught.value.code == (-32602 if self.revision >= "2026" else -32002)

    @invariant()
    def held_calls_are_still_open(self) -> None:
        for task in getattr(self, "held", {}).values():
            assert not task.done()

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.run(self.client.close())
        outcomes = self.run(gathered(list(self.held.values())))
        assert all(isinstance(outcome, Exception) for outcome in outcomes)
        self.run(until(lambda: self.stopped >= set(self.held)))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        if self.target.judge is not None:
            assert self.target.judge.violations == []


async def gathered(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_any_order_of_doings_keeps_client_and_server_right(revision: str) -> None:
    machine: Any = type("Conversation", (Conversation,), {"revision": revision})
    test_case = machine.TestCase
    test_case.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
    test_case("runTest").runTest()
