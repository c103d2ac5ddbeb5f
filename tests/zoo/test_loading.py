"""Loading: the one door, with and without weights, with and without a network."""

from __future__ import annotations

import http.client
import io
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from interp import images
from interp.core.model import Model
from interp.errors import BadFile, InterpError, Unsupported
from interp.images import Photo, Preprocess
from interp.zoo import embedded, hub, weights
from interp.zoo.loading import load

Network = Callable[[str], Model]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = load("squeezenet1_0", random_weights=True)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert load("squeezenet1_0", random_weights=True).spec == first.spec
    other = load("squeezenet1_0", random_weights=True, seed=1)
    assert other.spec.sha256 != first.spec.sha256
    assert (first.spec.weights, other.spec.weights) == ("random (seed 0)", "random (seed 1)")


def test_loaded_networks_are_in_eval_mode_and_frozen(network: Network) -> None:
    module = network("resnet18").module
    assert not any(m.training for m in module.modules())
    assert not any(p.requires_grad for p in module.parameters())
    assert network("resnet18").spec.classes[281] == "tabby"


def test_weights_named_choose_the_preprocessing() -> None:
    assert load("resnet18@IMAGENET1K_V1", random_weights=True).preprocess.resize == 256
    assert load("squeezenet1_1@DEFAULT", random_weights=True).preprocess.size == (224, 224)


def test_a_file_with_other_classes_changes_the_head(tmp_path: Path) -> None:
    net = models.squeezenet1_1(num_classes=7)
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "w.pt")
    model = load("squeezenet1_1", weights=tmp_path / "w.pt")
    assert (model.classes, model.spec.classes) == (7, ())
    x = torch.rand(1, 3, 224, 224)
    assert torch.allclose(model(x), net.eval()(model.normalized(x)), atol=1e-5)
    assert load("squeezenet1_1", weights=tmp_path / "w.pt", classes=list("abcdefg")).class_name(6) == "g"


def test_a_file_of_another_architecture(tmp_path: Path) -> None:
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "w.pt")
    message = r"w\.pt' is not of this network \(ResNet\): \d+ missing \(conv1\.weight, .*unexpected \(features\.0\.weight"
    with pytest.raises(BadFile, match=message):
        load("resnet18", weights=tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["googlenet", "densenet121"])
def test_torchvisions_own_files(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With auxiliary heads, and with the names of old DenseNet files: downloaded or given, as torchvision's builder makes of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = models.get_model(name, weights=None, **({"init_weights": False, "aux_logits": True} if name == "googlenet" else {}))  # type: ignore[attr-defined]
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    old = {k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in k else k: v for k, v in state.items()}
    entry = models.get_model_weights(name)["DEFAULT"]  # type: ignore[attr-defined]
    monkeypatch.setattr(type(entry), "get_state_dict", lambda *_, **__: dict(old))
    torch.save(old, tmp_path / "w.pth")
    x = torch.rand(1, 3, 64, 64)
    small = Preprocess(size=(64, 64), resize=64)
    downloaded, given = load(name, preprocess=small), load(name, weights=tmp_path / "w.pth", preprocess=small)
    expected = models.get_model(name, weights=entry).eval()  # type: ignore[attr-defined]
    assert torch.allclose(downloaded(x), expected(downloaded.normalized(x)), atol=1e-6)
    assert torch.equal(downloaded(x), given(x))
    assert downloaded.spec.weights == "IMAGENET1K_V1"


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Name or service not known"),
        urllib.error.HTTPError("https://x", 503, "Service Unavailable", http.client.HTTPMessage(), io.BytesIO()),
        TimeoutError("timed out"),
        ConnectionResetError(104, "Connection reset by peer"),
        http.client.RemoteDisconnected("closed"),
        RuntimeError('invalid hash value (expected "a", got "b")'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_weights_that_cannot_be_downloaded(
    error: Exception, empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    message = r"^the weights of 'resnet18' could not be downloaded \(.+\): give a file with `--weights FILE`, or take `--random-weights`$"
    with pytest.raises(InterpError, match=message):
        load("resnet18")
    assert [p for p in empty_cache.rglob("*") if p.is_file()] == []
    assert capfd.readouterr() == ("", "")


def test_a_download_that_breaks_off_leaves_nothing(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Response(io.BytesIO):
        def info(self) -> http.client.HTTPMessage:
            return http.client.HTTPMessage()

        def read(self, *_: object) -> bytes:
            if self.tell():
                raise TimeoutError("timed out")
            self.seek(1)
            return b"half"

    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: Response(b"x"))
    with pytest.raises(InterpError, match=r"could not be downloaded \(timed out\)"):
        load("resnet18")
    assert [p for p in empty_cache.rglob("*") if p.is_file()] == []


def test_a_damaged_file_in_the_cache_is_named(empty_cache: Path) -> None:
    file = empty_cache / "checkpoints" / models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half a file")
    with pytest.raises(BadFile, match=r"the cached weights '.*resnet18-.*\.pth' are damaged: delete the file"):
        load("resnet18")


@pytest.mark.parametrize("name", ["resnet18", "timm/test_resnet"])
def test_without_a_network_it_fails_quickly(name: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    start = time.process_time()
    with pytest.raises(InterpError, match=rf"weights of '{name}' could not be downloaded \(Name or service not known\)"):
        load(name)
    assert time.process_time() - start < 5


def test_timm_by_its_real_package() -> None:
    import timm

    model = load("timm/test_resnet", random_weights=True)
    config = timm.data.resolve_model_data_config(model.module)
    transform = timm.data.create_transform(**config, is_training=False)
    photo = Photo("noise", (torch.rand(200, 260, 3, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy(), "")
    ours = model.normalized(model.preprocess(photo))[0]
    assert torch.allclose(ours, transform(Image.fromarray(photo.pixels)), atol=1e-6)
    assert (model.classes, model.class_name(281)) == (1000, "tabby")
    assert load("timm/test_resnet", random_weights=True).spec == model.spec


def test_timm_weights_of_a_file(tmp_path: Path) -> None:
    import timm

    net = timm.create_model("test_resnet", pretrained=False, num_classes=3)
    torch.save({"model": net.state_dict()}, tmp_path / "w.pth")
    model = load("timm/test_resnet", weights=tmp_path / "w.pth")
    assert model.classes == 3
    assert model.spec.sha256 == weights.state_sha256(net)


def test_timm_networks_without_classes_or_weights() -> None:
    with pytest.raises(Unsupported, match="gives features and has no classes"):
        load("timm/vit_small_patch14_dinov2")
    with pytest.raises(InterpError, match=r"timm has no weights for 'timm/resnetv2_50d'.*`--weights FILE`"):
        load("timm/resnetv2_50d")


def test_a_module_of_ones_own_stays_as_it_is(trap_net: nn.Module) -> None:
    trap_net.train()
    trap_net.get_submodule("bn").eval()
    before = weights.state_sha256(trap_net)
    model = load(trap_net, preprocess=Preprocess(size=(12, 12), resize=12), classes=["a", "b", "c", "d"])
    assert model.module is trap_net
    assert [m.training for m in trap_net.children()] == [True, False, True, True, True, True, True, True]
    assert trap_net.training
    assert all(p.requires_grad and p.grad is None for p in trap_net.parameters())
    assert weights.state_sha256(trap_net) == before == model.spec.sha256
    assert (model.spec.reference, model.spec.classes) == ("TrapNet", ("a", "b", "c", "d"))


def test_what_contradicts_itself(trap_net: nn.Module) -> None:
    with pytest.raises(InterpError, match="choose one of `--weights FILE` and `--random-weights`"):
        load("resnet18", weights=Path("w.pt"), random_weights=True)
    with pytest.raises(InterpError, match="a module that is given keeps its weights"):
        load(trap_net, random_weights=True)
    with pytest.raises(InterpError, match="2 class names were given for 'TrapNet', which has 4 outputs"):
        load(trap_net, preprocess=Preprocess(size=(12, 12), resize=12), classes=["a", "b"])
    with pytest.raises(InterpError, match="device 'cuda:99' does not exist on this machine"):
        load("embedded", device="cuda:99")


def test_the_embedded_network() -> None:
    model = load()
    assert (model.spec.reference, model.output, model.classes) == ("embedded", "fc", 200)
    assert len(set(model.spec.classes)) == len({c.wnid for c in embedded.classes()}) == 200
    assert all(c.wnid.startswith("n") and len(c.wnid) == 9 for c in embedded.classes())
    assert model.preprocess == Preprocess((64, 64), 64)
    assert embedded.WEIGHTS.stat().st_size < 6_000_000
    state = weights.read(embedded.WEIGHTS)
    assert all(v.dtype == torch.float16 for v in state.values())
    assert torch.equal(model.module.get_parameter("stem.conv.weight"), state["stem.conv.weight"].float())
    assert load(random_weights=True).spec.sha256 != model.spec.sha256 == load().spec.sha256


def test_packing_is_exact_in_float16_and_all_or_nothing(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    embedded.pack(net, tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    weights.apply(other, weights.read(tmp_path / "w.safetensors"), tmp_path)
    assert torch.equal(other[0].weight, net[0].weight.half().float())
    nn.init.constant_(net[0].bias, 1e6)
    with pytest.raises(BadFile, match=r"'0\.bias' has values that float16 cannot hold"):
        embedded.pack(net, tmp_path / "x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_package_is_light_and_load_is_always_the_function() -> None:
    code = "import sys, interp.zoo, interp.zoo.reference; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    import interp.zoo

    assert interp.zoo.load is load is interp.load


def test_squeezenet_on_photographs(assets: Path) -> None:
    """Top-1 on 120 photographs; the assets' own README measured 59.2 %."""
    model = load("squeezenet1_0", weights=assets / "squeezenet1_0_imagenet.safetensors")
    files = sorted((assets / "imagenet_samples").iterdir())
    assert len(files) == 120
    found = torch.cat([model(model.preprocess(images.load(files[i : i + 20]))).argmax(1) for i in range(0, 120, 20)])
    labels = torch.tensor([int((k + 0.5) * 1000 / 120) for k in range(120)])
    assert (found == labels).float().mean() >= 0.55
    assert model.spec.weights.endswith("squeezenet1_0_imagenet.safetensors")


def test_sources_name_their_random_weights() -> None:
    assert str(hub.Random(3)) == "random (seed 3)"
