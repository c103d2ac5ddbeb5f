"""A sample of the matrix: small networks of unlike families, every layer with places tested, every mission asked."""

from __future__ import annotations

import pytest
from coverage_alignment import of
from coverage_missions import Cell, missions

from interp.errors import InterpError
from interp.images import Preprocess
from interp.zoo.loading import load

pytest.importorskip("timm", reason="timm is an extra")

# Reference, side of the images, layers that must have maps, and layers that must not.
SAMPLE = [
    ("squeezenet1_1", 64, ["features.3"], []),
    ("shufflenet_v2_x0_5", 64, ["stage2.0"], []),
    ("mobilenet_v3_small", 64, ["features.4.block.2"], ["features.4.block.2.fc9"]),
    ("timm/test_vit", 160, ["blocks.0"], ["blocks.0.attn.q_norm"]),
    ("timm/test_maxvit", 160, ["stages.0"], []),
    ("timm/test_convnext", 160, ["stages.0"], []),
    ("timm/test_nfnet", 160, ["stages.0"], []),
    ("timm/test_mambaout", 160, ["stages.0"], []),
    ("timm/levit_128s", 224, ["stages.2.blocks.0"], ["stages.0.blocks.0.attn.qkv.bn"]),
    ("timm/xcit_nano_12_p16_224", 96, ["blocks.0"], ["blocks.0.attn.attn_drop"]),
    ("timm/mixer_s32_224", 224, ["blocks.0"], ["blocks.0.mlp_tokens.fc1"]),
]


@pytest.mark.parametrize(("reference", "side", "mapped", "unmapped"), SAMPLE)
def test_every_layer_with_places_is_aligned(reference: str, side: int, mapped: list[str], unmapped: list[str]) -> None:
    model = load(reference, random_weights=True, preprocess=Preprocess(size=(side, side), resize=None))
    names = {layer.name: layer for layer in model.layers}
    assert all(names[name].layout is not None for name in mapped)
    assert all(names[name].layout is None and names[name].problem for name in unmapped if name in names)
    found = of(model)
    assert len(found) > 20
    assert [f"{one.layer}: {one.score}, {one.margin}" for one in found if one.aligned is False] == []
    assert [f"{one.layer}: {one.why}" for one in found if one.aligned is None] == []


def test_every_mission_is_asked() -> None:
    """The cells of one network, as the table counts them: all worked, none with a defect."""
    found, model = missions("timm/test_vit")
    cells = found["cells"]
    assert model is not None
    assert {mission: (cell["worked"], cell["asked"]) for mission, cell in cells.items()} == {
        "layers": (1, 1),
        "kernels": (3, 3),
        "activations": (3, 3),
        "visualize": (3, 3),
        "gradcam": (3, 3),
        "attention": (3, 3),
    }
    assert [defect for cell in cells.values() for defect in cell["defects"]] == []
    assert found["counts"]["mapped"] < found["counts"]["layers"]
    assert sum(found["problems"].values()) == found["counts"]["layers"] - found["counts"]["mapped"]


def test_what_is_refused_or_broken_stands_in_the_cell() -> None:
    cell = Cell()

    def refuse() -> tuple[str, ...]:
        raise InterpError("it has no places")

    cell.ask("a", refuse)
    cell.ask("b", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    cell.ask("c", lambda: ("zero map",))
    assert (cell.worked, cell.asked, cell.refused, cell.marks) == (1, 3, ("it has no places",), ("zero map",))
    assert cell.defects == ("b: ZeroDivisionError: division by zero",)
    found, model = missions("timm/no_such_network")
    assert model is None
    assert "no_such_network" in found["cells"]["layers"]["refused"][0]
