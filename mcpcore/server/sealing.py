"""Sealing what a server hands to a client and takes back: ``requestState``, and the positions in list cursors.

Here live the secrets, the seal, the digest that binds a state to its request, and the memory of spent states. What a
state contains and how a refusal reaches the wire is decided by the callers. The clock and the random source are
arguments; ``now`` is in seconds since the epoch, as several processes must agree on it. A sealed text can be read by
whoever holds it (HMAC-SHA256, no encryption), but neither made nor changed, not by a single bit or character.

Specification: 2026-07-28, basic/patterns/mrtr#server-requirements-basic-workflow.
"""

from __future__ import annotations

import heapq
import struct
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from mcpcore.errors import McpError, RpcError, UsageError
from mcpcore.jsonrpc.codec import encode_sorted
from mcpcore.spec.codes import INVALID_PARAMS

__all__ = [
    "Reason",
    "SealError",
    "Sealer",
    "Spent",
    "SpentFull",
    "from_text",
    "request_digest",
    "secrets_from",
    "tag_and_expiry",
    "to_text",
]

Reason = Literal["malformed", "signature", "expired", "principal", "request"]

_SHORTEST_SECRET: Final = 16
_MAC_BYTES: Final = 32
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">Bq32s32s")
"""Version, expiry in milliseconds since the epoch, digest of the principal, digest of the binding."""

_PER_ATTEMPT: Final = frozenset({"_meta", "inputResponses", "requestState"})

_MESSAGES: Final[dict[Reason, str]] = {
    "malformed": "requestState is not a state of this server: send it back exactly as it was received",
    "signature": "requestState was changed, or sealed with a secret that this server does not have: "
    "start the request over without it",
    "expired": "requestState has expired: start the request over without it",
    "principal": "requestState belongs to another principal: start the request over without it",
    "request": "requestState belongs to a request with another method or other parameters: "
    "repeat that request unchanged, or start over without the state",
}


def sha256(data: bytes) -> Any:
    """Loads OpenSSL at the first use: most servers never seal anything."""
    import hashlib

    return hashlib.sha256(data)


def _same(one: bytes, other: bytes) -> bool:
    """Compared in constant time."""
    import hmac

    return hmac.compare_digest(one, other)


class SealError(McpError):
    """A sealed text that does not open. ``reason`` says why; the last three reasons only ever follow a valid MAC."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(_MESSAGES[reason])
        self.reason: Reason = reason


class SpentFull(McpError):
    """No room to remember another spent state; forgetting a live one would let it be used twice."""


class Sealer:
    """Seals with the first of its secrets and opens what any of them sealed, so that secrets can be rotated."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise UsageError("a Sealer needs at least one secret: see secrets_from")
        self._secrets = tuple(secrets)

    def tag(self, purpose: str, data: bytes) -> bytes:
        """The MAC of ``data``, 32 bytes. A tag made for one purpose is worthless for any other."""
        return _mac(self._secrets[0], purpose, data)

    def verifies(self, purpose: str, data: bytes, tag: bytes) -> bool:
        """Whether one of the secrets made this tag, compared in constant time."""
        return any(_same(_mac(secret, purpose, data), tag) for secret in self._secrets)

    def seal(self, payload: bytes, *, purpose: str, principal: str, binding: bytes, now: float, lifetime: float) -> str:
        """URL-safe text that opens for this purpose, principal and binding until ``lifetime`` seconds have passed.

        ``binding`` names the originating request, see :func:`request_digest`. The text is 4/3 of the payload and 140
        characters long; the payload is readable in it, principal and binding are not.
        """
        expires = int((now + lifetime) * 1000)
        body = _HEAD.pack(_VERSION, expires, _digest(principal), sha256(binding).digest()) + payload
        return to_text(body + self.tag(f"seal {purpose}", body))

    def open(self, text: object, *, purpose: str, principal: str, binding: bytes, now: float) -> bytes:
        """The payload of a text that :meth:`seal` made. Raises SealError for anything else."""
        raw = from_text(text)
        if raw is None or len(raw) < _HEAD.size + _MAC_BYTES or raw[0] != _VERSION:
            raise SealError("malformed")
        body = raw[:-_MAC_BYTES]
        if not self.verifies(f"seal {purpose}", body, raw[-_MAC_BYTES:]):
            raise SealError("signature")
        _, expires, owner, bound = _HEAD.unpack_from(body)
        if now * 1000 >= expires:
            raise SealError("expired")
        if not _same(owner, _digest(principal)):
            raise SealError("principal")
        if not _same(bound, sha256(binding).digest()):
            raise SealError("request")
        return body[_HEAD.size :]


def _mac(secret: bytes, purpose: str, data: bytes) -> bytes:
    # The length in front keeps purpose and data apart: no other pair gives the same input.
    import hmac

    name = purpose.encode()
    return hmac.digest(secret, struct.pack(">H", len(name)) + name + data, "sha256")


def _digest(principal: str) -> bytes:
    digest: bytes = sha256(principal.encode()).digest()
    return digest


def to_text(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_text(text: object) -> bytes | None:
    """The bytes for which :func:`to_text` gives exactly this text; None for anything else, of any type."""
    if not isinstance(text, str):
        return None
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    # Padding in the text, the other alphabet, and stray bits in the last character decode too: a second spelling.
    return data if to_text(data) == text else None


def tag_and_expiry(text: str) -> tuple[str, float]:
    """What :meth:`Spent.spend` wants to know of a text that :meth:`Sealer.open` has just accepted."""
    raw = from_text(text)
    if raw is None or len(raw) < _HEAD.size + _MAC_BYTES:
        raise SealError("malformed")
    expires: int = _HEAD.unpack_from(raw)[1]
    return raw[-_MAC_BYTES:].hex(), expires / 1000


def request_digest(method: str, params: Mapping[str, Any]) -> bytes:
    """What stays the same when a client repeats a request with its answers: 32 bytes, a binding for :class:`Sealer`.

    That is the method and the parameters, in any order of members, without ``_meta``, ``inputResponses`` and
    ``requestState`` at the top. Raises RpcError for parameters nested too deeply to be read.
    """
    salient = {name: value for name, value in params.items() if name not in _PER_ATTEMPT}
    try:
        canonical = encode_sorted([method, salient])
    except TypeError:
        raise RpcError(INVALID_PARAMS, f"the params of {method} are nested too deeply: flatten them") from None
    digest: bytes = sha256(canonical).digest()
    return digest


def secrets_from(
    value: str | bytes | Sequence[str | bytes] | None,
    environ: Mapping[str, str],
    random: Callable[[int], bytes],
) -> list[bytes]:
    """The secrets of a server, new first: those given, else those in ``MCPCORE_SECRET``, else a random one.

    The variable holds one secret or several with commas between; unset and empty are the same. A random secret dies
    with the process, and so does what it sealed. Raises UsageError for a secret of less than 16 bytes.
    """
    source = "Server(secret=...)"
    given: Sequence[str | bytes]
    if value is not None:
        given = [value] if isinstance(value, str | bytes) else value
    elif environ.get("MCPCORE_SECRET", "").strip():
        source = "MCPCORE_SECRET"
        given = [part.strip() for part in environ["MCPCORE_SECRET"].split(",")]
    else:
        given = [random(32)]
    secrets = [secret.encode() if isinstance(secret, str) else secret for secret in given]
    if not secrets:
        raise UsageError(f"{source} is an empty list: give a secret, or leave it out for a random one")
    for number, secret in enumerate(secrets, 1):
        if len(secret) < _SHORTEST_SECRET:
            raise UsageError(
                f"secret {number} of {source} has {len(secret)} bytes, at least {_SHORTEST_SECRET} are needed: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
            )
    return secrets


class Spent:
    """The single-use states that have been used, at most ``limit`` of them, each until it expires."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tags: set[str] = set()
        self._by_expiry: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._tags)

    def spend(self, tag: str, expires: float, now: float) -> bool:
        """True once for each tag; False when it was spent before, or has expired. Times in seconds.

        Raises SpentFull when ``limit`` states are remembered that have not expired; the tag is then not spent.
        """
        while self._by_expiry and self._by_expiry[0][0] <= now:
            self._tags.discard(heapq.heappop(self._by_expiry)[1])
        if tag in self._tags or expires <= now:
            return False
        if len(self._tags) >= self._limit:
            raise SpentFull(
                f"{self._limit} single-use states are waiting for their expiry: try again later, or raise "
                "Limits.spent_states"
            )
        self._tags.add(tag)
        heapq.heappush(self._by_expiry, (expires, tag))
        return True
