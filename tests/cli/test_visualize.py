"""``interp visualize``: which words are meant, what each option becomes, what is written, what is kept, and every bad input."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from interp import activations, featurevis
from interp.cli import run
from interp.cli.objectives import OBJECTIVES, Asking, objectives
from interp.cli.presets import PRESETS
from interp.cli.recipe import ascent
from interp.cli.visualize import Visualize
from interp.cli.words import Asked, asked, schedule_of, size_of
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis.alpha import Alpha
from interp.featurevis.attention_heads import Head
from interp.featurevis.config import Precision, Weighted
from interp.featurevis.directions import Direction
from interp.featurevis.joint import Diversity
from interp.featurevis.maco import Maco
from interp.featurevis.objective import Product
from interp.featurevis.optimizer import Adam, Torch
from interp.featurevis.param import Fourier, Pixels
from interp.featurevis.photograph import Started
from interp.featurevis.presets import Strong
from interp.featurevis.regularizers import Blur, TotalVariation
from interp.featurevis.schedule import Cosine, Linear
from interp.featurevis.targets import Caricature, DeepDream, Inversion, Style
from interp.featurevis.units import Logit, Neuron, Probability, Token
from interp.images import Photo
from interp.runs import verify
from interp.zoo import load

NETS = """
import torch
from torch import nn

classes = ["ant", "bee", "cat"]
preprocess = {"size": (24, 24), "resize": 24}


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def net():
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, padding=1), nn.Flatten(), nn.Linear(5 * 576, 3))


class Paired(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.pair = Pair()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x, y = self.pair(self.first(x))
        return self.fc((x + y).mean((2, 3)))


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 576, 3)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 6, stride=6)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.fc(self.mlp(x)[:, 0])
"""
FAST = ["--steps", "2", "--size", "24", "--quality", "none"]


def photo(name: str, rows: int = 40, cols: int = 50) -> Photo:
    """Noise, the same for the same name."""
    rng = np.random.default_rng(list(name.encode()))
    return Photo(name, rng.integers(0, 255, (rows, cols, 3), dtype=np.uint8), name * 64)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETS)
    Image.fromarray(photo("a").pixels).save(tmp_path / "a.png")
    return tmp_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("nets") / "net.py"
    path.write_text(NETS)
    return path


@pytest.fixture(scope="module")
def net(folder):
    return load(f"{folder}:net", random_weights=True)


@pytest.fixture(scope="module")
def transformer(folder):
    return load(f"{folder}:Attending", random_weights=True)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in str(p)}


def refused(capsys, *arguments: str) -> str:
    """The one line that the command says; asserts exit code 2, one line, no traceback, no output."""
    assert run(["visualize", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("interp: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


# What the words mean


@pytest.mark.parametrize(
    ("words", "option", "model", "targets"),
    [
        ("resnet18 layer4.1.conv2:0-63", None, "resnet18", ("layer4.1.conv2:0-63",)),
        ("layer4:0 fc:3", None, "embedded", ("layer4:0", "fc:3")),
        ("layer4:0", "resnet18", "resnet18", ("layer4:0",)),
        ("nets/net.py:factory 0:1", None, "nets/net.py:factory", ("0:1",)),
        ("net.py:top8 0:top8", None, "net.py:top8", ("0:top8",)),
        ("timm/convnext_tiny stages.0:*", None, "timm/convnext_tiny", ("stages.0:*",)),
        ("resnet18 tabby", None, "resnet18", ("tabby",)),
    ],
)
def test_the_first_word_is_the_model_unless_it_is_a_unit(words, option, model, targets):
    assert asked(words.split(), option, "x:0") == Asked(model, targets)


@pytest.mark.parametrize(("text", "size"), [("128", (128, 128)), ("96x128", (96, 128)), (" 8 ", (8, 8))])
def test_sizes(text, size):
    assert size_of(text) == size


def test_weights_are_numbers_or_go_from_one_to_another():
    assert schedule_of("0.5", "--l1", "weight") == 0.5
    assert schedule_of("0.5:0", "--l1", "weight") == Linear(0.5, 0.0)


# What the options become


def made(**options):
    return ascent(Visualize(("net:0",), **options), None, None)


def test_what_is_not_typed_is_the_engines_own():
    assert made() == featurevis.AscentConfig()


def test_options_become_values():
    config = made(
        param="pixels",
        transforms="Strong",
        size="16x24",
        steps=7,
        rate="0.1",
        optimizer="nadam",
        views=2,
        batch=3,
        precision="float32",
        total_variation="0.5:0.1",
        blur="2",
        smoothing="1",
        film="webp",
    )
    assert (config.param, config.transform, config.size, config.steps) == (Pixels(), Strong(), (16, 24), 7)
    assert (config.rate, config.optimizer, config.views, config.batch) == (Cosine(0.1), Torch("NAdam"), 2, 3)
    assert config.regularizers == (Weighted(TotalVariation(), Linear(0.5, 0.1)), Weighted(Blur(), 2.0))
    assert (config.precision, config.smoothing) == (Precision.FLOAT32, 1.0)
    assert config.films > 1


def test_presets_are_recipes_and_what_is_typed_goes_before_them():
    lucid = made(preset="lucid")
    assert (lucid.steps, lucid.size, lucid.rate, lucid.optimizer) == (512, (128, 128), Linear(0.05, 0.05), Adam())
    assert made(preset="lucid", steps=3, param="pixels") == replace(lucid, steps=3, param=Pixels())
    for name in PRESETS:
        assert made(preset=name).steps >= 32


def test_maco_brings_its_own_optimizer_and_rate():
    config = made(param="maco")
    assert isinstance(config.param, Maco)
    assert (config.optimizer, config.rate) == (Torch("NAdam"), Linear(1.0, 1.0))
    assert made(param="maco", optimizer="adam").optimizer == Adam()


def test_a_photograph_to_start_from():
    start = photo("start")
    config = ascent(Visualize(("net:0",), param="alpha"), None, start)
    assert isinstance(config.param, Started)
    assert config.param.base == Alpha()
    assert np.allclose(config.param.photo.values.permute(1, 2, 0).numpy() * 255, start.pixels, atol=1e-3)
    assert ascent(Visualize(("net:0",)), None, start).param.base == Fourier()


# What images are optimized for


def asking(model, *targets: str, **options) -> Asking:
    return Asking(model, targets, (24, 24), [photo("a"), photo("b")], **options)


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("channel", "0:1-2", [Unit("0", 1), Unit("0", 2)]),
        ("neuron", "0:1", [Neuron(Unit("0", 1))]),
        ("logit", "bee", [Logit(Unit("4", 1))]),
        ("logit", "4:1,2", [Logit(Unit("4", 1)), Logit(Unit("4", 2))]),
        ("probability", "2", [Probability(Unit("4", 2))]),
        ("deepdream", "[02]", [DeepDream("0"), DeepDream("2")]),
        ("lucent", "labels:1", [Logit(Unit("4", 1))]),
    ],
)
def test_objectives_by_name(net, name, target, expected):
    assert objectives(name, asking(net, target)) == expected


@pytest.mark.parametrize(("name", "kind"), [("inversion", Inversion), ("caricature", Caricature), ("style", Style)])
def test_objectives_about_a_photograph_are_of_what_it_gives_at_the_size_asked(net, name, kind):
    (found,) = objectives(name, asking(net, "2", photo=photo("cat")))
    assert isinstance(found, kind)
    assert (found.layer, found.target.name) == ("2", "cat")
    assert found.target.shape[-2:] == ((5, 5) if kind is Style else (24, 24))


def test_a_direction_is_the_mean_of_what_the_photograph_gives(net):
    about = asking(net, "0", photo=photo("cat"))
    (found,) = objectives("direction", about)
    assert isinstance(found, Direction)
    maps = activations.of(net, about.photograph(), ["0"])["0"].maps[0]
    assert np.allclose(found.direction.values.numpy(), maps.mean((1, 2)), atol=1e-5)


def test_tokens_and_heads_of_a_transformer(transformer):
    assert objectives("token", asking(transformer, "mlp:3", token=2)) == [Token(Unit("mlp", 3), 2)]
    heads = objectives("head", asking(transformer, "attention:*"))
    assert [(type(h), h.head, h.token) for h in heads] == [(Head, 0, None), (Head, 1, None)]
    assert objectives("head", asking(transformer, "attention:1", token=0))[0].token == 0


def test_heads_of_a_glob_leave_other_layers_out_with_a_word(transformer, capsys):
    assert len(objectives("head", asking(transformer, "*:*"))) == 2
    assert "left out, as they have no heads that can be read: patches" in capsys.readouterr().err


def test_negative_objectives_are_minus_the_others(net):
    assert objectives("deepdream", asking(net, "0"), negative=True) == [Product((DeepDream("0"),), -1.0)]
    (found,) = objectives("channel", asking(net, "0:1"), negative=True)
    assert str(found) == "-1 * 0:1"


def test_faces_are_kept_apart_in_units_of_what_photographs_give(net):
    (found,) = objectives("channel", asking(net, "0:1"), faces=3, apart=2.0)
    (twice,) = objectives("channel", asking(net, "0:1"), faces=3, apart=4.0)
    assert found.images == 3
    assert "diversity of 3 at 0" in str(found)
    assert twice.parts[1].factor == pytest.approx(2 * found.parts[1].factor)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_faces_of_what_lowers_a_unit_are_kept_apart_all_the_same(net, sign):
    (found,) = objectives("channel", asking(net, "0:1"), faces=3, apart=2.0, negative=sign < 0)
    textures = {"0": torch.rand(3, 6, 4, 4, generator=torch.Generator().manual_seed(0))}
    unit, penalty = found.parts
    assert torch.allclose(unit(textures), sign * textures["0"][:, 1].mean((1, 2)))
    assert penalty.parts == (Diversity("0", 3),)
    assert penalty.factor > 0
    assert (found(textures) < unit(textures)).all()


@pytest.mark.parametrize("name", ["logit", "probability", "channel", "deepdream"])
def test_faces_of_a_class_are_compared_at_the_last_layer_with_places(net, name):
    (found,) = objectives(name, asking(net, {"channel": "4:1", "deepdream": "4"}.get(name, "bee")), faces=3)
    assert found.parts[1].parts == (Diversity("2", 3),)


def test_faces_are_refused_where_no_layer_has_places(folder):
    model = load(f"{folder}:Flat", random_weights=True)
    with pytest.raises(InterpError, match="compares maps of more than one place, and 'fc' has none, nor any layer before it"):
        objectives("logit", asking(model, "bee"), faces=3)


def test_the_strongest_channels_are_those_of_the_largest_mean_on_the_photographs(net):
    about = asking(net, "0:top3")
    means = activations.of(net, net.preprocess(list(about.images)), ["0"])["0"].maps.mean((0, 2, 3))
    assert [unit.channel for unit in about.units()] == list(np.argsort(-means)[:3])


def test_layers_without_maps_are_left_out_of_globs_and_refused_by_name(folder, capsys):
    model = load(f"{folder}:Paired", random_weights=True)
    units = asking(model, "*:0").units()
    assert {unit.layer for unit in units} == {"first", "fc"}
    assert "left out, as they have no maps: pair" in capsys.readouterr().err
    with pytest.raises(InterpError, match="layer 'pair'"):
        asking(model, "pair:0").units()
    with pytest.raises(InterpError, match=r"none of the 1 layers that 'pai\*' matches has maps: 'pair'"):
        asking(model, "pai*:0").units()
    with pytest.raises(InterpError, match=r"no layer 'layer9\.\*'"):
        asking(model, "layer9.*:0").units()


def test_every_objective_says_what_it_is():
    assert all(entry.help for entry in OBJECTIVES.values())


# What is written


def test_a_run_with_its_table_film_and_measurements(here, capsys):
    command = ["visualize", "net.py:net", "0:0-1", "2:top1", "--random-weights", "--steps", "3", "--size", "24x30", "--images", "a.png"]
    assert run([*command, "--film", "webp", "--out", "v"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "v/index.html"
    header = next(line for line in out.splitlines() if "unit" in line)
    assert [word for word in ("score", "x photographs", "above noise", "kept", "fails") if word in header] != []
    assert any(line.split()[:1] == ["0:0"] for line in out.splitlines())
    assert verify(here / "v").ok
    metrics = json.loads((here / "v" / "metrics.json").read_text())
    arrays = load_file(here / "v" / "arrays.safetensors")
    assert list(metrics["features"])[:2] == ["0:0", "0:1"]
    assert len(metrics["features"]) == 3
    for unit, numbers in metrics["features"].items():
        assert arrays[f"features/{unit}/image"].shape == (24, 30, 3)
        assert numbers["quality"]["score"] == pytest.approx(numbers["final"], rel=1e-3)
        assert numbers["quality"]["natural"]["image"].startswith("a")
    assert "films/features.webp" in (here / "v" / "index.html").read_text()
    with Image.open(here / "v" / "films" / "features.webp") as film:
        assert film.n_frames > 1
    manifest = json.loads((here / "v" / "manifest.json").read_text())
    assert [(item["name"], item["role"]) for item in manifest["inputs"]] == [("a.png", "picture"), ("net.py", "code")]
    assert not list(here.glob(".*.kept"))


def test_a_held_out_model_is_asked_about_classes(here):
    command = ["visualize", "net.py:net", "bee", "--objective", "logit", "--random-weights", "--steps", "1", "--judge", "net.py:Attending"]
    assert run([*command, "--images", "a.png", "--film", "webp", "--out", "v"]) == 0
    quality = json.loads((here / "v" / "metrics.json").read_text())["features"]["4:1"]["quality"]
    assert 1 <= quality["transfer"]["rank"] <= 3


def test_photographs_that_have_no_part_are_no_inputs(here):
    assert run(["visualize", "net.py:net", "0:0", "--random-weights", *FAST, "--out", "v"]) == 0
    assert [item["role"] for item in json.loads((here / "v" / "manifest.json").read_text())["inputs"]] == ["code"]


def test_seeds_give_several_images_of_a_unit_and_the_first_is_that_of_one_seed(here):
    command = ["visualize", "net.py:net", "2:1", "--random-weights", *FAST]
    assert run([*command, "--out", "one"]) == 0
    assert run([*command, "--seeds", "2", "--out", "two"]) == 0
    one, two = load_file(here / "one" / "arrays.safetensors"), load_file(here / "two" / "arrays.safetensors")
    assert set(two) == {f"features/2:1, seed {s}/{name}" for s in (0, 1) for name in ("image", "scores")}
    assert np.array_equal(one["features/2:1/image"], two["features/2:1, seed 0/image"])
    assert not np.array_equal(two["features/2:1, seed 0/image"], two["features/2:1, seed 1/image"])


@pytest.mark.parametrize("words", [["mlp:0", "--objective", "token"], ["attention", "--objective", "inversion", "--photo", "a.png"]])
def test_transformers(here, words):
    assert run(["visualize", "net.py:Attending", *words, "--random-weights", *FAST, "--out", "v"]) == 0
    assert verify(here / "v").ok


def test_what_is_finished_is_kept_when_interrupted_and_gone_on_from(here, monkeypatch, capsys):
    command = ["visualize", "net.py:net", "0:0-2", "--random-weights", *FAST, "--batch", "1", "--out"]
    assert run([*command, "whole"]) == 0
    before, plain = files(here), featurevis.visualize

    def interrupted(model, wanted, config, seed, on_step=None, store=None):
        def step(done: int, total: int) -> None:
            if done > 2 * config.steps:
                raise KeyboardInterrupt

        return plain(model, wanted, config, seed, step, store)

    monkeypatch.setattr(featurevis, "visualize", interrupted)
    capsys.readouterr()
    assert run([*command, "v"]) == 130
    assert "interrupted; 2 of 3 images finished are kept, the same command goes on" in capsys.readouterr().err
    assert len(list(here.glob(".*.kept/*.safetensors"))) == 2
    monkeypatch.setattr(featurevis, "visualize", plain)
    assert run([*command, "v"]) == 0
    assert "going on with 2 images" in capsys.readouterr().err
    one, two = load_file(here / "whole" / "arrays.safetensors"), load_file(here / "v" / "arrays.safetensors")
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert {f for f in files(here) if not f.startswith("v")} == before


@pytest.mark.parametrize("error", [Unsupported("the score of '0:2' is no finite number"), RuntimeError("out of memory")])
def test_what_is_finished_is_kept_when_an_error_ends_the_run(here, monkeypatch, capsys, error):
    command = ["visualize", "net.py:net", "0:0-2", "--random-weights", *FAST, "--batch", "1", "--out"]
    assert run([*command, "whole"]) == 0
    plain, optimized = featurevis.visualize, []

    def failing(model, wanted, config, seed, on_step=None, store=None):
        def step(done: int, total: int) -> None:
            if done > 2 * config.steps:
                raise error

        return plain(model, wanted, config, seed, step, store)

    def counted(model, wanted, config, seed, on_step=None, store=None):
        optimized.append(len(store))
        return plain(model, wanted, config, seed, on_step, store)

    monkeypatch.setattr(featurevis, "visualize", failing)
    capsys.readouterr()
    assert run([*command, "v"]) == 2
    lines = capsys.readouterr().err.splitlines()
    kept = "2 of 3 images finished are kept, the same command goes on from there"
    if isinstance(error, Unsupported):
        assert lines == [f"interp: {error}; {kept}"]
    else:
        assert lines[0] == f"interp: {kept}"
        assert lines[1].startswith("interp: out of memory")
    assert not (here / "v").exists()
    monkeypatch.setattr(featurevis, "visualize", counted)
    assert run([*command, "v"]) == 0
    assert optimized == [2]
    one, two = load_file(here / "whole" / "arrays.safetensors"), load_file(here / "v" / "arrays.safetensors")
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert not list(here.glob(".*.kept"))


def test_an_error_before_anything_is_finished_leaves_nothing(here, monkeypatch, capsys):
    def failing(*_arguments: object) -> None:
        raise Unsupported("not this")

    before = files(here)
    monkeypatch.setattr(featurevis, "visualize", failing)
    assert refused(capsys, "net.py:net", "0:0", "--random-weights", *FAST) == "interp: not this\n"
    assert files(here) == before


@pytest.mark.parametrize(("options", "side"), [([], 24), (["--preset", "lucid"], 128), (["--preset", "lucid", "--size", "30"], 30)])
def test_lucents_images_are_not_below_the_models_own_size_and_score_what_is_measured(here, options, side):
    command = ["visualize", "net.py:Paired", "first:1", "--random-weights", "--engine", "lucent", "--steps", "2", "--images", "a.png"]
    assert run([*command, *options, "--out", "v"]) == 0
    assert load_file(here / "v" / "arrays.safetensors")["features/first:1/image"].shape == (side, side, 3)
    (numbers,) = json.loads((here / "v" / "metrics.json").read_text())["features"].values()
    assert numbers["quality"]["score"] == pytest.approx(numbers["final"], rel=1e-3)


def test_interrupted_before_anything_is_finished_nothing_is_left(here, monkeypatch, capsys):
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    before = files(here)
    monkeypatch.setattr(featurevis, "visualize", interrupted)
    assert run(["visualize", "net.py:net", "0:0", "--random-weights", *FAST]) == 130
    assert "interrupted; nothing was left" in capsys.readouterr().err
    assert files(here) == before


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no unit is named; write for example `interp visualize embedded stage3.block1:0-5`"),
        ("resnet18", "no unit is named: 'resnet18' is taken for the model"),
        ("layer4:0 resnet18", "'resnet18' is no unit, such as 'resnet18:0-7'; if it is the model, write it first: resnet18 layer4:0"),
        ("resnet18 layer4", "'layer4' names no units: write 'layer:channel'.*'layer:top8'"),
        ("stem:x", "'x' in 'stem:x' is no channel, range of channels"),
        ("embedded stem:x", "'x' in 'stem:x' is no channel, range of channels"),
        ("stem:0x", "'0x' in 'stem:0x' is no channel"),
        ("stem:top0", "'top0' in 'stem:top0' asks for no channel: write 'top1' or more"),
        ("stem:5-2", "the range '5-2' in 'stem:5-2' is empty"),
        ("stem:0 --objective chanel", "--objective has no choice 'chanel': did you mean 'channel'"),
        ("stem:0 --param furier", "--param has no choice 'furier': did you mean 'fourier'"),
        ("stem:0 --transforms weak", "--transforms has no choice 'weak': there are none, lucid, maco, strong"),
        ("stem:0 --preset lucyd", "--preset has no choice 'lucyd': did you mean 'lucid'"),
        ("stem:0 --optimizer adamm", "--optimizer has no choice 'adamm': did you mean 'Adam"),
        ("stem:0 --optimizer LBFGS", "torch.optim.LBFGS needs more than the gradient"),
        ("stem:0 --precision float31", "--precision has no choice 'float31': did you mean 'float32'"),
        ("stem:0 --engine lucid", "--engine has no choice 'lucid': did you mean 'lucent'"),
        ("stem:0 --film gif", "--film has no choice 'gif': there are webp, mp4"),
        ("stem:0 --quality chep", "--quality has no choice 'chep': did you mean 'cheap'"),
        ("stem:0 --size 12by", "--size '12by' is no size: write pixels as 128, or ROWSxCOLS"),
        ("stem:0 --size 7x64", "--size 7x64 is too small: give at least 8 px"),
        ("stem:0 --size 64x5000", "--size 64x5000 is too large: give at most 4096 px"),
        ("stem:0 --steps 0", "--steps 0 is too small: give 1 or more"),
        ("stem:0 --batch 0", "--batch 0 is too small"),
        ("stem:0 --views 0", "--views 0 is too small"),
        ("stem:0 --seeds 0", "--seeds 0 is too small"),
        ("stem:0 --diversity 1", "--diversity 1 is too small: give 2 or more"),
        ("stem:0 --apart nan", "--apart nan is no weight"),
        ("stem:0 --rate 0", "--rate 0 is no step width: give a positive one"),
        ("stem:0 --rate fast", "--rate 'fast' is no number"),
        ("stem:0 --l1 1:2:3", "--l1 1:2:3 is no weight of a penalty: give 0 or more, or FROM:TO"),
        ("stem:0 --blur inf", "--blur inf is no weight of a penalty"),
        ("stem:0 --opacity 1", "--opacity is for images that can be see-through: give --param alpha"),
        ("stem:0 --smoothing soft", "--smoothing 'soft' is no number"),
        ("stem:0 --photo cat", "--objective channel is about no photograph: leave --photo out, or choose one of direction, inversion"),
        ("embedded stem --objective inversion", "--objective inversion is about a photograph: name one with --photo"),
        ("embedded stem --objective style --photo missing.jpg", "cannot read the picture 'missing.jpg'"),
        ("stem:0 --from missing.jpg", "cannot read the picture 'missing.jpg'"),
        ("stem:0 --from pictures", "--from names 2 photographs: give one"),
        ("stem:0 --images missing.jpg", "cannot read the picture 'missing.jpg'"),
        ("embedded stem:3 --objective deepdream", "deepdream looks at a whole layer: write 'stem' for 'stem:3'"),
        ("stem:0 --token 1", "--objective channel looks at no token: leave --token out, or choose token or head"),
        ("stem:0 --objective token --token=-1", "--token -1 is too small: give 0 or more"),
        ("stem:0 --judge resnet18 --quality none", "--judge is a check of images"),
        ("stem:0 --engine lucent --quality all", "--quality all optimizes anew by interp's own engine"),
        ("stem:0 --engine lucent --film webp", "--engine lucent keeps no moments"),
        ("net.py:net 0:9 --random-weights", "no unit '0:9': layer '0' has 6 channels, 0 to 5"),
        ("net.py:net 7:0 --random-weights", "no layer '7'"),
        ("net.py:net 0:top9 --random-weights", "'0:top9' asks for 9 channels, but there are 6: write 'top6'"),
        ("net.py:net 0:0 --objective logit --random-weights", "'0:0' is no class of"),
        ("net.py:net bea --objective logit --random-weights", "no class 'bea'.*did you mean 'bee'"),
        ("net.py:net 0:0 --objective head --random-weights", "layer '0' .* has no attention heads"),
        ("net.py:net 0:0 --objective token --random-weights", "layer '0' .* gives .*not tokens"),
        ("net.py:net 4:0 --size 40 --random-weights", "cannot be run on images of \\(40, 40\\) px"),
        ("net.py:net 0:0 --param cppn --from a.png --random-weights", "Cppn cannot start from an image"),
        ("net.py:net 0:0 --param maco --engine lucent --random-weights", "lucent's engine has no"),
        (
            "net.py:net 0:0 --size 16 --engine lucent --random-weights",
            "--size 16 is too small for --engine lucent, which enlarges images to the size of 'net.py:net': give at least 24",
        ),
        ("net.py:Attending attention:5 --objective head --random-weights", "no head 5: layer 'attention' has 2 heads"),
        ("net.py:Attending mlp:0 --objective token --token 99 --random-weights", "no token 99"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, message):
    (here / "pictures").mkdir()
    for name in "ab":
        Image.fromarray(photo(name).pixels).save(here / "pictures" / f"{name}.png")
    before = files(here)
    line = refused(capsys, *arguments.split())
    assert re.search(message, line), line
    assert files(here) == before


def test_mp4_without_ffmpeg_is_refused_before_any_work(here, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    line = refused(capsys, "net.py:net", "0:0", "--random-weights", *FAST, "--film", "mp4")
    assert "needs the program 'ffmpeg'" in line
