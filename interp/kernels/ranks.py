"""Sizes and ranks of filters: how large, how many directions, how sparse, how much they overlap."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

Weights = Float[np.ndarray, "out in rows cols"]

ALMOST_ZERO = 0.01
"""A kernel is as good as zero where all its weights are below this share of the layer's largest (Gavrikov & Keuper 2022)."""


def l1(weights: Weights) -> Float[np.ndarray, " out"]:
    """Sum of magnitudes of each filter."""
    result: np.ndarray = np.abs(weights, dtype=np.float64).sum(axis=(1, 2, 3))
    return result


def l2(weights: Weights) -> Float[np.ndarray, " out"]:
    """Root of the sum of squares of each filter."""
    result: np.ndarray = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=(1, 2, 3)))
    return result


def singular_values(weights: Weights) -> Float[np.ndarray, "out values"]:
    """Of each filter as a matrix of inputs by places, largest first: from the eigenvalues of the smaller Gram matrix."""
    matrices = weights.reshape(*weights.shape[:2], -1).astype(np.float64)
    turned = matrices.transpose(0, 2, 1)
    gram = matrices @ turned if matrices.shape[1] < matrices.shape[2] else turned @ matrices
    result: np.ndarray = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))[:, ::-1]
    return result


def stable_rank(values: Float[np.ndarray, "*n values"]) -> Float[np.ndarray, "*n"]:
    """||W||_F^2 / ||W||_2^2 from singular values: 1 for one direction, their number for equal ones; NaN for a matrix of zeros."""
    largest = values.max(axis=-1)
    shares = np.divide(values, largest[..., None], out=np.full_like(values, np.nan), where=largest[..., None] > 0)
    result: np.ndarray = np.asarray(np.square(shares).sum(axis=-1))
    return result


def effective_rank(values: Float[np.ndarray, "*n values"]) -> Float[np.ndarray, "*n"]:
    """exp of the entropy of singular values as shares of their sum (Roy & Vetterli 2007); NaN for a matrix of zeros."""
    result: np.ndarray = np.asarray(np.exp(entropy(values)))
    return result


def entropy(parts: Float[np.ndarray, "*n values"]) -> Float[np.ndarray, "*n"]:
    """-sum s ln s of each row's shares of its sum, in nats; NaN for a row of zeros."""
    total = parts.sum(axis=-1, keepdims=True)
    shares = np.divide(parts, total, out=np.full_like(parts, np.nan), where=total > 0)
    result: np.ndarray = np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1))
    return result


def variance_entropy(kernels: Float[np.ndarray, "*n kernels places"]) -> Float[np.ndarray, "*n"]:
    """-sum a log10 a over the shares a of variance that the principal components of kernels explain (Gavrikov & Keuper 2022, 2203.15331).

    0 where all kernels are one pattern in several strengths, log10(places) where they fill all directions alike. NaN where they
    are all the same, or have one place. Theirs is that of a layer; over the kernels of one filter it is an extension.
    """
    centred = kernels.astype(np.float64) - kernels.mean(axis=-2, keepdims=True, dtype=np.float64)
    spread = np.square(kernels, dtype=np.float64).sum(axis=(-2, -1))
    values = np.maximum(np.linalg.eigvalsh(np.swapaxes(centred, -1, -2) @ centred), 0)
    # What is below this is the rounding of a mean.
    told = (values.sum(axis=-1) > 1e-12 * spread) & (kernels.shape[-1] > 1)
    result: np.ndarray = np.asarray(np.where(told, entropy(values) / np.log(10), np.nan))
    return result


def almost_zero(weights: Weights) -> Bool[np.ndarray, "out in"]:
    """Which kernels are as good as zero beside the layer's largest weight."""
    found: np.ndarray = np.abs(weights).max(axis=(2, 3)) <= ALMOST_ZERO * np.abs(weights).max()
    return found
