"""How Gabor-like is a filter, beside how Gabor-like noise is?

g = A exp(-u^2 / 2 s_u^2 - v^2 / 2 s_v^2) cos(2 pi f u + p) + b, with (u, v) the place turned and moved (Jones & Palmer 1987). Nine numbers
fit noise well where a kernel has few places: at 5x5 the median R^2 of white noise is about .5. So R^2 stands beside what the same
procedure finds in noise, and kernels below 5x5 are refused.

A, p and b enter linearly and are solved for exactly (variable projection, Golub & Pereyra 1973); the other six are searched on a grid
of orientations, frequencies and sizes, and from the best places, and from the peak of the spectrum, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares

from interp.core.rng import generator
from interp.errors import Unsupported
from interp.kernels.noise import LEVEL, Null, discoveries, rank
from interp.kernels.weights import Kernels

LEAST_SIDE = 5
DRAWS = 99
"""Fits to noise per null: the least p is 1/100."""
STARTS = 3
_ANGLES, _FREQUENCIES, _SIZES = 8, (0.06, 0.12, 0.2, 0.3), (0.15, 0.25, 0.45)

Plane = Float[np.ndarray, "rows cols"]


@dataclass(frozen=True)
class Gabor:
    """A fitted Gabor function, places counted from the kernel's first weight.

    ``orientation``: of the stripes, in degrees counter-clockwise as seen, 0 for horizontal stripes, below 180; ``frequency`` in
    cycles per pixel; ``phase`` in degrees at the centre (``row``, ``col``); ``along`` and ``across`` the stripes: the envelope's
    standard deviations in pixels.
    """

    amplitude: float
    row: float
    col: float
    orientation: float
    frequency: float
    phase: float
    across: float
    along: float
    offset: float
    r2: float

    def drawn(self, rows: int, cols: int) -> Plane:
        """The function at every place of a kernel."""
        basis = _basis(self._searched(), rows, cols)
        phase = np.deg2rad(self.phase)
        result: np.ndarray = (basis @ [self.amplitude * np.cos(phase), -self.amplitude * np.sin(phase), self.offset]).reshape(rows, cols)
        return result

    def blob(self, rows: int, cols: int) -> bool:
        """Whether it is a bell without a wave: less than a quarter of one in the kernel, and no edge, so that it has no orientation."""
        return bool(self.frequency < 1 / (4 * max(rows, cols)) and abs(np.cos(np.deg2rad(self.phase))) > 0.5)

    def _searched(self) -> np.ndarray:
        return np.array([self.row, self.col, np.deg2rad(90 - self.orientation), self.frequency, np.log(self.across), np.log(self.along)])


@dataclass(frozen=True, eq=False)
class GaborFits:
    """A layer's filters as Gabor functions.

    ``planes``: what was fitted, the principal plane over a filter's inputs, and ``shares``, how much of its energy that holds.
    ``r2``: of each filter; ``noise``: R^2 of draws from each null; ``quantile``: its 95th percentile; ``p``: the rank of a filter's
    R^2 among them, the larger of both nulls; ``gabor_like``: those that Benjamini-Hochberg accepts at 5 % false discoveries.
    """

    layer: str
    planes: Float[np.ndarray, "out rows cols"]
    shares: Float[np.ndarray, " out"]
    fits: tuple[Gabor, ...]
    noise: dict[Null, Float[np.ndarray, " draws"]]

    @property
    def r2(self) -> Float[np.ndarray, " out"]:
        return np.array([one.r2 for one in self.fits])

    @property
    def quantile(self) -> dict[Null, float]:
        return {null: float(np.quantile(r2, 0.95)) for null, r2 in self.noise.items()}

    @property
    def p(self) -> Float[np.ndarray, " out"]:
        result: np.ndarray = np.maximum(*(rank(self.r2, draws[:, None]) for draws in self.noise.values()))
        return result

    @property
    def gabor_like(self) -> Bool[np.ndarray, " out"]:
        return discoveries(self.p, LEVEL)


def of(kernels: Kernels, seed: int = 0, step_done: Callable[[int, int], None] = lambda done, total: None) -> GaborFits:
    """The `GaborFits` of a layer's filters, and of noise treated in the same way: principal plane, then fit.

    Nulls: normal weights (re-drawn initialization: R^2 does not depend on their spread), and the layer's own filters, each kernel's places
    permuted independently. Raises Unsupported where kernels are smaller than 5x5, as noise fits too well there, or not finite.
    """
    rows, cols = kernels.weights.shape[2:]
    if min(rows, cols) < LEAST_SIDE:
        raise Unsupported(
            f"kernels of '{kernels.layer}' are {rows}x{cols}: a Gabor function fits noise too well below {LEAST_SIDE}x{LEAST_SIDE} "
            "(median R^2 .94 at 3x3): choose a layer with wider kernels"
        )
    if not np.isfinite(kernels.weights).all():
        raise Unsupported(f"the weights of '{kernels.layer}' hold NaN or infinite values, to which nothing can be fitted")
    rng = np.random.default_rng(generator(seed, "gabor", kernels.layer).initial_seed())
    weights = kernels.weights.astype(np.float64)
    fresh = rng.standard_normal((DRAWS, *weights.shape[1:]))
    mixed = rng.permuted(weights[np.arange(DRAWS) % len(weights)].reshape(DRAWS, weights.shape[1], -1), axis=-1).reshape(fresh.shape)
    planes, shares = principal_planes(weights)
    every = [planes, principal_planes(fresh)[0], principal_planes(mixed)[0]]
    total, fits = sum(map(len, every)), []
    for plane in (plane for some in every for plane in some):
        fits.append(fit(plane))
        step_done(len(fits), total)
    r2 = np.array([one.r2 for one in fits[len(planes) :]])
    noise = {Null.INITIALIZATION: r2[:DRAWS], Null.PERMUTATION: r2[DRAWS:]}
    return GaborFits(kernels.layer, planes, shares, tuple(fits[: len(planes)]), noise)


def principal_planes(
    weights: Float[np.ndarray, "out in rows cols"],
) -> tuple[Float[np.ndarray, "out rows cols"], Float[np.ndarray, " out"]]:
    """The one picture of each filter that holds most of its energy over all inputs (first singular vector), and which share.

    Its sign is that in which the inputs' factors sum to what is not negative: for a grey filter, that of its weights.
    """
    flat = weights.reshape(*weights.shape[:2], -1)
    left, values, right = np.linalg.svd(flat, full_matrices=False)
    sign = np.where(left[:, :, 0].sum(axis=1) < 0, -1.0, 1.0)
    planes = (sign * values[:, 0])[:, None] * right[:, 0]
    energy = np.square(values).sum(axis=1)
    shares = np.divide(np.square(values[:, 0]), energy, out=np.zeros_like(energy), where=energy > 0)
    return planes.reshape(len(weights), *weights.shape[2:]), shares


def fit(plane: Plane) -> Gabor:
    """The best `Gabor` found; R^2 = 1 - SSE / SST, 0 for a plane of one value."""
    rows, cols = plane.shape
    spread = float(np.square(plane - plane.mean()).sum())
    size = float(np.abs(plane).max())
    if spread <= 1e-12 * max(size, np.finfo(float).tiny) ** 2 * plane.size:
        return Gabor(0.0, (rows - 1) / 2, (cols - 1) / 2, 0.0, 0.0, 0.0, float(rows), float(cols), float(plane.mean()), 0.0)
    target = plane.ravel() / size

    def residual(searched: np.ndarray) -> np.ndarray:
        basis = _basis(searched, rows, cols)
        # A little weight on the coefficients keeps a basis of two equal columns solvable.
        solved = np.linalg.solve(basis.T @ basis + 1e-9 * np.eye(3), basis.T @ target)
        difference: np.ndarray = basis @ solved - target
        return difference

    found = [least_squares(residual, start, method="lm", max_nfev=200) for start in _starts(plane, residual)]
    best = min(found, key=lambda one: one.cost)
    return _told(best.x, target, size, rows, cols)


def _starts(plane: Plane, residual: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """The peak of the spectrum, and the best places of a grid around the centre of the energy."""
    rows, cols = plane.shape
    energy = np.square(plane - plane.mean())
    centre = [float((energy.sum(axis=1 - axis) * np.arange(plane.shape[axis])).sum() / energy.sum()) for axis in (0, 1)]
    side = float(min(rows, cols))
    power = np.abs(np.fft.fft2(plane - plane.mean(), (32, 32)))
    peak = np.unravel_index(power[:, :17].argmax(), (32, 17))
    along = (np.fft.fftfreq(32)[peak[0]], peak[1] / 32)
    first = np.array([*centre, np.arctan2(along[0], along[1]), max(float(np.hypot(*along)), 0.03), *[np.log(0.3 * side)] * 2])
    grid = [
        np.array([*centre, np.pi * angle / _ANGLES, frequency, np.log(size * side), np.log(size * side)])
        for angle in range(_ANGLES)
        for frequency in _FREQUENCIES
        for size in _SIZES
    ]
    costs = [float(np.square(residual(one)).sum()) for one in grid]
    order = np.argsort(costs, kind="stable")
    return [first, *_apart([grid[k] for k in order], STARTS - 1)]


def _apart(starts: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """The first ones of different orientation."""
    found: list[np.ndarray] = []
    for start in starts:
        if all(start[2] != other[2] for other in found):
            found.append(start)
        if len(found) == count:
            break
    return found


def _basis(searched: np.ndarray, rows: int, cols: int) -> Float[np.ndarray, "places 3"]:
    """Envelope times cosine, envelope times sine, and one, at every place; frequency and sizes are held to what pixels can show."""
    row, col, angle, frequency = searched[:4]
    row, col = np.clip(row, -0.5, rows - 0.5), np.clip(col, -0.5, cols - 0.5)
    across, along = np.exp(np.clip(searched[4:], np.log(0.4), np.log(2.0 * max(rows, cols))))
    down, right = np.mgrid[:rows, :cols].reshape(2, -1).astype(np.float64)
    down, right = down - row, right - col
    u, v = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    envelope = np.exp(-np.square(u / across) / 2 - np.square(v / along) / 2)
    turns = 2 * np.pi * np.clip(frequency, -0.5, 0.5) * u
    return np.stack([envelope * np.cos(turns), envelope * np.sin(turns), np.ones_like(u)], axis=1)


def _told(searched: np.ndarray, target: np.ndarray, size: float, rows: int, cols: int) -> Gabor:
    basis = _basis(searched, rows, cols)
    cosine, sine, offset = np.linalg.solve(basis.T @ basis + 1e-9 * np.eye(3), basis.T @ target)
    error = float(np.square(basis @ [cosine, sine, offset] - target).sum())
    angle, frequency = float(searched[2]), float(np.clip(searched[3], -0.5, 0.5))
    # A cos(t + p) = A cos p cos t - A sin p sin t; a negative frequency is the same wave with the sine turned over.
    phase = np.arctan2(-sine if frequency >= 0 else sine, cosine)
    # Turning the wave by 180 degrees turns its phase over.
    turned = np.mod(90 - np.rad2deg(angle), 360)
    if turned >= 180:
        turned, phase = turned - 180, -phase
    sizes = np.exp(np.clip(searched[4:], np.log(0.4), np.log(2.0 * max(rows, cols))))
    return Gabor(
        size * float(np.hypot(cosine, sine)),
        float(np.clip(searched[0], -0.5, rows - 0.5)),
        float(np.clip(searched[1], -0.5, cols - 0.5)),
        float(turned),
        abs(frequency),
        float(np.rad2deg(phase)),
        float(sizes[0]),
        float(sizes[1]),
        size * float(offset),
        1 - error / float(np.square(target - target.mean()).sum()),
    )
