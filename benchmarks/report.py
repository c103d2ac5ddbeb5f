"""What does the main job cost? Seconds and peak memory of `interp report` on the embedded network, as a user runs it.

Runs the command as a process of its own, several times, into a temporary folder. Target: at most 90 s and 3 GiB on
two cores. Run: python benchmarks/report.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3


def main() -> None:
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            start = time.perf_counter()
            command = [str(Path(sys.executable).with_name("interp")), "report", "--out", str(Path(folder) / str(number))]
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
            print(f"run {number + 1}: {seconds[-1]:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"median {statistics.median(seconds):.1f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
