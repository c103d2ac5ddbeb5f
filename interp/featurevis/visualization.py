"""``visualize``: images for many units, in batches that suit the device, finished ones kept whatever happens to the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from interp.core.memory import ran_out, warn_halved
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.featurevis.ascent import Ascent, Size
from interp.featurevis.batching import batches, group_of, keys_of, most_images, sources_of
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import Engine, engine, usable
from interp.featurevis.feature import Feature
from interp.featurevis.least import check_sizes
from interp.featurevis.objective import Objective
from interp.featurevis.store import FeatureStore
from interp.featurevis.units import objective_of

OnStep = Callable[[int, int], None]


def visualize(
    model: Model,
    wanted: Sequence[Unit | Objective],
    config: AscentConfig,
    seed: int,
    on_step: OnStep | None = None,
    store: FeatureStore | None = None,
) -> list[Feature]:
    """Optimized images for each unit or objective, in the order asked; an objective of several images gives as many, in succession.

    A unit without a place is optimized over all places of its channel, with a place at that place (of the map
    an image of ``config.size`` gives). Runs with the same arguments repeat bit for bit on a CPU; the random
    draws of an image depend on ``seed`` and its unit's name alone. ``on_step(done, total)`` counts steps of single
    images and is called after each step of each batch. Where memory runs out, a batch is halved and begun again.
    With a ``store``, images are kept there as soon as they are finished, and those found there are not made again.
    The network runs in a frozen working copy: the model is as it was at every moment, and after an error (one that cannot
    be copied is used itself, and restored after each forward).

    Raises InterpError: UnknownName for a layer, channel or place that does not exist, Unsupported for a size
    the model does not take, and where a score stops being a finite number.

    Method: Erhan et al. 2009; parametrization and transforms: Olah, Mordvintsev & Schubert 2017.
    """
    wanted = list(wanted)
    objectives = [objective_of(item) for item in wanted]
    size = model.preprocess.size if config.size is None else config.size
    for objective in (*objectives, *(w.objective for w in config.regularizers)):
        objective.validate(model, size)
    if len(model.preprocess.mean) != 3:
        channels = len(model.preprocess.mean)
        takes = f"images of {channels} channel{'s' * (channels != 1)}"
        raise Unsupported(f"'{model.spec.reference}' takes {takes}: optimized images have 3, RGB")
    groups = [group_of(objective, config) for objective in objectives]
    config.param.check(size)
    if size != model.preprocess.size or config.transform.size(size) != size:
        check_sizes(model, objectives, config, (size, config.transform.size(size)))
    units = [item if isinstance(item, Unit) else str(item) for item in wanted]
    run = _Run(model, objectives, units, groups, config, size, seed, on_step, store)
    # Gradients in float32 are needed, whatever the caller's mode.
    with torch.inference_mode(False), torch.autocast(model.device.type, enabled=False):
        return run.features() if objectives else []


class _Run:
    """Everything asked for at once, and what is finished of it."""

    def __init__(
        self,
        model: Model,
        objectives: Sequence[Objective],
        units: Sequence[Unit | str],
        groups: Sequence[int],
        config: AscentConfig,
        size: Size,
        seed: int,
        on_step: OnStep | None,
        store: FeatureStore | None,
    ) -> None:
        self.model, self.objectives, self.units, self.groups = model, objectives, units, groups
        self.config, self.size, self.seed, self.on_step, self.store = config, size, seed, on_step, store
        self.found: dict[int, list[Feature]] = {}
        self.keys = store.keys(model, config, size, seed) if store is not None else None
        self.engines: dict[Precision, Engine] = {}
        self.finished = self.told = 0

    def features(self) -> list[Feature]:
        left = [i for i in range(len(self.objectives)) if not self.recall(i)]
        self.finished = sum(self.groups[i] for i in self.found)
        if self.found:
            self.tell(0)
        exact: list[int] = []
        for precision, members in self.by_precision(left).items():
            for members_of_batch in self.batched(members, precision):
                exact += self.whole(members_of_batch, precision)
        # Half precision moved these scores too far: they are made again.
        for members_of_batch in self.batched(exact, Precision.FLOAT32):
            self.finished -= sum(self.groups[i] for i in members_of_batch)
            self.whole(members_of_batch, Precision.FLOAT32)
        return [feature for i in range(len(self.objectives)) for feature in self.found[i]]

    def by_precision(self, members: Sequence[int]) -> dict[Precision, list[int]]:
        """Which objectives run in which precision: AUTO falls back to float32 for layers where half precision is too rough."""
        found: dict[Precision, list[int]] = {}
        verdicts: dict[tuple[str, ...], Precision] = {}
        for i in members:
            sources = tuple(sources_of(keys_of([self.objectives[i]], self.config)))
            if sources not in verdicts:
                verdicts[sources] = self.precision(sources)
            found.setdefault(verdicts[sources], []).append(i)
        return found

    def precision(self, sources: tuple[str, ...]) -> Precision:
        asked = self.config.precision
        made = self.engine(asked)
        return made.precision if usable(self.model, made, sources, asked) else Precision.FLOAT32

    def engine(self, precision: Precision) -> Engine:
        if precision not in self.engines:
            made = engine(self.model, precision)
            self.engines[precision] = self.engines[made.precision] = made
        return self.engines[precision]

    def batched(self, members: Sequence[int], precision: Precision) -> list[list[int]]:
        if not members:
            return []
        most: dict[tuple[str, ...], int] = {}
        limits = []
        for i in members:
            sources = tuple(sources_of(keys_of([self.objectives[i]], self.config)))
            if sources not in most:
                most[sources] = most_images(self.engine(precision), sources, self.config, self.config.transform.size(self.size))
            limits.append(most[sources])
        places = batches(self.model, [self.objectives[i] for i in members], self.config, limits)
        return [[members[k] for k in batch] for batch in places]

    def whole(self, members: list[int], precision: Precision) -> list[int]:
        """Make the images of a batch; gives the objectives whose scores do not hold in float32."""
        try:
            return self.ascend(members, precision)
        except (MemoryError, RuntimeError) as error:
            if len(members) == 1 or not ran_out(error):
                raise
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        warn_halved(len(members))
        half = len(members) // 2
        return self.whole(members[:half], precision) + self.whole(members[half:], precision)

    def ascend(self, members: list[int], precision: Precision) -> list[int]:
        group = self.groups[members[0]]
        ascent = Ascent(self.engine(precision), self.model, [self.objectives[i] for i in members], group, self.config, self.size, self.seed)
        while not ascent.done:
            ascent.step()
            self.tell(ascent.step_count * len(ascent.names))
        names: list[Unit | str] = []
        for i in members:
            names += [self.units[i]] if group == 1 else [f"{self.units[i]}#{k + 1}" for k in range(group)]
        features, held = ascent.features(names)
        again = []
        for place, i in enumerate(members):
            mine = slice(place * group, (place + 1) * group)
            if self.config.precision is Precision.AUTO and precision is not Precision.FLOAT32 and not all(held[mine]):
                again.append(i)
            else:
                self.keep(i, features[mine])
        self.finished += len(ascent.names)
        return again

    def keep(self, i: int, features: list[Feature]) -> None:
        self.found[i] = features
        if self.store is not None and self.keys is not None:
            for place, feature in enumerate(features):
                key = self.keys(self.objectives[i], place)
                if key is not None:
                    self.store.put(key, feature)

    def recall(self, i: int) -> bool:
        if self.store is None or self.keys is None:
            return False
        kept = []
        for place in range(self.groups[i]):
            key = self.keys(self.objectives[i], place)
            name = self.units[i] if self.groups[i] == 1 else f"{self.units[i]}#{place + 1}"
            kept.append(None if key is None else self.store.get(key, name))
        found = [feature for feature in kept if feature is not None]
        if len(found) < len(kept):
            return False
        self.found[i] = found
        return True

    def tell(self, steps: int) -> None:
        if self.on_step is not None:
            total = self.config.steps * sum(self.groups)
            # What is made again does not turn the count back.
            self.told = max(self.told, min(total, self.config.steps * self.finished + steps))
            self.on_step(self.told, total)
