"""Options written as the command line that gives them."""

from __future__ import annotations

import sys
from pathlib import Path


def command_line(config: object) -> list[str]:
    """The words that a shell takes to make ``config``: the program, then what differs from its defaults."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]
