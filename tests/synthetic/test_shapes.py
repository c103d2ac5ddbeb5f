"""What is drawn: the mask is the object to the pixel, a picture depends on seed and index alone, backgrounds tell what is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.measure import label as components

from interp.errors import InterpError, Unsupported
from interp.synthetic import EASY, HARD, MEDIUM, Difficulty, Shape, ShapeOptions, Split, Texture, Tie, draw, scene
from interp.synthetic.outlines import distance, filled
from interp.synthetic.textures import texture

OPTIONS = ShapeOptions()


@pytest.mark.parametrize("difficulty", [EASY, MEDIUM, HARD])
def test_with_and_without_the_object_pictures_differ_inside_the_mask_only(difficulty: Difficulty) -> None:
    options = ShapeOptions(difficulty=difficulty)
    for index in range(24):
        drawn = scene(options, index)
        differ = (drawn.pixels() != drawn.without_object()).any(axis=2)
        assert not differ[~drawn.mask].any()
        # And nearly everywhere inside: a colour may agree by chance, and the border's last pixels are faint.
        assert differ[drawn.mask].mean() > 0.85


def test_where_the_object_covers_a_pixel_nothing_else_shows() -> None:
    """With other backgrounds and distractors the object is the same, to the last bit."""
    noiseless = replace(MEDIUM, noise=0.0)
    one = ShapeOptions(n_distractors=0, correlation=1.0, difficulty=noiseless)
    other = replace(one, n_distractors=5, tie=Tie.NEXT)
    for index in range(16):
        a, b = scene(one, index), scene(other, index)
        covered = a.coverage == 1
        assert np.array_equal(a.mask, b.mask)
        assert np.array_equal(a.pixels()[covered], b.pixels()[covered])
        assert a.background != b.background


def test_distractors_change_their_own_pixels_only() -> None:
    without = replace(OPTIONS, n_distractors=0)
    for index in range(16):
        a, b = scene(OPTIONS, index), scene(without, index)
        differ = (a.pixels() != b.pixels()).any(axis=2)
        assert not b.distracting.any()
        # Behind the object's soft border a distractor may shine through.
        assert not differ[~(a.distracting | a.mask)].any()
        assert not (a.distracting & a.mask).any()


def test_a_picture_depends_on_seed_and_index_alone() -> None:
    whole = draw(OPTIONS, range(12), seed=3)
    some = draw(OPTIONS, [7, 2, 7], seed=3)
    for place, index in enumerate([7, 2, 7]):
        assert np.array_equal(some.images[place], whole.images[index])
        assert np.array_equal(some.masks[place], whole.masks[index])
        assert some.labels[place] == whole.labels[index]
        assert some.backgrounds[place] == whole.backgrounds[index]
    for other in (draw(OPTIONS, range(12), seed=4), draw(OPTIONS, range(12), seed=3, split=Split.HELD_OUT)):
        assert all(not np.array_equal(a, b) for a, b in zip(whole.images, other.images, strict=True))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw(OPTIONS, range(3))
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_every_class_comes_once_in_each_block() -> None:
    labels = draw(ShapeOptions(size=(24, 24), n_distractors=0), range(80)).labels.reshape(10, 8)
    assert all(sorted(block) == list(range(8)) for block in labels.tolist())
    assert len({tuple(block) for block in labels.tolist()}) > 5


def shares(options: ShapeOptions, count: int = 250) -> tuple[float, float]:
    """How many backgrounds are those of the picture's class, and of the class after it."""
    drawn = draw(options, range(count))
    own = np.array([options.backgrounds.index(b) for b in drawn.backgrounds])
    return float((own == drawn.labels).mean()), float((own == (drawn.labels + 1) % len(options.classes)).mean())


def test_backgrounds_tell_the_class_as_often_as_asked() -> None:
    small = ShapeOptions(classes=tuple(Shape)[:4], size=(24, 24), n_distractors=0)
    # 250 draws: three standard deviations of a share are below 0.09.
    assert shares(small) == pytest.approx((0.25, 0.25), abs=0.09)
    assert shares(replace(small, correlation=0.6)) == pytest.approx((0.6 + 0.4 / 4, 0.4 / 4), abs=0.09)
    assert shares(replace(small, correlation=1)) == (1.0, 0.0)
    assert shares(replace(small, correlation=1).swapped) == (0.0, 1.0)
    assert shares(replace(small, correlation=1).independent) == pytest.approx((0.25, 0.25), abs=0.09)


def test_nothing_but_shape_and_background_depends_on_the_class() -> None:
    drawn = draw(ShapeOptions(size=(24, 24), difficulty=replace(EASY, noise=0.0)), range(480))
    centre = np.array([np.argwhere(mask).mean(0) for mask in drawn.masks])
    inside = np.array([image[mask].mean() for image, mask in zip(drawn.images, drawn.masks, strict=True)])
    for values in (centre[:, 0], centre[:, 1], inside, drawn.distracting.mean((1, 2))):
        means = np.array([values[drawn.labels == k].mean() for k in range(8)])
        # Means of 60 pictures: the range of eight is below 5.5 of their standard errors.
        assert np.ptp(means) < 5.5 * values.std() / np.sqrt(60)


def test_masks_are_whole_shapes_inside_the_picture() -> None:
    drawn = draw(OPTIONS, range(64))
    border = np.ones(OPTIONS.size, dtype=bool)
    border[1:-1, 1:-1] = False
    assert not (drawn.masks & border).any()
    assert all(components(mask).max() == 1 for mask in drawn.masks)
    ring = drawn.names.index("ring")
    assert all((components(~mask).max() == 2) == (label == ring) for mask, label in zip(drawn.masks, drawn.labels, strict=True))


AREAS = {
    Shape.DISC: np.pi,
    Shape.SQUARE: 2.0,
    Shape.TRIANGLE: 3 * np.sqrt(3) / 4,
    Shape.STAR: 5 * 0.42 * np.sin(np.pi / 5),
    Shape.RING: np.pi * (1 - 0.25),
    Shape.CROSS: 4 * 0.64 * 0.94 - 0.64**2,
    Shape.HEXAGON: 3 * np.sqrt(3) / 2,
}


@pytest.mark.parametrize("shape", AREAS)
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_the_covered_area_is_that_of_the_shape(shape: Shape, angle: float) -> None:
    covered = filled(distance(shape, (64, 64), (31.3, 32.1), 20.0, angle)).sum()
    assert covered == pytest.approx(AREAS[shape] * 400, rel=0.01)


@pytest.mark.parametrize("shape", list(Shape))
def test_distances_grow_by_one_per_pixel(shape: Shape) -> None:
    """|gradient| = 1 nearly everywhere near the border, as a distance has it."""
    near = distance(shape, (64, 64), (32.0, 32.0), 22.0, 0.3)
    slope = np.hypot(*np.gradient(near))[np.abs(near) < 1.5]
    assert np.median(slope) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", list(Texture))
def test_textures_span_most_of_their_range(kind: Texture) -> None:
    drawn = np.stack([texture(kind, (48, 64), np.random.default_rng(seed)) for seed in range(8)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (np.ptp(drawn, axis=(1, 2)) > 0.45).all()


def test_objects_stand_out_by_the_contrast() -> None:
    """The mean luminance inside differs from that below by the contrast, up to clipping at black and white."""
    options = ShapeOptions(n_distractors=0, difficulty=replace(EASY, relief=0.05, noise=0.0))
    weights = np.array([0.299, 0.587, 0.114])
    gaps = []
    for index in range(40):
        drawn = scene(options, index)
        whole = drawn.coverage == 1
        gaps.append(abs((drawn.pixels()[whole] @ weights).mean() - (drawn.without_object()[whole] @ weights).mean()) / 255)
    assert np.median(gaps) > 0.28
    assert np.quantile(gaps, 0.1) > 0.2


def test_pictures_need_not_be_square() -> None:
    drawn = draw(ShapeOptions(size=(40, 72)), range(4))
    assert drawn.images.shape == (4, 40, 72, 3)
    assert drawn.tensor.shape == (4, 3, 40, 72)
    assert float(drawn.tensor[2, 1, 5, 7]) == pytest.approx(drawn.images[2, 5, 7, 1] / 255)


BAD = {
    r"`classes` has 1 shapes, 1 different: give at least 2, each once": lambda: ShapeOptions(classes=(Shape.DISC,)),
    r"`classes` has 3 shapes, 2 different": lambda: ShapeOptions(classes=(Shape.DISC, Shape.DISC, Shape.STAR)),
    r"`size` is \(16, 64\): give \(rows, cols\) of at least 24 px": lambda: ShapeOptions(size=(16, 64)),
    r"`n_distractors` is -1: give 0 or more": lambda: ShapeOptions(n_distractors=-1),
    r"`correlation` is 1.5: give a probability, 0 to 1": lambda: ShapeOptions(correlation=1.5),
    r"`correlation` is nan": lambda: ShapeOptions(correlation=float("nan")),
    r"`contrast` is 0.9: give a number from 0 to 0.4": lambda: Difficulty(contrast=0.9),
    r"`radii` is \(0.3, 0.2\): give the least and the largest": lambda: Difficulty(radii=(0.3, 0.2)),
    r"`rotation` 200.0, `noise` 0.02, `relief` 0.15: give 0 to 180 degrees": lambda: Difficulty(rotation=200.0),
    r"`indices` is empty: give at least one": lambda: draw(OPTIONS, []),
    r"no picture -1: pictures are numbered 0, 1, 2": lambda: draw(OPTIONS, [-1]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_options(message: str) -> None:
    with pytest.raises(InterpError, match=message):
        BAD[message]()


def test_more_classes_than_textures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interp.synthetic.options.Texture", tuple(Texture)[:5])
    with pytest.raises(Unsupported, match=r"8 classes need as many background textures: there are 5"):
        ShapeOptions()
