"""Where many pictures come from: folders, torchvision data sets, shards of WebDataset, Hugging Face data sets, Parquet, arrays.

``datasets.open("photos/")`` gives a `DataSet`: names, labels, and one picture at a time. Nothing is downloaded, unpacked or unpickled.
"""

from interp.datasets.dataset import DataSet
from interp.datasets.labels import with_labels
from interp.datasets.opening import open_dataset as open
from interp.datasets.wrapped import Wrapped

__all__ = ["DataSet", "Wrapped", "open", "with_labels"]
