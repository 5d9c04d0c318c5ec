"""``python -m mcpcore_bench``: hands over to the command line in ``cli.py``."""

from __future__ import annotations

import sys

from mcpcore_bench.cli import main

sys.exit(main())
