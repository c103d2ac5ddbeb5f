"""Pictures whose relevant pixels are known, and a small network that learns them: a ground truth that needs no download."""
