"""permessage-deflate by itself: the grammar of the header, what a server accepts, what a client takes for an answer."""

from __future__ import annotations

import time
import zlib

import pytest

from mcpcore.websocket.deflate import (
    OFFER,
    Deflate,
    Extensions,
    Inflater,
    TooLarge,
    accept_offer,
    check_answer,
    parse_extensions,
)

NAME = "permessage-deflate"
ACCEPTED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

LISTS: dict[str, Extensions] = {
    "a": [("a", [])],
    "a, b": [("a", []), ("b", [])],
    "a ,\tb": [("a", []), ("b", [])],
    "a,,b,": [("a", []), ("b", [])],
    ", a": [("a", [])],
    "a;b": [("a", [("b", None)])],
    "a ; b=c ; d": [("a", [("b", "c"), ("d", None)])],
    "a; b = c": [("a", [("b", "c")])],
    'a; b="10", c': [("a", [("b", "10")]), ("c", [])],
    "a; b; b": [("a", [("b", None), ("b", None)])],
    OFFER: [(NAME, [("client_no_context_takeover", None), ("server_no_context_takeover", None)])],
}
NO_LISTS = ["", " ", ",", ";", "a;", "a;;b", "a b", "a; b=", "a; =c", 'a; b="', 'a; b="c d"', "a; b=c d", "é", "a;\x00"]


@pytest.mark.parametrize("value", LISTS)
def test_a_list_of_extensions_is_read(value: str) -> None:
    assert parse_extensions(value) == LISTS[value]


@pytest.mark.parametrize("value", NO_LISTS)
def test_what_is_no_list_of_extensions_is_none(value: str) -> None:
    assert parse_extensions(value) is None


@pytest.mark.parametrize("unit", ["a,", "a;b", " ", ", ", 'a;b="c",', "a ; b = c", "\t;"])
def test_a_long_header_is_read_in_linear_time(unit: str) -> None:
    start = time.process_time()
    parse_extensions(unit * 10_000)
    parse_extensions("a;b" + unit * 10_000 + "\x00")
    assert time.process_time() - start < 2


def parsed(value: str) -> Extensions:
    found = parse_extensions(value)
    assert found is not None
    return found


# -- a server ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; client_max_window_bits",
        "; client_max_window_bits=8",
        "; client_max_window_bits=15",
        "; client_no_context_takeover",
        "; server_no_context_takeover",
        "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
    ],
)
def test_an_offer_is_accepted_and_no_side_builds_on_earlier_messages(parameters: str) -> None:
    assert accept_offer(parsed(NAME + parameters)) == (ACCEPTED, Deflate(15))


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_a_window_that_the_client_asks_for_is_kept_to_and_said(bits: int, form: str) -> None:
    offer = parsed(f"{NAME}; server_max_window_bits={form.format(bits)}")
    assert accept_offer(offer) == (f"{ACCEPTED}; server_max_window_bits={bits}", Deflate(bits))


@pytest.mark.parametrize(
    "parameters",
    [
        "; server_max_window_bits",
        "; server_max_window_bits=8",  # more than zlib can do
        "; server_max_window_bits=7",
        "; server_max_window_bits=16",
        "; server_max_window_bits=09",
        "; server_max_window_bits=+9",
        "; client_max_window_bits=7",
        "; client_max_window_bits=16",
        "; client_max_window_bits=a",
        "; server_no_context_takeover=1",
        "; client_no_context_takeover=true",
        "; client_no_context_takeover; client_no_context_takeover",
        "; client_max_window_bits=10; client_max_window_bits=10",
        "; unknown",
        "; Server_no_context_takeover",
    ],
)
def test_an_offer_with_a_parameter_that_it_may_not_have_is_declined(parameters: str) -> None:
    assert accept_offer(parsed(NAME + parameters)) is None
    assert accept_offer(parsed(f"{NAME}{parameters}, {NAME}")) == (ACCEPTED, Deflate(15))


def test_other_extensions_are_passed_over() -> None:
    assert accept_offer(parsed("x-webkit-deflate-frame, permessage-bzip2")) is None
    assert accept_offer(parsed(f"permessage-bzip2; a=1, {NAME}")) == (ACCEPTED, Deflate(15))


def test_the_first_offer_that_can_be_accepted_is() -> None:
    offers = f"{NAME}; server_max_window_bits=10, {NAME}"
    assert accept_offer(parsed(offers)) == (f"{ACCEPTED}; server_max_window_bits=10", Deflate(10))


def test_what_a_client_of_ours_offers_is_accepted_and_its_answer_taken() -> None:
    accepted = accept_offer(parsed(OFFER))
    assert accepted is not None
    assert check_answer(parsed(accepted[0])) == Deflate(15)


# -- a client ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters", ["", "; client_no_context_takeover", "; server_max_window_bits=10", "; server_max_window_bits=8"]
)
def test_an_answer_that_fits_the_offer_is_taken(parameters: str) -> None:
    assert check_answer(parsed(f"{NAME}; server_no_context_takeover{parameters}")) == Deflate(15)


@pytest.mark.parametrize(
    "answer",
    [
        NAME,
        f"{NAME}; client_no_context_takeover",
        f"{NAME}; server_no_context_takeover; client_max_window_bits=10",
        f"{NAME}; server_no_context_takeover; client_max_window_bits",
        f"{NAME}; server_no_context_takeover; server_max_window_bits",
        f"{NAME}; server_no_context_takeover; server_max_window_bits=16",
        f"{NAME}; server_no_context_takeover; unknown=1",
        f"{NAME}; server_no_context_takeover; server_no_context_takeover",
        f"{NAME}; server_no_context_takeover, {NAME}; server_no_context_takeover",
        f"{NAME}; server_no_context_takeover, permessage-bzip2",
        "permessage-bzip2; server_no_context_takeover",
    ],
)
def test_an_answer_that_does_not_fit_the_offer_is_none(answer: str) -> None:
    assert check_answer(parsed(answer)) is None


# -- inflating --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_what_inflates_to_the_limit_is_inflated(size: int) -> None:
    inflater = Inflater(1000)
    assert inflater.feed(Deflate().compress(b"a" * size)) + inflater.finish() == b"a" * size


@pytest.mark.parametrize("size", [1001, 5_000_000])
def test_what_inflates_to_more_is_too_large(size: int) -> None:
    inflater = Inflater(1000)
    with pytest.raises(TooLarge):
        inflater.feed(Deflate().compress(b"a" * size))
        inflater.finish()


def test_a_message_that_stops_inside_a_block_is_refused_at_its_end() -> None:
    payload = Deflate().compress(bytes(range(256)) * 4)
    for end in range(len(payload)):
        inflater = Inflater(10_000)
        inflater.feed(payload[:end])
        with pytest.raises(zlib.error):
            inflater.finish()
