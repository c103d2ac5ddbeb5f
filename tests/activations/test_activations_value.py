import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interp.activations import Activations, Rank
from interp.errors import InterpError, UnknownName

MAPS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]))


@settings(deadline=None, max_examples=25)
@given(MAPS)
def test_statistics_equal_a_direct_count(maps: np.ndarray) -> None:
    value = Activations("a", "a", "Conv2d", maps)
    n, channels, rows, cols = maps.shape
    for c in range(channels):
        zeros = sum(float(v) == 0 for v in maps[:, c].ravel())
        assert value.zeros[c] == pytest.approx(zeros / (n * rows * cols))
    for by, of_list in ((Rank.MEAN, np.mean), (Rank.MAX, np.max)):
        strength = value.strength(by)
        assert strength.shape == (n, channels)
        for i in range(n):
            np.testing.assert_allclose(strength[i], [of_list(maps[i, c]) for c in range(channels)], atol=1e-6)
            ranked = value.top(channels, by, image=i)
            assert sorted(ranked) == list(range(channels))
            assert (np.diff(strength[i, list(ranked)]) <= 0).all()


def test_top_over_all_images_and_per_image() -> None:
    maps = np.zeros((2, 3, 1, 2), dtype=np.float32)
    maps[0, :, 0] = [[0, 9], [4, 6], [0, 0]]
    maps[1, :, 0] = [[0, 0], [1, 1], [8, 8]]
    value = Activations("a", "a", "Conv2d", maps)
    assert value.top(3, Rank.MAX) == (0, 2, 1)  # 9, 8, 6
    assert value.top(3, Rank.MEAN) == (2, 1, 0)  # 4, 3, 2.25
    assert value.top(2, Rank.MEAN, image=0) == (1, 0)
    assert value.top(1, Rank.MAX, image=1) == (2,)
    assert Activations("a", "a", "ReLU", np.zeros((1, 3, 1, 1), np.float32)).top(3, Rank.MAX) == (0, 1, 2)


def test_bad_questions_to_the_value() -> None:
    value = Activations("a", "a", "Conv2d", np.zeros((2, 3, 1, 1), np.float32))
    with pytest.raises(InterpError, match="`k` is 4: layer 'a' has 3 channels, so ask for 1 to 3"):
        value.top(4, Rank.MEAN)
    with pytest.raises(UnknownName, match="no image 2: there are 2, 0 to 1"):
        value.mean_map(2)
    with pytest.raises(UnknownName, match="no image -1"):
        value.top(1, Rank.MEAN, image=-1)


@pytest.mark.usefixtures("unchecked")
def test_strings_are_no_options() -> None:
    value = Activations("a", "a", "Conv2d", np.zeros((2, 3, 1, 1), np.float32))
    with pytest.raises(InterpError, match=r"`by` is 'mean': give Rank.MEAN or Rank.MAX"):
        value.strength("mean")  # type: ignore[arg-type]
