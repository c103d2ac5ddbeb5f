"""Watching a network learn: `watch` records a training, `Recording` reads what was recorded.

    recorder = interp.watch(model, "runs/first", images=["cat.png"], every=100, units=["conv1:3"])
    for x, y in loader:
        ...
        optimizer.step()
        recorder.step(loss=loss.item())
    recorder.close()

    recording = interp.watching.Recording.read("runs/first")
    for record in recording.records:
        record.kernels("conv1"), record.statistics("conv1"), record.summary["conv1"]["norm"]

Callbacks: `LightningWatch` for Lightning, `TrainerWatch` for the Trainer of Hugging Face; both are loaded when first asked for.

The folder of a recording, format 1. All JSON is strict; every file is written whole, beside its name, and then renamed, except for
``scalars.jsonl``, which grows by whole lines. So it may be read at any moment of the training.

``watch.json``
    The `Header`: which network (its layers and their shapes), probes and their hashes, the `Plan` of what is followed (layers, channels,
    units, classes), the `Detail`, versions. Written once.
``probes.safetensors``
    ``images`` (n, channels, rows, cols) float32, as they go into the `Model`.
``scalars.jsonl``
    One line for each step at which the user gave numbers: ``{"step": 7, "seconds": 0.4, "numbers": {"loss": 2.1}}``, with ``epoch``
    (how many are over) at the end of one; null for what is not finite. And events: ``{"event": "begun", "session": 1, "step": 0, ...}``,
    ``"passed over"`` (a record did not fit the budget: the first of several), ``"closed"`` (with ``spent``, the recorder's seconds,
    ``share``, that of the time, ``passed_over``, records left out since the last one, and ``error``). A last line without a newline
    is being written.

    With a budget, lines of numbers are written several at once where writing is dear for the time that steps take: they wait in memory
    for half a second at most while steps go on. Nothing waits where a record, an event or the end of an epoch is written, at
    `Recorder.flush`, and where the process ends, by an exception too. Of a process that is killed the lines that waited are lost, those
    of its last half second at most.
``records/000100.json``, ``records/000100.safetensors``
    The record of step 100, and of a second session (one that was resumed) ``000100-2``. The arrays come first: without the other file
    they are no record yet. The JSON is the `Entry`: step, seconds, cost, classes explained, what is missing and why, a summary of each
    convolution, and hash, dtype and shape of all arrays:

    ``kernels/LAYER`` (out, in, rows, cols) float32; ``activations/LAYER`` (n, channels, rows, cols) float16, the channels and size
    that the plan names; ``gradcam/LAYER`` (n, rows, cols) float32, signed; ``probes/scores`` (n, classes) float32; ``units/images``
    (units, rows, cols, channels) uint8, ``units/scores`` float32, ``units/silent`` bool; and per filter of every convolution
    ``statistics/LAYER/norm``, ``change`` (since the record before, relative to the norm; NaN in the first of a session),
    ``stable_rank``, ``effective_rank``, ``noise_p`` (NaN where it was not asked), float32, and ``dead`` (above 0 at no place of no
    probe, behind the normalization and activation that follow directly), bool.

A session that goes on from an earlier step than the last takes back what was recorded after it: its ``begun`` line says from where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interp.errors import Unsupported
from interp.watching.detail import Detail
from interp.watching.header import Header
from interp.watching.plan import Convolution, Followed, Plan
from interp.watching.record import Entry, Record
from interp.watching.recorder import Recorder
from interp.watching.recording import Recording
from interp.watching.starting import watch
from interp.watching.writers import Writer

if TYPE_CHECKING:
    from interp.watching.lightning_callback import LightningWatch as LightningWatch
    from interp.watching.trainer_callback import TrainerWatch as TrainerWatch

# Without the callbacks, which would be loaded by whoever asks for all names.
__all__ = [
    "Convolution",
    "Detail",
    "Entry",
    "Followed",
    "Header",
    "Plan",
    "Record",
    "Recorder",
    "Recording",
    "Writer",
    "watch",
]

_CALLBACKS = {"LightningWatch": ("lightning_callback", "lightning"), "TrainerWatch": ("trainer_callback", "transformers")}


def __getattr__(name: str) -> Any:
    if name not in _CALLBACKS:
        raise AttributeError(f"module 'interp.watching' has no attribute '{name}'")
    import importlib

    module, package = _CALLBACKS[name]
    try:
        return getattr(importlib.import_module(f"interp.watching.{module}"), name)
    except ImportError as error:
        raise Unsupported(f"`{name}` needs the package '{package}', which is not installed ({error}): install it") from None
