"""Images of units over time: read from a recording, in figures with their scores, in sheets pixel by pixel, and on the page."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from courses import timeline, trained
from PIL import Image

from interp.figures import ImagePanel
from interp.films import UnitImages, climbs, recorded
from interp.report.film import UNITS, Asked, film
from interp.report.film_page import joined
from interp.report.product import Product, silent
from interp.watching import Recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("watched") / "digits"
    trained(folder, steps=4, every=2, units=["conv1:0-1", "fc:3"])
    return Recording.read(folder)


def images(moments: int = 3, units: int = 2) -> UnitImages:
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (moments, units, 8, 8, 3)).astype(np.uint8)
    scores = rng.standard_normal((moments, units)).astype(np.float32)
    return UnitImages(tuple(f"conv1:{k}" for k in range(units)), found, scores, np.zeros((moments, units), bool))


def test_images_are_those_of_the_records(recording: Recording) -> None:
    found = recorded.of(recording).images
    assert found is not None
    assert found.units == ("conv1:0", "conv1:1", "fc:3")
    assert found.images.shape == (3, 3, 8, 8, 3)
    for moment, record in enumerate(recording.records):
        for colour in range(3):
            assert (found.images[moment, ..., colour] == record.images[..., 0]).all(), "grey stays grey"
        assert (found.scores[moment] == record.array("units/scores")).all()
        assert (found.silent[moment] == record.array("units/silent")).all()
    assert (found.images[0] != found.images[-1]).any()


def test_a_recording_without_units_has_no_images(tmp_path: Path) -> None:
    trained(tmp_path / "plain", steps=2, every=1)
    assert recorded.of(Recording.read(tmp_path / "plain")).images is None


def test_the_figure_has_units_in_rows_with_their_scores() -> None:
    found = replace(images(), silent=np.array([[True, False], [False, False], [False, False]]))
    grid = climbs.figure(found, ("step 0", "step 5", "step 9"), [0, 2], "title")
    assert grid.row_headers == ("conv1:0", "conv1:1")
    assert grid.column_headers == ("step 0", "step 9")
    for unit in range(2):
        for column, moment in enumerate((0, 2)):
            panel = grid.rows[unit][column]
            assert isinstance(panel, ImagePanel)
            assert (np.asarray(panel.pixels)[::12, ::12] == found.images[moment, unit]).all()
            wanted = "silent" if (moment, unit) == (0, 0) else f"{found.scores[moment, unit]:.3g}".replace("-", "\u2212")
            assert panel.label == wanted


def test_more_units_than_there_is_room_for_are_shown_evenly() -> None:
    grid = climbs.figure(images(units=30), ("a", "b", "c"), [0], "")
    assert len(grid.rows) == climbs.UNITS
    assert (grid.row_headers[0], grid.row_headers[-1]) == ("conv1:0", "conv1:29")


def test_a_pixel_of_a_unit_can_be_read_off_the_sheet() -> None:
    found = images(units=2)
    drawn = climbs.sheets(found)
    gap, frame = 4, 1
    for moment in range(3):
        for row, col in ((0, 0), (3, 5), (7, 7)):
            top, left = gap + frame + 12 * row + 6, gap + frame + 12 * col + 6
            assert drawn[moment, top, left].tolist() == found.images[moment, 0, row, col].tolist()
            second = left + 8 * 12 + 2 * frame + gap
            assert drawn[moment, top, second].tolist() == found.images[moment, 1, row, col].tolist()


def test_the_film_of_a_training_shows_its_units_everywhere() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4, 1, 3, 3)).astype(np.float32)
    line = replace(timeline(weights), images=images())
    made = film(line, Asked(), silent)
    assert line.images is not None
    assert [figure.stem for figure in made.product.figures if figure.section == UNITS] == ["units"]
    (moving,) = [one for one in made.product.films if one.section == UNITS]
    (track,) = [one for one in made.steps.tracks if one.title == "Images of units"]
    assert len(track.files) == 3
    with Image.open(BytesIO(made.pictures[track.files[1]])) as picture:
        assert (np.asarray(picture.convert("RGB")) == climbs.sheets(line.images)[1]).all()
    with Image.open(BytesIO(moving.webp)) as picture:
        assert getattr(picture, "n_frames", 1) == 3
    assert (made.product.arrays["units/images"] == line.images.images).all()
    assert made.product.metrics["units"] == {
        unit: [float(score) for score in line.images.scores[:, k]] for k, unit in enumerate(line.images.units)
    }


def test_a_training_without_units_says_nothing_of_them() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4, 1, 3, 3)).astype(np.float32)
    made = film(timeline(weights), Asked(), silent)
    assert not [one for one in (*made.product.figures, *made.product.films) if one.section == UNITS]
    assert "units" not in made.product.metrics


def test_a_film_joins_a_larger_product_behind_what_is_its_own() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4, 1, 3, 3)).astype(np.float32)
    made = film(replace(timeline(weights), images=images()), Asked(), silent)
    first = made.product.figures[0]
    own = Product("own title", "own lead", [replace(first, stem="own", section="own")], {"own": np.zeros(2)}, {"own": 1})
    both = joined(own, made)
    assert both.product.title == "own title"
    assert both.product.lead.startswith("own lead\n\n")
    assert [figure.stem for figure in both.product.figures] == ["own", *(figure.stem for figure in made.product.figures)]
    assert set(both.product.arrays) == {"own", *made.product.arrays}
    assert set(both.product.metrics) == {"own", *made.product.metrics}
    assert (both.steps, both.pictures) == (made.steps, made.pictures)
