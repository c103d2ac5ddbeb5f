"""A run's options as a file that is read, edited and given back with ``--config``."""

from __future__ import annotations

from collections.abc import Mapping

import yaml


def to_yaml(experiment: str, config: Mapping[str, object]) -> bytes:
    """The options as YAML, in the order of their declaration, below a comment that says what they are of."""
    text = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, allow_unicode=False, width=120)
    return f"# Options of `{experiment}`: edit them, and give this file with --config.\n{text}".encode("ascii")
