"""Descriptions of parameters, in the three styles that people write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.server.docstrings import member_descriptions, read_docstring

GOOGLE = """Find things.

    Looks everywhere: also below.

    Args:
        query (str): What to look for.
            It may be long: very long.

        limit (int, optional): How many.
        **options: Passed on.

    Returns:
        list: The things.
    """

NUMPY = """Find things.

    Looks everywhere: also below.

    Parameters
    ----------
    query : str
        What to look for.
        It may be long: very long.
    limit : int, optional
        How many.
    **options
        Passed on.

    Returns
    -------
    list
        The things.
    """

SPHINX = """Find things.

    Looks everywhere: also below.

    :param query: What to look for.
        It may be long: very long.
    :type query: str
    :param int limit: How many.
    :param options: Passed on.
    :returns: The things.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style_describes_the_parameters(docstring: str) -> None:
    found = read_docstring(docstring)
    assert found.parameters == {
        "query": "What to look for. It may be long: very long.",
        "limit": "How many.",
        "options": "Passed on.",
    }
    assert found.text.startswith("Find things.\n\nLooks everywhere: also below.")
    assert "The things." in found.text
    assert "How many" not in found.text
    assert "Passed on" not in found.text


@pytest.mark.parametrize("docstring", [None, "", "   \n "])
def test_nothing_gives_nothing(docstring: str | None) -> None:
    found = read_docstring(docstring)
    assert (found.text, found.parameters) == ("", {})


def test_a_docstring_in_no_style_is_all_text() -> None:
    text = "Do it.\n\nNote: this is no section.\nArgs: neither is this\n\nParameters are described elsewhere."
    found = read_docstring(text)
    assert (found.text, found.parameters) == (text, {})


def test_two_names_may_share_a_description() -> None:
    found = read_docstring("X.\n\nParameters\n----------\na, b : int\n    Both.")
    assert found.parameters == {"a": "Both.", "b": "Both."}


def test_text_after_a_section_stays_text() -> None:
    found = read_docstring("X.\n\nArgs:\n    a: One.\n\nMore text.\n\nArguments:\n    b: Two.")
    assert found.parameters == {"a": "One.", "b": "Two."}
    assert found.text == "X.\n\nMore text."


def test_members_of_a_class_are_described_in_its_own_docstring() -> None:
    class Parent:
        """P.

        Attributes:
            a: From the parent.
        """

    class Child(Parent):
        pass

    assert member_descriptions(Parent) == {"a": "From the parent."}
    assert member_descriptions(Child) == {}


@given(st.text(alphabet=st.sampled_from("aA:*-\n ()[]psrm"), max_size=60) | st.text())
def test_any_text_is_read(text: Any) -> None:
    read_docstring(text)
    read_docstring(f"Args:\n{text}")
    read_docstring(f"Parameters\n-----\n{text}")
    read_docstring(f":param a: {text}")
