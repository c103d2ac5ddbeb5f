"""Metrics: what an attribution map is worth. Pure functions on arrays, and thin classes that ask models and methods."""
