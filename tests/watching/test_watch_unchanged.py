"""The training goes on as if nobody had looked: losses bit for bit, weights, gradients, modes, hooks; after errors too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from watched import QUICK, Net, hooks, net, probes, train

import interp
from interp.errors import Unsupported
from interp.watching import Recording


def test_losses_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    plain, watched = net(), net()
    assert any(isinstance(m, nn.BatchNorm2d) for m in watched.modules())
    assert any(isinstance(m, nn.Dropout) for m in watched.modules())
    expected = train(plain, 200, lambda _step, _loss: None)
    recorder = interp.watch(watched, tmp_path / "run", probes(), every=20, units=["conv1:1", "fc:2"], budget=None, detail=QUICK)
    found = train(watched, 200, lambda _step, loss: recorder.step(loss=loss))
    recorder.close()
    assert found == expected
    assert all(torch.equal(one, other) for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True))
    assert Recording.read(tmp_path / "run").steps == tuple(range(0, 201, 20))


class Parametrized(nn.Module):
    """Spectral norm, whose weight changes its buffers whenever it is read in training mode, and weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(3, 4, 3))
        self.conv2 = weight_norm(nn.Conv2d(4, 4, 3))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x).relu()).relu().mean((2, 3))
        logits: Tensor = self.fc(x)
        return logits


def test_weights_that_change_by_being_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = Parametrized()
    torch.manual_seed(0)
    watched = Parametrized()
    expected = train(plain, 12, lambda _step, _loss: None)
    recorder = interp.watch(watched, tmp_path / "run", probes(), every=3, units=["conv1:0"], budget=None, detail=QUICK)
    assert train(watched, 12, lambda _step, loss: recorder.step(loss=loss)) == expected
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    plan = recording.header.plan
    assert [one.layer for one in plan.convolutions] == ["conv1", "conv2"]
    assert plan.gradcam == ("conv2",)
    weights = torch.from_numpy(recording.records[-1].kernels("conv1").weights.copy())
    assert torch.equal(weights, watched.eval().conv1.weight)


def test_the_comparison_can_fail() -> None:
    """One draw more from either generator, or one forward in training mode, and the losses are others."""
    expected = train(net(), 10, lambda _step, _loss: None)
    network = net()
    for change in (lambda: torch.rand(1), lambda: np.random.rand(), lambda: network(probes())):  # noqa: NPY002
        network.load_state_dict(net().state_dict())
        assert train(network, 10, lambda step, _loss, change=change: change() if step == 4 else None) != expected  # type: ignore[misc]


def test_all_around_a_record_is_as_before(tmp_path: Path) -> None:
    network = net()
    network.conv2.requires_grad_(False)
    network.bn.eval()
    network(probes()).sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    values = {name: None if g is None else g.clone() for name, g in gradients.items()}
    buffers = dict(network.named_buffers())
    modes, flags = [m.training for m in network.modules()], [p.requires_grad for p in network.parameters()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    recorder = interp.watch(network, tmp_path / "run", probes(), every=1, units=["conv1:0"], budget=None, detail=QUICK)
    recorder.step()
    recorder.close()
    assert all(p.grad is gradients[name] for name, p in network.named_parameters())
    assert all(g is None or torch.equal(g, values[name]) for name, g in gradients.items())
    assert all(tensor is buffers[name] for name, tensor in network.named_buffers())
    assert [m.training for m in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert hooks(network) == 0


def test_pythons_own_draws_go_on_as_before(tmp_path: Path) -> None:
    """In a process of its own: the checker of types that these tests run with draws at every call."""
    code = """
import random, sys
import interp
from watched import QUICK, net, probes
network, folder = net(), sys.argv[1]
before = random.getstate()
with interp.watch(network, folder, probes(), every=1, units=["conv1:0"], budget=None, detail=QUICK) as recorder:
    recorder.step(loss=0.5)
assert random.getstate() == before
print("the same")
"""
    made = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert made.stdout == "the same\n", made.stderr


def test_a_record_between_forward_and_backward_leaves_the_graph_alone(tmp_path: Path) -> None:
    plain, watched = net(), net()
    plain.eval()(probes()).square().sum().backward()
    recorder = interp.watch(watched.eval(), tmp_path / "run", probes(), every=1, units=["conv1:0"], budget=None, detail=QUICK)
    loss = watched(probes()).square().sum()
    recorder.step()
    loss.backward()
    recorder.close()
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


def test_what_the_caller_has_switched_does_not_matter(tmp_path: Path) -> None:
    network = net()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=1, units=["conv1:0"], budget=None, detail=QUICK)
    recorder.step()
    with torch.no_grad():
        recorder.step()
    with torch.inference_mode():
        recorder.step()
    with torch.autocast("cpu", torch.bfloat16):
        recorder.step()
        assert torch.is_autocast_enabled("cpu")
    records = Recording.read(tmp_path / "run").records[1:]
    assert len(records) == 4
    for name in ("gradcam/conv2", "activations/relu", "probes/scores"):
        assert all(np.array_equal(record.array(name), records[0].array(name)) for record in records)
    recorder.close()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_no_hook_is_left_and_all_can_be_read(tmp_path: Path, error: type[BaseException]) -> None:
    network = net()

    def stop(step: int, loss: float) -> None:
        recorder.step(loss=loss)
        if step == 25:
            raise error("in the loop")

    watching = interp.watch(network, tmp_path / "run", probes(), every=10, budget=None, detail=QUICK)
    with pytest.raises(error, match="in the loop"), watching as recorder:
        train(network, 40, stop)
    recording = Recording.read(tmp_path / "run")
    assert hooks(network) == 0
    assert recording.steps == (0, 10, 20)
    assert len(recording.curve("loss")[0]) == 25
    assert not recording.complete
    assert recording.lines.events[-1].said["error"] == error.__name__


def test_never_closed_or_closed_twice(tmp_path: Path) -> None:
    network = net()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=2, budget=None, detail=QUICK)
    train(network, 5, lambda _step, loss: recorder.step(loss=loss))
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (0, 2, 4)
    assert not recording.complete
    recorder.close()
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (0, 2, 4, 5)
    assert recording.complete
    with pytest.raises(interp.InterpError, match="the recorder is closed"):
        recorder.step()


class Fragile(Net):
    """Fails in evaluation mode, once it is told to."""

    broken = False

    def forward(self, x: Tensor) -> Tensor:
        if self.broken and not self.training:
            raise ValueError("no evaluation\ntoday")
        return super().forward(x)


def test_a_part_that_fails_is_left_out_and_the_training_goes_on(tmp_path: Path) -> None:
    network = Fragile()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=1, units=["fc:0"], budget=None, detail=QUICK)
    network.broken = True
    with pytest.warns(UserWarning, match="are without their (answers|units): ValueError: no evaluation today"):
        recorder.step()
    recorder.step()  # said once
    recorder.close()
    record = Recording.read(tmp_path / "run").records[1]
    assert set(record.entry.missing) == {"answers", "units"}
    assert len(record.kernels("conv1")) == 4
    with pytest.raises(interp.InterpError, match=r"holds no `gradcam/conv2`: its answers are missing \(ValueError"):
        record.gradcam("conv2")
    assert hooks(network) == 0


def test_a_network_that_comes_to_hold_nan_is_recorded(tmp_path: Path) -> None:
    network = net()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=1, budget=None, detail=QUICK)
    with torch.no_grad():
        network.conv1.weight[1] = float("nan")
    recorder.step(loss=float("nan"))
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert np.isnan(recording.curve("loss")[1]).all()
    assert np.isnan(recording.records[1].kernels("conv1").weights[1]).all()
    assert np.isfinite(recording.records[1].statistics("conv1")["norm"]).tolist() == [True, False, True, True]


def test_wrappers_are_taken_off_and_compiled_networks_refused(tmp_path: Path) -> None:
    network = net()
    recorder = interp.watch(nn.DataParallel(network), tmp_path / "run", probes(), budget=None, detail=QUICK)
    recorder.close()
    assert Recording.read(tmp_path / "run").header.network.reference == "Net"
    network._compiled_call_impl = network.__call__  # type: ignore[assignment] # what `network.compile()` sets, seconds later
    with pytest.raises(Unsupported, match="'Net' is compiled, so that its layers cannot be hooked"):
        interp.watch(network, tmp_path / "other", probes())
    assert not (tmp_path / "other").exists()
