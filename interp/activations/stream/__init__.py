"""One pass over a data set: for every channel of every chosen layer at once, its strongest and weakest images and its statistics.

``stream.scan(model, data, layers, ScanConfig(top=9))`` gives a `Scan`. Maps are reduced as they fire, batch by batch, so memory does
not depend on the number of images.
"""

from interp.activations.stream.config import ScanConfig
from interp.activations.stream.crops import crop_box
from interp.activations.stream.passing import Step, scan
from interp.activations.stream.tables import tables
from interp.activations.stream.values import Examples, LayerStatistics, Scan, Side, Source

__all__ = ["Examples", "LayerStatistics", "Scan", "ScanConfig", "Side", "Source", "Step", "crop_box", "scan", "tables"]
