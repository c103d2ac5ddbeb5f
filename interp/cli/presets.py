"""Whole recipes by name: the options that each stands for, as they would be typed. What is typed beside one goes before it."""

from __future__ import annotations

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, str]] = {
    # The engine's own choice.
    "interp": {},
    # A look in seconds.
    "quick": {"steps": "32", "size": "64"},
    # Olah, Mordvintsev & Schubert 2017, as lucid has it.
    "lucid": {"param": "fourier", "transforms": "lucid", "optimizer": "adam", "rate": "0.05:0.05", "steps": "512", "size": "128"},
    # Fel et al. 2023: the phase alone, on crops, with the least number of them that they use.
    "maco": {"param": "maco", "transforms": "maco", "views": "6", "steps": "256"},
    # Zimmermann et al. 2021: images for experiments with people, robust above all.
    "strong": {"param": "fourier", "transforms": "strong", "steps": "1024", "size": "224"},
}

# What a parametrization is used with where nothing else is said: MACO moves phases, in radians.
BY_PARAM: Mapping[str, Mapping[str, str]] = {"maco": {"optimizer": "NAdam", "rate": "1:1"}}
