"""``watch``: a recorder for a training, new or gone on with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, SupportsIndex

import torch
from torch import nn

from interp.core.model import Model
from interp.core.unit import AnyUnit, Unit
from interp.errors import BadFile, InterpError, Unsupported
from interp.images import Preprocess
from interp.watching import header as heads
from interp.watching import writers as beside
from interp.watching.budget import Budget
from interp.watching.counts import whole
from interp.watching.detail import Detail
from interp.watching.folder import Folder, refuse_new
from interp.watching.header import Header
from interp.watching.interval import Interval
from interp.watching.looking import IMAGES, Look, Looker
from interp.watching.outlet import Outlet
from interp.watching.plan import Asked, planned
from interp.watching.precision import exact
from interp.watching.probes import Given, Probes, normalized_already, probes
from interp.watching.recorder import Recorder
from interp.watching.recording import Recording
from interp.watching.surroundings import apart, settled
from interp.watching.writers import Writer
from interp.zoo.loading import load
from interp.zoo.suitable import bare, first_channels

DETAIL = Detail()


def watch(
    model: nn.Module | Model,
    folder: str | Path,
    images: Given = None,
    *,
    every: SupportsIndex | None = None,
    epochs: SupportsIndex | None = None,
    units: Sequence[Unit | str] = (),
    targets: Sequence[AnyUnit] | None = None,
    kernels: Sequence[str] | None = None,
    activations: Sequence[str] | None = None,
    gradcam: Sequence[str] | None = None,
    budget: float | int | None = 0.02,
    resume: bool = False,
    start: SupportsIndex | None = None,
    writers: Sequence[str | Writer] = (),
    preprocess: Preprocess | Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    output: str | int | None = None,
    detail: Detail = DETAIL,
    clock: Callable[[], float] = time.perf_counter,
) -> Recorder:
    """A `Recorder` of the training of ``model``, which writes into the new folder ``folder``.

        recorder = interp.watch(model, "runs/first", images=["cat.png"], every=100, units=["conv1:3"])
        for ...:
            loss.backward(); optimizer.step()
            recorder.step(loss=loss.item())
        recorder.close()

    A record is made now, every so many steps (``every``, by default 100) or ``epochs``, and at the end. In each the network is shown
    the same ``images``: a tensor or array (n, channels, rows, cols), as the network takes it; or files, folders and names of sample
    photographs, prepared by ``preprocess`` (with which a tensor is in [0, 1], and of its size). Kept are the weights of the layers
    ``kernels`` (default: the first convolution), a few channels of the ``activations`` of layers (four over the depth), Grad-CAM at
    the layers ``gradcam`` (the last with places) of each image's class in ``targets`` (default: the one that the network says at the
    moment), images optimized for ``units``, and statistics of all filters. ``detail`` bounds the sizes.

    The training is unchanged, bit for bit on a CPU: modes, buffers, gradients, hooks and random generators are as before each record.
    (Hooks that are on the network already see the probes go through it, as they see all that does.)

    The recorder keeps to the share ``budget`` of the time since now, by leaving out records; half of it is theirs, whatever the
    numbers cost. Never left out are the first record and the last, with all their parts, and your numbers (some microseconds a step):
    a training so short that these take more goes beyond its budget. With a budget numbers are written several at once where writing is
    dear, half a second late at most while steps go on, and writers get fewer points where they are dear. None for no limit: then each
    number is written at once.

    With ``resume`` a recording that is in ``folder`` goes on, from its last step or from step ``start`` (the one of your checkpoint),
    and begins where there is none; kernels and units must be the same. ``writers``: "tensorboard", "wandb". ``classes`` and
    ``output`` are those of `interp.load`.

    Raises BadFile where the folder is taken or of another network, UnknownName for a layer, unit, class or writer that does not
    exist, Unsupported where the network cannot be looked into or a package is missing, InterpError otherwise.
    """
    interval, spent = Interval.of(every, epochs), Budget(budget, clock)
    begin = None if start is None else whole("start", start, 0, "give the step of your checkpoint, 0 or more")
    with spent:
        path = Path(folder)
        beside.check(writers)
        before = Recording.read(path) if resume and (path / heads.NAME).exists() else None
        if before is None:
            refuse_new(path)
        elif begin is not None:
            _refuse_beyond(before, begin)
        shown, network = _network(model, images, preprocess, classes, output, before)
        asked = Asked(kernels, activations, gradcam, units, targets)
        plan = planned(network, asked, len(shown.images), detail.channels, detail.side)
        header = heads.header_of(network, shown, plan, detail, interval, spent.share)
        looker = Looker(network, shown, plan, detail)
        if before is None:
            return _begun(looker, path, header, interval, spent, writers, begin or 0)
        _refuse_other(before, header)
        return _gone_on(looker, before, interval, spent, writers, begin)


def _network(
    model: nn.Module | Model,
    images: Given,
    preprocess: Preprocess | Mapping[str, Any] | None,
    classes: Sequence[str] | None,
    output: str | int | None,
    before: Recording | None,
) -> tuple[Probes, Model]:
    """The probes, and the network ready to be looked at; it is refused first where a recording is of others."""
    if isinstance(model, Model):
        if preprocess is not None or classes is not None or output is not None:
            raise InterpError("a Model has its `preprocess`, `classes` and `output`: leave them out, or give its module")
        shown = probes(images, model.preprocess, model.module)
        network = exact(model)
    else:
        module = bare(model, type(model).__name__)
        with apart(_device(module)):
            shown = probes(images, preprocess, module)
            _refuse_other_size(before, shown)
            network = exact(_loaded(module, shown, classes, output))
    _refuse_other_size(before, shown)
    network.checked(shown.images)
    if before is not None and (differs := heads.difference(before.header, network)):
        raise BadFile(f"`{before.folder}` is a recording of another network: {differs}; choose another folder")
    return shown, network


def _loaded(module: nn.Module, shown: Probes, classes: Sequence[str] | None, output: str | int | None) -> Model:
    try:
        return load(module, preprocess=shown.preprocess, classes=classes, output=output)
    except Unsupported as error:
        takes, given = first_channels(module), int(shown.images.shape[1])
        if takes is None or takes == given or error.__cause__ is None:
            raise
        count = "a number" if takes == 1 else f"{takes} numbers"
        raise Unsupported(
            f"`images` have {given} channel{'s' * (given != 1)}, and the first convolution of '{type(module).__name__}' takes {takes}: "
            f'give a tensor (n, {takes}, rows, cols), or photographs with `preprocess={{"mean": ..., "std": ...}}` of {count} each'
        ) from error


def _begun(
    looker: Looker, path: Path, header: Header, interval: Interval, budget: Budget, writers: Sequence[str | Writer], start: int
) -> Recorder:
    if looker.plan.units and normalized_already(looker.probes):
        low, high = float(looker.probes.images.min()), float(looker.probes.images.max())
        raise Unsupported(
            f"`units` are optimized in [0, 1], and `images` run from {low:.3g} to {high:.3g}: give images in [0, 1], and with "
            "`preprocess=interp.Preprocess(...)` the mean and std by which the network's input is made of them"
        )
    look, cost = _looked(looker, start, budget)
    folder = Folder.begin(path, header, looker.probes.images.numpy())
    recorder = Recorder(looker, _outlet(folder, writers, looker, budget), interval, budget, step=start)
    recorder.keep(look, cost)
    return recorder


def _looked(looker: Looker, step: int, budget: Budget) -> tuple[Look, float]:
    """The first look and what it cost, before a folder is made: what cannot be asked of the network is known now."""
    settled(looker.model.device)
    begin = budget.clock()
    return looker.look(step, strict=True), budget.clock() - begin


def _gone_on(
    looker: Looker, before: Recording, interval: Interval, budget: Budget, writers: Sequence[str | Writer], start: int | None
) -> Recorder:
    """Where the recording ended, or at an earlier step: then what came after it counts no more."""
    lines = before.lines
    moments = [(line.step, line.seconds) for line in lines.numbers] + [(event.step, event.seconds) for event in lines.events]
    moments += [(record.step, record.entry.seconds) for record in before.records]
    step = before.last_step if start is None else start
    kept = [record for record in before.records if record.step <= step]
    if kept and kept[-1].has(IMAGES):
        looker.climb.go_on_from(kept[-1].images)
    epochs = [line.epoch for line in lines.numbers if line.epoch is not None and line.step <= step]
    seconds = max([seconds for moment, seconds in moments if moment <= step], default=0.0)
    first = None if kept else _looked(looker, step, budget)
    outlet = _outlet(Folder.go_on(before.folder), writers, looker, budget)
    epoch, session = epochs[-1] if epochs else None, len(lines.starts) + 1
    recorder = Recorder(looker, outlet, interval, budget, step=step, epoch=epoch, session=session, seconds=seconds)
    if first is not None:
        recorder.keep(*first)
    else:
        budget.typical = kept[-1].entry.cost
        recorder.made_before(kept[-1].step)
    return recorder


def _outlet(folder: Folder, writers: Sequence[str | Writer], looker: Looker, budget: Budget) -> Outlet:
    device = looker.model.device
    try:
        with apart(device):
            return Outlet(folder, beside.made(writers, folder.path), device, budget)
    except BaseException:
        folder.close()
        raise


def _refuse_beyond(before: Recording, start: int) -> None:
    """Of a session that was closed the last step is known; of one that was killed the last steps may not have been written."""
    if start > before.last_step and before.closed:
        raise BadFile(
            f"`start={start}` is beyond the last step of the recording `{before.folder}`, {before.last_step}: give that step or an "
            "earlier one, or choose another folder"
        )


def _refuse_other_size(before: Recording | None, shown: Probes) -> None:
    size = tuple(shown.images.shape[1:])
    if before is not None and size != before.header.shape:
        there, here = (" x ".join(map(str, shape)) for shape in (before.header.shape, size))
        raise BadFile(
            f"the probe images of `{before.folder}` are {there} (channels x rows x cols), and those given are {here}: give the same"
        )


def _refuse_other(before: Recording, header: Header) -> None:
    """Raise BadFile where what is to be recorded is not what was: records would not be comparable."""
    there, here = before.header, header
    pairs: dict[str, tuple[object, object]] = {
        "images": (there.probes, here.probes),
        "preprocess": (there.preprocess, here.preprocess),
        "detail": (there.detail, here.detail),
        **{field.name: (getattr(there.plan, field.name), getattr(here.plan, field.name)) for field in fields(here.plan)},
    }
    other = next((name for name, (one, two) in pairs.items() if one != two), None)
    if other is not None:
        raise BadFile(f"`{before.folder}` was recorded with other `{other}`: give the same, or choose another folder")


def _device(module: nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
