"""The wire log of an HTTP server: every message in both directions, whatever it travels on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import serving


def test_every_message_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "wire.jsonl"
    monkeypatch.setenv("MCPCORE_WIRE_LOG", str(log))

    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk, served.talk() as modern:
            standing = await talk.get()
            await standing.event()
            stage.server.notify_tools_changed()
            await standing.message()
            await (await talk.call("tools/call", {"name": "count", "arguments": {"n": 1}}, "legacy")).rest()
            await modern.ask("no/such", id="refused")
            await (
                await modern.call("tools/call", {"name": "count", "arguments": {"n": 1}}, "m", logLevel="info")
            ).rest()

    run(main())
    said = [json.loads(line) for line in log.read_text().splitlines()]
    texts = [json.dumps(entry) for entry in said]
    for part in (
        "notifications/initialized",
        "notifications/tools/list_changed",
        "notifications/message",
        "legacy",
        "refused",
        "-32601",
        "counted",
    ):
        assert any(part in text for text in texts), part
