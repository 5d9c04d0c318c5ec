"""How handlers run: what asyncio and anyio promise a coroutine holds from its first statement on, for every kind of
handler. The server below is also run in a process of its own, over real pipes."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio import move_on_after

from mcpcore import Context, Server, SyncContext
from tests.contract.wire import PATIENCE, Wire, client_of, launched

TOOL = "tools/call"
variable: ContextVar[str] = ContextVar("variable", default="untouched")


# -- what stands at the beginning of a handler -------------------------------------------------------------------------


async def asyncio_timeout() -> str:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"
    return "?"


async def asyncio_timeout_that_holds() -> str:
    async with asyncio.timeout(PATIENCE):
        await asyncio.sleep(0)
    return "in time"


async def asyncio_wait_for() -> str:
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    except TimeoutError:
        return "timed out"
    return "?"


async def asyncio_task_group() -> str:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, text)) for text in ("a", "b")]
    return "".join(task.result() for task in tasks)


async def asyncio_task_group_that_fails() -> str:
    async def fail() -> None:
        raise LookupError("one")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()
    except ExceptionGroup as group_error:
        return str(group_error.exceptions[0])
    return "?"


async def anyio_move_on_after() -> str:
    with anyio.move_on_after(0.001) as scope:
        await anyio.sleep_forever()
    return f"moved on: {scope.cancelled_caught}"


async def anyio_scope_without_an_await() -> str:
    with anyio.move_on_after(PATIENCE):
        return "returned"
    return "moved on"


async def imported_scope_without_an_await() -> str:
    with move_on_after(PATIENCE):
        return "returned"
    return "moved on"


async def anyio_fail_after() -> str:
    try:
        with anyio.fail_after(0.001):
            await anyio.sleep_forever()
    except TimeoutError:
        return "timed out"
    return "?"


async def anyio_task_group() -> str:
    found: list[str] = []

    async def child(text: str) -> None:
        await anyio.sleep(0)
        found.append(text)

    async with anyio.create_task_group() as group:
        group.start_soon(child, "a")
        group.start_soon(child, "b")
    return "".join(sorted(found))


async def anyio_cancels_its_own_scope() -> str:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep_forever()
    return f"cancelled: {scope.cancelled_caught}"


async def cancels_its_own_task() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task.uncancel()
        return "cancelled"
    return "?"


async def asks_for_its_task_in_a_function_inside() -> str:
    def name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    return "named" if name() else "?"


async def has_one_task_all_along() -> str:
    before = asyncio.current_task()
    await asyncio.sleep(0)
    return f"the same: {before is not None and asyncio.current_task() is before}"


async def sets_and_resets_a_variable() -> str:
    before = variable.get()
    token = variable.set("set")
    await asyncio.sleep(0)
    within = variable.get()
    threaded = await asyncio.to_thread(variable.get)
    variable.reset(token)  # raises where the context is another one
    return f"{before} {within} {threaded} {variable.get()}"


async def leaves_a_variable_set() -> str:
    before = variable.get()
    variable.set("left behind")
    await asyncio.sleep(0)
    return f"{before} {variable.get()}"


async def leaves_a_variable_set_without_an_await() -> str:
    before = variable.get()
    variable.set("left behind")
    return f"{before} {variable.get()}"


def leaves_a_variable_set_in_a_function() -> str:
    before = variable.get()
    variable.set("left behind")
    return f"{before} {variable.get()}"


BODIES: dict[Callable[[], Any], str] = {
    asyncio_timeout: "timed out",
    asyncio_timeout_that_holds: "in time",
    asyncio_wait_for: "timed out",
    asyncio_task_group: "ab",
    asyncio_task_group_that_fails: "one",
    anyio_move_on_after: "moved on: True",
    anyio_scope_without_an_await: "returned",
    imported_scope_without_an_await: "returned",
    anyio_fail_after: "timed out",
    anyio_task_group: "ab",
    anyio_cancels_its_own_scope: "cancelled: True",
    cancels_its_own_task: "cancelled",
    asks_for_its_task_in_a_function_inside: "named",
    has_one_task_all_along: "the same: True",
    sets_and_resets_a_variable: "untouched set set untouched",
    leaves_a_variable_set: "untouched left behind",
    leaves_a_variable_set_without_an_await: "untouched left behind",
    leaves_a_variable_set_in_a_function: "untouched left behind",
}


def make_server() -> Server:
    """Each body as a tool, a resource, a prompt, a completion and a method of its own."""
    server = Server("contract")
    for body in BODIES:
        name = body.__name__
        server.add_tool(body)
        server.add_tool(body, name=f"{name}.loop", thread="loop")
        server.add_tool(body, name=f"{name}.limited", timeout=PATIENCE, concurrency=1)
        server.add_resource(f"run:{name}", body)
        server.add_prompt(body)
        server.method(f"acme/{name}")(_as_method(body))
        server.completion(name, "argument")(_as_completion(body))
    return server


def _as_method(body: Callable[[], Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def plain() -> dict[str, Any]:
        return {"text": body()}

    @functools.wraps(body)
    async def coroutine() -> dict[str, Any]:
        return {"text": await body()}

    return coroutine if inspect.iscoroutinefunction(body) else plain


def _as_completion(body: Callable[[], Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def plain() -> list[str]:
        return [body()]

    @functools.wraps(body)
    async def coroutine() -> list[str]:
        return [await body()]

    return coroutine if inspect.iscoroutinefunction(body) else plain


def complete(name: str) -> dict[str, Any]:
    return {"ref": {"type": "ref/prompt", "name": name}, "argument": {"name": "argument", "value": ""}}


REQUESTS: dict[str, tuple[Callable[[str], tuple[str, dict[str, Any]]], Callable[[Any], Any]]] = {
    "tool": (lambda name: (TOOL, {"name": name}), lambda result: result["content"][0]["text"]),
    "tool on the loop": (lambda name: (TOOL, {"name": f"{name}.loop"}), lambda result: result["content"][0]["text"]),
    "limited tool": (lambda name: (TOOL, {"name": f"{name}.limited"}), lambda result: result["content"][0]["text"]),
    "resource": (lambda name: ("resources/read", {"uri": f"run:{name}"}), lambda result: result["contents"][0]["text"]),
    "prompt": (lambda name: ("prompts/get", {"name": name}), lambda result: result["messages"][0]["content"]["text"]),
    "completion": (
        lambda name: ("completion/complete", complete(name)),
        lambda result: result["completion"]["values"][0],
    ),
    "method": (lambda name: (f"acme/{name}", {}), lambda result: result["text"]),
}


async def run_every_body(wire: Wire, kind: str) -> None:
    request, text_of = REQUESTS[kind]
    for _ in range(2):  # the second time nothing is left of the first
        for body, expected in BODIES.items():
            got = text_of(await wire.result(*request(body.__name__)))
            assert (body.__name__, got) == (body.__name__, expected)


@pytest.mark.parametrize("kind", REQUESTS)
def test_tasks_scopes_and_variables_work_from_the_first_statement_on(kind: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            await run_every_body(wire, kind)

    asyncio.run(main())


def test_they_work_over_pipes() -> None:
    async def main() -> None:
        async with launched(
            "from tests.contract.test_features_handlers import make_server; make_server().run()"
        ) as wire:
            for kind in REQUESTS:
                await run_every_body(wire, kind)

    asyncio.run(main())


class Callables:
    """The same body behind everything that may stand in front of a function."""

    async def method(self) -> str:
        return await anyio_move_on_after()

    async def scope_in_a_method(self) -> str:
        with move_on_after(PATIENCE):
            return "moved on: True"
        return "?"

    async def __call__(self) -> str:
        return await anyio_move_on_after()


@functools.wraps(anyio_move_on_after)
def wrapped(*arguments: Any) -> Any:
    return anyio_move_on_after(*arguments)


@pytest.mark.parametrize(
    "handler",
    [
        Callables().method,
        Callables().scope_in_a_method,
        Callables(),
        functools.partial(anyio_move_on_after),
        functools.partial(Callables().method),
        wrapped,
    ],
    ids=["method", "scope in a method", "object", "partial", "partial of a method", "wrapper"],
)
def test_they_work_behind_methods_objects_partials_and_wrappers(handler: Callable[..., Any]) -> None:
    async def main() -> None:
        server = Server("contract")
        server.add_tool(handler, name="tool")
        async with client_of(server) as wire:
            assert (await wire.result(TOOL, {"name": "tool"}))["content"][0]["text"] == "moved on: True"

    asyncio.run(main())


def test_calls_side_by_side_have_variables_of_their_own() -> None:
    async def main() -> None:
        server = Server("contract")
        arrived = asyncio.Semaphore(0)
        go = asyncio.Event()

        @server.tool
        async def mine(text: str) -> str:
            variable.set(text)
            arrived.release()
            await go.wait()
            return variable.get()

        async with client_of(server) as wire:
            ids = {wire.call(TOOL, {"name": "mine", "arguments": {"text": f"t{n}"}}): f"t{n}" for n in range(5)}
            for _ in ids:
                await asyncio.wait_for(arrived.acquire(), PATIENCE)
            go.set()
            for _ in ids:
                answer = await wire.hear()
                assert answer["result"]["content"][0]["text"] == ids[answer["id"]]
        assert variable.get() == "untouched"

    asyncio.run(main())


def test_what_was_set_around_the_server_is_seen_in_every_handler() -> None:
    async def main() -> None:
        variable.set("around")
        server = Server("contract")

        @server.tool
        async def at_once() -> str:
            return variable.get()

        @server.tool
        async def later() -> str:
            await asyncio.sleep(0)
            return variable.get()

        @server.tool
        def threaded() -> str:
            return variable.get()

        async with client_of(server) as wire:
            for name in ("at_once", "later", "threaded"):
                assert (await wire.result(TOOL, {"name": name}))["content"][0]["text"] == "around"

    asyncio.run(main())


# -- where they run ----------------------------------------------------------------------------------------------------


def test_functions_run_in_worker_threads_on_the_loop_or_in_a_thread_of_their_own() -> None:
    async def main() -> None:
        server = Server("contract")

        def where() -> str:
            return str(threading.get_ident())

        async def coroutine() -> str:
            await asyncio.sleep(0)
            return where()

        server.add_tool(where, name="worker")
        server.add_tool(where, name="loop", thread="loop")
        server.add_tool(where, name="dedicated", thread="dedicated")
        server.add_tool(coroutine, name="coroutine")
        here = str(threading.get_ident())

        async with client_of(server) as wire:

            async def call(name: str) -> str:
                text: str = (await wire.result(TOOL, {"name": name}))["content"][0]["text"]
                return text

            assert await call("loop") == await call("coroutine") == here
            assert await call("worker") != here
            alone = {await call("dedicated") for _ in range(5)}
            assert len(alone) == 1 and alone.isdisjoint({here, await call("worker")})

    asyncio.run(main())


def test_functions_in_threads_run_side_by_side_and_hold_nobody_up() -> None:
    async def main() -> None:
        server = Server("contract")
        loop, arrived = asyncio.get_running_loop(), asyncio.Semaphore(0)
        release = threading.Event()

        @server.tool
        def meet() -> str:
            loop.call_soon_threadsafe(arrived.release)
            return "met" if release.wait(PATIENCE) else "left alone"

        async with client_of(server) as wire:
            ids = {wire.call(TOOL, {"name": "meet"}) for _ in range(3)}
            for _ in ids:
                await asyncio.wait_for(arrived.acquire(), PATIENCE)
            assert await wire.fence() == []  # others are answered meanwhile
            release.set()
            assert {(await wire.hear())["id"] for _ in ids} == ids

    asyncio.run(main())


def test_what_a_handler_says_is_sent_before_it_waits() -> None:
    async def main() -> None:
        server = Server("contract")
        heard = asyncio.Event()
        heard_in_thread = threading.Event()

        @server.tool
        async def says(ctx: Context) -> str:
            await ctx.info("first")
            await heard.wait()
            return "done"

        @server.tool
        def says_in_a_thread(ctx: SyncContext) -> str:
            ctx.info("first")
            return "done" if heard_in_thread.wait(PATIENCE) else "nobody heard"

        async with client_of(server) as wire:
            for name, event in (("says", heard), ("says_in_a_thread", heard_in_thread)):
                id = wire.call(TOOL, {"name": name}, logLevel="info")
                assert (await wire.hear("notifications/message"))["params"]["data"] == "first"
                event.set()
                assert (await wire.answer(id))["result"]["content"][0]["text"] == "done"

    asyncio.run(main())


def test_a_context_may_have_any_name_and_any_place_and_may_be_optional() -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def first(request: Context, text: str) -> str:
            return f"{request.method} {text}"

        @server.tool
        async def last(text: str, c: Context | None = None) -> str:
            return f"{c.method if c is not None else None} {text}"

        @server.tool
        def threaded(text: str, *, context: SyncContext) -> str:
            return f"{context.method} {text}"

        async with client_of(server) as wire:
            for tool in (await wire.result("tools/list"))["tools"]:
                assert list(tool["inputSchema"]["properties"]) == ["text"]
                result = await wire.result(TOOL, {"name": tool["name"], "arguments": {"text": "x"}})
                assert result["content"][0]["text"] == "tools/call x"

    asyncio.run(main())
