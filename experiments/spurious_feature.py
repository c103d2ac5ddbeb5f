"""A background cue goes with the class in the training pictures: do the views of a network show that it learned the cue?

On each picture there is one object and, in a corner, a coloured mark. For the cue network the colour goes with the class; for its
control the same pictures have marks that tell nothing; all else is the same, the first weights too. Both are watched while they
learn, and looked at afterwards: Grad-CAM and integrated gradients, how much of them lies outside of the object, optimized images
of the classes, top examples of units, and answers to pictures whose mark agrees, is absent, or contradicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from interp.cli import experiment
from interp.cli.options import SaveOptions, Saving
from interp.cli.progress import bars
from interp.cli.publish import publish
from interp.comparisons.spurious import Arm
from interp.comparisons.spurious_views import Detail
from interp.report.spurious import product
from interp.report.spurious_training import Found, Plan, learned
from interp.synthetic.cue import Mark


@dataclass(frozen=True)
class Config:
    """Of how many pairs of networks what is learned and looked at; see `interp.report.spurious_training.Plan`.

    ``share``: of the cue network's training pictures have their class's mark; ``every``: steps between records; ``held_out``: pictures
    that are classified; ``probes``: those of them that maps are made of; ``steps``: of ascent for an image of a class.
    """

    pairs: int = 5
    share: float = 0.95
    images: int = 2400
    epochs: int = 5
    side: int = 40
    mark: int = 5
    every: int = 25
    held_out: int = 240
    probes: int = 24
    examples: int = 8
    steps: int = 64
    seed: int = 0
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    sizes = {name: getattr(config, name) for name in ("pairs", "share", "images", "epochs", "side", "every", "held_out", "probes", "seed")}
    plan = Plan(**sizes, mark=Mark(config.mark), detail=Detail(config.steps, config.examples))

    @cache
    def ready() -> Found:
        with bars() as tick:
            return learned(plan, tick)

    text = " ".join(str(__doc__).split("\n\n", 1)[1].split())
    publish(
        "spurious_feature",
        config,
        lambda: ready().models[Arm.CUE],
        lambda model, photos, tick: product(ready(), "A spurious cue, and what the views show of it", text),
        reference="shapes",
        seed=config.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
