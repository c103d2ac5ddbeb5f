"""Whole products made of the missions: figures with captions, arrays, numbers, and the page that shows them."""
