"""Where a file that was read stands in a manifest, so that it can be laid out again as the recorded options name it.

Options are recorded with absolute paths cut down to their last names (`plain.portable`): of ``--masks /data/masks`` there stands
``masks``. So the files of that folder go by ``masks/dog.png``, wherever it lay.
"""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

from interp.runs.entries import reference


def in_folder(folder: PurePath, below: PurePath) -> str:
    """The recorded path of the file ``below`` a folder that was given."""
    return _joined(PurePosixPath(reference(folder)), below)


def beside(file: PurePath, below: PurePath) -> str:
    """The recorded path of a neighbour of a file that was given; ``below`` leads there from the file's folder."""
    return _joined(PurePosixPath(reference(file)).parent, below)


def _joined(folder: PurePosixPath, below: PurePath) -> str:
    # A folder such as `..` has no name of its own.
    return PurePosixPath(*(part for part in folder.parts if part not in ("..", "/")), *below.parts).as_posix()
