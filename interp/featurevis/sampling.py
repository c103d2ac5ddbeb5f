"""Affine maps between images, and the pixels they fetch: whole-pixel moves exactly, all others bilinearly.

A map says where in the input each pixel of the output is taken from. All maps of one chain are multiplied
before anything is fetched.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Size = tuple[int, int]
Images = Float[Tensor, "n c h w"]
# A transform may change the size.
Moved = Float[Tensor, "n c rows cols"]
# Maps (col, row, 1) of an output pixel to that of an input pixel, both counted in pixels from their image's centre.
Matrices = Float[Tensor, "n 3 3"]
Numbers = Float[Tensor, " n"]

# Finer than this, the mean of many samples costs more than it brings.
_FINEST = 8


def identity(count: int) -> Matrices:
    """Nothing moves."""
    return torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)


def translation(rows: Numbers, cols: Numbers) -> Matrices:
    """The image's content moves down by ``rows`` and right by ``cols`` pixels."""
    matrices = identity(len(rows))
    matrices[:, 0, 2], matrices[:, 1, 2] = -cols, -rows
    return matrices


def rotation(degrees: Numbers) -> Matrices:
    """The image's content turns counterclockwise as seen, about its centre."""
    cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    matrices = identity(len(degrees))
    # Rows count downwards: output (col, row) is taken from where the opposite turn brings it.
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = cos, -sin, sin, cos
    return matrices


def scaling(rows: Numbers, cols: Numbers) -> Matrices:
    """The image's content grows about its centre, by a factor along the rows and one along the columns; -1 mirrors it."""
    matrices = identity(len(rows))
    matrices[:, 0, 0], matrices[:, 1, 1] = 1 / cols, 1 / rows
    return matrices


def shearing(degrees: Numbers) -> Matrices:
    """The image's content leans to the right: an upright line through the centre then stands at ``degrees`` to the vertical."""
    matrices = identity(len(degrees))
    # Above the centre rows are negative.
    matrices[:, 0, 1] = torch.tan(torch.deg2rad(degrees))
    return matrices


def sample(images: Images, matrices: Matrices, size: Size, outside: float | None) -> Moved:
    """Images of ``size`` whose pixels are taken from ``images`` where ``matrices`` say, bilinearly.

    What lies outside has the value ``outside``; with None it is the image mirrored at its edges. Where a map
    shrinks an image by a factor that rounds to k > 1 along the rows or columns, a pixel is the mean of k samples
    spread over it (8 at most), so that nothing is skipped and fine texture does not alias.
    """
    # How far one step along the output's rows and columns goes in the input.
    steps = matrices[:, :2, :2].norm(dim=1).flip(1).round().clamp(1, _FINEST).int().tolist()
    if all(step == [1, 1] for step in steps):
        return _bilinear(images, matrices, size, outside)
    found: list[Tensor] = [images] * len(steps)
    for rows, cols in {tuple(step) for step in steps}:
        # By itself or in a batch, an image is sampled in the same way.
        chosen = [i for i, step in enumerate(steps) if step == [rows, cols]]
        finer = matrices[chosen] @ torch.diag(matrices.new_tensor([1 / cols, 1 / rows, 1]))
        fine = _bilinear(images[chosen], finer, (size[0] * rows, size[1] * cols), outside)
        for i, image in zip(chosen, F.avg_pool2d(fine, (rows, cols)), strict=True):
            found[i] = image
    return torch.stack(found)


def shifted(images: Images, matrices: Matrices, size: Size, outside: float | None) -> Moved:
    """What `sample` says, for maps that only shift by whole pixels and mirror: exact to the bit.

    Measured on one CPU thread, 8 images of 128 / 224 px, forward and backward: half of what sampling takes, within a
    border three quarters or, for small images, as much.
    """
    height, width = images.shape[2:]
    rows = _sources(matrices[:, 1, 1], matrices[:, 1, 2], height, size[0], outside is None)
    cols = _sources(matrices[:, 0, 0], matrices[:, 0, 2], width, size[1], outside is None)
    # The place behind the last pixel holds the colour of the outside.
    places = torch.where((rows < 0)[:, :, None] | (cols < 0)[:, None], height * width, rows[:, :, None] * width + cols[:, None])
    pixels = images.flatten(2) if outside is None else F.pad(images.flatten(2), (0, 1), value=outside)
    index = places.flatten(1).to(images.device)[:, None].expand(-1, images.shape[1], -1)
    found: Tensor = pixels.gather(2, index).unflatten(2, size)
    return found


def _bilinear(images: Images, matrices: Matrices, size: Size, outside: float | None) -> Moved:
    half_in = matrices.new_tensor([images.shape[3] / 2, images.shape[2] / 2, 1])
    half_out = matrices.new_tensor([size[1] / 2, size[0] / 2, 1])
    theta = (matrices * half_out / half_in[:, None])[:, :2].to(images)
    grid = F.affine_grid(theta, [images.shape[0], images.shape[1], *size], align_corners=False)
    if outside is None:
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return F.grid_sample(images - outside, grid, padding_mode="zeros", align_corners=False) + outside


def _sources(factors: Numbers, offsets: Numbers, before: int, after: int, mirrored: bool) -> Int[Tensor, "n after"]:
    """The row (or column) each output row is taken from; -1 outside, if that is not the mirror image."""
    places = factors[:, None] * (torch.arange(after, dtype=torch.float64) - (after - 1) / 2) + offsets[:, None] + (before - 1) / 2
    sources = places.round().long()
    if not mirrored:
        return torch.where((sources < 0) | (sources >= before), -1, sources)
    # The image and its mirror image repeat after two lengths.
    turned = sources.remainder(2 * before)
    return torch.minimum(turned, 2 * before - 1 - turned)
