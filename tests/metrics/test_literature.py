"""What the literature saw (Adebayo et al. 2018), on real weights: which maps notice that the weights were randomized."""

from pathlib import Path

import numpy as np

from interp.attribution import GradCAM, GuidedBackprop, InputMagnitude
from interp.core.unit import Unit
from interp.images import load as photographs
from interp.metrics import randomization_curve
from interp.zoo.loading import load

PENGUIN = 145


def test_guided_backprop_hardly_notices_random_weights_and_gradcam_does(assets: Path) -> None:
    model = load("squeezenet1_0", weights=assets / "squeezenet1_0_imagenet.safetensors")
    images = model.preprocess(photographs([assets / "imagenet_samples" / "n02056570_king_penguin.JPEG"]))
    # The unit before the last ReLU, behind which random weights switch classes off.
    units = [Unit("classifier.1", PENGUIN)]

    def alike(method: GradCAM | GuidedBackprop | InputMagnitude) -> np.ndarray:
        return randomization_curve(method, model, images, units, n_steps=9).similarity[:, 0]

    guided, cam = alike(GuidedBackprop()), alike(GradCAM("features.12"))
    assert (guided[:5] > 0.75).all(), "five of nine stages from the top are random"
    assert np.abs(cam[:5]).max() < 0.4
    assert np.allclose(alike(InputMagnitude()), 1)
