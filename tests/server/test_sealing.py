"""A sealed state opens exactly as it was made, for whom and what it was made, in time; a spent one never again."""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import RpcError, UsageError
from mcpcore.server.sealing import (
    Reason,
    Sealer,
    SealError,
    Spent,
    SpentFull,
    from_text,
    request_digest,
    secrets_from,
    tag_and_expiry,
    to_text,
)

OLD, NEW = b"o" * 32, b"n" * 32
SEALER = Sealer([NEW])
BINDING = request_digest("tools/call", {"name": "pay", "arguments": {"amount": 3}})
NOW = 1_750_000_000.0


def seal(payload: bytes = b'{"answers":{}}', sealer: Sealer = SEALER, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "purpose": "state",
        "principal": "alice",
        "binding": BINDING,
        "now": NOW,
        "lifetime": 900.0,
    }
    return sealer.seal(payload, **(facts | changes))


def opened(text: object, sealer: Sealer = SEALER, **changes: Any) -> bytes:
    facts: dict[str, Any] = {"purpose": "state", "principal": "alice", "binding": BINDING, "now": NOW + 1}
    return sealer.open(text, **(facts | changes))


def refusal(text: object, sealer: Sealer = SEALER, **changes: Any) -> str:
    with pytest.raises(SealError) as caught:
        opened(text, sealer, **changes)
    return caught.value.reason


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=40))
def test_what_was_sealed_opens_again(payload: bytes, principal: str, binding: bytes) -> None:
    text = seal(payload, principal=principal, binding=binding)
    assert opened(text, principal=principal, binding=binding) == payload


@given(st.binary(max_size=200))
def test_a_sealed_text_needs_no_escaping_anywhere_and_has_the_promised_length(payload: bytes) -> None:
    text = seal(payload)
    assert text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    assert len(text) == -(-(len(payload) + 105) * 4 // 3) <= len(payload) * 4 / 3 + 141


def test_the_client_can_read_the_payload_but_not_the_principal() -> None:
    raw = base64.urlsafe_b64decode(seal(b"my answers", principal="internal-id-7") + "==")
    assert b"my answers" in raw
    assert b"internal-id-7" not in raw


def test_changing_any_character_to_any_other_of_the_alphabet_is_refused() -> None:
    text = seal(b"p")
    for at, character in enumerate(text):
        for other in {"A", "B", "_", "-", "z", "+", "/", "=", " ", chr(ord(character) ^ 1)} - {character}:
            assert refusal(text[:at] + other + text[at + 1 :]) in ("malformed", "signature")


def test_flipping_any_bit_of_the_bytes_is_refused() -> None:
    raw = from_text(seal())
    assert raw is not None
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert refusal(to_text(bytes(changed))) == ("malformed" if bit < 8 else "signature")


@given(st.data())
def test_no_mangled_text_opens_and_only_seal_errors_come_out(data: st.DataObject) -> None:
    text = seal()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    mangled = text[:start] + data.draw(st.text(max_size=5)) + text[stop:]
    if mangled != text:
        assert refusal(mangled) in ("malformed", "signature")


def test_a_text_cut_anywhere_is_refused() -> None:
    text = seal()
    assert {refusal(text[:length]) for length in range(len(text))} == {"malformed", "signature"}


@pytest.mark.parametrize("suffix", ["-TAMPERED", "A", "AAAA", "=", "==", "\n", " ", "\0"])
def test_a_text_with_something_appended_is_refused(suffix: str) -> None:
    assert refusal(seal() + suffix) in ("malformed", "signature")


@pytest.mark.parametrize("text", ["", "A", "AAAA", "ä", "\ud800", "=" * 200, None, 1, b"AAAA", [], {}])
def test_what_was_never_sealed_is_malformed_whatever_its_type(text: object) -> None:
    assert refusal(text) == "malformed"


def test_every_second_spelling_of_the_same_bytes_is_malformed() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for payload in (b"x", b"xy", b"xyz"):  # the three possible numbers of stray bits in the last character
        text = seal(payload)
        stray = (0, 4, 2)[(len(payload) + 105) % 3]
        last = alphabet.index(text[-1])
        for other in range(last + 1, last + (1 << stray)):
            assert base64.urlsafe_b64decode(text[:-1] + alphabet[other] + "==") == from_text(text)
            assert refusal(text[:-1] + alphabet[other]) == "malformed"
        assert {refusal(text + "=" * number) for number in (1, 2, 3, 4)} == {"malformed"}
    swapped = next(text for text in map(seal, (bytes([n]) * 9 for n in range(256))) if "-" in text or "_" in text)
    assert refusal(swapped.replace("-", "+").replace("_", "/")) == "malformed"


def test_a_state_of_an_unknown_version_is_malformed_even_when_signed() -> None:
    raw = from_text(seal())
    assert raw is not None
    body = b"\x02" + raw[1:-32]
    assert refusal(to_text(body + SEALER.tag("seal state", body))) == "malformed"


def test_a_state_opens_until_its_lifetime_has_passed() -> None:
    text = seal(now=100.0, lifetime=10.0)
    assert opened(text, now=109.999) == b'{"answers":{}}'
    assert refusal(text, now=110.0) == "expired"
    assert refusal(text, now=1e12) == "expired"


def test_a_state_of_another_principal_is_refused() -> None:
    assert refusal(seal(principal="alice"), principal="bob") == "principal"
    assert refusal(seal(principal="alice"), principal="") == "principal"


def test_a_state_of_another_request_is_refused() -> None:
    other = request_digest("tools/call", {"name": "pay", "arguments": {"amount": 4}})
    assert refusal(seal(), binding=other) == "request"


def test_a_state_for_another_purpose_does_not_verify() -> None:
    assert refusal(seal(purpose="state"), purpose="other") == "signature"


def test_purpose_and_data_cannot_flow_into_each_other() -> None:
    assert SEALER.tag("ab", b"c") != SEALER.tag("a", b"bc")


def test_a_forger_learns_nothing_about_principal_request_or_time() -> None:
    forged = seal(sealer=Sealer([OLD]))
    assert refusal(forged) == "signature"
    assert refusal(forged, principal="bob", binding=b"", now=NOW + 1e6) == "signature"


def test_rotation_keeps_old_states_and_signs_new_ones_with_the_first_secret() -> None:
    rotated = Sealer([NEW, OLD])
    assert opened(seal(b"old", Sealer([OLD])), rotated) == b"old"
    assert opened(seal(b"new", rotated), Sealer([NEW])) == b"new"
    assert refusal(seal(b"old", Sealer([OLD])), Sealer([NEW])) == "signature"


def test_a_sealer_without_a_secret_is_refused() -> None:
    with pytest.raises(UsageError):
        Sealer([])


def test_each_reason_says_what_to_do_next() -> None:
    reasons: tuple[Reason, ...] = get_args(Reason)
    assert len(reasons) == 5
    for reason in reasons:
        text = str(SealError(reason))
        assert "requestState" in text and ("start" in text or "send it back" in text)


@given(st.binary(max_size=50))
def test_text_and_bytes_are_one_to_one(data: bytes) -> None:
    assert from_text(to_text(data)) == data


def test_the_digest_ignores_the_order_of_members_and_what_changes_between_attempts() -> None:
    first = {"name": "pay", "arguments": {"a": 1, "b": [1, 2]}, "_meta": {"progressToken": 1}}
    retry = {
        "requestState": "x",
        "inputResponses": {"ok": {"action": "accept"}},
        "_meta": {"progressToken": 2},
        "arguments": {"b": [1, 2], "a": 1},
        "name": "pay",
    }
    assert request_digest("tools/call", first) == request_digest("tools/call", retry)
    assert len(request_digest("tools/call", first)) == 32


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "pay", "arguments": {"list": [1, 2]}}),
        ("tools/call", {"name": "paid", "arguments": {"list": [1, 2]}}),
        ("tools/call", {"name": "pay", "arguments": {"list": [2, 1]}}),
        ("tools/call", {"name": "pay", "arguments": {"list": [1, 2], "_meta": 1}}),
        ("tools/call", {"name": "pay", "arguments": {"list": ["1", 2]}}),
        ("tools/call", {"name": "pay", "arguments": None}),
        ("tools/call", {"name": "pay"}),
        ("tools/call", {}),
    ],
)
def test_the_digest_tells_requests_apart(method: str, params: dict[str, Any]) -> None:
    assert request_digest(method, params) != request_digest(
        "tools/call", {"name": "pay", "arguments": {"list": [1, 2]}}
    )


def test_the_digest_takes_any_text_that_json_can_carry() -> None:
    digests = {request_digest("m", {"text": text}) for text in ("ä", "\0", "a\u0308", "\U0001f600", "")}
    assert len(digests) == 5


def test_params_nested_too_deeply_are_the_clients_mistake() -> None:
    params: dict[str, Any] = {}
    for _ in range(100_000):
        params = {"a": params}
    with pytest.raises(RpcError) as caught:
        request_digest("tools/call", params)
    assert caught.value.code == -32602


def no_random(count: int) -> bytes:
    raise AssertionError("no random secret was needed")


def test_a_given_secret_wins_over_the_environment() -> None:
    environ = {"MCPCORE_SECRET": "e" * 16}
    assert secrets_from("s" * 16, environ, no_random) == [b"s" * 16]
    assert secrets_from(b"s" * 16, environ, no_random) == [b"s" * 16]
    assert secrets_from(["n" * 16, b"o" * 16], environ, no_random) == [b"n" * 16, b"o" * 16]
    assert secrets_from("a" * 16 + "," + "b" * 16, environ, no_random) == [b"a" * 16 + b"," + b"b" * 16]


def test_the_environment_holds_one_secret_or_several_new_first() -> None:
    assert secrets_from(None, {"MCPCORE_SECRET": "n" * 16}, no_random) == [b"n" * 16]
    several = {"MCPCORE_SECRET": "n" * 16 + ", " + "o" * 16 + "\n"}
    assert secrets_from(None, several, no_random) == [b"n" * 16, b"o" * 16]


@pytest.mark.parametrize("environ", [{}, {"MCPCORE_SECRET": ""}, {"MCPCORE_SECRET": " "}])
def test_without_a_secret_a_random_one_is_made(environ: dict[str, str]) -> None:
    assert secrets_from(None, environ, lambda count: b"r" * count) == [b"r" * 32]


@pytest.mark.parametrize(
    ("value", "environ", "named"),
    [
        ("s" * 15, {}, r"secret 1 of Server"),
        ("", {}, r"secret 1 of Server"),
        (["n" * 16, "short"], {}, r"secret 2 of Server"),
        (None, {"MCPCORE_SECRET": "short"}, r"secret 1 of MCPCORE_SECRET"),
        (None, {"MCPCORE_SECRET": "n" * 16 + ","}, r"secret 2 of MCPCORE_SECRET"),
        ([], {}, r"Server\(secret=...\) is an empty list"),
    ],
)
def test_a_missing_or_short_secret_is_refused_without_showing_it(
    value: Any, environ: dict[str, str], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        secrets_from(value, environ, no_random)
    assert "short" not in str(caught.value) and "sss" not in str(caught.value)


def test_a_secret_is_measured_in_bytes() -> None:
    assert secrets_from("ü" * 8, {}, no_random) == ["üüüüüüüü".encode()]


def test_a_state_is_spent_once() -> None:
    tag, expires = tag_and_expiry(seal())
    spent = Spent(10)
    assert expires == NOW + 900
    assert spent.spend(tag, expires, NOW)
    assert not spent.spend(tag, expires, NOW + 1)
    assert not spent.spend(tag, expires, NOW + 899)


def test_different_states_have_different_tags() -> None:
    assert len({tag_and_expiry(seal(bytes([number])))[0] for number in range(5)}) == 5


def test_what_is_no_state_has_no_tag() -> None:
    with pytest.raises(SealError):
        tag_and_expiry("AAAA")


def test_an_expired_state_cannot_be_spent() -> None:
    spent = Spent(10)
    assert not spent.spend("a", 10.0, 10.0)
    assert len(spent) == 0


def test_expired_states_make_room() -> None:
    spent = Spent(2)
    assert spent.spend("late", 20.0, 0.0)
    assert spent.spend("early", 10.0, 0.0)
    assert spent.spend("next", 30.0, 10.0)
    assert not spent.spend("late", 20.0, 10.0)
    assert len(spent) == 2


def test_a_full_memory_refuses_the_next_state_and_forgets_none() -> None:
    spent = Spent(2)
    assert spent.spend("a", 10.0, 0.0) and spent.spend("b", 20.0, 0.0)
    with pytest.raises(SpentFull, match=r"Limits\.spent_states"):
        spent.spend("c", 30.0, 1.0)
    assert not spent.spend("a", 10.0, 1.0)
    assert spent.spend("c", 30.0, 10.0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9), st.integers(0, 4)), max_size=40))
def test_no_live_tag_is_ever_spent_twice(steps: list[tuple[str, int, int]]) -> None:
    spent, now, live = Spent(3), 0.0, {"": 0.0}
    for tag, lifetime, pause in steps:
        now += pause
        live = {name: until for name, until in live.items() if until > now}
        if tag not in live and len(live) == 3:
            with pytest.raises(SpentFull):
                spent.spend(tag, now + lifetime, now)
            continue
        assert spent.spend(tag, now + lifetime, now) == (tag not in live)
        live.setdefault(tag, now + lifetime)
    assert len(spent) <= 3
