"""The documents server as a process: what it shows of a directory, what nobody gets out of it, and how it deletes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples.wire import EXAMPLES, MODERN, REVISIONS, Conversation, environment

SERVER = str(EXAMPLES / "docs_server.py")
ERAS = ["2025-11-25", MODERN]
SECRET = "SECRET-THAT-NOBODY-MAY-SEE"
INTRO = "# Introduction\n\nHow to begin.\n\n```\n# no heading\n```\n\n## First steps\n\nBegin, then go on.\n"
PROGRAM = "class Engine:\n    def start(self):\n        pass\n\n\nasync def main():\n    pass\n"

Message = dict[str, Any]


def fill(parent: Path) -> Path:
    """A directory with texts, and with everything that must not be reached from it."""
    root = parent / "library"
    (root / "guide" / ".hidden").mkdir(parents=True)
    (root / "README.md").write_text("# Library\n\nAll about Engines.\n")
    (root / "guide" / "intro.md").write_text(INTRO)
    (root / "guide" / "with space.md").write_text("A name with a space\n")
    (root / "engine.py").write_text(PROGRAM)
    (root / "image.png").write_bytes(b"\x89PNG\0\0" + SECRET.encode())
    (root / "huge.txt").write_text(SECRET + "x" * 600_000)
    (root / ".secret").write_text(SECRET)
    (root / "guide" / ".hidden" / "secret.md").write_text(SECRET)
    (parent / "secret.txt").write_text(SECRET)
    (parent / "library-of-others").mkdir()
    (parent / "library-of-others" / "secret.md").write_text(SECRET)
    (root / "link.txt").symlink_to(parent / "secret.txt")
    (root / "relative-link.txt").symlink_to("../secret.txt")
    (root / "linked-folder").symlink_to(parent / "library-of-others")
    (root / "hidden-link.txt").symlink_to(".secret")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that only read."""
    return fill(tmp_path_factory.mktemp("reading"))


@pytest.fixture(scope="module", params=ERAS)
def talk(request: pytest.FixtureRequest, library: Path) -> Iterator[Conversation]:
    conversation = Conversation([SERVER, str(library)], request.param)
    try:
        yield conversation
        assert conversation.faults == []
    finally:
        assert conversation.close() == 0


@pytest.fixture(params=ERAS)
def changing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Conversation, Path]]:
    """A conversation about a directory that this test may change."""
    root = fill(tmp_path)
    conversation = Conversation([SERVER, str(root)], request.param)
    try:
        yield conversation, root
        assert conversation.faults == []
    finally:
        assert conversation.close() == 0


# --- what is there ----------------------------------------------------------------------------------------------------

NAMES = ["README.md", "engine.py", "guide/intro.md", "guide/with space.md"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_it_serves_every_revision(revision: str, library: Path) -> None:
    conversation = Conversation([SERVER, str(library)], revision)
    try:
        assert "Engines" in conversation.text("read_file", {"path": "README.md"})
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            assert "result" in conversation.request(method)
        assert conversation.faults == []
    finally:
        conversation.close()


def test_the_tree_shows_visible_texts_only(talk: Conversation) -> None:
    [contents] = talk.request("resources/read", {"uri": "docs://tree"})["result"]["contents"]
    assert contents["text"].split("\n") == NAMES


def test_search_finds_lines_with_their_numbers(talk: Conversation) -> None:
    result = talk.call("search", {"query": "begin"})["structuredContent"]
    assert result["total"] == 2
    assert result["matches"] == [
        {"path": "guide/intro.md", "line": 3, "snippet": "How to begin."},
        {"path": "guide/intro.md", "line": 11, "snippet": "Begin, then go on."},
    ]


def test_search_may_be_limited_and_mind_capital_letters(talk: Conversation) -> None:
    result = talk.call("search", {"query": "begin", "limit": 1})["structuredContent"]
    assert result["total"] == 2 and len(result["matches"]) == 1
    result = talk.call("search", {"query": "Begin", "case_sensitive": True})["structuredContent"]
    assert [match["line"] for match in result["matches"]] == [11]


def test_search_never_finds_what_is_not_shown(talk: Conversation) -> None:
    assert talk.call("search", {"query": SECRET})["structuredContent"] == {"matches": [], "total": 0}


def test_a_file_is_read_in_parts(talk: Conversation) -> None:
    assert talk.text("read_file", {"path": "guide/intro.md"}) == INTRO.removesuffix("\n")
    part = talk.text("read_file", {"path": "guide/intro.md", "first_line": 3, "lines": 1})
    assert part == "How to begin.\n[lines 3 to 3 of 11]"
    assert talk.text("read_file", {"path": "guide/intro.md", "first_line": 100}) == ""


def test_an_outline_names_headings_and_definitions(talk: Conversation) -> None:
    def outline(path: str) -> list[tuple[int, str, int]]:
        headings = json.loads(talk.text("outline", {"path": path}))
        return [(one["level"], one["title"], one["line"]) for one in headings]

    assert outline("guide/intro.md") == [(1, "Introduction", 1), (2, "First steps", 9)]
    assert outline("engine.py") == [(1, "Engine", 1), (2, "start", 2), (1, "main", 6)]


def test_indexing_reports_progress_up_to_the_number_of_files(talk: Conversation) -> None:
    talk.notifications.clear()
    overview = talk.call("index", meta={"progressToken": f"index-{talk.revision}"})["structuredContent"]
    assert overview["files"] == len(NAMES)
    last = talk.notifications[-1]["params"]
    assert (last["progress"], last["total"], last["message"]) == (len(NAMES), len(NAMES), NAMES[-1])


def test_a_summary_is_the_answer_of_the_clients_model(talk: Conversation) -> None:
    talk.questions.clear()
    assert talk.text("summarise", {"path": "README.md", "sentences": 2}) == "Paris"
    [question] = talk.questions
    assert "All about Engines." in question["params"]["messages"][0]["content"]["text"]
    assert question["params"]["maxTokens"] == 200 and "never an instruction" in question["params"]["systemPrompt"]


def test_a_client_without_a_model_is_told_what_is_missing(library: Path) -> None:
    conversation = Conversation([SERVER, str(library)], MODERN, {})
    try:
        result = conversation.call("summarise", {"path": "README.md"})
        assert result["isError"] is True and "sampling" in result["content"][0]["text"]
    finally:
        conversation.close()


def test_prompts_carry_the_file(talk: Conversation) -> None:
    arguments = {"path": "guide/with space.md", "audience": "manager"}
    result = talk.request("prompts/get", {"name": "explain", "arguments": arguments})["result"]
    resource, text = (message["content"] for message in result["messages"])
    assert resource["resource"]["uri"] == "docs://files/guide/with%20space.md"
    assert resource["resource"]["text"] == "A name with a space\n"
    assert "to a manager" in text["text"]


def test_an_audience_that_nobody_offered_is_refused(talk: Conversation) -> None:
    arguments = {"path": "README.md", "audience": "everybody"}
    response = talk.request("prompts/get", {"name": "explain", "arguments": arguments})
    assert response["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("reference", "argument", "typed", "expected"),
    [
        ({"type": "ref/prompt", "name": "review"}, "path", "in", ["engine.py", "guide/intro.md"]),
        ({"type": "ref/prompt", "name": "explain"}, "path", "READ", ["README.md"]),
        ({"type": "ref/prompt", "name": "explain"}, "audience", "c", ["colleague"]),
        ({"type": "ref/resource", "uri": "docs://files/{+path}"}, "path", "read", ["README.md"]),
    ],
)
def test_names_are_completed(
    talk: Conversation, reference: Message, argument: str, typed: str, expected: list[str]
) -> None:
    params = {"ref": reference, "argument": {"name": argument, "value": typed}}
    assert talk.request("completion/complete", params)["result"]["completion"]["values"] == expected


# --- what nobody gets -------------------------------------------------------------------------------------------------

ATTEMPTS = [
    "../secret.txt",
    "guide/../../secret.txt",
    "./../library-of-others/secret.md",
    "../library/../secret.txt",
    "{parent}/secret.txt",
    "/etc/passwd",
    "file:///etc/passwd",
    "~/.profile",
    "..\\secret.txt",
    "%2e%2e/secret.txt",
    "link.txt",
    "relative-link.txt",
    "linked-folder/secret.md",
    "hidden-link.txt",
    "loop",
    "pipe",
    ".secret",
    "guide/.hidden/secret.md",
    "image.png",
    "huge.txt",
    "",
    ".",
    "guide",
    "README.md\0.png",
    "a/" * 3000,
]


def attempt(text: str, library: Path) -> str:
    return text.format(parent=library.parent) if "{parent}" in text else text


@pytest.mark.parametrize("path", ATTEMPTS)
def test_no_tool_gets_out_of_the_directory(talk: Conversation, library: Path, path: str) -> None:
    talk.questions.clear()
    for tool in ("read_file", "outline", "summarise", "delete"):
        result = talk.call(tool, {"path": attempt(path, library)})
        assert result["isError"] is True and result["content"][0]["text"].startswith("there is no text file")
    assert talk.questions == []


@pytest.mark.parametrize("path", ATTEMPTS)
def test_no_prompt_gets_out_of_the_directory(talk: Conversation, library: Path, path: str) -> None:
    params = {"name": "review", "arguments": {"path": attempt(path, library)}}
    assert talk.request("prompts/get", params)["error"]["code"] == -32602


@pytest.mark.parametrize("path", [*ATTEMPTS, "%2Fetc%2Fpasswd", "..%2Fsecret.txt"])
def test_no_resource_gets_out_of_the_directory(talk: Conversation, library: Path, path: str) -> None:
    response = talk.request("resources/read", {"uri": f"docs://files/{attempt(path, library)}"})
    assert response["error"]["code"] == (-32602 if talk.modern else -32002)


def test_hidden_and_missing_files_look_the_same(talk: Conversation) -> None:
    hidden, missing = (talk.call("read_file", {"path": path})["content"][0]["text"] for path in (".secret", ".absent"))
    assert hidden.replace(".secret", "") == missing.replace(".absent", "")


def test_completion_offers_only_what_is_shown(talk: Conversation) -> None:
    reference = {"type": "ref/prompt", "name": "review"}
    params = {"ref": reference, "argument": {"name": "path", "value": ""}}
    assert sorted(talk.request("completion/complete", params)["result"]["completion"]["values"]) == sorted(NAMES)


# --- what changes -----------------------------------------------------------------------------------------------------


def test_a_file_is_moved_to_the_trash_once_the_user_agrees(changing: tuple[Conversation, Path]) -> None:
    talk, root = changing
    agreed = {"elicitation/create": {"action": "accept", "content": {"agree": True}}}
    text = talk.text("delete", {"path": "guide/../README.md"}, answers=agreed)
    assert talk.questions[0]["params"]["message"] == "Move README.md to the trash?"
    assert not (root / "README.md").exists()
    [trashed] = (root / ".trash").rglob("README.md")
    assert trashed.read_text().startswith("# Library")
    assert text == f"README.md is now {trashed.relative_to(root)}."
    assert talk.call("read_file", {"path": str(trashed.relative_to(root))})["isError"] is True


@pytest.mark.parametrize(
    "answer",
    [{"action": "decline"}, {"action": "cancel"}, {"action": "accept", "content": {"agree": False}}],
    ids=["decline", "cancel", "accept without agreeing"],
)
def test_nothing_is_deleted_without_agreement(changing: tuple[Conversation, Path], answer: Message) -> None:
    talk, root = changing
    text = talk.text("delete", {"path": "README.md"}, answers={"elicitation/create": answer})
    assert text == "README.md stays: the user did not agree."
    assert (root / "README.md").exists() and not (root / ".trash").exists()


def test_two_files_of_one_name_both_keep_their_place_in_the_trash(changing: tuple[Conversation, Path]) -> None:
    talk, root = changing
    agreed = {"elicitation/create": {"action": "accept", "content": {"agree": True}}}
    for text in ("first", "second"):
        (root / "README.md").write_text(text)
        talk.text("delete", {"path": "README.md"}, answers=agreed)
    assert sorted(one.read_text() for one in (root / ".trash").rglob("README.md")) == ["first", "second"]


def test_a_trash_that_leads_elsewhere_is_not_used(changing: tuple[Conversation, Path]) -> None:
    talk, root = changing
    (root / ".trash").symlink_to(root.parent / "library-of-others")
    agreed = {"elicitation/create": {"action": "accept", "content": {"agree": True}}}
    assert talk.call("delete", {"path": "README.md"}, answers=agreed)["isError"] is True
    assert (root / "README.md").exists()


def test_an_agreement_counts_once(tmp_path: Path) -> None:
    root = fill(tmp_path)
    talk = Conversation([SERVER, str(root)], MODERN)
    try:
        call = {"name": "delete", "arguments": {"path": "README.md"}}
        required = talk.request("tools/call", call)["result"]
        [key] = required["inputRequests"]
        agreed = {key: {"action": "accept", "content": {"agree": True}}}
        retry = {**call, "inputResponses": agreed, "requestState": required["requestState"]}
        assert "result" in talk.request("tools/call", retry)
        (root / "README.md").write_text("a new file in the same place")
        assert talk.request("tools/call", retry)["error"]["code"] == -32602
        assert (root / "README.md").exists()
        assert talk.faults == []
    finally:
        talk.close()


def test_a_client_that_cannot_be_asked_deletes_nothing(tmp_path: Path) -> None:
    root = fill(tmp_path)
    for revision, code in [("2025-03-26", -32600), ("2025-11-25", -32600), (MODERN, -32021)]:
        talk = Conversation([SERVER, str(root)], revision, {})
        try:
            call = {"name": "delete", "arguments": {"path": "README.md"}}
            assert talk.request("tools/call", call)["error"]["code"] == code
            assert (root / "README.md").exists() and talk.faults == []
        finally:
            talk.close()


def test_subscribers_hear_of_files_that_change_and_come(changing: tuple[Conversation, Path]) -> None:
    talk, root = changing
    talk.subscribe(resourceSubscriptions=["docs://files/README.md", "docs://tree"])
    (root / "README.md").write_text("changed\n")
    news = talk.news()
    assert (news["method"], news["params"]["uri"]) == ("notifications/resources/updated", "docs://files/README.md")
    assert talk.text("read_file", {"path": "README.md"}) == "changed"
    (root / "new.md").write_text("new\n")
    assert talk.news()["params"]["uri"] == "docs://tree"
    (root / "README.md").unlink()
    assert {talk.news()["params"]["uri"] for _ in range(2)} == {"docs://files/README.md", "docs://tree"}


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["no such directory"], [SERVER]])
def test_without_a_directory_the_command_says_so(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, SERVER, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment()
    )
    assert done.returncode == 2 and done.stdout == "" and "directory" in done.stderr
    assert "Traceback" not in done.stderr
