"""Cursors survive changes of the list and cannot be made by anyone else; pages cover a list exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import UsageError
from mcpcore.server.paging import CursorCodec, CursorError, page, paginate
from mcpcore.server.sealing import Sealer, from_text, to_text

OLD, NEW = b"o" * 32, b"n" * 32
CODEC = CursorCodec(Sealer([NEW]))


@given(st.lists(st.binary(max_size=3), max_size=30), st.integers(1, 40))
def test_all_pages_together_are_the_list_and_none_is_longer_than_the_size(items: list[bytes], size: int) -> None:
    pages = paginate(items, size)
    assert [item for one in pages for item in one] == items
    assert all(0 < len(one) <= size for one in pages[1:])
    assert len(pages[0]) == min(size, len(items))


def test_without_a_size_everything_is_on_one_page() -> None:
    assert paginate([b"a", b"b"], None) == [[b"a", b"b"]]
    assert page([3, 5], None) == (0, 2, None)


@pytest.mark.parametrize("size", [None, 1, 5])
def test_an_empty_list_has_one_empty_page(size: int | None) -> None:
    assert paginate([], size) == [[]]
    assert page([], size) == (0, 0, None)


@pytest.mark.parametrize("size", [0, -1])
def test_a_page_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        paginate([b"a"], size)
    with pytest.raises(UsageError, match="at least 1"):
        page([1], size)


def walk(sequences: list[int], size: int) -> list[list[int]]:
    pages, after = [], None
    while True:
        start, stop, after = page(sequences, size, after)
        pages.append(sequences[start:stop])
        if after is None:
            return pages


@given(st.sets(st.integers(0, 100)), st.integers(1, 20))
def test_walking_by_sequence_number_gives_the_same_pages(numbers: set[int], size: int) -> None:
    sequences = sorted(numbers)
    assert walk(sequences, size) == paginate(sequences, size)  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)), st.integers(0, 20), st.integers(1, 10))
def test_a_change_between_two_pages_neither_skips_nor_repeats_what_stays(
    before: set[int], gone: set[int], added: int, size: int
) -> None:
    first = page(sorted(before), size)
    seen = sorted(before)[first.start : first.stop]
    after = sorted((before - gone) | set(range(51, 51 + added)))
    while first.last is not None:
        first = page(after, size, first.last)
        seen += after[first.start : first.stop]
    assert len(seen) == len(set(seen))
    assert before - gone <= set(seen)


def test_the_page_after_a_removed_item_starts_with_its_successor() -> None:
    assert page([1, 2, 5, 6], 2, after=4) == (2, 4, None)


def test_the_page_after_the_last_item_is_empty_and_the_last() -> None:
    assert page([1, 2], 2, after=9) == (2, 2, None)


def test_the_last_full_page_names_no_next_page() -> None:
    assert page([1, 2, 3, 4], 2, after=2) == (2, 4, None)


@given(st.integers(0, 2**64 - 1))
def test_a_cursor_leads_back_to_its_position(number: int) -> None:
    assert CODEC.position("tools/list", CODEC.cursor("tools/list", number)) == number


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(CursorError, match=r"prompts/list.*without a cursor"):
        CODEC.position("prompts/list", CODEC.cursor("tools/list", 1))


@pytest.mark.parametrize("cursor", ["", "0", "eyJwYWdlIjogM30=", "ä", "\ud800", None, 0, 17, True, [], {}, b"AAAA"])
def test_what_was_never_issued_is_refused_whatever_its_type(cursor: object) -> None:
    with pytest.raises(CursorError):
        CODEC.position("tools/list", cursor)


@given(st.data())
def test_changing_any_character_of_a_cursor_makes_it_invalid(data: st.DataObject) -> None:
    cursor = CODEC.cursor("tools/list", 3)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters().filter(lambda character: character != cursor[at]))
    with pytest.raises(CursorError):
        CODEC.position("tools/list", cursor[:at] + other + cursor[at + 1 :])


def test_a_cursor_cut_short_or_made_longer_is_refused() -> None:
    cursor = CODEC.cursor("tools/list", 3)
    for wrong in [*(cursor[:length] for length in range(len(cursor))), cursor + "A", cursor + "=", cursor + "\n"]:
        with pytest.raises(CursorError):
            CODEC.position("tools/list", wrong)


def test_a_position_put_in_front_of_another_cursors_tag_is_refused() -> None:
    raw = from_text(CODEC.cursor("tools/list", 3))
    assert raw is not None
    with pytest.raises(CursorError):
        CODEC.position("tools/list", to_text((4).to_bytes(8, "big") + raw[8:]))


def test_a_cursor_outlives_the_rotation_of_the_secret_but_not_its_removal() -> None:
    cursor = CursorCodec(Sealer([OLD])).cursor("tools/list", 7)
    assert CursorCodec(Sealer([NEW, OLD])).position("tools/list", cursor) == 7
    with pytest.raises(CursorError):
        CODEC.position("tools/list", cursor)


def test_a_sealed_state_is_no_cursor() -> None:
    state = Sealer([NEW]).seal(b"", purpose="tools/list", principal="", binding=b"", now=0, lifetime=1)
    with pytest.raises(CursorError):
        CODEC.position("tools/list", state)
