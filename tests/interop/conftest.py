"""What holds for every test here: the marker, the way to skip, and installation failures told in one sentence.

No test lives here. ``MCPCORE_SKIP_INTEROP=<reason>`` skips the whole directory and says why; without it a peer that
cannot be installed is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import launch, peers

HERE = Path(__file__).resolve().parent
SECONDS = peers.INSTALL_SECONDS + launch.RUN_SECONDS + 30


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(autouse=True, scope="session")
def skipped_where_asked() -> Iterator[None]:
    if reason := os.environ.get("MCPCORE_SKIP_INTEROP"):
        pytest.skip(f"MCPCORE_SKIP_INTEROP: {reason}")
    yield
