"""The fixed battery that every Python client runs against the everything server, and the JSON object it prints.

What lives here: the steps, what the harness answers to the server's questions, and the collection of what was
observed. How one SDK sends a request lives in the script of that SDK, a subclass of :class:`Conversation`. Nothing
here judges: the assertions are on the pytest side. The same battery for the TypeScript clients is ``battery.mjs``;
the steps carry the same names. Standard library only, because this file runs in the environment of each peer.

A step's entry is what the step returned, ``{"error": {code, message, data}}`` for a JSON-RPC error,
``{"exception": text}`` for anything else that was raised, or ``{"lacks": reason}`` where the SDK has no way to do it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

STEP_SECONDS = 12.0
QUIET_SECONDS = 3.0  # how long a step waits for a notification that was promised
WATCHED = "test://static-text"
SAMPLED_TEXT = "Paris"
ROOTS = [{"uri": "file:///test/root", "name": "Test Root"}]
ANSWERS = {
    "username": "testuser",
    "email": "test@example.com",
    "name": "Alice",
    "color": "blue",
    "context": "a test",
    "ok": True,
    "confirm": True,
}
SAMPLES = {"string": "text", "integer": 7, "number": 1.5, "boolean": True}
TEXT = 'naïve \u2028\u2029\u0085 "quoted" \\ \n\t 漢字 \U0001f600'


FORMATTED = {
    "email": "user@example.com",
    "uri": "https://example.com/",
    "date": "2026-07-28",
    "date-time": "2026-07-28T12:00:00Z",
}


def answer_form(message: str, schema: dict[str, Any]) -> dict[str, Any]:
    """What the harness answers to a form: declined where the message asks for it, else every property filled in."""
    if "decline" in message:
        return {"action": "decline"}
    content = {name: _value(name, definition) for name, definition in schema.get("properties", {}).items()}
    return {"action": "accept", "content": content}


def _value(name: str, schema: dict[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema:
        return schema["oneOf"][0]["const"]
    if schema.get("type") == "array":
        items = schema["items"]
        return [items["enum"][0] if "enum" in items else items["anyOf"][0]["const"]]
    if name not in ANSWERS and schema.get("format") in FORMATTED:
        return FORMATTED[schema["format"]]
    return ANSWERS.get(name, SAMPLES[schema["type"]])


class Conversation:
    """One connection of one SDK: requests go out in the SDK's own words, what comes in is noted in the order of
    arrival.

    Results are wire objects (plain dicts with camelCase members). A subclass implements the methods that raise
    ``NotImplementedError``; a step that needs something the SDK cannot do is named in ``lacks`` with the reason.
    """

    lacks: dict[str, str] = {}  # noqa: RUF012
    modern = False

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self._arrival = asyncio.Event()

    def note(self, method: str, params: Any) -> None:
        self.heard.append({"method": method, "params": params})
        self._arrival.set()

    def fault(self, what: Any) -> None:
        """The SDK said that it could not make sense of something the server sent."""
        self.faults.append(f"{type(what).__name__}: {what}")

    async def until(self, met: Callable[[], bool]) -> bool:
        """Waits until arrivals make the condition true; False when nothing came for ``QUIET_SECONDS``."""
        while not met():
            self._arrival.clear()
            try:
                await asyncio.wait_for(self._arrival.wait(), QUIET_SECONDS)
            except TimeoutError:
                return met()
        return True

    def arrived(self) -> None:
        self._arrival.set()

    def heard_of(self, method: str, since: int = 0) -> list[Any]:
        return [note["params"] for note in self.heard[since:] if note["method"] == method]

    def facts(self) -> dict[str, Any]:
        """``{"revision", "server", "capabilities", "instructions"}`` as the SDK shows them."""
        raise NotImplementedError

    def error_of(self, error: BaseException) -> dict[str, Any] | None:
        """``{code, message, data}`` where the exception is the SDK's form of a JSON-RPC error."""
        raise NotImplementedError

    async def list_page(self, kind: str, cursor: str | None) -> tuple[list[Any], str | None]:
        """One page of "tools", "resources", "resourceTemplates" or "prompts", and the cursor of the next."""
        raise NotImplementedError

    async def call(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        progress: Callable[[float, float | None, str | None], None] | None = None,
        log_level: str | None = None,
    ) -> dict[str, Any]:
        raise NotImplementedError

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], started: Awaitable[Any]) -> str:
        """Calls, and cancels once ``started`` is done; returns how the call ended on this side."""
        raise NotImplementedError

    async def read(self, uri: str) -> dict[str, Any]:
        raise NotImplementedError

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
        raise NotImplementedError

    async def complete(self, prompt: str, argument: str, value: str) -> dict[str, Any]:
        raise NotImplementedError

    async def subscribe(self, uri: str) -> None:
        raise NotImplementedError

    async def unsubscribe(self, uri: str) -> None:
        raise NotImplementedError

    async def set_log_level(self, level: str) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError

    async def call_by_hand(self, name: str, tampering: str) -> dict[str, Any]:
        """Modern: calls, answers the questions itself, and sends the request state back with ``tampering`` appended."""
        raise NotImplementedError

    async def listen(self, uri: str, then: Callable[[], Awaitable[None]], enough: int) -> dict[str, Any]:
        """Listens for everything, runs ``then``, returns ``{"honored", "events"}`` once ``enough`` events came."""
        raise NotImplementedError


Step = Callable[[Conversation], Awaitable[Any]]
STEPS: dict[str, tuple[str, Step]] = {}


def step(era: str = "both") -> Callable[[Step], Step]:
    def register(function: Step) -> Step:
        STEPS[function.__name__] = (era, function)
        return function

    return register


def plain(tool: str, arguments: dict[str, Any] | None = None) -> Step:
    """A step that is one call and its result, with what the server asked meanwhile."""

    async def run(conversation: Conversation) -> Any:
        start = len(conversation.asked)
        result = await conversation.call(tool, arguments)
        return {"result": result, "asked": conversation.asked[start:]}

    return run


async def _all_pages(conversation: Conversation, kind: str) -> dict[str, Any]:
    items, cursor, pages = [], None, 0
    while True:
        page, cursor = await conversation.list_page(kind, cursor)
        items += page
        pages += 1
        if cursor is None or pages > 20:
            return {"items": items, "pages": pages}


@step()
async def tools_list(c: Conversation) -> Any:
    return await _all_pages(c, "tools")


for _name, _tool, _arguments in (
    ("simple_text", "test_simple_text", None),
    ("image_content", "test_image_content", None),
    ("audio_content", "test_audio_content", None),
    ("embedded_resource", "test_embedded_resource", None),
    ("multiple_content_types", "test_multiple_content_types", None),
    ("error_handling", "test_error_handling", None),
    ("sampling", "test_sampling", {"prompt": "What is the capital of France?"}),
    ("elicitation", "test_elicitation", {"message": "Who are you?"}),
    ("elicitation_declined", "test_elicitation", {"message": "Please decline this."}),
    ("elicitation_defaults", "test_elicitation_sep1034_defaults", None),
    ("elicitation_enums", "test_elicitation_sep1330_enums", None),
    ("input_required_elicitation", "test_input_required_result_elicitation", None),
    ("input_required_sampling", "test_input_required_result_sampling", None),
    ("input_required_list_roots", "test_input_required_result_list_roots", None),
    ("input_required_request_state", "test_input_required_result_request_state", None),
    ("input_required_multiple_inputs", "test_input_required_result_multiple_inputs", None),
    ("input_required_multi_round", "test_input_required_result_multi_round", None),
    ("structured_output", "test_structured_output", None),
    ("add", "test_add", {"a": 2, "b": 3}),
    ("add_bad_arguments", "test_add", {"a": "two", "b": 3}),
    ("add_missing_argument", "test_add", {"a": 2}),
    ("unknown_tool", "no_such_tool", None),
    ("echo_unicode", "test_echo", {"text": TEXT, "repeat": 2}),
):
    STEPS[_name] = ("both", plain(_tool, _arguments))


@step()
async def echo_large(c: Conversation) -> Any:
    result = await c.call("test_echo", {"text": "0123456789", "repeat": 30_000})
    return {"length": len(result["content"][0]["text"]), "isError": result.get("isError", False)}


@step()
async def concurrent(c: Conversation) -> Any:
    results = await asyncio.gather(*(c.call("test_echo", {"text": f"call {n}"}) for n in range(20)))
    return [result["content"][0]["text"] for result in results]


@step()
async def progress(c: Conversation) -> Any:
    seen: list[list[Any]] = []

    def on_progress(value: float, total: float | None, message: str | None) -> None:
        seen.append([value, total, message])
        c.arrived()

    result = await c.call("test_tool_with_progress", progress=on_progress)
    before = len(seen)
    await c.until(lambda: len(seen) >= 3)
    return {"result": result, "progress": seen, "before_result": before}


@step()
async def logging(c: Conversation) -> Any:
    start = len(c.heard)
    if not c.modern:
        await c.set_log_level("debug")
    result = await c.call("test_tool_with_logging", log_level="debug" if c.modern else None)
    await c.until(lambda: len(c.heard_of("notifications/message", start)) >= 3)
    return {"result": result, "messages": c.heard_of("notifications/message", start)}


@step()
async def log_levels(c: Conversation) -> Any:
    start = len(c.heard)
    if not c.modern:
        await c.set_log_level("error")
    await c.call("test_log_levels", log_level="error" if c.modern else None)
    await c.call("test_simple_text")
    await c.until(lambda: len(c.heard_of("notifications/message", start)) >= 4)
    return [message["level"] for message in c.heard_of("notifications/message", start)]


@step()
async def resources_list(c: Conversation) -> Any:
    return await _all_pages(c, "resources")


@step()
async def resource_templates_list(c: Conversation) -> Any:
    return await _all_pages(c, "resourceTemplates")


@step()
async def prompts_list(c: Conversation) -> Any:
    return await _all_pages(c, "prompts")


def _reading(uri: str) -> Step:
    return lambda c: c.read(uri)


def _prompting(name: str, arguments: dict[str, str] | None = None) -> Step:
    return lambda c: c.get_prompt(name, arguments)


def _completing(value: str) -> Step:
    return lambda c: c.complete("test_prompt_with_arguments", "arg1", value)


STEPS |= {
    "read_text": ("both", _reading("test://static-text")),
    "read_binary": ("both", _reading("test://static-binary")),
    "read_template": ("both", _reading("test://template/123/data")),
    "read_unknown": ("both", _reading("test://no/such/resource")),
    "prompt_simple": ("both", _prompting("test_simple_prompt")),
    "prompt_arguments": ("both", _prompting("test_prompt_with_arguments", {"arg1": "one", "arg2": "two"})),
    "prompt_missing_argument": ("both", _prompting("test_prompt_with_arguments", {"arg1": "one"})),
    "prompt_resource": ("both", _prompting("test_prompt_with_embedded_resource", {"resourceUri": "test://example"})),
    "prompt_image": ("both", _prompting("test_prompt_with_image")),
    "prompt_unknown": ("both", _prompting("no_such_prompt")),
    "prompt_input_required": ("both", _prompting("test_input_required_result_prompt")),
    "completion": ("both", _completing("py")),
    "completion_long": ("both", _completing("test-")),
}


@step("legacy")
async def ping(c: Conversation) -> Any:
    await c.ping()
    return {"pong": True}


@step("legacy")
async def list_changed(c: Conversation) -> Any:
    start = len(c.heard)
    await c.call("test_trigger_tool_change")
    await c.call("test_trigger_prompt_change")
    wanted = ("notifications/tools/list_changed", "notifications/prompts/list_changed")
    await c.until(lambda: all(c.heard_of(method, start) for method in wanted))
    return {method: len(c.heard_of(method, start)) for method in wanted}


@step("legacy")
async def subscription(c: Conversation) -> Any:
    method = "notifications/resources/updated"
    await c.subscribe(WATCHED)
    start = len(c.heard)
    await c.call("test_trigger_resource_update", {"uri": WATCHED})
    await c.until(lambda: bool(c.heard_of(method, start)))
    updates = [note["uri"] for note in c.heard_of(method, start)]
    await c.unsubscribe(WATCHED)
    start = len(c.heard)
    await c.call("test_trigger_resource_update", {"uri": WATCHED})
    await c.call("test_simple_text")
    return {"updates": updates, "after_unsubscribe": len(c.heard_of(method, start))}


@step("modern")
async def rounds_by_hand(c: Conversation) -> Any:
    return {"result": await c.call_by_hand("test_input_required_result_request_state", "")}


@step("modern")
async def tampered_state(c: Conversation) -> Any:
    return {"result": await c.call_by_hand("test_input_required_result_tampered_state", "-TAMPERED")}


@step("modern")
async def listen(c: Conversation) -> Any:
    async def trigger() -> None:
        await c.call("test_trigger_tool_change")
        await c.call("test_trigger_prompt_change")
        await c.call("test_trigger_resource_update", {"uri": WATCHED})

    return await c.listen(WATCHED, trigger, 3)


@step()
async def cancellation(c: Conversation) -> Any:
    async def counted() -> int:
        return int((await c.call("test_counter", {"tag": "cancelled"}))["content"][0]["text"])

    async def started() -> None:
        while await counted() < 2:
            await asyncio.sleep(0.02)

    ended = await c.call_and_cancel("test_slow", {"ms": 60_000, "tag": "cancelled"}, started())
    # Steps are 20 ms apart: two equal counts 300 ms apart mean that the work has stopped.
    counts = [await counted()]
    for _ in range(10):
        await asyncio.sleep(0.3)
        counts.append(await counted())
        if counts[-1] == counts[-2]:
            break
    return {"ended": ended, "stopped": counts[-1] == counts[-2], "steps": counts[-1]}


@step()
async def slow(c: Conversation) -> Any:
    return await c.call("test_slow", {"ms": 100, "tag": "finished"})


async def run(conversation: Conversation, only: list[str] | None) -> dict[str, Any]:
    """Runs the steps one after the other and returns everything that was observed."""
    era = "modern" if conversation.modern else "legacy"
    steps: dict[str, Any] = {}
    for name, (wanted, function) in STEPS.items():
        if wanted not in ("both", era) or (only and name not in only):
            continue
        if name in conversation.lacks:
            steps[name] = {"lacks": conversation.lacks[name]}
            continue
        try:
            async with asyncio.timeout(STEP_SECONDS):
                steps[name] = await function(conversation)
        except Exception as error:
            rpc = conversation.error_of(error)
            text = "".join(traceback.format_exception_only(error)).strip()
            steps[name] = {"error": rpc} if rpc else {"exception": text}
    return {**conversation.facts(), "steps": steps, "asked": conversation.asked, "faults": conversation.faults}


def main(converse: Callable[[dict[str, Any], dict[str, Any]], Coroutine[Any, Any, None]]) -> None:
    """Entry of every client script: ``argv[1]`` is a JSON object ``{transport, command, env, cwd, url, mode, steps}``.

    ``transport`` is "stdio" (start ``command``), "http" (Streamable HTTP at ``url``) or "sse" (HTTP+SSE at ``url``).

    ``converse(options, observed)`` connects, fills ``observed`` and closes; what is raised before the battery is done
    ends the process, what is raised by closing becomes the member ``closing`` (null when the SDK closed without
    complaint).
    """
    observed: dict[str, Any] = {}
    try:
        asyncio.run(converse(json.loads(sys.argv[1]), observed))
        observed["closing"] = None
    except BaseException as error:
        if not observed:
            raise
        observed["closing"] = "".join(traceback.format_exception(error))
    json.dump(observed, sys.stdout, default=str)
    sys.stdout.flush()
