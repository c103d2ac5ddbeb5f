"""The pass itself: resumed after a kill, independent of batches, and what it does with bad pictures, changed data and full disks."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streaming import LAYERS, InMemory, Small, passed, pictures, small
from torch import nn

from interp import datasets
from interp.activations.stream import Scan, ScanConfig, Side, Step, passing, scan
from interp.core.memory import peak
from interp.core.model import Model
from interp.errors import BadFile, InterpError, UnknownName, Unsupported
from interp.runs import InputEntry, partial


@pytest.fixture(scope="module")
def model() -> Model:
    return small()


def filled(root: Path) -> Path:
    for number, pixels in enumerate(pictures(22)):
        (root / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "ab"[number % 2] / f"{number:02}.png")
    (root / "a" / "04.png").write_bytes(b"no picture")
    (root / "b" / "05.png").write_bytes(b"")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "pictures")


def same(one: Scan, other: Scan, exact: bool = True) -> None:
    """Equal in every value; without ``exact`` but for the rounding of sums, examples in their images all the same."""
    assert (one.sources, one.skipped, one.labels) == (other.sources, other.skipped, other.labels)
    assert one.layers.keys() == other.layers.keys()
    for name, layer in one.layers.items():
        for field in dataclasses.fields(layer):
            first, second = getattr(layer, field.name), getattr(other.layers[name], field.name)
            if field.name in ("top", "bottom"):
                np.testing.assert_array_equal(first.images, second.images)
                np.testing.assert_array_equal(first.rows, second.rows)
                np.testing.assert_array_equal(first.cols, second.cols)
                first, second = first.values, second.values
            if not isinstance(first, np.ndarray):
                assert first == second
            elif exact or first.dtype.kind in "iu":
                np.testing.assert_array_equal(first, second)
            else:
                np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class Killed:
    """A pass that was killed: how its process ended, the (done, resumed) of its steps, and the checkpoint it left."""

    code: int
    steps: list[tuple[int, int]]
    checkpoint: Path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[int, int], Killed]]:
    """A folder, and passes over it by (pictures until the kill, batches between checkpoints)."""
    root = tmp_path_factory.mktemp("killed")
    jobs = {(kill, batches): root / f"{kill}-{batches}" for kill, batches in ((8, 1), (20, 1), (12, 2))}
    words = [str(word) for (kill, batches), path in jobs.items() for word in (path, kill, batches)]
    script = Path(__file__).with_name("stream_child.py")
    folder = filled(root / "pictures")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    *parts, rest = re.split(r"exit (.*)\n", done.stdout)
    assert not rest
    found = {}
    for (job, path), told, code in zip(jobs.items(), parts[::2], parts[1::2], strict=True):
        found[job] = Killed(int(code), [(int(a), int(b)) for a, b in (line.split() for line in told.splitlines())], path)
    return folder, found


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("kill", "batches", "resumed"), [(8, 1, 8), (20, 1, 20), (12, 2, 8)])
def test_killed_and_resumed_is_the_same_bit_for_bit(
    model: Model, killed: tuple[Path, dict[tuple[int, int], Killed]], kill: int, batches: int, resumed: int
) -> None:
    """At most one interval between checkpoints is done again."""
    folder, left = killed[0], killed[1][kill, batches]
    assert left.code == -signal.SIGKILL
    assert left.steps[-1] == (kill, 0)
    data = datasets.open(folder)
    whole = scan(model, data, LAYERS, ScanConfig(batch=4))
    seen: list[Step] = []
    again = scan(model, data, LAYERS, ScanConfig(batch=4, batches=batches), seen.append, left.checkpoint)
    same(whole, again)
    assert whole.key == again.key
    assert seen[0] == Step(resumed, 22, 1 if resumed < 14 else 2, resumed, f"going on behind {resumed} of 22 pictures")
    assert [step.done for step in seen[1:]] == [*range(resumed + 4, 22, 4), 22]


def test_a_finished_pass_is_had_again_without_a_forward(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.open(folder)
    first = scan(model, data, LAYERS, ScanConfig(batch=4), checkpoint=tmp_path / "pass")
    monkeypatch.setattr(passing, "forward", lambda *_: pytest.fail("a forward"))
    same(first, scan(model, data, LAYERS, ScanConfig(batch=4), checkpoint=tmp_path / "pass"))


def test_the_batch_and_the_memory_change_nothing(model: Model) -> None:
    data = InMemory(pictures(11))
    whole = passed(model, data, batch=64, top=4)
    for batch in (1, 2, 5):
        same(whole, passed(model, data, batch=batch, top=4), exact=False)
    limited = replace(model, memory=max(1_000_000, 3 * peak(lambda: passed(model, InMemory(pictures(1))))))
    same(whole, passed(limited, data, batch=64, top=4), exact=False)


def test_a_batch_for_which_memory_runs_out_is_halved(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data, real = InMemory(pictures(9)), passing.forward

    def narrow(given: Model, images: torch.Tensor, layers: list[str], on_maps: Callable[..., None]) -> None:
        real(given, images, layers[:2] if len(images) > 3 else layers, on_maps)
        if len(images) > 3:  # after two layers have been reduced
            raise MemoryError

    whole = passed(model, data)
    monkeypatch.setattr(passing, "forward", narrow)
    with pytest.warns(UserWarning, match="was halved"):
        same(whole, passed(model, data), exact=False)


def test_pictures_that_cannot_be_read_are_listed(model: Model, folder: Path) -> None:
    found = scan(model, datasets.open(folder), LAYERS, ScanConfig(batch=4))
    assert [name for name, _ in found.skipped] == ["a/04.png", "b/05.png"]
    assert all("is in none of the formats" in reason and str(folder) not in reason for _, reason in found.skipped)
    assert len(found.sources) == 20
    assert [source.index for source in found.sources] == [k for k in range(22) if k not in (2, 13)]
    assert found.layers["fc"].images == 20
    good = InMemory([p for k, p in enumerate(pictures(22)) if k not in (4, 5)])
    alone = passed(model, good)
    np.testing.assert_allclose(np.sort(found.layers["fc"].top.values, 1), np.sort(alone.layers["fc"].top.values, 1), atol=1e-5)


def test_no_picture_that_can_be_read(model: Model) -> None:
    with pytest.raises(BadFile, match=r"none of the 2 pictures of 'memory' can be read; the first: '0\.png' is damaged"):
        passed(model, InMemory([None, None]))


def test_other_work_starts_anew_and_says_so(model: Model, folder: Path, tmp_path: Path) -> None:
    data, checkpoint = datasets.open(folder), tmp_path / "pass"
    usual = ScanConfig(batch=11)

    def notes(given: Model = model, layers: tuple[str, ...] = LAYERS, config: ScanConfig = usual) -> str:
        seen: list[Step] = []
        scan(given, datasets.open(folder), layers, config, seen.append, checkpoint)
        return seen[0].note

    other = Small()
    with torch.no_grad():
        other.fc.bias += 1
    anew = "the checkpoint 'pass' is not taken up, it is of other weights, data or options: starting anew"
    assert notes() == ""
    assert notes() == "going on behind 22 of 22 pictures"
    assert notes(config=ScanConfig(batch=11, seconds=5.0)) == "going on behind 22 of 22 pictures"
    assert notes(config=ScanConfig(batch=11, top=2)) == anew
    assert notes(layers=("fc",)) == anew
    assert notes(given=small(other)) == anew
    assert notes(given=replace(small(other), preprocess=replace(model.preprocess, resize=13))) == anew
    assert notes() == anew
    Image.new("RGB", (12, 12)).save(folder / "a" / "00.png")
    assert notes() == "the checkpoint 'pass' is not taken up, 'a/00.png' has changed since: starting anew"
    os.utime(folder / "a" / "00.png", ns=(1, 1))  # written again with the same content
    assert notes() == "going on behind 22 of 22 pictures"
    (folder / "b" / "99.png").write_bytes((folder / "b" / "01.png").read_bytes())
    assert notes() == anew
    checkpoint.write_bytes(checkpoint.read_bytes()[:-200])
    assert "it is damaged" in notes()
    assert data.name(0) == "a/00.png"


def test_keys_differ_with_the_pictures(model: Model) -> None:
    one, other = pictures(4), pictures(4)
    assert passed(model, InMemory(one)).key == passed(model, InMemory(other)).key
    other[2] = np.zeros_like(other[2])
    assert passed(model, InMemory(one)).key != passed(model, InMemory(other)).key


def test_keys_differ_with_the_users_own_code(model: Model) -> None:
    data = InMemory(pictures(4))

    def key(*texts: bytes) -> str:
        files = tuple(InputEntry("net.py", hashlib.sha256(text).hexdigest(), len(text)) for text in texts)
        return passed(replace(model, spec=replace(model.spec, files=files)), data).key

    assert key(b"relu") == key(b"relu")
    assert len({key(), key(b"relu"), key(b"tanh")}) == 3


def test_a_full_disk(model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, checkpoint = datasets.open(folder), tmp_path / "pass"
    scan(model, data, LAYERS, ScanConfig(batch=4, top=3), checkpoint=checkpoint)
    before = checkpoint.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(partial.os, "fsync", full)
    with pytest.raises(BadFile, match=r"the checkpoint `.*pass` cannot be written: No space left on device"):
        scan(model, data, LAYERS, ScanConfig(batch=4), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "pass"}


def test_the_model_is_left_as_it_was() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    model = small(net)
    net.train()
    net[0].weight.grad = torch.ones_like(net[0].weight)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def check() -> None:
        assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
        assert all(module.training for module in net.modules())
        assert all(parameter.requires_grad for parameter in net.parameters())
        assert torch.equal(net[0].weight.grad, torch.ones_like(net[0].weight))
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())

    found = passed(model, InMemory(pictures(3)), ["0", "2"])
    check()
    # The in-place ReLU behind it did not change what was seen of the convolution and its BatchNorm.
    assert (found.layers["0"].minimum < 0).any()
    with pytest.raises(RuntimeError, match="from the outside"):
        scan(
            model,
            InMemory(pictures(3)),
            ["0"],
            on_batch=lambda step: (_ for _ in ()).throw(RuntimeError("from the outside")) if step.done else None,
        )
    check()


def test_more_examples_than_pictures(model: Model) -> None:
    found = passed(model, InMemory(pictures(2)), top=5).layers["fc"]
    assert (found.examples(Side.TOP).images >= 0).sum(1).tolist() == [2, 2, 2, 2]
    assert found.top.images[0, 0] == found.bottom.images[0, 1]


def test_layers_and_options_that_cannot_be(model: Model, trap_model: Model) -> None:
    data = InMemory(pictures(2))
    with pytest.raises(UnknownName, match="no layer 'conv3' in 'small': did you mean 'conv"):
        passed(model, data, ["conv3"])
    with pytest.raises(InterpError, match="at least one"):
        passed(model, data, [])
    with pytest.raises(Unsupported, match="'both'"):
        passed(trap_model, data, ["both"])
    for options, message in (({"top": 0}, "`top` is 0"), ({"bins": 7}, "power of two"), ({"levels": (2.0,)}, "shares from 0 to 1")):
        with pytest.raises(InterpError, match=message):
            passed(model, data, **options)


def test_values_that_are_not_finite() -> None:
    net = Small()
    model = small(net)
    with torch.no_grad():
        net.conv2.bias[2] = float("nan")
    with pytest.raises(InterpError, match=r"unit 'conv2:2' gives values that are not finite"):
        passed(model, InMemory(pictures(2)), ["conv1", "conv2"])


def test_of_a_module_called_twice_the_last_call_counts(trap_model: Model) -> None:
    found = passed(trap_model, InMemory(pictures(3)), ["relu", "pair"]).layers
    assert found["relu"].places == trap_model.layer("relu").map_shape[1:]
    np.testing.assert_allclose(found["pair"].mean, 2 * found["relu"].mean, rtol=1e-5)
