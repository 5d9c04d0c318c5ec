"""The command `mcpcore-conformance`: says which checks exist. Running them comes with the first one."""

from __future__ import annotations

import argparse
import sys

from mcpcore_conformance import CHECKS, __version__


def main(words: list[str] | None = None) -> int:
    """Prints the checks by name; exits with 0. `--version` and `--help` do what they do everywhere."""
    parser = argparse.ArgumentParser(prog="mcpcore-conformance", description=f"Lists the checks. {summary()}")
    parser.add_argument("--version", action="version", version=f"mcpcore-conformance {__version__}")
    parser.parse_args(words)
    for name, promise in CHECKS.items():
        print(f"{name}  {promise}")
    print(summary())
    return 0


def summary() -> str:
    return f"Checks so far: {len(CHECKS) or 'none yet'}."


if __name__ == "__main__":
    sys.exit(main())
