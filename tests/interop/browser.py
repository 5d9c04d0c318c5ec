"""A headless Chromium that opens one page, and the page's server, to which the page reports what it saw.

What lives here: the program, its flags, and the origin that the page comes from. The rule: the browser runs for one
page, with an empty profile, and is ended by its process group; nothing drives it but the page itself.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.interop.launch import RunFailed

__all__ = ["PROGRAM", "PageServer", "visit"]

PROGRAM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE: Final = Path(__file__).resolve().parent / "clients" / "page.html"
PAGE_SECONDS: Final = 60.0
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
)


class PageServer:
    """Serves the page on a port of its own, which is its origin, and takes its reports."""

    def __init__(self) -> None:
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()
        reports = self.reports

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_page = urllib.parse.urlsplit(self.path).path == "/"
                self._answer(200 if is_page else 404, PAGE.read_bytes() if is_page else b"")

            def do_POST(self) -> None:
                reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(204, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def page_server() -> Iterator[PageServer]:
    server = PageServer()
    try:
        yield server
    finally:
        server.close()


def visit(pages: PageServer, url: str, era: str) -> dict[str, Any]:
    """What the page saw of the MCP server at ``url``: the object that ``clients/page.html`` reports.

    Raises :class:`RunFailed` where the browser ends, or ``PAGE_SECONDS`` pass, before it reports.
    """
    assert PROGRAM is not None
    query = urllib.parse.urlencode({"url": url, "era": era})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, tempfile.TemporaryFile("w+") as errors:
        command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", f"{pages.origin}/?{query}"]
        browser = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
        )
        try:
            return pages.reports.get(timeout=PAGE_SECONDS)
        except queue.Empty:
            errors.seek(0)
            raise RunFailed(
                f"the page did not report within {PAGE_SECONDS:.0f} s; status of the browser: {browser.poll()}\n"
                + errors.read()[-4000:]
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
