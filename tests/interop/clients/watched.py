"""Runs a client program and writes down how it ended, because the official suite forgets it.

    python watched.py <report.json> <seconds> <program> [argument ...]

The report is ``{"status", "stderr"}``; the status is null for a program that was killed because it took too long, and
negative for one that a signal ended. This program ends with the same status, 1 in these two cases.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main(report: str, seconds: str, *program: str) -> int:
    with subprocess.Popen([sys.executable, *program], stderr=subprocess.PIPE, text=True) as process:
        status: int | None
        try:
            _, stderr = process.communicate(timeout=float(seconds))
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            _, stderr = process.communicate()
            status = None
    Path(report).write_text(json.dumps({"status": status, "stderr": stderr}))
    sys.stderr.write(stderr)
    return status if status is not None and status >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
