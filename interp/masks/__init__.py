"""Where the object is in a user's own photographs: mask pictures, COCO and VOC annotations, all as arrays of truth values.

    photos = interp.images.load(["photos"])
    masks = from_folder(photos, "masks")
    prepared(model.preprocess, photos, masks).values      # Bool (n, rows, cols), aligned with the network's input

Masks belong to the upright picture, as viewers show it and as `interp.images.read` gives it: one whose sizes fit only the
picture as it is stored, before its EXIF rotation, is refused with both sizes named.
"""

from interp.masks.coco import from_coco
from interp.masks.folder import from_folder, mask_files
from interp.masks.prepared import Prepared, prepared, preprocessed
from interp.masks.voc import from_voc, voc_files

__all__ = ["Prepared", "from_coco", "from_folder", "from_voc", "mask_files", "prepared", "preprocessed", "voc_files"]
