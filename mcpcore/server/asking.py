"""One way to ask: ``await ctx.elicit(...)`` and its siblings as straight-line code in both eras.

``Straight`` sends a request and waits (legacy). ``Replay`` stops the handler with a private ``BaseException``, answers
``input_required``, and runs the handler again from the top on the client's retry: every question already answered
returns its recorded answer at once (modern). The record travels in the sealed ``requestState``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.errors import AnswerTimeout, InvalidResult, QuestionFailed, RpcError, UsageError
from mcpcore.jsonrpc.codec import decode, encode
from mcpcore.server.questions import Asked, Unrecognised, prepare
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
    """What both ways share: keys for questions, and names of ``once``."""

    stopped = False
    replaying = False

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        if exchange.method not in ASKING_METHODS:
            text = f"{exchange.method}: only tools/call, prompts/get and resources/read may ask the client something"
            raise UsageError(text)
        self.exchange = exchange
        self._limits = limits
        self._count = 0
        self._names: set[str] = set()

    def _key(self, key: str | None) -> str:
        if key is not None:
            return key
        self._count += 1
        return f"q{self._count}"

    def _name(self, name: str) -> None:
        if name in self._names:
            raise UsageError(f"ctx.once({name!r}, ...) ran before in this handler; give each call its own name")
        self._names.add(name)


class Straight(_Asking):
    """Legacy: each question is a request to the client, on the stream of the request being served."""

    input_responses: dict[str, Any] | None = None
    request_state: str | None = None

    async def ask(self, question: Question, key: str | None = None) -> Any:
        return await self._request(prepare(self.exchange, question))

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        asked = {key: prepare(self.exchange, question) for key, question in questions.items()}
        answers = await asyncio.gather(*(self._request(one) for one in asked.values()))
        return dict(zip(asked, answers, strict=True))

    async def _request(self, asked: Asked) -> Any:
        answer = await self._raw(asked)
        try:
            return asked.read(answer)
        except Unrecognised:
            raise InvalidResult(f"{asked.method}: the client's answer has an unknown shape") from None

    async def _raw(self, asked: Asked) -> dict[str, Any]:
        exchange = self.exchange
        runner = exchange.peer.shell
        if sum(1 for pending in exchange.peer.outgoing.values()) >= self._limits.max_questions:
            raise RpcError(codes.OVERLOADED, f"{exchange.method}: too many questions to this client are open")
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
            asked = {key: prepare(self.exchange, question) for key, question in required.questions.items()}
            answers = await asyncio.gather(*(self._raw(one) for one in asked.values()))
            self.input_responses = dict(zip(asked, answers, strict=True))
            self.request_state = required.request_state
            value = await again()
            if not isinstance(value, InputRequired):
                return False, value
            required = value
        raise RpcError(codes.INTERNAL_ERROR, f"{self.exchange.method}: more than {_ROUNDS} rounds of questions")

    async def once(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        self._name(name)
        return await _call(function, arguments)

    def now(self) -> float:
        return time.time()

    def random(self) -> float:
        return _draw()

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
        self._moments = 0
        self._draws = 0
        params = exchange.params
        self.input_responses = self._answers(params.get("inputResponses"))
        if "requestState" in params:
            self._open(params["requestState"])
        self.request_state: str | None = self._record.get("user")
        self.replaying = bool(self._record.get("answers") or self.input_responses)

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
        asked = prepare(self.exchange, question)
        found, answer = self._known(key, asked)
        if found:
            return answer
        self._stop({key: asked})

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        asked = {key: prepare(self.exchange, question) for key, question in questions.items()}
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
        responses = self.input_responses
        if responses is None or key not in responses:
            self.replaying = False
            return False, None
        try:
            answer = asked.read(responses[key])
        except Unrecognised:
            self.replaying = False
            return False, None
        except InvalidResult as error:
            raise RpcError(codes.INVALID_PARAMS, f"{self.exchange.method}: inputResponses.{key}: {error}") from None
        self._record.setdefault("answers", {})[key] = [asked.digest, responses[key]]
        return True, answer

    def _same(self, key: str, digest: str, asked: Asked) -> None:
        if digest != asked.digest:
            raise UsageError(
                f"{self.exchange.method}: on replay the handler asked something else under the key {key!r}; "
                "ask the same questions in the same order, or give each its own key="
            )

    def _stop(self, questions: dict[str, Asked]) -> NoReturn:
        self._pending.update(questions)
        self.stopped = True
        raise Unanswered

    async def rounds(self, required: InputRequired, again: Again) -> tuple[bool, Any]:
        """A handler that holds the rounds in its own hand ends this one: its result says what is required."""
        if not required.questions and required.request_state is None:
            raise UsageError("InputRequired needs questions or a request_state")
        self._pending = {key: prepare(self.exchange, question) for key, question in required.questions.items()}
        self._required = required
        return True, self.outcome()

    def outcome(self) -> dict[str, Any]:
        """The ``InputRequiredResult`` that stands for this run."""
        result: dict[str, Any] = {"resultType": "input_required"}
        if self._pending:
            result["inputRequests"] = {
                key: {"method": asked.method, "params": asked.params} for key, asked in self._pending.items()
            }
        self._record["asked"] = {key: asked.digest for key, asked in self._pending.items()}
        required = self._required
        if required is not None:
            self._record = {"user": required.request_state, "round": self._record.get("round", 0) + 1}
            if required.meta is not None:
                result["_meta"] = required.meta
        if required is None or required.request_state is not None or not self._pending:
            result["requestState"] = self._seal()
        return result

    # -- recorded effects ----------------------------------------------------------------------------------------------

    async def once(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        self._name(name)
        done = self._record.setdefault("once", {})
        if name in done:
            failure, value = done[name]
            if failure is not None:
                raise RpcError(codes.INTERNAL_ERROR, failure)
            return value
        self.replaying = False
        try:
            value = await _call(function, arguments)
            encode(value)
        except TypeError as error:
            raise UsageError(f"ctx.once({name!r}, ...) must give a JSON value: {error}") from error
        except Exception as error:
            done[name] = [f"{type(error).__name__}: {error}"[:500], None]
            raise
        done[name] = [None, value]
        return value

    def now(self) -> float:
        self._moments += 1
        return self._recorded("now", self._moments, time.time)

    def random(self) -> float:
        self._draws += 1
        return self._recorded("random", self._draws, _draw)

    def _recorded(self, kind: str, count: int, make: Callable[[], float]) -> float:
        values: list[float] = self._record.setdefault(kind, [])
        if count > len(values):
            values.append(make())
        return values[count - 1]


def _draw() -> float:
    return int.from_bytes(os.urandom(7), "big") / 2**56


async def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    value = function(*arguments)
    return await value if inspect.isawaitable(value) else value


def _entries(record: dict[str, Any]) -> list[tuple[str, int]]:
    """The parts of a record with their sizes, to name the one that is too large."""
    entries = [("nothing", 0)]
    for part, value in record.items():
        members = value.items() if isinstance(value, dict) else [("", value)]
        entries += [(f"{part} {key!r}" if key else part, len(encode(member))) for key, member in members]
    return entries
