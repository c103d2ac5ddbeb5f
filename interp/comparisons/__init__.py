"""Mission results -> figure specs, side by side across layers and methods; the only place where the missions meet."""
