"""Films: what is on a sheet, how long it lasts, the same bytes twice; MP4 by an ffmpeg that may not be there."""

import io
import stat

import numpy as np
import pytest
from PIL import Image

from interp.errors import InterpError, Unsupported
from interp.figures.film import FilmOptions, mp4, sheet, webp


def film(*greys: int, size: tuple[int, int] = (6, 10)) -> np.ndarray:
    return np.stack([np.full((*size, 3), grey, dtype=np.uint8) for grey in greys])


def test_a_sheet_holds_every_picture_in_order_and_keeps_the_last_frame_of_short_ones():
    one, two = film(10, 20, 30), film(100)
    whole = sheet([one, two])
    assert whole.shape == (3, 14, 32, 3)
    for k in range(3):
        assert np.array_equal(whole[k, 4:10, 4:14], one[k])
        assert np.array_equal(whole[k, 4:10, 18:28], two[0])
    outside = whole[:, :4]
    assert (outside == 255).all()


def test_at_most_eight_stand_in_a_row_and_rows_are_filled_evenly():
    whole = sheet([film(i, size=(4, 4)) for i in range(11)])
    assert whole.shape == (1, 2 * 8 + 4, 6 * 8 + 4, 3)
    assert whole[0, 12, 4 + 4 * 8].tolist() == [10, 10, 10]
    assert whole[0, 12, 4 + 5 * 8].tolist() == [255, 255, 255]
    assert sheet([film(i, size=(4, 4)) for i in range(8)]).shape[1] == 12


def test_labels_stand_below_their_pictures_only():
    plain, labelled = sheet([film(0, size=(40, 60))]), sheet([film(0, size=(40, 60))], ["conv:7"])
    assert labelled.shape[1] == plain.shape[1] + 14
    assert np.array_equal(labelled[:, :44], plain[:, :44])
    assert (labelled[:, 44:] < 255).any()
    other = sheet([film(0, size=(40, 60))], ["conv:8"])
    assert not np.array_equal(labelled, other)


def test_a_long_label_keeps_its_end():
    """The channel is what tells units of a layer apart."""
    long = "features.denseblock4.denselayer16.conv2"
    one, two = (sheet([film(0, size=(40, 60))], [f"{long}:{k}"]) for k in (1, 2))
    assert not np.array_equal(one, two)


def test_large_sheets_are_made_smaller():
    whole = sheet([film(90, size=(100, 100))] * 4, options=FilmOptions(side=200))
    assert max(whole.shape[1:3]) <= 202
    assert (whole[0, 10, 10] == 90).all()


def test_webp_has_every_frame_with_its_time_and_the_same_bytes_twice():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (5, 20, 30, 3), dtype=np.uint8)
    options = FilmOptions(seconds=1.0, rest=0.5)
    data = webp(frames, options)
    assert data == webp(frames.copy(), options)
    times = []
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.n_frames, opened.size, opened.info["loop"]) == ("WEBP", 5, (30, 20), 0)
        for k in range(5):
            opened.seek(k)
            opened.load()
            times.append(opened.info["duration"])
    assert times == [200, 200, 200, 200, 700]


def test_webp_pictures_are_those_given_up_to_the_codec():
    frames = film(0, 80, 160, 240, size=(32, 32))
    with Image.open(io.BytesIO(webp(frames))) as opened:
        for k in range(4):
            opened.seek(k)
            assert np.abs(np.array(opened.convert("RGB")).astype(int) - frames[k]).max() <= 4


def test_without_ffmpeg_mp4_is_refused_naming_webp(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"needs the program 'ffmpeg'.*ask for webp"):
        mp4(film(1, 2))


def _program(folder, text):
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_ffmpeg_gets_every_frame_and_the_rest(monkeypatch, tmp_path):
    """A stand-in that gives back how many bytes it was given."""
    _program(tmp_path, "/usr/bin/wc -c")
    monkeypatch.setenv("PATH", str(tmp_path))
    frames = film(*range(8), size=(4, 6))
    said = mp4(frames, FilmOptions(seconds=2.0, rest=0.5))
    assert int(said) == (8 + 2) * 4 * 6 * 3


def test_a_failing_ffmpeg_is_told_by_its_own_words(monkeypatch, tmp_path):
    _program(tmp_path, "/bin/cat > /dev/null; echo 'Unknown encoder libx264' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"Unknown encoder libx264; films as animated WebP"):
        mp4(film(1, 2))


@pytest.mark.parametrize(
    ("films", "labels", "message"),
    [
        ([], (), "`films` is empty"),
        ([np.zeros((2, 4, 4, 3))], (), r"a film is float64 of shape \(2, 4, 4, 3\)"),
        ([np.zeros((4, 4, 3), np.uint8)], (), r"frames are uint8 \(frames, h, w, 3\)"),
        ([film(1), film(1, size=(4, 4))], (), r"films of \(6, 10\) and \(4, 4\) px"),
        ([film(1)], ("a", "b"), "`labels` has 2 texts for 1 films"),
    ],
)
def test_bad_films(films, labels, message):
    with pytest.raises(InterpError, match=message):
        sheet(films, labels)


@pytest.mark.parametrize(
    ("options", "message"), [({"seconds": 0.0}, "0.0 seconds"), ({"rest": float("nan")}, "nan of rest"), ({"side": 4}, "side.*4 px")]
)
def test_bad_options(options, message):
    with pytest.raises(InterpError, match=message):
        FilmOptions(**options)
