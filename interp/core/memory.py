"""How many images go through a network at once: as many as were asked for, as fit `Model.memory`, and as there is room for.

What an image costs is measured once, by doing the work for one image and counting the bytes of all tensors that live at the same
moment. That does not depend on what is free, so the same limit gives the same batches each time. Where memory runs out all the
same, a batch is halved, down to single images. Results do not depend on the batch, beyond the rounding of sums.
"""

from __future__ import annotations

import re
import warnings
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model

T = TypeVar("T")

_SIZE = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,6})?)\s*(?P<unit>[kmgt])(?P<binary>i?)b?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
# Less holds no network's images.
LEAST = 1_000_000
_WORDS = ("out of memory", "allocate memory", "not enough memory", "failed to allocate", "can't allocate")
_COSTS: weakref.WeakKeyDictionary[Model, dict[Hashable, int]] = weakref.WeakKeyDictionary()


def size_of(text: str, option: str = "--memory") -> int:
    """``500MB``, ``1.5GB`` or ``4GiB`` in bytes; raises InterpError where it is no size, or less than 1 MB."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InterpError(f"{option} '{text}' is no size: write a number and its unit, such as 500MB or 4GB")
    count = int(float(match["number"]) * (1024 if match["binary"] else 1000) ** _POWERS[match["unit"].lower()])
    if count < LEAST:
        raise InterpError(f"{option} {text} is too small: give at least 1MB")
    return count


def as_option(count: int) -> str:
    """Bytes as `size_of` reads them: ``310MB``, ``1.5GB``; rounded up, so that what is told is enough."""
    power = 3 if count >= 10**9 else 2
    tenths = -(-count * 10 // 1000**power)
    text = f"{tenths / 10:.1f}" if tenths < 100 else f"{-(-tenths // 10)}"
    return f"{text.removesuffix('.0')}{'GB' if power == 3 else 'MB'}"


def by_parts(model: Model, count: int, work: Callable[[int, int], T], key: Hashable, most: int | None = None) -> list[T]:
    """``work(start, stop)`` for consecutive parts of ``count`` images; what each gives, in order.

    A part has at most ``most`` images (all, if None) and at most as many as fit the model's memory; where memory runs out it is
    halved. ``key`` tells works of the same cost apart from others: what is done, and at which image size. Raises InterpError where
    a single image does not fit.
    """
    size = min(count, most or count)
    if count and model.memory is not None:
        size = fitting(model, key, size, lambda: work(0, 1))
    found: list[T] = []
    for start in range(0, count, size or 1):
        found += _halved(start, min(start + size, count), work)
    return found


def fitting(model: Model, key: Hashable, most: int, one: Callable[[], object], least: int = 1) -> int:
    """How many images fit the model's memory, at most ``most``; ``one`` does the work for one of them, to be measured.

    Raises InterpError where ``least`` do not.
    """
    if model.memory is None:
        return most
    known = _COSTS.setdefault(model, {})
    if key not in known:
        known[key] = peak(one)
    refuse_above(model, known[key], least)
    return max(1, min(most, model.memory // max(1, known[key])))


def refuse_above(model: Model, cost: int, least: int = 1) -> None:
    """Raise InterpError where ``least`` images of ``cost`` bytes each take more than the model's memory."""
    needed = least * cost
    if model.memory is None or needed <= model.memory:
        return
    images = "one image takes" if least == 1 else f"{least} images at once take"
    fewer = "" if least == 1 else ", or work on fewer at once (`batch_size`)"
    raise InterpError(
        f"{images} about {as_option(needed)} in '{model.spec.reference}' here, more than the memory limit of {as_option(model.memory)}: "
        f"give --memory {as_option(needed)} or more{fewer}"
    )


def halving(most: int, work: Callable[[int], T], least: int = 1) -> T:
    """``work(n)`` for ``n = most``, and for half of it as often as memory runs out; raises InterpError where ``least`` is too much."""
    while True:
        try:
            return work(most)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            if most <= least:
                raise _too_much(error) from None
        _after_running_out(most)
        most = max(least, most // 2)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch says it in words only, on some devices."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error).lower() for word in _WORDS)


def warn_halved(count: int) -> None:
    """Say that a batch of ``count`` was halved, in words that `interp.core.repeatable` takes into the manifest."""
    said = f"memory ran out and a batch of {count} was halved, which changes the last bits: the operation is not deterministic"
    warnings.warn(said, stacklevel=3)


def peak(work: Callable[[], object]) -> int:
    """Bytes of the tensors that ``work`` made and that lived at the same moment, at most; what was there before is not counted.

    What an operation takes while it runs, beside its results, is not seen.
    """
    living = _Living()
    with living:
        work()
    return living.most


@contextmanager
def limited(model: Model) -> Iterator[None]:
    """On CUDA torch takes no more than the model's memory inside, weights included; elsewhere no system limits it, and nothing is done.

    The setting cannot be asked for in every version of torch, so outside it is all of the device's memory, as torch begins.
    """
    if model.memory is None or model.device.type != "cuda":
        yield
        return
    whole = torch.cuda.get_device_properties(model.device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, model.memory / whole), model.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, model.device)


def _halved(start: int, stop: int, work: Callable[[int, int], T]) -> list[T]:
    try:
        return [work(start, stop)]
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        if stop - start <= 1:
            raise _too_much(error) from None
    # Behind the handler: the error holds all that was alive.
    _after_running_out(stop - start)
    middle = (start + stop) // 2
    return [*_halved(start, middle, work), *_halved(middle, stop, work)]


def _after_running_out(count: int) -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    warn_halved(count)


def _too_much(error: BaseException) -> InterpError:
    reason = " ".join(str(error).split()).partition(". ")[0][:120]
    return InterpError(f"memory ran out with a single image ({reason}): choose smaller images, a smaller network, or another --device")


class _Living(TorchDispatchMode):
    """Counts the bytes of the storages that operations inside make, for as long as each lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.most: int = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        # What goes in and was not made inside was there before: weights, images.
        self._note((args, kwargs), counts=False)
        result = func(*args, **(kwargs or {}))
        self._note(result, counts=True)
        return result

    def _note(self, values: object, *, counts: bool) -> None:
        for tensor in tree_leaves(values):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            place = storage._cdata
            if place in self._known:
                continue
            count = storage.nbytes() if counts else 0
            self._known[place] = weakref.ref(storage, partial(self._gone, place, count))
            self.now += count
            self.most = max(self.most, self.now)

    def _gone(self, place: int, count: int, _reference: object) -> None:
        self._known.pop(place, None)
        self.now -= count
