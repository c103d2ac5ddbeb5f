"""Runs on disk: made whole or not at all, with a manifest of all that went in and came out."""

from __future__ import annotations

from interp.runs.entries import About, CommitEntry, FigureEntry, InputEntry, ModelEntry, Program, Role, array_hash
from interp.runs.machine import Machine
from interp.runs.manifest import ChangedManifest, Manifest
from interp.runs.place import Place
from interp.runs.plain import config_entry
from interp.runs.run import Run, default_folder
from interp.runs.tolerance import Tolerance
from interp.runs.verify import Problem, Report, find, verify

__all__ = [
    "About",
    "ChangedManifest",
    "CommitEntry",
    "FigureEntry",
    "InputEntry",
    "Machine",
    "Manifest",
    "ModelEntry",
    "Place",
    "Problem",
    "Program",
    "Report",
    "Role",
    "Run",
    "Tolerance",
    "array_hash",
    "config_entry",
    "default_folder",
    "find",
    "verify",
]
