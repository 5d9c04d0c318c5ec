"""A web page of another origin as a client, in a real browser: let through where CORS is on, refused where it is off.

The page knows nothing but ``fetch``, so each preflight, each header that has to be exposed and each refusal is the
browser's own. It reports what it saw to the origin that it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop import browser, serving
from tests.interop.browser import PageServer, page_server, visit
from tests.interop.cases import ROOT, our_server

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    with page_server() as server:
        yield server


def seen_by_a_page(pages: PageServer, era: str, cors: str | None) -> dict[str, Any]:
    """``cors`` is the origin that our server lets in."""
    more = ["--cors", cors] if cors else []
    with serving.serving(lambda port: [*our_server(None, "http", port), *more], cwd=ROOT) as served:
        return visit(pages, served.url("/mcp"), era)


@pytest.fixture(scope="module")
def legacy(pages: PageServer) -> dict[str, Any]:
    return seen_by_a_page(pages, "legacy", pages.origin)


@pytest.fixture(scope="module")
def modern(pages: PageServer) -> dict[str, Any]:
    return seen_by_a_page(pages, "modern", pages.origin)


def texts(answer: dict[str, Any]) -> list[str]:
    return [block["text"] for block in answer["messages"][-1]["result"]["content"]]


def methods(answer: dict[str, Any]) -> list[str]:
    return [message.get("method", "result") for message in answer["messages"]]


def test_a_page_opens_a_session_and_reads_its_id(legacy: dict[str, Any]) -> None:
    assert "error" not in legacy
    assert (legacy["revision"], legacy["session"], legacy["initialized"]) == ("2025-11-25", True, 202)


def test_a_page_reads_the_stream_of_a_call(legacy: dict[str, Any]) -> None:
    assert methods(legacy["call"]) == ["notifications/progress"] * 3 + ["result"]
    assert texts(legacy["call"]) == ["Tool with progress executed successfully"]


def test_a_page_hears_of_a_change_on_its_own_stream(legacy: dict[str, Any]) -> None:
    assert legacy["change"] == "notifications/tools/list_changed"


def test_a_page_ends_its_session_and_may_read_that_it_is_gone(legacy: dict[str, Any]) -> None:
    assert legacy["deleted"] in (200, 204)
    assert legacy["afterwards"] == 404


def test_a_modern_page_discovers_and_calls(modern: dict[str, Any]) -> None:
    assert "error" not in modern
    assert "2026-07-28" in modern["revisions"]
    assert methods(modern["call"]) == ["notifications/progress"] * 3 + ["result"]


def test_a_modern_page_may_send_the_headers_of_parameters(modern: dict[str, Any]) -> None:
    assert texts(modern["parameter"]) == ["region=eu count=0 note="]


def test_a_modern_page_listens(modern: dict[str, Any]) -> None:
    assert modern["change"] == "notifications/tools/list_changed"


def test_a_modern_page_may_read_an_error(modern: dict[str, Any]) -> None:
    assert modern["unknown"]["status"] == 404
    assert modern["unknown"]["messages"][0]["error"]["code"] == -32601


@pytest.mark.parametrize("cors", [None, "http://page.example"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_page_that_is_not_let_in_gets_nothing(pages: PageServer, era: str, cors: str | None) -> None:
    assert seen_by_a_page(pages, era, cors) == {"error": "TypeError: Failed to fetch"}
