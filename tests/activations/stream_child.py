"""Passes over a folder that are killed as soon as they have seen so many pictures: FOLDER, then CHECKPOINT KILL BATCHES of each.

Each is a process of its own, split off once everything is imported. A line for each step (pictures done, resumed from), and in the
end "exit" and how the process ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from streaming import LAYERS, small

from interp import datasets
from interp.activations.stream import ScanConfig, Step, scan


def killed(folder: Path, checkpoint: Path, kill: int, batches: int) -> None:
    def step(at: Step) -> None:
        os.write(1, f"{at.done} {at.resumed}\n".encode())
        if at.done >= kill:
            os.kill(os.getpid(), signal.SIGKILL)

    scan(small(), datasets.open(folder), LAYERS, ScanConfig(batch=4, batches=batches), step, checkpoint)


if __name__ == "__main__":
    torch.set_num_threads(1)
    pictures, jobs = Path(sys.argv[1]), sys.argv[2:]
    for k in range(0, len(jobs), 3):
        process = os.fork()
        if not process:
            killed(pictures, Path(jobs[k]), int(jobs[k + 1]), int(jobs[k + 2]))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
