"""What is written can be read, at any moment; what is damaged, half missing or of another kind is refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from watched import QUICK, net, probes, train

import interp
from interp import activations, gradcam, kernels
from interp.core.unit import Unit
from interp.errors import BadFile, UnknownName
from interp.watching import Recording
from interp.watching.folder import Folder
from interp.watching.seeing import seen


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 6 steps, a record every third."""
    folder = tmp_path_factory.mktemp("made") / "run"
    network = net()
    with interp.watch(network, folder, probes(), every=3, units=["conv1:1"], targets=[2, 0], budget=None, detail=QUICK) as recorder:
        train(network, 6, lambda step, loss: recorder.step(loss=loss, **({"accuracy": 0.5} if step == 4 else {})))
        recorder.epoch(accuracy=float("inf"))
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_a_record_holds_what_the_missions_give(tmp_path: Path) -> None:
    network, images = net(), probes()
    model = interp.load(network, preprocess={"size": (12, 12), "resize": None, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    layers = {"activations": ["relu", "conv2"], "gradcam": ["conv1", "conv2"], "kernels": ["conv*"]}
    interp.watch(network, tmp_path / "run", images, targets=[2, 0], budget=None, detail=QUICK, **layers).close()
    (record,) = Recording.read(tmp_path / "run").records
    for layer in ("conv1", "conv2"):
        assert np.array_equal(record.kernels(layer).weights, kernels.of(model, layer).weights)
    expected = gradcam.of(model, images, [Unit("fc", 2), Unit("fc", 0)], ["conv1", "conv2"])
    for layer in ("conv1", "conv2"):
        for one, other in zip(record.gradcam(layer), expected, strict=True):
            assert np.array_equal(one.values, other[layer].values)
            assert one.unit == other[layer].unit
    whole = activations.of(model, images, ["relu", "conv2"])
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(whole["relu"].maps[:, [0, 3]].copy()), 8)
    assert np.array_equal(record.activations("relu"), small.half().numpy())
    expected_maps = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(whole["conv2"].maps[:, [0, 3]].copy()), 8)
    assert np.array_equal(record.activations("conv2"), expected_maps.half().numpy())
    assert np.allclose(record.scores, model(images).numpy(), atol=1e-6)


def test_without_targets_the_class_that_the_network_says_is_explained(tmp_path: Path) -> None:
    network, images = net(), probes(4)
    interp.watch(network, tmp_path / "run", images, budget=None, detail=QUICK).close()
    (record,) = Recording.read(tmp_path / "run").records
    assert record.entry.targets == tuple(network.eval()(images).argmax(1).tolist())


def test_the_header_says_of_what(made: Path) -> None:
    recording = Recording.read(made)
    header = recording.header
    assert header.network.reference == "Net"
    assert [(layer.name, layer.kind) for layer in header.network.layers][:3] == [
        ("conv1", "Conv2d"),
        ("bn", "BatchNorm2d"),
        ("relu", "ReLU"),
    ]
    assert [(one.layer, one.filters, one.read) for one in header.plan.convolutions] == [("conv1", 4, "relu"), ("conv2", 4, "conv2")]
    assert header.plan.units == (Unit("conv1", 1),)
    assert header.plan.kernels == ("conv1",)
    assert header.shape == (3, 12, 12)
    assert np.array_equal(recording.probes, probes().numpy())
    assert len({probe.sha256 for probe in header.probes}) == 2
    assert str(made.parent) not in (made / "watch.json").read_text()


def test_records_and_numbers_come_in_order(made: Path) -> None:
    recording = Recording.read(made)
    assert recording.steps == (0, 3, 6)
    assert [record.step for record in recording.records] == [0, 3, 6]
    assert recording.names == ("loss", "accuracy")
    steps, losses = recording.curve("loss")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.isfinite(losses).all()
    steps, values = recording.curve("accuracy")
    assert steps.tolist() == [4, 6]
    assert values[0] == 0.5
    assert np.isnan(values[1])
    steps, norms = recording.statistic("conv1", "norm")
    assert steps.tolist() == [0, 3, 6]
    weights = [record.kernels("conv1").weights.astype(float) for record in recording.records]
    assert np.allclose(norms, [np.sqrt(np.square(w).sum((1, 2, 3))).mean() for w in weights])
    assert recording.statistic("conv1", "change")[0].tolist() == [3, 6]
    assert recording.complete


def test_it_is_read_while_it_is_written(copy: Path) -> None:
    """A half-written last line, arrays without an entry yet, and a file on its way are not there yet."""
    before = Recording.read(copy)
    with (copy / "scalars.jsonl").open("a") as file:
        file.write('{"step":7,"seconds":0.5,"numb')
    shutil.copy(copy / "records" / "000006.safetensors", copy / "records" / "000009.safetensors")
    (copy / "records" / ".000009.json.0123abcd.partial").write_text("{")
    after = Recording.read(copy)
    assert after.steps == before.steps
    assert after.lines == before.lines


def test_at_each_moment_of_writing_the_folder_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    record = Folder.record

    def watched(self: Folder, entry: object, arrays: object) -> None:
        found.append(len(Recording.read(self.path).records))
        record(self, entry, arrays)  # type: ignore[arg-type]
        found.append(len(Recording.read(self.path).records))

    monkeypatch.setattr(Folder, "record", watched)
    network = net()
    with interp.watch(network, tmp_path / "run", probes(), every=2, budget=None, detail=QUICK) as recorder:
        train(network, 4, lambda _step, loss: recorder.step(loss=loss))
    assert found == [0, 1, 1, 2, 2, 3]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_no_recording(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(BadFile, match=r"there is no folder `.*nothing`"):
        Recording.read(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    with pytest.raises(BadFile, match=r"is no recording of a training: it holds no `watch\.json`"):
        Recording.read(tmp_path / "other")
    (copy / "watch.json").write_text('{"format": "something"}')
    with pytest.raises(BadFile, match="is not the head of a recording"):
        Recording.read(copy)
    (copy / "watch.json").write_text('{"format": ')
    with pytest.raises(BadFile, match="cannot be read as the head of a recording"):
        Recording.read(copy)


def test_another_version(copy: Path) -> None:
    _replace(copy / "watch.json", '"version": 1', '"version": 7')
    with pytest.raises(BadFile, match="is a recording of version 7, and this interp reads version 1"):
        Recording.read(copy)


def test_a_damaged_header(copy: Path) -> None:
    _replace(copy / "watch.json", '"channels": 2', '"channels": "many"')
    with pytest.raises(BadFile, match=r"`.*watch\.json` is damaged: .*detail\.channels` is 'many'"):
        Recording.read(copy)


@pytest.mark.parametrize(("gone", "there"), [("json", "safetensors"), ("safetensors", "json")])
def test_a_record_half_missing(copy: Path, gone: str, there: str) -> None:
    (copy / "records" / f"000003.{gone}").unlink()
    with pytest.raises(BadFile, match=rf"the record of step 3 .* is half missing: there is `000003\.{there}` and no \.{gone} beside it"):
        Recording.read(copy)


def test_damaged_records(copy: Path) -> None:
    path = copy / "records" / "000003.safetensors"
    arrays = load_file(path)
    save_file(arrays | {"kernels/conv1": arrays["kernels/conv1"] + 1}, path)
    with pytest.raises(BadFile, match=r"the record of step 3 .* is damaged: `kernels/conv1` is not what was written"):
        Recording.read(copy).records[1].kernels("conv1")
    save_file({name: array for name, array in arrays.items() if name != "probes/scores"}, path)
    with pytest.raises(BadFile, match="is damaged: `probes/scores` is not what was written"):
        Recording.read(copy).records[1].kernels("conv1")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadFile, match=r"the record of step 3 .* cannot be read"):
        Recording.read(copy).records[1].kernels("conv1")
    _replace(copy / "records" / "000003.json", '"step": 3', '"step": 4')
    with pytest.raises(BadFile, match="says that it is of step 4 and session 1"):
        Recording.read(copy)
    (copy / "records" / "000003.json").write_text("{}")
    with pytest.raises(BadFile, match=r"000003\.json` is damaged: KeyError: 'arrays'"):
        Recording.read(copy)


def test_damaged_lines(copy: Path) -> None:
    lines = (copy / "scalars.jsonl").read_text().splitlines()
    (copy / "scalars.jsonl").write_text("\n".join([lines[0], lines[1][:10], *lines[2:]]) + "\n")
    with pytest.raises(BadFile, match=r"scalars\.jsonl`, line 2, is damaged"):
        Recording.read(copy)


def test_probes_of_another_size(copy: Path) -> None:
    save_file({"images": np.zeros((2, 3, 8, 8), np.float32)}, copy / "probes.safetensors")
    with pytest.raises(BadFile, match="are 2 x 3 x 8 x 8, and those of the recording are 2 x 3 x 12 x 12"):
        _ = Recording.read(copy).probes
    (copy / "probes.safetensors").unlink()
    with pytest.raises(BadFile, match=r"the probe images .* cannot be read"):
        _ = Recording.read(copy).probes


def test_what_is_not_in_it(made: Path) -> None:
    recording = Recording.read(made)
    with pytest.raises(UnknownName, match=r"no numbers called 'los' in .*: did you mean 'loss'"):
        recording.curve("los")
    with pytest.raises(UnknownName, match="the record of step 0 holds no `kernels/conv2`: did you mean 'kernels/conv1'"):
        recording.records[0].kernels("conv2")


def test_json_is_strict(made: Path) -> None:
    def refused(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    texts = [path.read_text() for path in (made / "watch.json", *sorted((made / "records").glob("*.json")))]
    for text in (*texts, *(made / "scalars.jsonl").read_text().splitlines()):
        assert json.loads(text, parse_constant=refused)


def test_large_activations_end_at_what_float16_holds(tmp_path: Path) -> None:
    network = net()
    with torch.no_grad():
        network.conv2.weight.mul_(1e7)
    interp.watch(network, tmp_path / "run", probes(), activations=["conv2"], budget=None, detail=QUICK).close()
    (record,) = Recording.read(tmp_path / "run").records
    found = record.activations("conv2")
    assert np.isfinite(found).all()
    assert np.abs(found.astype(float)).max() == 65504


def test_dead_filters_are_those_that_no_probe_excites(tmp_path: Path) -> None:
    network = net()
    with torch.no_grad():
        network.bn.weight[2], network.bn.bias[2] = 0.0, -1.0
        network.conv2.bias[0] = -100.0
    interp.watch(network, tmp_path / "run", probes(), budget=None, detail=QUICK).close()
    recording = Recording.read(tmp_path / "run")
    (record,) = recording.records
    model = interp.load(network, preprocess={"size": (12, 12), "resize": None, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    answers = seen(model, probes(), recording.header.plan)
    assert record.statistics("conv1")["dead"].tolist() == [False, False, True, False] == answers.dead["relu"].tolist()
    assert bool(record.statistics("conv2")["dead"][0])
    assert record.summary["conv1"]["dead"] == 0.25
