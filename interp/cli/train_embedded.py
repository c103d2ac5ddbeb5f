"""Make the weights of the network that ships with interp, and say how good it is.

A plain stack of nine convolutions, trained on small photographs of 200 classes. It needs those, and hours, and leaves weights
instead of a run: so it is a tool, not an experiment. It is seeded, checkpointed, resumable (run the same command again), on any
device. Any folder of class folders, or Parquet files with the columns image and label, will do; the folder ``--out`` then holds
weights that ``interp report embedded --weights FILE`` reads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.progress import Progress

from interp.cli import experiment
from interp.zoo import weights
from interp.zoo.dataset import read
from interp.zoo.device import device
from interp.zoo.embedded import pack
from interp.zoo.embedded_net import EmbeddedNet
from interp.zoo.training import Schedule, Step, Trainer, accuracy


@dataclass(frozen=True)
class Config:
    """What to learn from, for how long, and where to keep the checkpoint and the weights."""

    data: tuple[Path, ...]
    validation: tuple[Path, ...]
    initial: Path | None = None
    """Weights to go on from, such as those of an earlier run; random ones if not given."""
    out: Path = Path("embedded")
    side: int = 64
    seed: int = 0
    device: str = "cpu"
    schedule: Annotated[Schedule, tyro.conf.arg(name="")] = field(default_factory=Schedule)


def main(config: Config) -> None:
    """Train, measure, and write the weights."""
    place = device(config.device)
    training, held_out = read(config.data, config.side), read(config.validation, config.side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = EmbeddedNet(len(training.classes))
    if config.initial is not None:
        weights.apply(net, weights.read(config.initial), config.initial)
    trainer = Trainer(net, training.images, training.labels, config.schedule, config.seed, place)
    config.out.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        task = progress.add_task("training", total=trainer.steps)

        def on_step(step: Step) -> None:
            words = f"training at {step.size} px, loss {step.loss:.3f}, {step.images_per_second:.0f} images/s"
            progress.update(task, completed=step.done, description=words)

        trainer.run(config.out / "checkpoint.pt", on_step)
    first, fifth = accuracy(trainer.averaged, held_out.images, held_out.labels, place)
    pack(trainer.averaged, config.out / "embedded.safetensors")
    found = f"{len(held_out)} held-out pictures: top-1 {first:.2%}, top-5 {fifth:.2%}"
    sys.stdout.write(f"{found}; weights in {config.out / 'embedded.safetensors'}\n")


if __name__ == "__main__":
    experiment(Config, main)
