"""Every path of a client's opening: what is sent first, what each answer proves, and when nothing is left to try."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.eras.probe import Probe, Step, Verdict
from mcpcore.errors import ConnectFailed, ConnectionLost, RpcError, UnsupportedRevision
from mcpcore.spec import codes
from mcpcore.spec.revisions import ALL, BY_NAME, MODERN

LEGACY = [revision for revision in ALL if not revision.modern]
DISCOVERED = {"supportedVersions": [MODERN.name], "capabilities": {}, "resultType": "complete"}
UNKNOWN = RpcError(-32601, "Method not found")


def shaken(revision: str) -> dict[str, Any]:
    return {"protocolVersion": revision, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}


def unsupported(*names: Any) -> RpcError:
    return RpcError(codes.UNSUPPORTED_PROTOCOL_VERSION, "no", {"supported": list(names)})


def is_step(step: object, method: str, revision: str) -> bool:
    return isinstance(step, Step) and (step.method, step.revision.name) == (method, revision)


# -- the first message -------------------------------------------------------------------------------------------------


def test_a_client_of_all_revisions_asks_first_and_does_not_wait_for_ever() -> None:
    step = Probe(ALL).first()
    assert is_step(step, "server/discover", MODERN.name) and step.patience


def test_a_client_of_the_modern_revision_alone_waits_for_its_answer() -> None:
    probe = Probe([MODERN])
    assert not probe.first().patience
    assert probe.silent() is None


def test_a_legacy_client_shakes_hands_at_once_with_its_newest_revision() -> None:
    assert is_step(Probe(LEGACY[:2]).first(), "initialize", "2025-03-26")


def test_a_legacy_verdict_saves_the_probe() -> None:
    assert is_step(Probe(ALL, Verdict("2025-06-18")).first(), "initialize", "2025-06-18")


def test_a_modern_verdict_saves_the_patience() -> None:
    assert not Probe(ALL, Verdict(MODERN.name)).first().patience


@pytest.mark.parametrize("verdict", ["1999-01-01", "2024-11-05"])
def test_a_verdict_that_the_client_may_not_speak_is_ignored(verdict: str) -> None:
    assert is_step(Probe(ALL[-2:], Verdict(verdict)).first(), "server/discover", MODERN.name)


# -- what the answers prove --------------------------------------------------------------------------------------------


def test_a_discovery_proves_a_modern_server() -> None:
    probe = Probe(ALL)
    assert probe.answered(probe.first(), DISCOVERED) == Verdict(MODERN.name)
    assert probe.result is DISCOVERED


def test_a_discovery_without_the_modern_revision_leads_to_the_newest_that_both_know() -> None:
    probe = Probe(ALL)
    step = probe.answered(
        probe.first(), {**DISCOVERED, "supportedVersions": ["2024-11-05", "2025-06-18", "2030-01-01"]}
    )
    assert is_step(step, "initialize", "2025-06-18")


def test_a_discovery_of_nothing_in_common_ends_the_probe() -> None:
    probe = Probe(ALL)
    with pytest.raises(UnsupportedRevision, match="2030-01-01") as caught:
        probe.answered(probe.first(), {**DISCOVERED, "supportedVersions": ["2030-01-01"]})
    assert caught.value.offered == ("2030-01-01",)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"supportedVersions": MODERN.name, "capabilities": {}},
        {"supportedVersions": [MODERN.name]},
        {**DISCOVERED, "resultType": "input_required"},
    ],
)
def test_a_result_that_is_no_discovery_means_legacy(result: dict[str, Any]) -> None:
    probe = Probe(ALL)
    assert is_step(probe.answered(probe.first(), result), "initialize", LEGACY[-1].name)


@pytest.mark.parametrize("error", [UNKNOWN, RpcError(-32600, "x"), RpcError(0, "x")])
def test_any_other_error_means_legacy(error: RpcError) -> None:
    probe = Probe(ALL)
    assert is_step(probe.failed(probe.first(), error, False), "initialize", LEGACY[-1].name)


def test_a_client_of_the_modern_revision_alone_says_so_to_a_legacy_server() -> None:
    probe = Probe([MODERN])
    with pytest.raises(ConnectFailed, match="allow a legacy revision"):
        probe.failed(probe.first(), UNKNOWN, False)


def test_an_unsupported_revision_proves_a_modern_server_that_is_not_ours() -> None:
    probe = Probe(ALL)
    with pytest.raises(UnsupportedRevision, match="2027-01-01"):
        probe.failed(probe.first(), unsupported("2027-01-01", 7), False)


def test_after_a_modern_error_the_discovery_is_repeated_and_never_a_handshake() -> None:
    probe = Probe(ALL)
    step: Any = probe.first()
    modern = unsupported(MODERN.name)
    for _ in range(2):
        step = probe.failed(step, modern, False)
        assert is_step(step, "server/discover", MODERN.name)
    with pytest.raises(RpcError, match="no"):
        probe.failed(step, modern, False)


# -- the handshake -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [revision.name for revision in LEGACY])
def test_a_handshake_proves_the_revision_that_it_names(revision: str) -> None:
    probe = Probe(LEGACY)
    assert probe.answered(probe.first(), shaken(revision)) == Verdict(revision)


@pytest.mark.parametrize("version", [MODERN.name, "2030-01-01", 7, None])
def test_a_handshake_with_a_revision_that_the_client_does_not_speak_ends_the_probe(version: Any) -> None:
    probe = Probe(ALL, Verdict("2025-11-25"))
    with pytest.raises(UnsupportedRevision) as caught:
        probe.answered(probe.first(), {"protocolVersion": version})
    assert caught.value.offered == ((version,) if isinstance(version, str) else ())


def test_a_handshake_that_fails_with_a_revision_in_common_is_repeated_in_it() -> None:
    probe = Probe(LEGACY)
    step: Any = probe.first()
    for _ in range(2):
        step = probe.failed(step, unsupported("2024-11-05", "2025-03-26"), False)
        assert is_step(step, "initialize", "2025-03-26")
    with pytest.raises(UnsupportedRevision):
        probe.failed(step, unsupported("2024-11-05"), False)


@pytest.mark.parametrize("error", [UNKNOWN, ConnectionLost("gone")])
def test_a_handshake_that_fails_without_one_ends_the_probe_with_its_error(error: Any) -> None:
    probe = Probe(LEGACY)
    with pytest.raises(type(error)) as caught:
        probe.failed(probe.first(), error, False)
    assert caught.value is error


def test_a_legacy_verdict_that_no_longer_holds_leads_to_the_discovery() -> None:
    probe = Probe(ALL, Verdict("2025-11-25"))
    step = probe.failed(probe.first(), unsupported(MODERN.name), False)
    assert is_step(step, "server/discover", MODERN.name)


# -- both at once ------------------------------------------------------------------------------------------------------


def side_by_side() -> tuple[Probe, Step, Step]:
    """The discovery met silence, so the handshake is under way beside it."""
    probe = Probe(ALL)
    discovery = probe.first()
    handshake = probe.silent()
    assert handshake is not None and is_step(handshake, "initialize", LEGACY[-1].name)
    assert probe.silent() is None, "once"
    return probe, discovery, handshake


def test_a_late_discovery_proves_a_modern_server_all_the_same() -> None:
    probe, discovery, _ = side_by_side()
    assert probe.answered(discovery, DISCOVERED) == Verdict(MODERN.name)


def test_a_handshake_beside_the_silence_proves_a_legacy_server() -> None:
    probe, _, handshake = side_by_side()
    assert probe.answered(handshake, shaken("2025-06-18")) == Verdict("2025-06-18")


@pytest.mark.parametrize("answer", [{}, {**DISCOVERED, "supportedVersions": ["2024-11-05"]}])
def test_a_late_answer_that_proves_nothing_leaves_it_to_the_handshake(answer: dict[str, Any]) -> None:
    probe, discovery, _ = side_by_side()
    assert probe.answered(discovery, answer) is None


def test_whichever_fails_first_leaves_it_to_the_other() -> None:
    probe, discovery, handshake = side_by_side()
    assert probe.failed(discovery, UNKNOWN, True) is None
    with pytest.raises(RpcError, match="no handshake"):
        probe.failed(handshake, RpcError(1, "no handshake"), False)
    probe, discovery, handshake = side_by_side()
    assert probe.failed(handshake, UNKNOWN, True) is None
    with pytest.raises(RpcError, match="no discovery"):
        probe.failed(discovery, RpcError(1, "no discovery"), False)


def test_a_modern_error_beside_the_handshake_repeats_the_discovery() -> None:
    probe, discovery, _ = side_by_side()
    assert is_step(probe.failed(discovery, unsupported(MODERN.name), True), "server/discover", MODERN.name)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_verdicts_are_compared_by_their_revision() -> None:
    assert Verdict("a") == Verdict("a") != Verdict("b")
    assert len({Verdict("a"), Verdict("a")}) == 1 and Verdict("a") != "a"
    assert set(BY_NAME) == {revision.name for revision in ALL}
