"""What stands below figures is true of them: no optimized images where there are none, no bands where no picture is, the target's kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp import images
from interp.attribution import METHODS, gradcam
from interp.attribution.cams import FAMILY
from interp.attribution.onepass import of as maps_of
from interp.cli import run
from interp.core.method import Fault
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig
from interp.figures import EmptyPanel, IntervalPanel, Rendered
from interp.images import Photo, Preprocess
from interp.report import compose
from interp.report.notes import terminal, with_notes
from interp.report.product import Product
from interp.report.whole import Settings, report
from interp.zoo.loading import load


class Segmenting(nn.Module):
    """Class maps (5, 12, 12) by name."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.b(self.a(x).relu())}


def left_half(output: dict[str, Tensor]) -> Tensor:
    return output["out"][:, 1, :, :6].mean((1, 2))


def small(channels: int) -> Model:
    net = nn.Sequential(nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 13))
    return load(net, preprocess=Preprocess((12, 12), 12, (0.5,) * channels, (0.25,) * channels))


def segmenting(**options: object) -> Model:
    return load(Segmenting(), preprocess=Preprocess((12, 12), 12), **options)  # type: ignore[arg-type]


@pytest.fixture
def photo() -> Photo:
    return Photo("a", np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8), "a" * 64)


@pytest.fixture
def field(tmp_path: Path) -> Photo:
    np.save(tmp_path / "field.npy", np.random.default_rng(0).random((20, 20, 4), dtype=np.float32))
    return images.load(tmp_path / "field.npy")[0]


def captions(product: Product) -> dict[str, str]:
    return {figure.stem: figure.caption for figure in product.figures}


def overview(model: Model, photo: Photo) -> tuple[Product, tuple[str, ...], list[str]]:
    product = report(model, [photo], Settings(("0",), (), None, AscentConfig(steps=1, size=(12, 12)), per_layer=1))
    grid = next(figure.grid for figure in product.figures if figure.stem == "overview")
    return product, grid.row_headers, [panel.reason for panel in grid.panels() if isinstance(panel, EmptyPanel)]


def test_without_optimized_images_the_overview_has_no_row_and_no_words_of_them(photo: Photo) -> None:
    grey, headers, empty = overview(small(1), photo)
    assert headers == ("kernels", "activation, 'a'", headers[-1])
    assert headers[-1].startswith("Grad-CAM, class ")
    assert empty == []
    assert "optimized" not in captions(grey)["overview"]
    colour, headers, _ = overview(small(3), photo)
    assert headers[2] == "optimized image"
    assert "unit named below it; the image optimized to excite that unit; Grad-CAM for" in captions(colour)["overview"]


def test_bands_are_told_where_a_picture_is_seen(field: Photo) -> None:
    model = small(4)
    product, _, _ = overview(model, field)
    told = "Pictures are shown by bands 1, 2, 3 of 4 as red, green and blue; the network sees all bands."
    noted = with_notes(product, model, [field])
    below = {stem for stem, caption in captions(noted).items() if caption.endswith(told)}
    assert below == {"overview", "gradcam"}
    assert {"kernels", "activations-field"} <= captions(noted).keys()
    assert noted.lead.endswith(told)


@pytest.mark.parametrize(
    ("options", "target", "said"),
    [
        ({"output": "out"}, None, "orange speaks for the class, blue against it"),
        ({"output": "out"}, Unit("output", 1, (3, 4)), "orange speaks for 'output:1@3,4', blue against it"),
        ({"output": "out"}, Unit("b", 2), "orange speaks for 'b:2', blue against it"),
        ({"target": left_half}, Unit("target", 0), "orange speaks for a larger 'left_half', blue against it"),
    ],
)
def test_grad_cam_speaks_for_what_is_explained(photo: Photo, options: dict[str, object], target: Unit | None, said: str) -> None:
    caption = captions(compose.of_gradcam(segmenting(**options), [photo], ["a"], target))["gradcam"]
    assert said in caption
    placed = target is not None and target.at is not None
    assert caption.endswith("the maps are not kept to what is seen at the place that is explained.") is placed


def test_maps_of_one_place_by_weights_of_whole_channels_say_that_they_go_beyond_it() -> None:
    """With a receptive field of 3 x 3, Grad-CAM's map is not zero outside of it, and HiResCAM's is."""
    model = segmenting(output="out")
    batch = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    beyond = {}
    for unit in (Unit("output", 1, (3, 4)), Unit("output", 1)):
        (found,) = maps_of(model, batch, [unit], ["a"], [kind for kind in FAMILY if kind.needs_gradient])
        for (name, _), heatmap in found.items():
            doubts = [doubt for doubt in heatmap.degenerations if doubt.fault is Fault.BEYOND_PLACE]
            assert bool(doubts) is (unit.at is not None and METHODS[name].by_channel)  # type: ignore[attr-defined]
            if unit.at is not None:
                outside = np.array(heatmap.values)
                outside[3, 4] = 0
                beyond[name] = bool(np.abs(outside).max() > 0)
                assert all("row 3, column 4" in doubt.sentence for doubt in doubts)
    assert beyond == {"gradcam": True, "gradcam++": True, "hirescam": False, "xgradcam": True, "layercam": False}


def test_means_of_class_maps_have_no_percentage(photo: Photo) -> None:
    model = segmenting(output="out")
    product = compose.of_gradcam(model, [photo], ["a"])
    (panel, *_) = product.figures[0].grid.panels()
    scores = model(model.preprocess(photo))[0]
    best = int(scores.argmax())
    assert panel.label == f"class {best} {float(scores[best]):.3g}"  # type: ignore[union-attr]
    (told,) = product.metrics["predictions"].values()  # type: ignore[attr-defined]
    assert "probability" not in told
    assert gradcam.of(model, model.preprocess(photo), [Unit("output", best)], ["a"])[0]["a"].unit == Unit("output", best)


def test_layers_without_places_are_bars_and_others_maps(photo: Photo) -> None:
    model = small(3)
    product = compose.of_activations(model, [photo], ["0", "3", "4"])
    maps, vectors = product.figures
    assert (maps.stem, vectors.stem) == ("activations-a", "activations-a-vectors")
    assert len(maps.grid.column_headers) == 1
    scores = model(model.preprocess(photo))[0].tolist()
    order = sorted(range(13), key=lambda k: -scores[k])[:10]
    panel = vectors.grid.rows[0][1]
    assert isinstance(panel, IntervalPanel)
    assert panel.names == tuple(f"class {k}" for k in order)
    assert panel.values == pytest.approx([scores[k] for k in order], abs=1e-6)
    assert panel.low == pytest.approx([min(scores[k], 0) for k in order], abs=1e-6)
    assert panel.high == pytest.approx([max(scores[k], 0) for k in order], abs=1e-6)
    assert vectors.grid.rows[0][0].names[0].startswith("3:")  # type: ignore[union-attr]
    assert product.arrays["activations/a/4/channels"].tolist() == order
    assert product.arrays["activations/a/4/maps"][:, 0, 0] == pytest.approx(panel.values)


def test_vectors_alone_are_the_figure_and_units_that_are_named_are_shown(photo: Photo) -> None:
    product = compose.of_activations(small(3), [photo], ["4"], units=[Unit("4", 12), Unit("4", 0)])
    (figure,) = product.figures
    assert figure.stem == "activations-a"
    assert figure.grid.rows[0][0].names == ("class 12", "class 0")  # type: ignore[union-attr]
    assert "the units named" in figure.caption


NET = """
from torch import nn


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


def test_the_terminal_says_which_weights_and_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("interp.report.product.figures.render", lambda *_: Rendered({"png": b"png", "pdf": b"pdf"}, 8, 8))
    (tmp_path / "net.py").write_text(NET)
    state = load("net.py:small", random_weights=True).module.state_dict()
    torch.save({"state_dict": state, "state_dict_ema": state}, "both.pt")
    torch.save(state, "one.pt")
    chosen = ("--weights", "both.pt", "--input-size", "12", "12")
    weights = "interp: weights: both.pt (state_dict, not state_dict_ema)"
    size = "interp: input: 3 x 12 x 12 (channels x rows x cols), mean"
    for words in (["kernels", "net.py:small", *chosen, "--out", "made"], ["layers", "net.py:small", *chosen]):
        assert run(words) == 0
        said = capsys.readouterr().err.splitlines()
        assert said.count(weights) == 1
        assert len([line for line in said if line.startswith(size)]) == 1
    assert terminal(load("net.py:small", weights="one.pt")) == []
    assert terminal(load("embedded", random_weights=True)) == []
