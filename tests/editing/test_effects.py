"""Effects over a data set against answers one by one; intervals and chance against closed forms; random units as controls."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest
from torch import nn

from interp import datasets
from interp.core.model import Model
from interp.core.unit import Unit
from interp.datasets import DataSet
from interp.editing import Ablate, Edit, Fresh, Replace, Scale, accuracy, chance, edited, others, swept, wilson
from interp.editing.controls import choices
from interp.editing.effects import batches, classes_of
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess
from interp.zoo import load


@pytest.fixture
def model() -> Model:
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 3))
    return load(module, preprocess=Preprocess(size=(8, 8), resize=8), classes=["sea slug", "Bee", "crane"])


def pictures(folder: Path, labels: list[str], broken: int | None = None) -> DataSet:
    draw = np.random.default_rng(0)
    for number, label in enumerate(labels):
        path = folder / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        if number == broken:
            path.write_bytes(b"no picture")
    return datasets.open(folder)


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_one_pass_gives_what_each_edit_gives_alone(model: Model, tmp_path: Path, batch: int) -> None:
    data = pictures(tmp_path, ["bee"] * 7, broken=6)
    variants: list[list[Edit]] = [[], [Ablate(Unit("0", 1))], [Scale(Unit("3", 0), -40.0)], [Replace(Unit("0", 2), Fresh(1))]]
    steps: list[tuple[int, int]] = []
    found = swept(model, data, variants, batch, lambda done, total: steps.append((done, total)))
    assert found.read == (0, 1, 2, 3, 4, 5)
    assert [name for name, _ in found.skipped] == ["bee/6.png"]
    assert steps[0] == (0, 7)
    assert steps[-1] == (7, 7)
    for edits, top in zip(variants, found.top, strict=True):
        for index in found.read:
            image = model.preprocess([data.photo(index)])
            if edits:
                with edited(model, edits):
                    expected = int(model(image).argmax())
            else:
                expected = int(model(image).argmax())
            assert top[index] == expected
    assert not np.array_equal(found.top[0], found.top[2])


def test_batches_hold_every_readable_picture_once(model: Model, tmp_path: Path) -> None:
    data = pictures(tmp_path, ["bee"] * 5, broken=4)
    skipped: list[tuple[str, str]] = []
    found = list(batches(model, data, 2, skipped))
    assert [indices for indices, _ in found] == [[0, 1], [2, 3]]
    assert [tuple(images.shape) for _, images in found] == [(2, 3, 8, 8)] * 2
    assert len(skipped) == 1


def test_labels_are_classes_by_name_or_number(model: Model, tmp_path: Path) -> None:
    found = classes_of(model, pictures(tmp_path, ["Sea_Slug", "bee", "2"]))
    data = datasets.open(tmp_path)
    assert found is not None
    assert {data.label(k): int(found[k]) for k in range(3)} == {"Sea_Slug": 0, "bee": 1, "2": 2}


def test_pictures_without_labels_have_no_classes(model: Model, tmp_path: Path) -> None:
    pictures(tmp_path / "all", ["x"])
    assert classes_of(model, datasets.open(tmp_path / "all" / "x")) is None


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        ("beee", UnknownName, r"the label 'beee' of 'data' is no class of '.*': did you mean 'Bee'"),
        ("3", UnknownName, r"the label '3' of 'data' is no class of '.*': name folders by classes, or by their numbers, 0 to 2"),
    ],
)
def test_labels_that_are_no_classes(model: Model, tmp_path: Path, label: str, error: type[InterpError], message: str) -> None:
    with pytest.raises(error, match=message):
        classes_of(model, pictures(tmp_path / "data", [label, "crane"]))


def test_a_name_of_two_classes_and_a_network_without_classes(trap_model: Model, tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", ["bee"])
    with pytest.raises(InterpError, match=r"the label 'bee' of 'data' names 2 classes: name it by its number, 1 or 3"):
        classes_of(trap_model, data)
    single = load(nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), preprocess=Preprocess(size=(8, 8), resize=8))
    with pytest.raises(Unsupported, match="returns no scores of classes, so there is no accuracy: leave the labels out"):
        classes_of(single, data)


def test_scores_that_are_not_finite_and_data_that_cannot_be_read(model: Model, tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", ["bee"])
    with pytest.raises(InterpError, match="gives scores that are not finite: choose a smaller factor"):
        swept(model, data, [[Scale(Unit("1", 0), 1e38), Scale(Unit("3", 0), 1e38)]])
    with pytest.raises(InterpError, match=r"none of the 1 pictures of 'gone' can be read, 'bee/0.png' first: "):
        swept(model, pictures(tmp_path / "gone", ["bee"], broken=0), [[]])


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (3, 7), (480, 1000)])
def test_the_interval_is_wilsons(correct: int, total: int) -> None:
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert wilson(correct, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_shares_of_nothing_are_not_defined() -> None:
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(accuracy(np.zeros(0, dtype=bool)))
    assert accuracy(np.array([True, False, False, True])) == 0.5
    assert np.isnan(chance(-0.5, np.zeros(0)))


def test_chance_counts_controls_that_change_as_much() -> None:
    controls = np.array([0.0, -0.1, 0.3, -0.2])
    assert chance(-0.2, controls) == pytest.approx(3 / 5)
    assert chance(-0.5, controls) == pytest.approx(1 / 5)
    assert chance(0.0, controls) == 1


def test_chance_is_uniform_where_nothing_sets_the_units_apart() -> None:
    draw = np.random.default_rng(0)
    found = np.array([chance(float(draw.normal()), draw.normal(size=19)) for _ in range(2000)])
    assert abs((found <= 0.05).mean() - 0.05) < 0.015
    assert abs((found <= 0.5).mean() - 0.5) < 0.035


EDITS: list[Edit] = [Ablate(Unit("0", 1), 0.5), Scale(Unit("0", 4), -2.0), Replace(Unit("1", 3), Unit("1", 5))]


def test_random_units_are_of_the_same_layers_and_edited_alike(model: Model) -> None:
    found = others(model, EDITS, 40, 0)
    named = frozenset(edit.unit for edit in EDITS)
    chosen = [frozenset(edit.unit for edit in draw) for draw in found]
    assert len(set(chosen)) == 40
    assert named not in chosen
    for draw in found:
        one, two, three = draw
        assert [edit.unit.layer for edit in draw] == ["0", "0", "1"]
        assert len({edit.unit for edit in draw}) == 3
        assert isinstance(one, Ablate)
        assert one.value == 0.5
        assert isinstance(two, Scale)
        assert two.factor == -2.0
        assert isinstance(three, Replace)
        assert isinstance(three.by, Unit)
        assert three.by.layer == "1"
        assert three.by != three.unit
    assert others(model, EDITS, 3, 0) == found[:3]
    assert others(model, EDITS, 3, 1) != found[:3]


def test_every_unit_is_drawn_as_often_and_every_choice_once(model: Model) -> None:
    assert choices(model, EDITS) == 15 * 6
    assert len(others(model, EDITS, 1000, 0)) == 89
    half: list[Edit] = [Ablate(Unit("0", channel)) for channel in range(3)]
    found = others(model, half, 1000, 0)
    assert len(found) == choices(model, half) - 1 == 19
    drawn = Counter(edit.unit.channel for draw in found for edit in draw)
    assert drawn == {channel: 9 if channel < 3 else 10 for channel in range(6)}
    first = Counter(others(model, [Ablate(Unit("0", 5))], 1, seed)[0][0].unit.channel for seed in range(500))
    assert set(first) == {0, 1, 2, 3, 4}
    assert min(first.values()) > 70


def test_where_all_units_are_edited_there_are_no_others(model: Model) -> None:
    assert others(model, [Ablate(Unit("3", channel)) for channel in range(3)], 20, 0) == []
    assert others(model, EDITS, 0, 0) == []


def test_the_global_generator_is_left_alone(model: Model, tmp_path: Path) -> None:
    data = pictures(tmp_path, ["bee"])
    state = torch.get_rng_state()
    swept(model, data, [others(model, EDITS[:2], 1, 0)[0], [Replace(Unit("0", 0), Fresh(0))]])
    assert torch.equal(torch.get_rng_state(), state)
