"""Pictures whose relevant pixels are known, and a small network that learns them: a ground truth that needs no download.

options = TrainingOptions(ShapeOptions(difficulty=MEDIUM), seed=0)
model = train(options)
known = truth(model, options.shapes, 200).correct     # images, units, masks of held-out pictures
"""

from interp.synthetic.network import restored, weights
from interp.synthetic.options import CLASSES, EASY, HARD, MEDIUM, Difficulty, ShapeOptions, Tie
from interp.synthetic.outlines import Shape
from interp.synthetic.shapes import Scene, ShapeSet, Split, draw, scene
from interp.synthetic.textures import Texture
from interp.synthetic.training import Lesson, Progress, TrainingOptions, lesson, train
from interp.synthetic.truth import Truth, accuracy, truth

__all__ = [
    "CLASSES",
    "EASY",
    "HARD",
    "MEDIUM",
    "Difficulty",
    "Lesson",
    "Progress",
    "Scene",
    "Shape",
    "ShapeOptions",
    "ShapeSet",
    "Split",
    "Texture",
    "Tie",
    "TrainingOptions",
    "Truth",
    "accuracy",
    "draw",
    "lesson",
    "restored",
    "scene",
    "train",
    "truth",
    "weights",
]
