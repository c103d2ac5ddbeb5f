"""A process that passes over a folder, and is killed as soon as it has seen so many pictures: FOLDER CHECKPOINT KILL BATCHES OUT."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from streaming import LAYERS, small

from interp import datasets
from interp.activations.stream import ScanConfig, Step, scan

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, checkpoint, kill, batches = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

    def step(at: Step) -> None:
        sys.stdout.write(f"{at.done} {at.resumed}\n")
        sys.stdout.flush()
        if at.done >= kill:
            os.kill(os.getpid(), signal.SIGKILL)

    scan(small(), datasets.open(folder), LAYERS, ScanConfig(batch=4, batches=batches), step, checkpoint)
