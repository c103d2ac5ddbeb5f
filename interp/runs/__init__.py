"""Runs on disk: made whole or not at all, with a manifest of all that went in and came out."""

from __future__ import annotations

from interp.runs.manifest import CommitEntry, InputEntry, Manifest, ModelEntry, array_hash
from interp.runs.plain import config_entry
from interp.runs.run import Run, default_folder
from interp.runs.verify import Problem, Report, find, verify

__all__ = [
    "CommitEntry",
    "InputEntry",
    "Manifest",
    "ModelEntry",
    "Problem",
    "Report",
    "Run",
    "array_hash",
    "config_entry",
    "default_folder",
    "find",
    "verify",
]
