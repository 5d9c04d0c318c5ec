"""One way to ask: ``await ctx.elicit(...)`` and its siblings as straight-line code in both eras.

``Straight`` sends a request and waits (legacy). ``Replay`` stops the handler with a private ``BaseException``, answers
``input_required``, and runs the handler again from the top on the client's retry: every question already answered
returns its recorded answer at once (modern). The record travels in the sealed ``requestState``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.errors import AnswerTimeout, InvalidResult, QuestionFailed, RpcError, UsageError
from mcpcore.jsonrpc.codec import decode, encode
from mcpcore.server.questions import Asked, Unrecognised, prepare
from mcpcore.server.recorded import Recorded
from mcpcore.server.sealing import SealError, request_digest
from mcpcore.spec import codes
from mcpcore.types import ElicitUrl, InputRequired

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.server.sealing import Sealer
    from mcpcore.types import Question

__all__ = ["Replay", "Straight", "Unanswered"]

ASKING_METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})
_PURPOSE = "requestState"
_ROUNDS = 16

Again = Callable[[], Awaitable[Any]]
"""Runs the handler once more and gives its raw value."""


class Unanswered(BaseException):
    """Stops a handler whose question has no answer yet. The flag on the asking decides the result, not this."""


class _Asking:
    """What both ways share: who may ask, keys for questions, and what is recorded."""

    stopped = False
    replaying = False

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self.exchange = exchange
        self._limits = limits
        self._recorded = Recorded({})
        self._count = 0
        self._keys: set[str] = set()

    def _prepare(self, questions: Mapping[str, Question]) -> dict[str, Asked]:
        """Check that these may be asked, all of them before any is."""
        exchange = self.exchange
        if exchange.method not in ASKING_METHODS:
            text = f"{exchange.method}: only tools/call, prompts/get and resources/read may ask the client something"
            raise UsageError(text)
        exchange.policy.may_ask(exchange)
        return {key: prepare(exchange, question) for key, question in questions.items()}

    def _key(self, key: str | None) -> str:
        if key is None:
            self._count += 1
            key = f"q{self._count}"
        self._use(key)
        return key

    def _use(self, key: str) -> None:
        # The answer would be the first one's, and a loop that asks until it likes the answer would never end.
        if key in self._keys:
            raise UsageError(f"the key {key!r} was used before in this handler; give each question its own")
        self._keys.add(key)

    async def once(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        if not self._recorded.has(name):
            self.replaying = False
        return await self._recorded.once(name, function, *arguments)

    def now(self) -> float:
        return self._recorded.now()

    def random(self) -> float:
        return self._recorded.random()


class Straight(_Asking):
    """Legacy: each question is a request to the client, on the stream of the request being served."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        super().__init__(exchange, limits)
        self.input_responses: dict[str, Any] | None = None
        self.request_state: str | None = None
        self._answers: dict[str, Any] = {}
        """By key; a handler that holds rounds in its own hand runs again, and is not asked twice."""

    async def ask(self, question: Question, key: str | None = None) -> Any:
        key = self._key(key)
        ((_, asked),) = self._prepare({key: question}).items()
        if key not in self._answers:
            self._answers[key] = await self._request(asked)
        return self._answers[key]

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        for key in questions:
            self._use(key)
        asked = self._prepare(questions)
        missing = {key: one for key, one in asked.items() if key not in self._answers}
        self._answers |= await _together({key: self._request(one) for key, one in missing.items()})
        return {key: self._answers[key] for key in asked}

    async def _request(self, asked: Asked) -> Any:
        answer = await self._raw(asked)
        try:
            return asked.read(answer)
        except Unrecognised:
            raise InvalidResult(f"{asked.method}: the client's answer has an unknown shape") from None

    async def _raw(self, asked: Asked) -> dict[str, Any]:
        exchange = self.exchange
        runner = exchange.peer.shell
        limit = self._limits.max_questions
        if len(exchange.peer.outgoing) >= limit:
            text = f"{limit} questions to this client are open, the most it takes (Limits.max_questions); ask later"
            raise RpcError(codes.OVERLOADED, f"{exchange.method}: {text}")
        params = asked.params
        if isinstance(asked.question, ElicitUrl) and "elicitationId" not in params:
            params = {**params, "elicitationId": os.urandom(16).hex()}
        pending = runner.ask(asked.method, params or None, related=exchange)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                result: dict[str, Any] = await pending.waiter
                return result
        except RpcError as error:
            raise QuestionFailed(error.code, error.message, error.data) from None
        except TimeoutError:
            raise AnswerTimeout(
                f"{asked.method}: the client gave no answer within {self._limits.answer_seconds:g} s"
            ) from None
        finally:
            if not pending.settled:
                exchange.peer.abandon(pending)

    async def rounds(self, required: InputRequired, again: Again) -> tuple[bool, Any]:
        """The rounds of a handler that holds them in its own hand, carried out as requests: its value at the end."""
        for _ in range(_ROUNDS):
            asked = self._prepare(required.questions)
            if not asked and required.request_state is None:
                raise UsageError("InputRequired needs questions or a request_state")
            self.input_responses = await _together({key: self._raw(one) for key, one in asked.items()})
            self.request_state = required.request_state
            self._count = 0
            self._keys.clear()
            self._recorded.restart()
            value = await again()
            if not isinstance(value, InputRequired):
                return False, value
            required = value
        raise RpcError(codes.INTERNAL_ERROR, f"{self.exchange.method}: more than {_ROUNDS} rounds of questions")

    def outcome(self) -> dict[str, Any]:
        raise AssertionError("a legacy exchange is never stopped")


class Replay(_Asking):
    """Modern: the record of what was answered before, and the questions that stop this run."""

    def __init__(self, exchange: Exchange, limits: Limits, sealer: Sealer) -> None:
        super().__init__(exchange, limits)
        self._sealer = sealer
        self._record: dict[str, Any] = {}
        self.state: str | None = None
        """The sealed state that came with this request, verified."""
        self._pending: dict[str, Asked] = {}
        self._required: InputRequired | None = None
        self._failure: Exception | None = None
        self.input_responses: dict[str, Any] | None = None
        if exchange.method in ASKING_METHODS:
            params = exchange.params
            self.input_responses = self._answers(params.get("inputResponses"))
            if "requestState" in params:
                self._open(params["requestState"])
        self._recorded = Recorded(self._record)
        self.request_state: str | None = self._record.get("user")
        self.replaying = "asked" in self._record

    def _answers(self, responses: Any) -> dict[str, Any] | None:
        """The answers of this request. One that is no object answers nothing, so its question is asked again."""
        if responses is None:
            return None
        if type(responses) is not dict:
            text = (
                f"{self.exchange.method}: params.inputResponses must be an object that holds the answers by their keys"
            )
            raise RpcError(codes.INVALID_PARAMS, text)
        return {key: answer for key, answer in responses.items() if type(answer) is dict}

    # -- the sealed record ---------------------------------------------------------------------------------------------

    def _open(self, state: Any) -> None:
        exchange = self.exchange
        try:
            payload = self._sealer.open(
                state,
                purpose=_PURPOSE,
                principal=exchange.principal,
                binding=request_digest(exchange.method, exchange.params),
                now=time.time(),
            )
        except SealError as error:
            raise RpcError(codes.INVALID_PARAMS, f"{exchange.method}: {error}", {"reason": error.reason}) from None
        self._record = decode(payload)
        self.state = state

    def _seal(self) -> str:
        payload = encode(self._record)
        limit = self._limits.state_bytes
        if len(payload) > limit:
            largest = max(_entries(self._record), key=lambda entry: entry[1])
            raise UsageError(
                f"{self.exchange.method}: the recorded state has {len(payload)} bytes, the limit is {limit}; "
                f"the largest entry is {largest[0]} with {largest[1]} bytes"
            )
        exchange = self.exchange
        return self._sealer.seal(
            payload,
            purpose=_PURPOSE,
            principal=exchange.principal,
            binding=request_digest(exchange.method, exchange.params),
            now=time.time(),
            lifetime=self._limits.state_seconds,
        )

    # -- asking --------------------------------------------------------------------------------------------------------

    async def ask(self, question: Question, key: str | None = None) -> Any:
        key = self._key(key)
        ((_, asked),) = self._prepare({key: question}).items()
        found, answer = self._known(key, asked)
        if found:
            return answer
        self._stop({key: asked})

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        for key in questions:
            self._use(key)
        asked = self._prepare(questions)
        answers, missing = {}, {}
        for key, one in asked.items():
            found, answer = self._known(key, one)
            if found:
                answers[key] = answer
            else:
                missing[key] = one
        if missing:
            self._stop(missing)
        return answers

    def _known(self, key: str, asked: Asked) -> tuple[bool, Any]:
        """The answer to this question, where the record or this request's ``inputResponses`` hold it."""
        recorded = self._record.get("answers", {}).get(key)
        if recorded is not None:
            self._same(key, recorded[0], asked)
            return True, asked.read(recorded[1])
        digest = self._record.get("asked", {}).get(key)
        if digest is not None:
            self._same(key, digest, asked)
        self.replaying = False  # what follows, the handler does for the first time
        responses = self.input_responses
        if responses is None or key not in responses:
            return False, None
        try:
            answer = asked.read(responses[key])
        except Unrecognised:
            return False, None
        except InvalidResult as error:
            self._fail(RpcError(codes.INVALID_PARAMS, f"{self.exchange.method}: inputResponses.{key}: {error}"))
        self._record.setdefault("answers", {})[key] = [asked.digest, responses[key]]
        return True, answer

    def _same(self, key: str, digest: str, asked: Asked) -> None:
        if digest != asked.digest:
            text = (
                f"{self.exchange.method}: on replay the handler asked something else under the key {key!r}; "
                "ask the same questions in the same order, or give each its own key="
            )
            self._fail(UsageError(text))

    def _stop(self, questions: dict[str, Asked]) -> NoReturn:
        self._pending.update(questions)
        self.stopped = True
        raise Unanswered

    def _fail(self, error: Exception) -> NoReturn:
        """No handler can mend this, and none may hide it."""
        self._failure = error
        self.stopped = True
        raise Unanswered

    async def rounds(self, required: InputRequired, again: Again) -> tuple[bool, Any]:
        """A handler that holds the rounds in its own hand ends this one: its result says what is required."""
        self._pending = self._prepare(required.questions)
        if not self._pending and required.request_state is None:
            raise UsageError("InputRequired needs questions or a request_state")
        self._required = required
        return True, self.outcome()

    def outcome(self) -> dict[str, Any]:
        """The ``InputRequiredResult`` that stands for this run. Raises what ended it otherwise."""
        if self._failure is not None:
            raise self._failure
        result: dict[str, Any] = {"resultType": "input_required"}
        if self._pending:
            result["inputRequests"] = {
                key: {"method": asked.method, "params": asked.params} for key, asked in self._pending.items()
            }
        record, required = self._record, self._required
        record.pop("asked", None)
        record.pop("user", None)
        if required is None:
            record["asked"] = {key: asked.digest for key, asked in self._pending.items()}
        else:
            record["round"] = record.get("round", 0) + 1
            if required.request_state is not None:
                record["user"] = required.request_state
            if required.meta is not None:
                result["_meta"] = required.meta
        if record.keys() != {"round"} or not self._pending:
            result["requestState"] = self._seal()
        return result


async def _together(coroutines: dict[str, Coroutine[Any, Any, Any]]) -> dict[str, Any]:
    """What all of them give, by key. Where one fails the others end too, and their questions are withdrawn."""
    tasks = {key: asyncio.ensure_future(coroutine) for key, coroutine in coroutines.items()}
    try:
        return dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def _entries(record: dict[str, Any]) -> list[tuple[str, int]]:
    """The parts of a record with their sizes, to name the one that is too large."""
    entries = [("nothing", 0)]
    for part, value in record.items():
        members = value.items() if isinstance(value, dict) else [("", value)]
        entries += [(f"{part} {key!r}" if key else part, len(encode(member))) for key, member in members]
    return entries
