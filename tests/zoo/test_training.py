"""The training of the embedded network: its parts as equations, and that resuming changes nothing."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from interp.errors import BadFile
from interp.zoo.dataset import read
from interp.zoo.embedded_net import EmbeddedNet
from interp.zoo.muon import Muon, orthogonalize
from interp.zoo.training import Schedule, Trainer, augmented

CPU = torch.device("cpu")
SHORT = Schedule(epochs=4.0, batch=4, sizes=((0.5, 16), (0.5, 32)))


def pictures(count: int = 8, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), generator=rng, dtype=torch.uint8), torch.arange(count) % 2


def trainer(seed: int = 0) -> Trainer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = EmbeddedNet(2)
    return Trainer(net, *pictures(), SHORT, seed, CPU)


def test_the_rate_warms_up_holds_and_falls_to_zero():
    schedule = Schedule(warmup=0.1, hold=0.5)
    assert [schedule.factor(p) for p in (0.0, 0.05, 0.1, 0.5, 0.75, 1.0)] == [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]


def test_sizes_follow_their_shares():
    schedule = Schedule(sizes=((0.2, 32), (0.5, 48), (0.3, 64)))
    assert [schedule.size(p) for p in (0.0, 0.19, 0.21, 0.69, 0.71, 1.0)] == [32, 32, 48, 48, 64, 64]


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_orthogonalized_steps_have_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalize(matrix, steps=8))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_keeps_the_norm_of_each_weight_and_lowers_the_loss():
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2)))
    target = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(3))
    before = weight.detach().norm()
    optimizer = Muon([weight], lr=0.1)
    losses = []
    for _ in range(10):
        loss = -(weight * target).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert torch.isclose(weight.detach().norm(), before)
    assert losses == sorted(losses, reverse=True)


def test_augmentation_of_one_colour_changes_nothing_but_size():
    images = torch.full((3, 3, 32, 32), 200, dtype=torch.uint8)
    out = augmented(images, 16, 0.35, torch.Generator().manual_seed(0))
    expected = (200 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert out.shape == (3, 3, 16, 16)
    assert torch.allclose(out, expected.view(1, 3, 1, 1).expand_as(out), atol=1e-5)


def test_interrupted_and_resumed_gives_the_same_weights_bit_for_bit(tmp_path):
    whole = trainer()
    whole.run(tmp_path / "whole.pt", lambda step: None, every=3)

    def stop(step):
        if step.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer().run(tmp_path / "parts.pt", stop, every=3)
    torch.rand(5)
    resumed = trainer()
    resumed.run(tmp_path / "parts.pt", lambda step: None, every=3)
    for one, two in zip(whole.averaged.state_dict().values(), resumed.averaged.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert not (tmp_path / "parts.partial").exists()


def test_another_seed_gives_other_weights(tmp_path):
    one, two = trainer(0), trainer(1)
    one.run(tmp_path / "one.pt", lambda step: None)
    two.run(tmp_path / "two.pt", lambda step: None)
    assert not torch.equal(one.net.fc.weight, two.net.fc.weight)


def encoded(colour: tuple[int, int, int], size: tuple[int, int] = (20, 10)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "png")
    return stream.getvalue()


def test_parquet_and_folders_give_the_same_pictures(tmp_path):
    colours = {"ant": (255, 0, 0), "bee": (0, 0, 255)}
    rows = {"image": [encoded(c) for c in colours.values()], "label": [0, 1], "name": list(colours)}
    pq.write_table(pa.table(rows), tmp_path / "shard.parquet")
    for name, colour in colours.items():
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "0.png").write_bytes(encoded(colour))
    for source in ("shard.parquet", "folder"):
        found = read([tmp_path / source], 8)
        assert found.images[0, :, 4, 4].tolist() == [255, 0, 0]
        assert found.images.shape == (2, 3, 8, 8)
        assert found.labels.tolist() == [0, 1]
        assert found.classes == ("ant", "bee")


def test_sources_that_hold_nothing_are_refused(tmp_path):
    pq.write_table(pa.table({"picture": [b""], "label": [0]}), tmp_path / "other.parquet")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    for name, message in (
        ("other.parquet", "no column image; it has picture, label"),
        ("empty", "no labelled picture"),
        ("bad.parquet", "cannot be read"),
        ("nothing", "neither a folder"),
    ):
        with pytest.raises(BadFile, match=message):
            read([tmp_path / name], 8)


def test_the_network_takes_any_size_and_has_the_layers_it_promises():
    net = EmbeddedNet(200).eval()
    assert sum(p.numel() for p in net.parameters()) <= 3_000_000
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) >= 8
    assert net.stem.conv.kernel_size == (7, 7)
    with torch.no_grad():
        constant = [net(torch.full((1, 3, side, side), 0.3)) for side in (64, 96)]
    assert all(np.isfinite(c.numpy()).all() for c in constant)
