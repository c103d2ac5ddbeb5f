"""What do the manifest and its hashes cost? Wall seconds inside `interp report` on the embedded network, part by part.

Runs the command in a process of its own, several times, with a clock around each part (its own time, without the parts that it
calls). All hashing counts: of weights, inputs, arrays, figures' specs and every file. Writing the files and waiting for the disk stand
apart: a run without a manifest would write its files too.
Target: less than 2 % of the report's time. Run: python benchmarks/manifest.py
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROUNDS = 3
ARRAYS, SPECS, WEIGHTS = "arrays copied and hashed", "figures' specs hashed", "weights hashed"
GIT, VERSIONS, MANIFEST, CONFIG = "git asked", "versions of packages", "manifest, identity", "config.yaml, command line"
MACHINE, INPUTS, HASHES, ARRAY_FILE = "machine described", "inputs hashed", "files hashed", "arrays' file hashed"
WRITING, DISK = "files written", "waiting for the disk, renaming"
OUTSIDE = (WRITING, DISK)


class Clock:
    """Seconds of each part, without those of the parts inside it; work in other threads is time of whoever waits for it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside: list[float] = []

    def around(self, owner: Any, name: str, part: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*arguments, **named)
            self._inside.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                whole = time.perf_counter() - start
                self.seconds[part] += whole - self._inside.pop()
                self.calls[part] += 1
                if self._inside:
                    self._inside[-1] += whole

        setattr(owner, name, timed)


def child(out: str) -> None:
    """One report into ``out``; prints the seconds of all of it and of each part."""
    start = time.perf_counter()
    from interp import figures, images
    from interp.cli import commandline, run
    from interp.core import machine
    from interp.runs import entries, manifest
    from interp.runs import run as runs
    from interp.zoo import weights

    clock = Clock()
    # `hashlib` is one module for all: each of these gets a stand-in of its own, so that only its hashing is timed.
    for module in (runs, images):
        module.hashlib = SimpleNamespace(sha256=hashlib.sha256)  # type: ignore[attr-defined]
    for owner, name, part in (
        (runs.Run, "arrays", ARRAYS),
        (figures, "spec_hash", SPECS),
        (weights, "state_sha256", WEIGHTS),
        (runs, "source_commit", GIT),
        (runs, "versions", VERSIONS),
        (runs.Run, "manifest", MANIFEST),
        (manifest.Manifest, "to_json", MANIFEST),
        (manifest, "_value", MANIFEST),
        (manifest, "_digest", MANIFEST),
        (machine, "machine", MACHINE),
        (images.hashlib, "sha256", INPUTS),
        (entries, "file_hash", INPUTS),
        (runs.hashlib, "sha256", HASHES),
        (runs, "file_hash", ARRAY_FILE),
        (runs, "config_entry", CONFIG),
        (runs, "to_yaml", CONFIG),
        (commandline, "command_line", CONFIG),
        (runs.Run, "_write", WRITING),
        (runs, "save_arrays", WRITING),
        (runs.Run, "__exit__", DISK),
    ):
        clock.around(owner, name, part)
    assert run(["report", "--out", out]) == 0
    print(json.dumps([time.perf_counter() - start, clock.seconds, clock.calls]))


def main() -> None:
    rounds: list[tuple[float, dict[str, float], dict[str, int]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            command = [sys.executable, __file__, str(Path(folder) / str(number))]
            rounds.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
    whole = statistics.median(seconds for seconds, _, _ in rounds)
    calls = rounds[0][2]
    median = {part: statistics.median(parts.get(part, 0.0) for _, parts, _ in rounds) for part in calls}
    print(f"interp report: {whole:.1f} s\n\n| part | times | ms | % of the report |\n|---|---:|---:|---:|")
    for part in sorted(median, key=lambda name: (name in OUTSIDE, -median[name])):
        print(f"| {part} | {calls[part]} | {1000 * median[part]:.1f} | {100 * median[part] / whole:.2f} |")
    own = sum(seconds for part, seconds in median.items() if part not in OUTSIDE)
    print(f"| **all but writing and the disk** | | {1000 * own:.1f} | **{100 * own / whole:.2f}** |")
    print(f"| all | | {1000 * sum(median.values()):.1f} | {100 * sum(median.values()) / whole:.2f} |")


if __name__ == "__main__":
    child(sys.argv[1]) if len(sys.argv) > 1 else main()
