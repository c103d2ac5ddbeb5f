"""Where films come from: recordings, also while they are written, and rows of checkpoints, whose units can be matched."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from courses import DETAIL, Digits, trained
from safetensors.numpy import save_file

from interp.core.model import Model
from interp.errors import BadFile, InterpError, UnknownName
from interp.films import checkpoints, recorded
from interp.films.checkpoints import Wanted
from interp.films.row import Order, row
from interp.images import Preprocess
from interp.images import load as photos
from interp.watching import Recording, watch
from interp.zoo import load


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched") / "digits"
    trained(folder)
    return folder


@pytest.fixture
def copy(recording: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recording, tmp_path / "copy"))


def test_a_recording_is_followed_from_its_first_step_to_its_last(recording: Path) -> None:
    read = Recording.read(recording)
    found = recorded.of(read)
    assert found.steps == (0, 10, 20, 30, 40)
    assert list(found.weights) == ["conv1", "conv2"]
    for moment, record in enumerate(read.records):
        assert (found.weights["conv2"][moment] == record.kernels("conv2").weights).all()
        assert found.summaries["conv1"]["norm"].values[moment] == record.summary["conv1"]["norm"]
    assert found.numbers[0].name == "loss"
    assert found.numbers[0].steps.tolist() == list(range(1, 41))
    assert found.probe is not None
    assert found.probe.picture[..., 1] == pytest.approx(read.probes[0, 0])
    assert found.probe.explained == tuple(f"{record.entry.targets[0]}" for record in read.records)
    layer, unit = next(iter(found.probe.units.items()))
    channel = next(one.channels for one in read.header.plan.activations if one.layer == layer).index(int(unit.partition(":")[2]))
    maps = read.records[-1].activations(layer)[0].astype(np.float32)
    assert (found.probe.activations[layer][-1] == maps[channel]).all()
    assert np.abs(maps[channel]).mean() == np.abs(maps).mean(axis=(1, 2)).max()
    assert found.notes == ()


def test_a_network_without_convolutions_has_a_film_too(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    with watch(network, tmp_path / "run", torch.rand(2, 3, 2, 2), every=1, kernels=["1"], budget=None) as recorder:
        recorder.step()
    found = recorded.of(Recording.read(tmp_path / "run"))
    assert {layer: weights.shape for layer, weights in found.weights.items()} == {"1": (2, 5, 12, 1, 1)}
    assert (found.coloured, found.summaries) == (frozenset(), {})


def test_a_training_that_diverges_is_followed_as_far_as_it_goes(tmp_path: Path) -> None:
    network = Digits()
    recorder = watch(network, tmp_path / "run", torch.rand(2, 1, 8, 8), every=1, kernels=["conv1"], budget=None, detail=DETAIL)
    for step in range(4):
        if step == 2:
            network.conv1.weight.data[0, 0, 0, 0] = torch.nan
        recorder.step()
    recorder.close(ZeroDivisionError())
    found = recorded.of(Recording.read(tmp_path / "run"))
    assert found.steps == (0, 1, 2)
    assert "Left out: 2 records from step 3 on whose weights hold NaN or infinite values." in found.notes
    assert "The training ended with ZeroDivisionError at step 4." in found.notes
    assert not any("closed" in note for note in found.notes)


def test_records_that_did_not_fit_the_budget_are_told(tmp_path: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    with watch(Digits(), tmp_path / "run", torch.rand(2, 1, 8, 8), every=1, budget=0.001, detail=DETAIL, clock=clock) as recorder:
        for _ in range(3):
            recorder.step()
    read = Recording.read(tmp_path / "run")
    assert read.steps == (0, 3)
    assert read.share is not None
    said = f"{read.passed_over} records that were due did not fit the budget of the recorder, which took {read.share:.1%} of the training's"
    assert recorded.of(read).notes[0].startswith(said)


def test_a_recording_is_read_while_it_is_written(copy: Path) -> None:
    (copy / "records" / "000040.json").unlink()  # its arrays are there, its entry is not yet
    lines = (copy / "scalars.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "scalars.jsonl").write_bytes(b"".join(lines[:30]) + lines[30][:17])
    found = recorded.of(Recording.read(copy), ["conv1"])
    assert found.steps == (0, 10, 20, 30)
    assert len(found.numbers[0].steps) == 29  # the first line says that the training began
    assert "it may have gone on since" in found.notes[-1]


def test_layers_and_probes_that_are_not_there_are_refused(recording: Path) -> None:
    read = Recording.read(recording)
    with pytest.raises(UnknownName, match=r"no weights of 'conv9' in .*: did you mean 'conv[12]'"):
        recorded.of(read, ["conv9"])
    with pytest.raises(UnknownName, match=r"no probe image 2: the recording has 2, 0 to 1"):
        recorded.of(read, probe=2)


def test_a_probe_of_another_size_is_refused(copy: Path) -> None:
    save_file({"images": np.zeros((2, 1, 9, 9), np.float32)}, copy / "probes.safetensors")
    with pytest.raises(BadFile, match=r"are 2 x 1 x 9 x 9, and those of the recording are 2 x 1 x 8 x 8"):
        recorded.of(Recording.read(copy))


def test_one_record_is_no_film(copy: Path) -> None:
    for file in (copy / "records").iterdir():
        if not file.name.startswith("000000"):
            file.unlink()
    with pytest.raises(InterpError, match=r"holds one record with all parts: a film needs two or more"):
        recorded.of(Recording.read(copy))


def paths(names: str) -> list[Path]:
    return [Path(name) for name in names.split()]


@pytest.mark.parametrize(
    ("names", "order", "wanted", "steps"),
    [
        ("n_10.pt n_2.pt n_1.pt", Order.AUTO, "n_1.pt n_2.pt n_10.pt", (1, 2, 10)),
        ("n_10.pt n_2.pt n_1.pt", Order.GIVEN, "n_10.pt n_2.pt n_1.pt", (0, 1, 2)),
        ("last.pt first.pt", Order.AUTO, "last.pt first.pt", (0, 1)),
        ("v2_s10.pt v2_s5.pt", Order.NUMBER, "v2_s5.pt v2_s10.pt", (5, 10)),
        ("v2_s10.pt v3_s5.pt", Order.AUTO, "v2_s10.pt v3_s5.pt", (0, 1)),
        ("n_01.pt n_1.pt", Order.AUTO, "n_01.pt n_1.pt", (0, 1)),
    ],
)
def test_checkpoints_follow_one_another(names: str, order: Order, wanted: str, steps: Sequence[int]) -> None:
    found = row(paths(names), order)
    assert (list(found.paths), list(found.steps)) == (paths(wanted), list(steps))


@pytest.mark.parametrize(
    ("names", "order", "message"),
    [
        ("", Order.AUTO, r"no checkpoints: give two or more"),
        ("a.pt", Order.AUTO, r"1 checkpoint: give two or more"),
        ("a.pt b.pt a.pt", Order.GIVEN, r"`a\.pt` is given twice"),
        ("a.pt b.pt", Order.NUMBER, r"--order number: one number alone must tell .* apart"),
        (" ".join(f"n{k}.pt" for k in range(49)), Order.AUTO, r"49 checkpoints are too many .*: give 48 at most"),
    ],
)
def test_what_is_no_row_of_checkpoints_is_refused(names: str, order: Order, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        row(paths(names), order)


def network(seed: int) -> Digits:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Digits()


def models(*networks: torch.nn.Module) -> dict[Path, Model]:
    size = Preprocess((8, 8), 8, (0.0,), (1.0,))
    return {Path(f"n{k}.pt"): load(one, preprocess=size) for k, one in enumerate(networks)}


def quiet(stage: str, done: int, total: int) -> None:
    pass


def test_units_of_a_network_with_its_units_exchanged_are_matched() -> None:
    one, other = network(0), network(0)
    first, second = torch.tensor([3, 1, 5, 0, 2, 4]), torch.tensor([7, 6, 5, 4, 3, 1, 2, 0])
    with torch.no_grad():
        other.conv1.weight.copy_(one.conv1.weight[first])
        other.conv2.weight.copy_(one.conv2.weight[second][:, first])
    by_path = models(one, other)
    layers = ("conv1", "conv2")
    matched, _ = checkpoints.of(row(list(by_path)), by_path.__getitem__, None, Wanted(layers, match=True), quiet)
    for layer in layers:
        assert (matched.weights[layer][0] == matched.weights[layer][1]).all()
    assert "13 of 14 changed their place" in matched.notes[0]
    plain, _ = checkpoints.of(row(list(by_path)), by_path.__getitem__, None, Wanted(layers), quiet)
    assert (plain.weights["conv1"][1] == one.conv1.weight[first].detach().numpy()).all()
    assert matched.summaries["conv2"]["change"].values.tolist() == [0]
    assert plain.summaries["conv2"]["change"].values[0] > 1


def test_a_photograph_is_followed_through_checkpoints() -> None:
    by_path = models(network(0), network(1))
    (cat,) = photos("cat")
    found, last = checkpoints.of(row(list(by_path)), by_path.__getitem__, cat, Wanted(), quiet)
    assert last is by_path[Path("n1.pt")]
    assert found.probe is not None
    scores = [int(model(model.preprocess([cat])).argmax()) for model in by_path.values()]
    assert found.probe.explained == tuple(last.class_name(score) for score in scores)
    assert set(found.summaries["conv1"]) >= {"norm", "dead", "structured", "stable_rank"}
    assert all(np.abs(maps).max() > 0 for maps in found.probe.gradcam.values())


def test_checkpoints_of_other_structures_are_refused() -> None:
    wide = network(0)
    wide.conv1 = torch.nn.Conv2d(1, 6, 5, padding=1)
    by_path = models(network(0), wide)
    with pytest.raises(BadFile, match=r"`n1\.pt` makes another network than the first one does"):
        checkpoints.of(row(list(by_path)), by_path.__getitem__, None, Wanted(), quiet)
